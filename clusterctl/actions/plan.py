"""What ``clusterctl plan`` makes of a playbook, and how it tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterctl.actions.playbooks import any_playbook, ignoring
from clusterctl.engine.plan import Plan
from clusterctl.engine.playbook import Playbook
from clusterctl.errors import ClusterctlError, InputError
from clusterctl.report.plan import plan_text
from clusterctl.session.session import Session

_KUBEADM = "upgrade/kubeadm"


@dataclass(frozen=True)
class Planned:
    """A plan; ``unreached`` are the hosts that it should be about and is not, because they cannot be reached."""

    plan: Plan
    unreached: Mapping[str, ClusterctlError]

    def text(self, *, verbose: bool, diff: bool) -> str:
        """For people."""
        return plan_text(self.plan, verbose=verbose, diff=diff)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return self.plan.as_json()


def plan_playbook(
    session: Session, name: str, *, limit: Sequence[str] = (), ignore: Sequence[str] = (), output: Path | None = None
) -> Planned:
    """Plan the playbook at the path ``name``, or our own of that name, for the hosts that can be reached.

    Raises InputError, also when the plan could not be saved to ``output``, and what ``Session.plan`` raises.
    """
    book = ignoring(any_playbook(name), ignore)
    if output:
        check_savable(book)
    return make_planned(session, book.limited(limit, session.inventory), texts=output is not None)


def make_planned(session: Session, book: Playbook, *, texts: bool = False) -> Planned:
    """Plan ``book`` for the hosts that can be reached; ``texts`` is make_plan's."""
    plan = session.plan(book, texts=texts, partial=True)
    walking = {host.name for host in book.hosts(session.inventory)}
    return Planned(plan, {name: error for name, error in session.unreached.items() if name in walking})


def check_savable(book: Playbook) -> None:
    """Raise InputError for a playbook that upgrades."""
    if any(step.name == _KUBEADM for play in book.plays for step in play.run):
        raise InputError(
            "a plan of an upgrade cannot be saved: what later steps send depends on what the new kubeadm says",
            resolution="leave -o out; clusterctl upgrade shows the plan again, and asks",
        )
