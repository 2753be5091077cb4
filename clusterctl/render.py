"""From values to the text a host receives. Pure: the same values give the same text.

A template's suffix decides how values are written: ``.sh.j2`` quotes each one for the shell, ``.yaml.j2``
writes each one as JSON, which is YAML; in other files a value is one plain word. An undefined name is an error,
and a Secret cannot be written at all.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from clusterctl.model.secret import Secret
from clusterctl.resources import folder

if TYPE_CHECKING:
    import jinja2

_WORD = re.compile(r"[A-Za-z0-9_.:/@%*\[\]-]+")


@dataclass(frozen=True, slots=True)
class Script:
    """A named shell script, whole and ready to run once."""

    name: str
    text: str


def script(name: str, *, environment: Mapping[str, str] | None = None, **values: object) -> Script:
    """Render ``templates/NAME.sh.j2`` into a script that runs alone on its host and keeps running when cut off.

    ``name`` is the step's name, such as ``os/swap-off``; ``environment`` are variables that it exports.
    """
    body = _environment("sh").get_template(f"{name}.sh.j2").render(values)
    frame = _environment("sh").get_template("_script.sh.j2")
    return Script(name, frame.render(name=name, body=_Raw(body), environment=tuple((environment or {}).items())))


def reader(name: str, **values: object) -> Script:
    """Render ``templates/NAME.sh.j2`` into a script that changes nothing of the host and may run beside anything."""
    return Script(name, _environment("sh").get_template(f"{name}.sh.j2").render(values))


def probe(**values: object) -> Script:
    """Render ``templates/facts.sh.j2``, which only reads and may run beside anything."""
    return reader("facts", **values)


def survey(mode: str, **values: object) -> Script:
    """Render ``templates/survey.sh.j2`` for one of its modes; it changes nothing that lasts."""
    return Script(f"survey {mode}", _environment("sh").get_template("survey.sh.j2").render(mode=mode, **values))


def document(template: str, **values: object) -> str:
    """Render a YAML template, named with its suffix: ``kubeadm/init.yaml.j2``."""
    return _environment("yaml").get_template(template).render(values)


def text(template: str, **values: object) -> str:
    """Render a configuration file of a language without quotes: every value is one plain word."""
    return _environment("plain").get_template(template).render(values)


class _Raw(str):
    """Text that is already shell, such as a rendered body."""

    __slots__ = ()


def _shell(value: object) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, str):
        return shlex.quote(value)
    if isinstance(value, bool):
        raise TypeError("the shell has no booleans; decide in the step")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return " ".join(_shell(item) for item in value)
    raise TypeError(f"a {type(value).__name__} cannot be written into a shell script")


def _plain(value: object) -> str:
    if isinstance(value, int) or (isinstance(value, str) and _WORD.fullmatch(value)):
        return str(value)
    raise TypeError(f"{value!r} is not one plain word")


def _json(value: object) -> str:
    return json.dumps(value, default=_unknown)


def _unknown(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written into YAML")


def _without_secrets(write: Callable[[object], str]) -> Callable[[object], str]:
    from jinja2 import Undefined

    def finalize(value: object) -> str:
        if isinstance(value, Secret):
            raise TypeError("a secret cannot be rendered; send it through standard input")
        if isinstance(value, Undefined):
            return str(value)  # StrictUndefined raises here.
        return write(value)

    return finalize


@cache
def _environment(language: str) -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(  # noqa: S701 - shell and YAML, not HTML; finalize quotes every value.
        loader=jinja2.FileSystemLoader(folder("templates")),
        undefined=jinja2.StrictUndefined,
        finalize=_without_secrets({"sh": _shell, "yaml": _json, "plain": _plain}[language]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # A template does not change while clusterctl runs.
    )
