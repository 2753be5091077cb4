"""Check the SSH server's keys."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.identity import have


class SshHostKeys(Finding):
    """The SSH server's keys are this host's alone: whoever has the same keys can pose as this host."""

    name = "preflight/ssh-host-keys"
    title = "Check the SSH server's keys"

    def find(self, situation: Situation) -> Verdict:
        """Any key in common, of any type."""
        mine = situation.facts.host_keys
        twins = sorted(
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name and mine & facts.host_keys
        )
        if twins:
            shared = sorted({key.split()[0] for name in twins for key in mine & situation.all_facts[name].host_keys})
            return Blocked(
                f"{have(twins)} the same SSH host key ({', '.join(shared)}): they are clones",
                "make new ones on all but one of them: sudo rm /etc/ssh/ssh_host_*_key*; sudo ssh-keygen -A; "
                "sudo systemctl restart ssh; then: clusterctl hosts trust --replace HOST",
            )
        return Satisfied(f"{len(mine)} keys of its own")
