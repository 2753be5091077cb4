"""Give the node back when its host has restarted."""

from clusterctl.steps import draining
from clusterctl.steps.reboot.around import AroundRestart


class Uncordon(AroundRestart, draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its host restarted."""

    name = "reboot/uncordon"
