"""A playbook: which steps, in which order, on which hosts. YAML without conditions, loops or templates."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml

from clusterctl.engine.selector import Selector, select
from clusterctl.errors import InputError
from clusterctl.model.inventory import Host, Inventory, Role
from clusterctl.steps.step import Step


@dataclass(frozen=True, slots=True)
class Play:
    """Steps that the selected hosts walk alone, ``batch`` hosts at once, before the next play begins.

    ``batch`` is a number, 0 for all, or a share of the play's hosts such as ``25%``, at least one host. The run stops
    after the play in which more than ``max_failures`` hosts failed. A play that is ``undivided`` should not be left in
    the middle of a host: a first wish to stop lets those that have begun walk to its end. ``only`` are the names of the
    hosts that walk at all, None when nobody limited them.
    """

    name: str
    on: Selector
    run: tuple[Step, ...]
    batch: int | str = 0
    max_failures: int = 0
    only: frozenset[str] | None = None
    undivided: bool = False

    def hosts(self, inventory: Inventory) -> tuple[Host, ...]:
        """The hosts of this play, in the inventory's order."""
        hosts = select(self.on, inventory)
        return hosts if self.only is None else tuple(host for host in hosts if host.name in self.only)

    def batches(self, inventory: Inventory) -> Iterator[tuple[Host, ...]]:
        """The hosts of this play in groups of ``batch``."""
        hosts = self.hosts(inventory)
        size = batch_size(self.batch, len(hosts))
        for start in range(0, len(hosts), size):
            yield hosts[start : start + size]


def batch_size(batch: int | str, hosts: int) -> int:
    """How many of ``hosts`` hosts are in a batch: a share is rounded down, and is one host at least."""
    if isinstance(batch, str):
        return max(1, hosts * int(batch.removesuffix("%")) // 100)
    return batch or max(1, hosts)


def is_batch(value: object) -> bool:
    """Whether ``value`` says how many hosts are in a batch: a number, or a share from 1% to 100%."""
    if isinstance(value, str):
        share = re.fullmatch(r"(\d{1,3})%", value)
        return share is not None and 1 <= int(share[1]) <= 100
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True, slots=True)
class Playbook:
    """A named list of plays."""

    name: str
    plays: tuple[Play, ...]

    def limited(self, words: Sequence[str], inventory: Inventory) -> "Playbook":
        """This playbook on some hosts only: ``words`` are names of hosts or roles, none at all means every host.

        A play that is for some hosts only stays so.
        Raises InputError, with what is known, for a word that is neither.
        """
        if not words:
            return self
        only = frozenset(name for word in words for name in named(word, inventory))
        return replace(
            self,
            plays=tuple(replace(play, only=only if play.only is None else play.only & only) for play in self.plays),
        )

    def with_steps(self, *steps: Step) -> "Playbook":
        """This playbook with ``steps`` in the place of those of their names; each is told of the others."""
        made = {step.name: step for step in steps}
        plays = [replace(play, run=tuple(made.get(step.name, step) for step in play.run)) for play in self.plays]
        others = [step for play in plays for step in play.run]
        return replace(
            self, plays=tuple(replace(play, run=tuple(step.beside(others) for step in play.run)) for play in plays)
        )

    def hosts(self, inventory: Inventory) -> tuple[Host, ...]:
        """Every host that walks in one of the plays, in the inventory's order."""
        walking = {host.name for play in self.plays for host in play.hosts(inventory)}
        return tuple(host for host in inventory.hosts if host.name in walking)

    def steps(self, inventory: Inventory) -> Iterator[tuple[Play, Host, Step]]:
        """Every step on every host, in the order of the file."""
        for play in self.plays:
            for step in play.run:
                for host in play.hosts(inventory):
                    yield play, host, step


def named(word: str, inventory: Inventory) -> tuple[str, ...]:
    """The hosts that ``word`` names: one, or all of a role. Raises InputError, with what is known."""
    names = [host.name for host in inventory.hosts]
    if word in names:
        return (word,)
    if word in get_args(Role):
        return tuple(host.name for host in inventory.hosts if host.role == word)
    raise InputError(
        f"the inventory has no host {word!r}",
        resolution=_suggest(word, (*names, *get_args(Role))),
    )


# YAML 1.1 reads a bare `on` as true, so the key is `hosts`.
_PLAY_KEYS = ("name", "hosts", "run", "batch", "max_failures", "undivided")


def load_playbook(path: Path, catalogue: Mapping[str, Step]) -> Playbook:
    """Read the playbook at ``path``; its steps are looked up by name in ``catalogue``.

    Raises InputError naming every mistake.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the playbook {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    raw = data.get("plays") if isinstance(data, dict) else None
    if not isinstance(raw, list) or not raw:
        raise InputError(f"{path}: a playbook is a mapping with a list of plays", resolution="see playbooks/")
    mistakes = [f"unknown key {key!r}; known: plays" for key in data if key != "plays"]
    for index, play in enumerate(raw):
        mistakes += [f"plays[{index}]: {mistake}" for mistake in _mistakes(play, catalogue)]
    if mistakes:
        raise InputError(
            f"{path}: {len(mistakes)} mistakes in the playbook",
            details="\n".join(mistakes),
            resolution="correct the file; playbooks/bootstrap.yaml shows every key",
        )
    plays = tuple(
        Play(
            name=play["name"],
            on=play["hosts"],
            run=tuple(catalogue[name] for name in play["run"]),
            batch=play.get("batch", 0),
            max_failures=play.get("max_failures", 0),
            undivided=play.get("undivided", False),
        )
        for play in raw
    )
    return Playbook(path.stem, plays).with_steps()


def _mistakes(play: Any, known: Mapping[str, Step]) -> Iterator[str]:
    if not isinstance(play, dict):
        yield "must be a mapping with name, hosts and run"
        return
    for key in play:
        if key not in _PLAY_KEYS:
            yield f"unknown key {key!r}; {_suggest(str(key), _PLAY_KEYS)}"
    if not isinstance(play.get("name"), str):
        yield "name: is missing"
    if play.get("hosts") not in get_args(Selector):
        yield f"hosts: must be one of {', '.join(get_args(Selector))}"
    names = play.get("run")
    if not isinstance(names, list) or not names:
        yield "run: must be a list of steps"
    else:
        for name in names:
            if name not in known:
                yield f"run: unknown step {name!r}; {_suggest(str(name), tuple(known))}"
    if not is_batch(play.get("batch", 0)):
        yield "batch: must be a number, 0 or more, or a share such as 25%"
    failures = play.get("max_failures", 0)
    if not isinstance(failures, int) or isinstance(failures, bool) or failures < 0:
        yield "max_failures: must be a number, 0 or more"
    if not isinstance(play.get("undivided", False), bool):
        yield "undivided: must be true or false"


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
