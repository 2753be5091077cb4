"""Quantities as the API writes them. Pure."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal

_UNITS = {
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)},
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def quantity(text: str) -> Decimal:
    """Read a quantity of the API, such as ``250m``, ``1.5Gi`` or ``2e3``."""
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?", str(text))
    return Decimal(match[1]) * _UNITS[match[2] or ""] if match else Decimal(0)


def amounts(quantities: Mapping[str, Decimal]) -> dict[str, int]:
    """Whole numbers of resources, rounded up: cpu in thousandths, all else in the API's own units."""
    return {name: math.ceil(amount * 1000 if name == "cpu" else amount) for name, amount in quantities.items()}
