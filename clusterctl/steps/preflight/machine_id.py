"""Check the machine-id."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.identity import clones


class MachineId(Finding):
    """The machine-id, by which systemd, DHCP and some network plugins know a machine, is this host's alone."""

    name = "preflight/machine-id"
    title = "Check the machine-id"

    def find(self, situation: Situation) -> Verdict:
        """Clones share it."""
        if not situation.facts.machine_id:
            return Blocked("/etc/machine-id is empty", "make one: sudo systemd-machine-id-setup; then reboot the host")
        if twins := clones(situation, lambda other: other.machine_id):
            return Blocked(
                f"{twins} the same machine-id: they are clones",
                "make a new one: sudo rm -f /etc/machine-id /var/lib/dbus/machine-id; "
                "sudo systemd-machine-id-setup; then reboot the host",
            )
        return Satisfied(situation.facts.machine_id)
