"""The playbooks and steps that the commands know."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from clusterctl.engine.playbook import Playbook, load_playbook
from clusterctl.errors import InputError
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.finding import Finding
from clusterctl.steps.step import Step


def playbook(name: str) -> Playbook:
    """Our own playbook ``name``. Raises InputError."""
    return load_playbook(folder("playbooks") / f"{name}.yaml", CATALOGUE)


def any_playbook(name: str) -> Playbook:
    """The playbook at the path ``name``, which ends with .yaml or .yml or has a slash, or our own called ``name``.

    Raises InputError, with the names that there are, when it is neither.
    """
    return load_playbook(playbook_path(name), CATALOGUE)


def playbook_path(name: str) -> Path:
    """Where the playbook called ``name`` is. Raises as ``any_playbook`` does."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    own = sorted(path.stem for path in folder("playbooks").glob("*.yaml"))
    if name not in own:
        raise InputError(
            f"there is no playbook {name!r}",
            resolution=f"use one of: {', '.join(own)}; or the path of a file, such as ./{name}.yaml",
        )
    return folder("playbooks") / f"{name}.yaml"


def ignoring(book: Playbook, names: Sequence[str]) -> Playbook:
    """``book`` with the findings called ``names`` turned into warnings. Raises InputError for anything else."""
    for name in names:
        found = step(name)
        if not isinstance(found, Finding):
            raise InputError(
                f"{name} changes hosts and cannot be ignored",
                resolution="only findings can: "
                + ", ".join(each for each, made in CATALOGUE.items() if isinstance(made, Finding)),
            )
    return replace(
        book,
        plays=tuple(
            replace(
                play,
                run=tuple(
                    each.ignored() if isinstance(each, Finding) and each.name in names else each for each in play.run
                ),
            )
            for play in book.plays
        ),
    )


def step(name: str) -> Step:
    """The step called ``name``. Raises InputError, with what may have been meant, when there is none."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = get_close_matches(name, CATALOGUE, n=3, cutoff=0.5)
    raise InputError(
        f"there is no step {name!r}",
        details="" if close else "\n".join(CATALOGUE),
        resolution=f"did you mean {' or '.join(close)}?" if close else "use one of these",
    )
