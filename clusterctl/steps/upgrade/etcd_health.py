"""Check etcd's members and its quorum."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.etcd import quorum
from clusterctl.rules.upgrading import begun
from clusterctl.steps.finding import Finding

_REMEDIES = {
    "NOSPACE": "compact and defragment it, then: etcdctl alarm disarm; a larger quota: cluster.etcd.extra_args "
    "quota-backend-bytes",
    "CORRUPT": "take the member that differs out of the cluster, and let its control plane join anew",
}


class EtcdHealth(Finding):
    """Every member of etcd answers, has a vote, and knows of no trouble; any one of them can be missed."""

    name = "upgrade/etcd-health"
    title = "Check etcd's members and its quorum"

    def find(self, situation: Situation) -> Verdict:
        """By each etcd's own answer; quorum is counted by the hosts that answer."""
        facts, host = situation.facts, situation.host
        if "etcd" not in facts.static_pods:
            return Satisfied("no etcd runs here")
        members = facts.etcd_members
        if members is None:
            text = "the etcd of this host does not answer, or is a learner without a vote"
            if begun(situation):
                return Satisfied(f"{text}; the upgrade has begun here and goes on", warning=True)
            return Blocked(text, f"look why: ssh {host.address} sudo crictl logs $(sudo crictl ps -aq --name etcd)")
        learners = [member.name or member.id for member in members if member.learner]
        if learners:
            return Blocked(
                f"a member of etcd is a learner and has no vote: {', '.join(learners)}",
                "let its control plane finish joining: clusterctl bootstrap",
            )
        status = facts.outlook.etcd if facts.outlook else None
        if status and status.problems:
            known = [word for word in _REMEDIES if any(word in problem for problem in status.problems)]
            return Blocked(
                f"etcd reports: {', '.join(status.problems)}",
                "; ".join(_REMEDIES[word] for word in known) or "see what it is: etcdctl endpoint status --cluster",
            )
        if status and not status.leader:
            return Blocked("etcd has no leader", "wait for an election; then run the same command again")
        return quorum(situation, members)
