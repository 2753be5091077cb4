"""Lead requests around an API server whose host restarts."""

from clusterctl.steps import rotation
from clusterctl.steps.reboot.around import AroundRestart


class Leave(AroundRestart, rotation.Leaving):
    """Nobody is connected to this host's API server by the endpoint when the host restarts."""

    name = "reboot/leave"
