"""Check the ports between the hosts."""

from collections.abc import Iterable, Iterator

from clusterctl.model.situation import Situation
from clusterctl.model.survey import Way
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding
from clusterctl.steps.preflight.network import NOT_ASKED


class Reach(Finding):
    """The ports that Kubernetes, etcd and the pod network need between hosts are open."""

    name = "preflight/reach"
    title = "Check the ports between the hosts"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Temporary listeners on the other hosts were tried from this one."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else NOT_ASKED
        if survey.problem:
            return Blocked(
                f"the ways to the other hosts could not be tried: {survey.problem}",
                "sudo apt-get install perl-base, which every Debian and Ubuntu has; then run the same command again",
            )
        problems = [*_closed(survey.ways), *_strangers(survey.ways)]
        if problems:
            peers = sorted({way.peer for way in survey.ways if way.problem})
            return Blocked(
                "; ".join(problems),
                f"open these ports from {situation.node_address} in the firewall between the hosts (security group) "
                f"or on {', '.join(peers) or 'them'}: sudo nft list ruleset; sudo ufw status",
            )
        if not survey.ways:
            return Satisfied("no other host to reach")
        return Satisfied(f"{len(survey.ways)} ways open")


def _closed(ways: Iterable[Way]) -> Iterator[str]:
    """``cannot reach TCP 6443 of cp1: no answer``; ports with the same trouble together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for way in ways:
        if way.problem:
            groups.setdefault((way.peer, way.problem.lower()), []).append(f"{way.protocol.upper()} {way.port}")
    for (peer, problem), ports in groups.items():
        yield f"cannot reach {', '.join(ports)} of {peer}: {problem}"


def _strangers(ways: Iterable[Way]) -> Iterator[str]:
    """An address that leads to another host than it should."""
    wrong = {(way.peer, way.answered_by) for way in ways if way.answered_by not in ("", "?", "-", way.peer)}
    for peer, answered in sorted(wrong):
        yield f"{answered} answers at the address of {peer}"
