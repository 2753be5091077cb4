"""An upgrade that meets what goes wrong on real nodes: each time it ends in a defined state, and goes on from there.

The tests build on each other, in their order: one cluster is made once, and upgraded in the end.
"""

from collections.abc import Iterator

import pytest

from clusterctl.errors import NotVerified, Refused
from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe
from tests.e2e.test_bootstrap import clusterctl, ok
from tests.e2e.test_upgrade import NEW, OLD, Cluster, made

pytestmark = [pytest.mark.e2e, pytest.mark.long]

OPTIONS = "/etc/default/kubelet"


@pytest.fixture(scope="module")
def cluster(lab: LabFactory) -> Iterator[Cluster]:
    """One control plane and three workers, with a web service."""
    machines = lab(control_planes=1, workers=3, name="e2e-trouble", kubernetes=OLD)
    yield made(machines)
    machines.down()


@pytest.mark.timeout(1500)
def test_the_canary_goes_first_and_the_rest_waits(cluster: Cluster) -> None:
    """The upgrade ends after the canary, with every node in use: nobody is there to answer."""
    with Probe(cluster.web()) as web:
        paused = clusterctl(cluster.lab, *cluster.upgrade("--canary", "w3", "--pause", "--yes", "--no-verify"))

    assert paused.returncode == Refused.exit_code, paused.stdout + paused.stderr
    assert "look at w3, then run the same command again" in paused.stderr
    assert cluster.versions() == {"cp1": f"v{NEW}", "w1": f"v{OLD}", "w2": f"v{OLD}", "w3": f"v{NEW}"}
    assert cluster.cordoned() == set()
    assert web.lost == []


@pytest.mark.timeout(1500)
def test_workers_in_trouble_are_named_and_the_one_that_was_drained_stays_cordoned(cluster: Cluster) -> None:
    """A flag that the kubelet does not know is found before the drain; one with which it ends again, after it."""
    for name, flag in (("w1", "--no-such-flag"), ("w2", "--root-dir=/proc/none")):
        cluster.lab.run(name, f"echo 'KUBELET_EXTRA_ARGS={flag}' | sudo tee -a {OPTIONS}")

    with Probe(cluster.web("cp1", "w3")) as web:
        failed = clusterctl(cluster.lab, *cluster.upgrade("--batch", "2", "--yes", "--no-verify"))

    said = " ".join(failed.stderr.split())
    assert failed.returncode == NotVerified.exit_code, failed.stdout + failed.stderr
    assert f"does not take the flags in {OPTIONS}: " in said
    assert "unknown flag: --no-such-flag" in said
    assert "w2: upgrade/kubelet was applied and did not come true" in said
    assert "stays cordoned" in said
    assert cluster.versions()["w1"] == f"v{OLD}"
    assert cluster.cordoned() == {"w2"}
    assert web.lost == []


@pytest.mark.timeout(1500)
def test_the_same_command_finishes_once_they_are_mended(cluster: Cluster) -> None:
    """Both at once; every node is at the new version and in use, and nothing is left to do."""
    for name in ("w1", "w2"):
        cluster.lab.run(name, f"sudo sed -i '$d' {OPTIONS}")

    with Probe(cluster.web("cp1", "w3")) as web:
        ok(cluster.lab, *cluster.upgrade("--batch", "2", "--yes"))

    assert set(cluster.versions().values()) == {f"v{NEW}"}
    assert cluster.cordoned() == set()
    assert web.lost == []
    assert "Nothing to do" in ok(cluster.lab, *cluster.upgrade("--yes"))
