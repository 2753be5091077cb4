"""Turn swap off."""

from clusterctl.model.facts import HostFacts
from clusterctl.model.places import FSTAB, SWAP_TARGET, ZRAM_SERVICES
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import ScriptStep


class SwapOff(ScriptStep):
    """No swap is on, and none will be after a reboot."""

    name = "os/swap-off"
    title = "Turn swap off"

    def check(self, situation: Situation) -> Verdict:
        """Active swap, fstab entries, swap units, zram services."""
        if situation.cluster.kubelet.get("failSwapOn") is False:
            return Satisfied("the inventory allows swap (failSwapOn: false)")
        facts = situation.facts
        if facts.swaps:
            return Needed(f"swap is on: {', '.join(facts.swaps)}")
        if entries := fstab_swaps(facts.file(FSTAB) or ""):
            return Needed(f"{FSTAB} switches swap on at boot: {', '.join(entries)}")
        if units := _zram_units(facts):
            return Needed(f"{', '.join(units)} switches swap on at boot")
        if not _masked(facts):
            return Needed(f"{SWAP_TARGET} is not masked, so units may switch swap on at boot")
        return Satisfied("no swap is on, now and at boot")

    def script(self, situation: Situation) -> Script:
        """swapoff, fstab entries made comments, units off."""
        return script(self.name, swaps=situation.facts.swaps, units=_zram_units(situation.facts))


def fstab_swaps(text: str) -> tuple[str, ...]:
    """The devices and files that an fstab uses as swap. Fields are parted by blanks or tabs; see fstab(5)."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(fields[0] for fields in lines if len(fields) > 2 and fields[2] == "swap")


def _zram_units(facts: HostFacts) -> tuple[str, ...]:
    return tuple(unit for unit in ZRAM_SERVICES if unit in facts.services and facts.services[unit].enabled == "enabled")


def _masked(facts: HostFacts) -> bool:
    target = facts.services.get(SWAP_TARGET)
    return target is not None and target.enabled == "masked"
