"""Findings before an upgrade about etcd: each control plane's is replaced in turn, and the others have to carry on."""

from clusterctl.model.facts import EtcdMember
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.model.versions import at_least, image_version, minor
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade_look import begun

# What etcd's makers ask for before 3.6: older ones may bring members back that were removed ("zombie members").
_SAFE_3_5 = "3.5.26"
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
        return _quorum(situation, members)


class EtcdVersion(Finding):
    """etcd is new enough for the step to its next minor version."""

    name = "upgrade/etcd-version"
    title = "Check etcd's version"

    def find(self, situation: Situation) -> Verdict:
        """Kubernetes 1.34 brings etcd 3.6; a cluster whose members were replaced needs a late 3.5 before."""
        image = situation.facts.static_pods.get("etcd", "")
        version = image_version(image)
        if not version:
            return Satisfied("no etcd of a known version runs here")
        if not at_least(version, _SAFE_3_5) and minor(situation.cluster.kubernetes) >= (1, 34):
            return Blocked(
                f"etcd is {version}; before 3.6 every member has to be at {_SAFE_3_5} or newer, or members that were "
                "removed once may come back",
                f"set etcd.local.imageTag {_SAFE_3_5}-0 in the ConfigMap kubeadm-config, upgrade within the minor, and "
                "unset it; where no member was ever removed, ignore this finding",
            )
        return Satisfied(f"etcd {version}")


def _quorum(situation: Situation, members: tuple[EtcdMember, ...]) -> Verdict:
    """Whether the members that answer, but for one, are still most of all."""
    answering, strangers = 0, []
    hosts = {
        node_address(host, situation.all_facts[host.name], situation.cluster): situation.all_facts[host.name]
        for host in situation.inventory.control_planes
        if host.name in situation.all_facts
    }
    for member in members:
        own = [hosts[address] for address in member.addresses if address in hosts]
        if not own:
            strangers.append(f"{member.name or member.id} at {', '.join(member.addresses)}")
        answering += any(facts.etcd_members is not None for facts in own)
    majority = len(members) // 2 + 1
    if strangers:
        return Blocked(
            f"etcd has members on no control plane that was reached: {', '.join(strangers)}",
            "add them to the inventory, or take out those that are gone: etcdctl member remove ID",
        )
    if len(members) > 2 and answering - 1 < majority:
        return Blocked(
            f"{answering} of {len(members)} members of etcd answer: without one more, nothing can be written",
            "bring the others back first; clusterctl status shows them",
        )
    if len(members) == 2:
        return Satisfied("etcd has two members: while one of them restarts, nothing can be written", warning=True)
    if len(members) == 1:
        return Satisfied("the only member: while it restarts, the API does not answer")
    return Satisfied(f"{answering} of {len(members)} members answer; {majority} are a majority")
