"""Prove that a cluster works, by using it."""

from pathlib import Path

from clusterctl.actions.operator import Operator
from clusterctl.errors import NotVerified
from clusterctl.report.checks import Checks, checks_text
from clusterctl.report.progress import Progress
from clusterctl.session.session import Session

# Small, on every registry's mirror, and with what the checks need: a shell, nginx and curl.
IMAGE = "docker.io/library/nginx:1.22"
DEADLINE = 300.0


def verify(
    session: Session, *, image: str = IMAGE, deadline: float = DEADLINE, keep: bool = False, quick: bool = False
) -> Checks:
    """Use the cluster of the inventory, in ``deadline`` seconds, and say what was seen.

    ``keep`` leaves the pods there, ``quick`` looks at the most important alone. Raises KubernetesError or ConnectError.
    """
    return session.verify(image=image, deadline=deadline, keep=keep, quick=quick)


def verify_any(kubeconfig: Path, *, image: str, deadline: float, keep: bool, quick: bool) -> Checks:
    """Use a cluster that no inventory describes. Raises InputError or KubernetesError."""
    from clusterctl.kube.connect.client import Kube
    from clusterctl.kube.verify import verify as cluster

    with Progress("verifying the cluster") as progress, Kube.from_file(kubeconfig) as kube:
        return cluster.verify(kube, progress.now, image=image, deadline=deadline, keep=keep, quick=quick)


def prove(session: Session, operator: Operator) -> None:
    """Use the cluster of ``session``, show what was seen, and raise NotVerified unless it passes."""
    result = verify(session)
    operator.show(f"\n{checks_text(result)}")
    judge(result, look_at(session))


def look_at(session: Session) -> str:
    """What to do about a cluster of an inventory that does not pass."""
    status, keep = session.call.command("status"), session.call.command("verify", "--keep")
    return f"look at what differs: {status}; keep the pods to look at them: {keep}"


def judge(result: Checks, resolution: str) -> None:
    """Raise NotVerified, with what to do about it, unless all checks passed."""
    failed = [check.name for check in result.checks if not check.ok]
    if failed:
        raise NotVerified(f"the cluster does not pass: {', '.join(failed)}", resolution=resolution)
