"""What etcd knows of its members, and what its quorum allows. Pure."""

from clusterctl.model.facts import EtcdMember
from clusterctl.model.situation import Situation, node_address, node_name
from clusterctl.model.verdict import Blocked, Satisfied, Verdict

_ETCDCTL = (
    "etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt "
    "--cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key"
)


def member_of(situation: Situation) -> EtcdMember | None:
    """The host's member of etcd, as its own etcd says, or else that of another control plane."""
    return next((member for member in _members(situation) if situation.node_address in member.addresses), None)


def half_joined(situation: Situation) -> str:
    """What etcd still waits for of the host's member, and what that means for the others; empty when it is whole."""
    member = member_of(situation)
    if member is None or (member.name and not member.learner):
        return ""
    if member.name:
        return f"its member {member.id} of etcd is a learner and was not promoted"
    if member.learner:
        return f"its member {member.id} of etcd has never started, and is a learner without a vote"
    voters = sum(not each.learner for each in _members(situation))
    return (
        f"its member {member.id} of etcd has never started, and the quorum counts on it: {voters // 2 + 1} of {voters} "
        "members have to answer"
    )


def removal(situation: Situation, member: EtcdMember) -> str:
    """The command by which a running etcd, another one than the host's where there is one, forgets ``member``."""
    own = situation.host.name
    others = [name for name in situation.founders if name != own]
    running = [name for name in (*others, own) if situation.all_facts[name].etcd_members is not None]
    speaker = node_name(situation.all_facts[running[0]])
    return f"kubectl -n kube-system exec etcd-{speaker} -- {_ETCDCTL} member remove {member.id}"


def anew(situation: Situation) -> str:
    """The commands after which a host whose join is half done may join again."""
    member, reset = member_of(situation), f"ssh {situation.host.address} sudo kubeadm reset -f"
    return f"{removal(situation, member)}; {reset}" if member and half_joined(situation) else reset


def _members(situation: Situation) -> tuple[EtcdMember, ...]:
    for name in (situation.host.name, *situation.founders):
        members = situation.all_facts[name].etcd_members
        if members is not None:
            return members
    return ()


def quorum(situation: Situation, members: tuple[EtcdMember, ...]) -> Verdict:
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
