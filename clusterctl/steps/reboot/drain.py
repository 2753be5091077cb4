"""Drain the node before its host restarts."""

from clusterctl.steps import draining
from clusterctl.steps.reboot.around import AroundRestart


class Drain(AroundRestart, draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its host restarts."""

    name = "reboot/drain"
