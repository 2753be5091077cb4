"""An API server that is about to restart leaves the endpoint first, and comes back when it is done."""

from abc import abstractmethod

from clusterctl.model.places import HAPROXY_SOCKET
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.endpoint import haproxy_uses, rotates
from clusterctl.steps.step import ScriptStep, Tools


class Rotation(ScriptStep):
    """Something that the HAProxy of every control plane is told of this host's API server."""

    def touches(self, situation: Situation) -> tuple[str, ...]:
        """The other control planes: what their HAProxy does is theirs to tell."""
        return tuple(name for name, _ in haproxy_uses(situation) if name != situation.host.name)

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


class Leaving(Rotation):
    """Nobody is connected to this host's API server by the endpoint while that restarts.

    HAProxy sees within a second or two that an API server is not ready any more. Until then it would send requests to
    one whose etcd restarts, and connections that are there already would stay with it for good.
    """

    title = "Have everybody leave this API server for the others"

    @abstractmethod
    def through(self, situation: Situation) -> str:
        """What shows that the API server has restarted already, or empty while it has not. Pure."""

    def check(self, situation: Situation) -> Verdict:
        """Whether it is still to restart, and every HAProxy knows."""
        if not rotates(situation):
            return Satisfied("there is no other API server to lead to")
        if through := self.through(situation):
            return Satisfied(through)
        using = dict(haproxy_uses(situation))
        if silent := [name for name, used in using.items() if used is None]:
            return Unknown(f"the HAProxy of {', '.join(silent)} has no socket at {HAPROXY_SOCKET} yet")
        if told := [name for name, used in using.items() if used]:
            return Needed(f"the HAProxy of {', '.join(told)} sends requests to {situation.host.name}")
        return Satisfied(f"no HAProxy sends requests to {situation.host.name}")

    def script(self, situation: Situation) -> Script:
        """When no HAProxy leads to it any more, the API server ends its connections, and starts anew."""
        return script(self.name, haproxy_socket=HAPROXY_SOCKET, server=situation.host.name, ends=True)
