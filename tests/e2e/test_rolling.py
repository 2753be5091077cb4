"""Nodes drained, restarted and given back one after the other, with a web service under constant requests; for real.

The tests of this file build on each other, in their order: one cluster is made once.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory
from tests.e2e.probe import Probe
from tests.e2e.test_bootstrap import clusterctl, ok
from tests.e2e.test_ha import wait_until
from tests.e2e.test_upgrade import Cluster, made

pytestmark = [pytest.mark.e2e, pytest.mark.long]

MARK = "clusterctl.io/"


@pytest.fixture(scope="module")
def rolling(lab: LabFactory) -> Iterator[Cluster]:
    """One control plane and two workers, with two web pods of which one has to be there."""
    machines = lab(control_planes=1, workers=2, name="e2e-roll")
    yield made(machines)
    machines.down()


def boots(lab: Lab) -> dict[str, str]:
    """The id of each machine's boot."""
    return {each.name: lab.run(each.name, "cat /proc/sys/kernel/random/boot_id").strip() for each in lab.machines}


def restarted(lab: Lab, before: dict[str, str]) -> set[str]:
    """Which machines have started again."""
    return {name for name, boot in boots(lab).items() if boot != before[name]}


def is_given_back(cluster: Cluster) -> bool:
    """Whether no node is cordoned or bears a mark of ours."""
    return not cluster.cordoned() and MARK not in cluster.kubectl("get nodes -o 'jsonpath={.items[*].metadata}'")


@pytest.mark.timeout(900)
def test_a_drain_that_a_budget_forbids_is_refused(rolling: Cluster) -> None:
    """By `drain` and `reboot` alike, with the names of the budget and of what would allow it; nothing has moved."""
    before = boots(rolling.lab)
    rolling.kubectl('patch pdb web --type merge -p \'{"spec": {"minAvailable": 2}}\'')
    counted = "get pdb web -o 'jsonpath={.status.desiredHealthy} {.status.expectedPods} {.status.disruptionsAllowed}'"
    try:
        wait_until(lambda: rolling.kubectl(counted) == "2 2 0", 60)
        for words in (("drain", "w1", "w2"), ("reboot", "w1", "w2")):
            refused = clusterctl(rolling.lab, *words, "--yes")

            said = " ".join((refused.stdout + refused.stderr).split())
            assert refused.returncode == 3, said
            assert "the budget default/web can never allow an eviction: it wants 2 of 2 pods healthy" in said
            assert "kubectl -n default patch pdb web" in said
    finally:
        rolling.kubectl('patch pdb web --type merge -p \'{"spec": {"minAvailable": 1}}\'')
    wait_until(lambda: rolling.kubectl(counted) == "1 2 1", 60)
    assert restarted(rolling.lab, before) == set()
    assert is_given_back(rolling)


@pytest.mark.timeout(900)
def test_workers_restart_one_after_the_other_and_no_request_is_lost(
    rolling: Cluster, tell: Callable[[str], None]
) -> None:
    """Drained, restarted and given back, while the service is asked all the time through the control plane."""
    before, began = boots(rolling.lab), time.monotonic()

    with Probe(rolling.web("cp1")) as web:
        ok(rolling.lab, "reboot", "w1", "w2", "--batch", "1", "--yes")
        seconds = time.monotonic() - began
        time.sleep(2)

    tell(f"reboot: two workers in {seconds:.0f} s: the web service: {web}")
    assert restarted(rolling.lab, before) == {"w1", "w2"}
    assert is_given_back(rolling)
    assert web.lost == []
    assert web.answered > 100


@pytest.mark.timeout(1200)
def test_packages_are_upgraded_and_a_restart_follows_where_one_asks_for_it(
    rolling: Cluster, tell: Callable[[str], None]
) -> None:
    """Nothing to do drains nobody; one host that has to restart is the only one that does, and no request is lost."""
    ok(rolling.lab, "os-update", "--yes")  # The machines' image may be older than the packages' source.
    before = boots(rolling.lab)
    assert "Nothing to do" in ok(rolling.lab, "os-update", "--yes")
    rolling.lab.run("w1", "sudo touch /run/reboot-required")

    with Probe(rolling.web("cp1")) as web:
        ok(rolling.lab, "os-update", "--yes")
        time.sleep(2)

    tell(f"os-update: one worker: the web service: {web}")
    assert restarted(rolling.lab, before) == {"w1"}
    assert is_given_back(rolling)
    assert web.lost == []
    assert "Nothing to do" in ok(rolling.lab, "os-update", "--yes")


@pytest.mark.timeout(600)
def test_a_drained_node_stays_empty_until_it_is_given_back(rolling: Cluster) -> None:
    """By hand, with no request lost; the cluster is as before."""
    on_w2 = "get pods -l app=web --field-selector spec.nodeName=w2 -o name"

    with Probe(rolling.web("cp1")) as web:
        ok(rolling.lab, "drain", "w2", "--yes")
        assert rolling.kubectl(on_w2) == ""
        assert rolling.cordoned() == {"w2"}
        assert "Nothing to do" in ok(rolling.lab, "drain", "w2", "--yes")
        ok(rolling.lab, "uncordon", "w2", "--yes")
        time.sleep(2)

    assert is_given_back(rolling)
    assert web.lost == []


@pytest.mark.timeout(900)
def test_pods_wait_for_the_only_node_that_is_meant_for_them(rolling: Cluster) -> None:
    """As on one control plane and one worker: `drain` refuses, a restart goes on, and they come back by themselves."""
    plain = "get pods -l app=plain -o 'jsonpath={.items[*].spec.nodeName} {.items[*].status.phase}'"
    rolling.kubectl("taint node w2 kept=apart:NoSchedule")
    rolling.kubectl("create deployment plain --image nginx:1.22 -- nginx -g 'daemon off;'")
    rolling.kubectl("rollout status deployment plain --timeout 120s")
    before = boots(rolling.lab)

    refused = clusterctl(rolling.lab, "drain", "w1", "--yes")
    said = " ".join(ok(rolling.lab, "reboot", "w1", "--yes").split())

    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "has nowhere to go" in " ".join(refused.stdout.split())
    assert "until w1 is given back, no node takes default/plain-" in said
    assert restarted(rolling.lab, before) == {"w1"}
    assert is_given_back(rolling)
    wait_until(lambda: rolling.kubectl(plain) == "w1 Running", 60)
