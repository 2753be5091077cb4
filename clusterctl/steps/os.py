"""The host's kernel and memory, as kubelets want them."""

from clusterctl.model.facts import HostFacts
from clusterctl.model.inventory import Cluster
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import File, ScriptStep

FSTAB = "/etc/fstab"
SWAP_TARGET = "swap.target"
# Services that switch compressed swap on at boot, by Debian's and Ubuntu's packages zram-tools and zram-config.
ZRAM_SERVICES = ("zramswap.service", "zram-config.service")

MODULES = ("overlay", "br_netfilter")
# Bridged traffic has to pass iptables for kube-proxy with bridge plugins.
_BRIDGED = ("net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-iptables")

_MODULES_FILE = File("/etc/modules-load.d/kubernetes.conf", "".join(f"{module}\n" for module in MODULES))
_SYSCTL_FILE = "/etc/sysctl.d/99-kubernetes.conf"
FILES = (FSTAB, _MODULES_FILE.path, _SYSCTL_FILE)


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


class Modules(ScriptStep):
    """The kernel modules that containers and bridged traffic need are there, also after a reboot."""

    name = "os/modules"
    title = "Load kernel modules"

    def check(self, situation: Situation) -> Verdict:
        """Loaded or built in, and listed for the next boot."""
        if missing := _missing_modules(situation.facts):
            return Needed(f"not loaded: {', '.join(missing)}")
        if situation.facts.file(_MODULES_FILE.path) != _MODULES_FILE.content:
            return Needed(f"{_MODULES_FILE.path} does not list them for the next boot")
        return Satisfied(f"loaded: {', '.join(MODULES)}")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The list that systemd loads at boot."""
        return (_MODULES_FILE,)

    def script(self, situation: Situation) -> Script:
        """Write the list, load what is missing."""
        return script(self.name, file=_MODULES_FILE, missing=_missing_modules(situation.facts))


class Sysctl(ScriptStep):
    """The kernel forwards and filters as pod networks need it, also after a reboot."""

    name = "os/sysctl"
    title = "Set kernel parameters"

    def check(self, situation: Situation) -> Verdict:
        """The values in force, and the file for the next boot."""
        facts, wanted = situation.facts, sysctls(situation.cluster)
        wrong = [f"{key} is {facts.sysctls.get(key, 'absent')}" for key in wanted if facts.sysctls.get(key) != "1"]
        if wrong:
            return Needed(", ".join(wrong))
        (file,) = self.files(situation)
        if facts.file(file.path) != file.content:
            return Needed(f"{file.path} does not set them for the next boot")
        return Satisfied(f"{len(wanted)} parameters are set")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The file that sets them at boot."""
        return (File(_SYSCTL_FILE, "".join(f"{key} = 1\n" for key in sysctls(situation.cluster))),)

    def script(self, situation: Situation) -> Script:
        """Write the file and load it."""
        return script(self.name, file=self.files(situation)[0])


def sysctls(cluster: Cluster) -> tuple[str, ...]:
    """The parameters that are set to 1. Forwarding, in the cluster's family, is kubeadm's condition."""
    forward = "net.ipv6.conf.all.forwarding" if ":" in cluster.service_cidr else "net.ipv4.ip_forward"
    return (*_BRIDGED, forward)


def fstab_swaps(text: str) -> tuple[str, ...]:
    """The devices and files that an fstab uses as swap. Fields are parted by blanks or tabs; see fstab(5)."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(fields[0] for fields in lines if len(fields) > 2 and fields[2] == "swap")


def _missing_modules(facts: HostFacts) -> tuple[str, ...]:
    return tuple(module for module in MODULES if module not in facts.modules)


def _zram_units(facts: HostFacts) -> tuple[str, ...]:
    return tuple(unit for unit in ZRAM_SERVICES if unit in facts.services and facts.services[unit].enabled == "enabled")


def _masked(facts: HostFacts) -> bool:
    target = facts.services.get(SWAP_TARGET)
    return target is not None and target.enabled == "masked"
