"""Check processors and memory."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding

# kubeadm's own bounds for a control plane, with the names of its checks.
_MIN_CPUS, _MIN_MEMORY_MIB = 2, 1700


class Resources(Finding):
    """A control plane has the processors and the memory that kubeadm asks for."""

    name = "preflight/resources"
    title = "Check processors and memory"

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's bounds, unless the inventory ignores its checks NumCPU and Mem."""
        facts, ignored = situation.facts, situation.cluster.ignore_preflight_errors
        if situation.host.role == "control-plane":
            if facts.cpus < _MIN_CPUS and "NumCPU" not in ignored:
                return Blocked(f"{facts.cpus} processor", f"give the control plane {_MIN_CPUS} or more")
            if facts.memory_mib < _MIN_MEMORY_MIB and "Mem" not in ignored:
                return Blocked(f"{facts.memory_mib} MiB of memory", f"give the control plane {_MIN_MEMORY_MIB} MiB")
        return Satisfied(f"{facts.cpus} processors, {facts.memory_mib} MiB")
