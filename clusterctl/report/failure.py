"""Errors of several hosts, told once where they are alike."""

import re
from collections.abc import Iterator, Sequence

from clusterctl.errors import ClusterctlError, SeveralErrors

_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")


def each_error(error: ClusterctlError) -> Iterator[ClusterctlError]:
    """The errors that an error consists of: itself, or those of several hosts."""
    if isinstance(error, SeveralErrors):
        for child in error.errors:
            yield from each_error(child)
    else:
        yield error


def folded(errors: Sequence[ClusterctlError]) -> list[tuple[ClusterctlError, tuple[str, ...]]]:
    """Errors that say the same of several hosts as one: the first of them, and the names of all these hosts.

    They are the same when nothing but the host's name and addresses differs. Others come alone, without names.
    """
    alike: dict[tuple[object, ...], list[ClusterctlError]] = {}
    for error in errors:
        host = _host(error)
        texts = (error.what, error.details, error.resolution)
        key = (type(error), *(_without(host, text) for text in texts)) if host else (id(error),)
        alike.setdefault(key, []).append(error)
    return [(several[0], tuple(map(_host, several)) if len(several) > 1 else ()) for several in alike.values()]


def _host(error: ClusterctlError) -> str:
    """The host that an error is about: ``w1: …``."""
    name, colon, _ = error.what.partition(": ")
    return name if colon and " " not in name else ""


def _without(host: str, text: str) -> str:
    """A text with placeholders for the host's name and for addresses."""
    return _ADDRESS.sub("ADDRESS", re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "HOST", text))


def what(error: ClusterctlError, hosts: Sequence[str]) -> str:
    """What failed, of an error that ``hosts`` share; without hosts, the error's own words."""
    if not hosts:
        return error.what
    said = error.what.partition(": ")[2]
    own = any(_ADDRESS.search(text) or hosts[0] in text for text in (said, error.details, error.resolution))
    return f"{' '.join(hosts)}: {said}" + (f" (so it says of {hosts[0]}, and alike of the others)" if own else "")
