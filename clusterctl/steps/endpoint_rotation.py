"""An API server that is about to restart leaves the endpoint first, and comes back when it is done."""

from collections.abc import Iterator

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least, image_version
from clusterctl.render import Script, script
from clusterctl.steps.endpoint import HAPROXY_SOCKET
from clusterctl.steps.step import ScriptStep, Tools
from clusterctl.steps.upgrading import installed

_API_SERVER = "kube-apiserver"


class _Rotation(ScriptStep):
    """Something that the HAProxy of every control plane is told of this host's API server."""

    def touches(self, situation: Situation) -> tuple[str, ...]:
        """The other control planes: what their HAProxy does is theirs to tell."""
        return tuple(name for name, _ in _using(situation) if name != situation.host.name)

    def telling(self, situation: Situation) -> Script:
        """What each HAProxy is told, by its runtime API."""
        return script(self.name, haproxy_socket=HAPROXY_SOCKET, server=situation.host.name, ends=False)

    def script(self, situation: Situation) -> Script:
        """What this host's own HAProxy is told, and whatever follows."""
        return self.telling(situation)

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Tell all of them, this host's own as the last one."""
        for name in self.touches(situation):
            tools.other(name).run(self.telling(situation))
        super().apply(situation, tools)

    def preview(self, situation: Situation) -> str:
        """The script's text, when there is a HAProxy."""
        return super().preview(situation) if situation.cluster.virtual_ip else ""


class Leave(_Rotation):
    """Nobody is connected to this host's API server by the endpoint while that is upgraded.

    HAProxy sees within a second or two that an API server is not ready any more. Until then it would send requests to
    one whose etcd restarts, and connections that are there already would stay with it for good.
    """

    name = "endpoint/leave"
    title = "Have everybody leave this API server for the others"

    def through(self, situation: Situation) -> str:
        """What shows that the API server has restarted already, or empty while it has not. Pure."""
        wanted, running = situation.cluster.kubernetes, image_version(situation.facts.static_pods.get(_API_SERVER, ""))
        # A new kubelet starts the static pods anew, so that comes before the return as well.
        done = at_least(running, wanted) and at_least(installed(situation.facts, "kubelet"), wanted)
        return f"its API server runs {running}" if done else ""

    def check(self, situation: Situation) -> Verdict:
        """Whether it is still to restart, and every HAProxy knows."""
        if not rotates(situation):
            return Satisfied("there is no other API server to lead to")
        if through := self.through(situation):
            return Satisfied(through)
        using = dict(_using(situation))
        if silent := [name for name, used in using.items() if used is None]:
            return Unknown(f"the HAProxy of {', '.join(silent)} has no socket at {HAPROXY_SOCKET} yet")
        if told := [name for name, used in using.items() if used]:
            return Needed(f"the HAProxy of {', '.join(told)} sends requests to {situation.host.name}")
        return Satisfied(f"no HAProxy sends requests to {situation.host.name}")

    def script(self, situation: Situation) -> Script:
        """When no HAProxy leads to it any more, the API server ends its connections, and starts anew."""
        return script(self.name, haproxy_socket=HAPROXY_SOCKET, server=situation.host.name, ends=True)


class Rejoin(_Rotation):
    """Every HAProxy sends requests to this host's API server whenever that is ready."""

    name = "endpoint/rejoin"
    title = "Have the endpoint send requests to this API server again"
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """HAProxy itself looks whether the API server is ready."""
        if not situation.cluster.virtual_ip:
            return Satisfied("not wanted")
        if left := [name for name, used in _using(situation) if used is False]:
            return Needed(f"the HAProxy of {', '.join(left)} sends nothing to {situation.host.name}")
        return Satisfied(f"no HAProxy leaves {situation.host.name} out")


def rotates(situation: Situation) -> bool:
    """Whether a HAProxy of ours can lead around this host's API server."""
    planes = situation.inventory.control_planes
    return bool(situation.cluster.virtual_ip) and situation.host in planes and len(planes) > 1


def _using(situation: Situation) -> Iterator[tuple[str, bool | None]]:
    """For each control plane whether its HAProxy sends requests to this host; None when it cannot be asked."""
    for host in situation.inventory.control_planes:
        if host.name in situation.all_facts:
            unused = situation.all_facts[host.name].haproxy_unused
            yield host.name, None if unused is None else situation.host.name not in unused
