"""Lead requests around an API server that is upgraded."""

from clusterctl.model.situation import Situation
from clusterctl.rules.packages import installed
from clusterctl.rules.versions import at_least, image_version
from clusterctl.steps.rotation import Leaving

_API_SERVER = "kube-apiserver"


class Leave(Leaving):
    """Nobody is connected to this host's API server by the endpoint while that is upgraded.

    HAProxy sees within a second or two that an API server is not ready any more. Until then it would send requests to
    one whose etcd restarts, and connections that are there already would stay with it for good.
    """

    name = "endpoint/leave"

    def through(self, situation: Situation) -> str:
        """What shows that the API server has restarted already, or empty while it has not. Pure."""
        wanted, running = situation.cluster.kubernetes, image_version(situation.facts.static_pods.get(_API_SERVER, ""))
        # A new kubelet starts the static pods anew, so that comes before the return as well.
        done = at_least(running, wanted) and at_least(installed(situation.facts, "kubelet"), wanted)
        return f"its API server runs {running}" if done else ""
