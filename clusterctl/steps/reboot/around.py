"""A step that waits for the restart of its playbook."""

from collections.abc import Sequence
from copy import copy
from typing import Self

from clusterctl.model.situation import Situation
from clusterctl.steps.reboot.restart import Restart
from clusterctl.steps.step import Step


class AroundRestart:
    """A step that waits for the ``reboot/restart`` of its playbook."""

    _restart: Restart | None = None

    def beside(self, others: Sequence[Step]) -> Self:
        """The same step, which asks that one whether the host has restarted."""
        made = copy(self)
        made._restart = next((step for step in others if isinstance(step, Restart)), None)
        return made

    def through(self, situation: Situation) -> str:
        """Whether the host has restarted."""
        return self._restart.done(situation) if self._restart else ""
