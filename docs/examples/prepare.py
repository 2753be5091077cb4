"""Plan a playbook of two steps, show what it would do, and do it: python prepare.py INVENTORY"""

import sys
from pathlib import Path

import clusterctl
from clusterctl.engine.events import Event, StepChanged, StepFailed
from clusterctl.errors import ClusterctlError

PLAYBOOK = Path(__file__).with_name("two-steps.yaml")


def tell(event: Event) -> None:
    """Say what has changed, as it happens; called from the hosts' threads."""
    if isinstance(event, StepChanged):
        print(f"{event.host}: {event.step}: {event.note} ({event.seconds:.1f} s)")
    elif isinstance(event, StepFailed):
        print(f"{event.host}: {event.step} failed: {event.error.what}")


def main() -> int:
    """The plan, the run, and the plan again, which finds nothing to do."""
    try:
        with clusterctl.connect(sys.argv[1]) as session:
            plan = clusterctl.plan(session, PLAYBOOK)
            print(f"{plan.changes} changes on {len(session.inventory.hosts)} hosts")
            clusterctl.run(session, PLAYBOOK, subscriber=tell)
            print(f"{clusterctl.plan(session, PLAYBOOK).changes} changes left")
    except ClusterctlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
