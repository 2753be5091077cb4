"""How the reports write durations and lists of hosts."""

from collections.abc import Sequence

_SHOWN = 6


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def names(hosts: Sequence[str]) -> str:
    """The hosts, the middle of a long list left out: ``w1 w2 w3 … w40 (40 hosts)``."""
    if len(hosts) <= _SHOWN:
        return " ".join(hosts)
    return f"{' '.join(hosts[:3])} … {hosts[-1]} ({len(hosts)} hosts)"


def without_prefix(text: str, *prefixes: str) -> str:
    """``text`` without the names that the line already shows: ``w1: os/swap-off: gone`` becomes ``gone``."""
    for prefix in prefixes:
        text = text.removeprefix(f"{prefix}: ")
    return text


def printable(text: str) -> str:
    """``text`` from somewhere else, in which nothing moves the cursor, colours or rings; tabs stay."""
    return "".join(each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
