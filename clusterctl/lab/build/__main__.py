"""Build without the rest of clusterctl: ``python -m clusterctl.lab.build 1.36.3``."""

import sys

from clusterctl.errors import ClusterctlError
from clusterctl.lab.build import BuildEvent, Building, Built, build


def main(versions: list[str]) -> int:
    """Build the versions named on the command line; progress goes to standard error."""
    try:
        artifacts = build(versions, _tell)
    except ClusterctlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{artifacts}\n")
    return 0


def _tell(event: BuildEvent) -> None:
    match event:
        case Building():
            line = (
                f"[{event.done}/{event.total}] {event.item}: {event.elapsed:.0f} s, "
                f"about {event.expected_left:.0f} s left"
            )
        case Built():
            line = f"[{event.done}/{event.total}] {event.item}: done in {event.seconds:.1f} s"
        case _:
            line = f"{event.item}: {event.text}"
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
