"""Which machines of a lab hear each other: cuts in its network, made on its bridge and told to no machine.

A machine that is cut off keeps its link: packets vanish, as behind a switch that failed. The cuts are one
table of the packet filter, named after the lab; they outlast reboots of the machines.
"""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterctl.errors import InputError
from clusterctl.lab.network import Network, run

EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Cuts:
    """Who is cut off: ``alone`` hear nobody, not even this computer; ``pairs`` do not hear each other."""

    alone: frozenset[str] = frozenset()
    pairs: frozenset[frozenset[str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.alone or self.pairs)

    def add(self, name: str, others: Iterable[str]) -> "Cuts":
        """Cut a machine off from others; from everything when none is named."""
        pairs = {frozenset({name, other}) for other in others}
        return Cuts(self.alone, self.pairs | pairs) if pairs else Cuts(self.alone | {name}, self.pairs)

    def heal(self, names: Iterable[str]) -> "Cuts":
        """Take back every cut of these machines."""
        healed = frozenset(names)
        return Cuts(self.alone - healed, frozenset(pair for pair in self.pairs if not pair & healed))

    def of(self, name: str) -> tuple[str, ...]:
        """From whom a machine is cut off."""
        if name in self.alone:
            return (EVERYTHING,)
        return tuple(sorted(other for pair in self.pairs if name in pair for other in pair - {name}))

    def to_json(self) -> dict[str, Any]:
        """Return the cuts for their file."""
        return {"alone": sorted(self.alone), "pairs": sorted(sorted(pair) for pair in self.pairs)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Cuts":
        """Read what ``to_json`` made; an empty record has no cuts."""
        pairs = frozenset(frozenset(pair) for pair in record.get("pairs", []))
        return cls(frozenset(record.get("alone", [])), pairs)


def table(lab: str) -> str:
    """Return the name of the table with a lab's cuts."""
    return f"clusterctl-{lab}"


def rules(lab: str, network: Network, cuts: Cuts) -> str:
    """Return what ``nft -f`` reads: the table anew, in one step; no table when there is no cut."""
    name = table(lab)
    lines = [f"table bridge {name}", f"delete table bridge {name}"]
    if cuts:
        links = [f'"{network.bridge}-{machine}"' for machine in sorted(cuts.alone)]
        pairs = [sorted(f'"{network.bridge}-{machine}"' for machine in pair) for pair in cuts.pairs]
        between = [rule for a, b in sorted(pairs) for rule in (_drop(a, b), _drop(b, a))]
        lines += [
            f"table bridge {name} {{",
            *_chain("from-machines", "prerouting", [f"iifname {link} drop" for link in links]),
            *_chain("to-machines", "postrouting", [f"oifname {link} drop" for link in links]),
            *_chain("between-machines", "forward", between),
            "}",
        ]
    return "\n".join([*lines, ""])


def _drop(source: str, target: str) -> str:
    return f"iifname {source} oifname {target} drop"


def _chain(name: str, hook: str, rules: Sequence[str]) -> list[str]:
    head = f"type filter hook {hook} priority -300; policy accept;"
    return [f"  chain {name} {{", f"    {head}", *(f"    {rule}" for rule in rules), "  }"]


def apply(lab: str, network: Network, cuts: Cuts) -> None:
    """Make exactly these cuts. Raises InputError when this computer cannot, CalledProcessError when that fails."""
    if shutil.which("nft") is None:
        raise InputError("this computer lacks nft, which cuts machines off", resolution="apt-get install nftables")
    run(["nft", "-f", "-"], rules(lab, network, cuts))


def remove(lab: str, file: Path) -> None:
    """Take the table of a lab that has a record of cuts away; nothing happens when there is none."""
    if file.exists() and shutil.which("nft") is not None:
        subprocess.run(["nft", "delete", "table", "bridge", table(lab)], capture_output=True, check=False)
