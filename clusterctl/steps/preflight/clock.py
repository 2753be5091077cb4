"""Check the clock."""

from statistics import median_low

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding

# Seconds between the clocks of two hosts: etcd complains from the first on, tokens and leases suffer from the second.
_SKEW_WARNS, _SKEW_BLOCKS = 1.0, 5.0
# kubeadm's certificates begin five minutes before they are made.
_OURS = 300.0


class Clock(Finding):
    """The hosts agree about the time."""

    name = "preflight/clock"
    title = "Check the clock"

    def find(self, situation: Situation) -> Verdict:
        """Compare with the host in the middle; how long the answers took is counted in the host's favour."""
        clock = situation.facts.clock
        known = [facts.clock for facts in situation.all_facts.values() if facts.clock]
        if clock is None:
            return Satisfied("not measured")
        middle = median_low(each.ahead for each in known)
        doubt = clock.doubt + next(each.doubt for each in known if each.ahead == middle)
        skew = clock.ahead - middle
        certain = max(0.0, abs(skew) - doubt) if clock.ahead != middle else 0.0
        direction = "ahead of" if skew > 0 else "behind"
        if certain > _SKEW_WARNS:
            text = f"the clock is {abs(skew):.1f} s {direction} the other hosts' (±{doubt:.1f} s)"
            if certain > _SKEW_BLOCKS:
                return Blocked(
                    text,
                    "set it right and keep it so: sudo apt-get install systemd-timesyncd; timedatectl timesync-status",
                )
            return Satisfied(f"{text}; etcd complains from 1 s on", warning=True)
        if abs(clock.ahead) - clock.doubt > _OURS:
            side = "ahead of" if clock.ahead > 0 else "behind"
            return Satisfied(
                f"the hosts' clocks are {abs(clock.ahead):.0f} s {side} this computer's: certificates may not be "
                "valid here yet or any more",
                warning=True,
            )
        return Satisfied(f"within {abs(skew) + doubt:.1f} s of the other hosts")
