"""Let hosts look at each other: listeners on all of them, questions from some, and the end of the listeners."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from clusterctl import render
from clusterctl.errors import ClusterctlError
from clusterctl.model.survey import Listening, Survey, parse_listening, parse_survey
from clusterctl.remote.connection import Connection

_AT_ONCE = 64
_T = TypeVar("_T")
_Values = Mapping[str, Mapping[str, object]]


def survey(
    connections: Mapping[str, Connection],
    listening: _Values,
    asking: Callable[[Mapping[str, frozenset[str]]], _Values],
) -> dict[str, Survey]:
    """Return what each host found; for one that could not be asked, why.

    ``listening`` has the values of the mode ``listen`` for each host; ``asking`` returns those of the mode ``ask``
    when it is told which ports each host could hold. The listeners also end by themselves after some seconds.
    """
    if not listening:
        return {}
    heard, problems = _at_once(listening, lambda name: _listen(connections[name], listening[name]))
    try:
        questions = asking({name: each.ports for name, each in heard.items()})
        found, failed = _at_once(questions, lambda name: _ask(connections[name], questions[name]))
    finally:
        _at_once(heard, lambda name: _end(connections[name], heard[name]))
    return found | {name: Survey(problem=why) for name, why in {**failed, **problems}.items() if name in questions}


def _listen(connection: Connection, values: Mapping[str, object]) -> Listening:
    return parse_listening(connection.read(render.survey("listen", **values)))


def _ask(connection: Connection, values: Mapping[str, object]) -> Survey:
    return parse_survey(connection.read(render.survey("ask", **values)))


def _end(connection: Connection, listening: Listening) -> None:
    connection.read(render.survey("end", pids=(listening.pid,)))


def _at_once(names: Iterable[str], call: Callable[[str], _T]) -> tuple[dict[str, _T], dict[str, str]]:
    """Make all calls at once; the results, and the reasons of those that failed."""
    names = tuple(names)
    results: dict[str, _T] = {}
    problems: dict[str, str] = {}

    def one(name: str) -> None:
        try:
            results[name] = call(name)
        except ClusterctlError as error:
            problems[name] = ": ".join([error.what, *error.details.splitlines()[-1:]])

    with ThreadPoolExecutor(max_workers=max(1, min(_AT_ONCE, len(names)))) as pool:
        list(pool.map(one, names))
    return results, problems
