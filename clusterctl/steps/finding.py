"""Findings: steps that only look, and that an operator may decide to ignore by name."""

from abc import abstractmethod
from copy import copy
from typing import Self, final

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.step import Step

A_NODE = Satisfied("the host is a node already")


class Finding(Step):
    """Something that a person has to settle before anything changes, unless the operator ignores it."""

    changes_host = False
    _ignored = False

    def ignored(self) -> Self:
        """The same step, which no longer blocks and says so."""
        made = copy(self)
        made._ignored = True
        return made

    @final
    def check(self, situation: Situation) -> Verdict:
        """What ``find`` says; a finding that is ignored becomes a warning."""
        verdict = self.find(situation)
        if self._ignored and isinstance(verdict, Blocked):
            return Satisfied(f"ignored by the operator: {verdict.reason}", warning=True)
        return verdict

    @abstractmethod
    def find(self, situation: Situation) -> Verdict:
        """Say what is in the way. Pure."""
