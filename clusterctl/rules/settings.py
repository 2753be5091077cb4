"""Settings as nested tables: merged, and compared with those that are in force. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Table = Mapping[str, Any]

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def at(value: Any, place: Sequence[str]) -> Any:
    """What a table has at ``place``, a key for each level; None where there is nothing."""
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def compare(wanted: Table, running: Table) -> Iterator[str]:
    """Where ``running`` has another value than ``wanted``, in words; what is not wanted may be anything."""
    for key, value in wanted.items():
        there = running.get(key)
        if isinstance(value, Mapping) and isinstance(there or {}, Mapping):
            yield from (f"{key}.{text}" for text in compare(value, there or {}))
        elif _plain(value) != _plain(there):
            yield f"{key} is {show(there)}, the inventory asks for {show(value)}"


def _plain(value: Any) -> Any:
    """A value for comparison: Kubernetes leaves out what is empty, and writes durations in its own way."""
    if isinstance(value, Mapping):
        return {key: plain for key, each in value.items() if (plain := _plain(each)) is not None} or None
    if isinstance(value, list):
        return [_plain(each) for each in value] or None
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(h|ms|m|s)", value)) or None
    return value or None


def show(value: Any) -> str:
    """A value as an operator reads it."""
    if value is None:
        return "not set"
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and "value" in value[0]:
        return ", ".join(f"{each.get('name')}={each.get('value')}" for each in value)
    return str(value)


def difference(found: object, wanted: object, place: str) -> str:
    """The first place where ``found`` lacks what is ``wanted``, or nothing; ``found`` may hold more."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            if deeper := difference(found.get(key), value, f"{place}.{key}"):
                return deeper
        return ""
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if deeper := difference(one, other, f"{place}[{index}]"):
                return deeper
        return ""
    return "" if found == wanted else place


def merge(under: Table, over: Table) -> dict[str, Any]:
    """Both tables as one; where both have a value, tables are merged and ``over`` wins otherwise."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
