"""Colours, as terminals understand them. Who writes to something else takes them out again."""

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


def styled(text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
    """``text`` in a colour, bold or dim, followed by the code that ends all of it."""
    codes = [*([_COLOURS[fg]] if fg else []), *([1] if bold else []), *([2] if dim else [])]
    return "".join(f"\x1b[{code}m" for code in codes) + text + "\x1b[0m"
