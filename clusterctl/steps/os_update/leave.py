"""Lead requests around an API server whose host restarts."""

from clusterctl.model.places import RESTART_REQUIRED
from clusterctl.model.situation import Situation
from clusterctl.steps import rotation


class Leave(rotation.Leaving):
    """Nobody is connected to this host's API server by the endpoint when the host restarts."""

    name = "os-update/leave"
    follows = True

    def through(self, situation: Situation) -> str:
        """Only a restart ends the API server."""
        return "" if RESTART_REQUIRED in situation.facts.paths else "no package asks for a restart"
