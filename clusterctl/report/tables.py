"""Plain columns."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], *, headings: Sequence[str] = ()) -> list[str]:
    """The rows with their columns aligned, two spaces apart."""
    cells = [tuple(headings), *rows] if headings else list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
