"""Checks of the steps that cordon, drain, restart, upgrade and give back: before, after, half done and foreign."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model.drain import SOFT_TAINT
from clusterctl.model.facts import ClusterFacts, Cordon, FileFact
from clusterctl.model.pods import Pods
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.steps import nodes_drain, os_update, places, reboot
from clusterctl.steps.step import Step
from tests.builders import VIRTUAL, make_node, make_pod, make_situation

MINE = Cordon("ada@desk", "2026-01-01T00:00:00Z", unschedulable=False)
HERE = {"w1": "boot-21"}
SINCE = {"w1": "boot-20"}


def api(**changes: Any) -> ClusterFacts:
    """A cluster whose w1 has ``changes``."""
    return ClusterFacts("1.36.3", {"w1": make_node("w1", **changes)})


def listed(*packages: str, read: float = 0.0) -> dict[str, Any]:
    """Facts of a host whose lists were read at ``read`` of its clock, and that can upgrade these packages."""
    return {"files": {places.UPGRADABLE: FileFact("\n".join([f"{read:.0f}", *packages, ""]), "644")}}


FREE, CORDONED = api(), api(unschedulable=True, cordoned=MINE)
FOREIGN = api(unschedulable=True)
RESTART = {"paths": frozenset({places.RESTART_REQUIRED})}
NEWS, NO_NEWS = listed("libc6", "linux-image-amd64"), listed()
around, since = reboot.Drain().beside([reboot.Restart(HERE)]), reboot.Drain().beside([reboot.Restart(SINCE)])
back, too_early = reboot.Uncordon().beside([reboot.Restart(SINCE)]), reboot.Uncordon().beside([reboot.Restart(HERE)])
leave = reboot.Leave().beside([reboot.Restart({"cp2": "boot-12"})])
left = reboot.Leave().beside([reboot.Restart({"cp2": "boot-11"})])

CASES: list[tuple[Step, ClusterFacts | None, dict[str, Any], type, str]] = [
    (nodes_drain.Cordon(), None, {}, Unknown, "no cluster"),
    (nodes_drain.Cordon(), FREE, {}, Needed, "w1 takes pods"),
    (nodes_drain.Cordon(), CORDONED, {}, Satisfied, "w1 was cordoned by ada@desk, 2026-01-01T00:00:00Z"),
    (nodes_drain.Cordon(), FOREIGN, {}, Satisfied, "by somebody else"),
    (nodes_drain.Uncordon(), None, {}, Unknown, "no cluster"),
    (nodes_drain.Uncordon(), FREE, {}, Satisfied, "no mark"),
    (nodes_drain.Uncordon(), CORDONED, {}, Needed, "cordoned by clusterctl"),
    (nodes_drain.Uncordon(), api(taints=(SOFT_TAINT,)), {}, Needed, "tainted by clusterctl"),
    (nodes_drain.Uncordon(), FOREIGN, {}, Blocked, "cordoned by somebody else"),
    (nodes_drain.Drain(), None, {}, Unknown, "no cluster"),
    (nodes_drain.Drain(), FREE, {}, Needed, "w1 is not cordoned, and 1 of its pods has to leave"),
    (nodes_drain.Drain(), CORDONED, {}, Needed, "1 pod of w1 has to leave"),
    (nodes_drain.Drain(), CORDONED, {"pods": Pods()}, Satisfied, "cordoned and drained"),
    (reboot.Restart(), FREE, {}, Blocked, "which start of the host is meant is not known"),
    (reboot.Restart(HERE), FREE, {}, Needed, "w1 runs as it did"),
    (reboot.Restart(SINCE), FREE, {}, Satisfied, "w1 has restarted"),
    (reboot.Ready(), None, {}, Unknown, "no cluster"),
    (reboot.Ready(), api(boot_id="boot-20"), {}, Needed, "has not spoken since its host started"),
    (reboot.Ready(), api(boot_id="boot-21", ready=False, reason="KubeletNotReady"), {}, Needed, "KubeletNotReady"),
    (reboot.Ready(), api(boot_id="boot-21"), {}, Satisfied, "w1 is Ready"),
    (reboot.Drain(), CORDONED, {"pods": Pods()}, Satisfied, "cordoned and drained"),
    (around, FREE, {}, Needed, "w1 is not cordoned"),
    (since, FREE, {}, Satisfied, "w1 has restarted"),
    (too_early, CORDONED, {}, Unknown, "given back when it is through"),
    (back, CORDONED, {}, Needed, "cordoned by clusterctl"),
    (back, FOREIGN, {}, Satisfied, "no mark"),
    (os_update.Lists(), FREE, {}, Needed, "is not known"),
    (os_update.Lists(), FREE, {**NEWS, "now": 3500.0}, Satisfied, "within the last hour"),
    (os_update.Lists(), FREE, {**NEWS, "now": 7200.0}, Needed, "they were read 2 h ago"),
    (os_update.Packages(), FREE, {}, Unknown, "have to be read first"),
    (os_update.Packages(), FREE, NEWS, Needed, "libc6, linux-image-amd64 can be upgraded"),
    (os_update.Packages(), FREE, listed(*"abcdefg"), Needed, "a, b, c, d, e and 2 more can be upgraded"),
    (os_update.Packages(), FREE, NO_NEWS, Satisfied, "no package"),
    (os_update.Restart(), FREE, {}, Satisfied, "no package asks"),
    (os_update.Restart(), FREE, RESTART, Needed, "/run/reboot-required is there"),
    (os_update.Drain(), FREE, {}, Unknown, "have to be read first"),
    (os_update.Drain(), FREE, NEWS, Needed, "w1 is not cordoned"),
    (os_update.Drain(), FREE, {**NO_NEWS, **RESTART}, Needed, "w1 is not cordoned"),
    (os_update.Drain(), FREE, NO_NEWS, Satisfied, "its packages are up to date"),
    (os_update.Uncordon(), CORDONED, NO_NEWS, Needed, "cordoned by clusterctl"),
    (os_update.Uncordon(), CORDONED, {**NO_NEWS, **RESTART}, Unknown, "given back when it is through"),
]


@pytest.mark.parametrize(("step", "found", "changes", "kind", "text"), CASES)
def test_check(step: Step, found: ClusterFacts | None, changes: dict[str, Any], kind: type, text: str) -> None:
    """The check answers with this verdict and names this fact; what blocks says what to do."""
    pods = changes.get("pods", Pods((make_pod(),)))
    facts = {key: value for key, value in changes.items() if key != "pods"}
    verdict = step.check(replace(make_situation("w1", api=found, **facts), pods=pods if found else None))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert not isinstance(verdict, Blocked) or verdict.resolution


LEAVING: list[tuple[Step, dict[str, Any], type, str]] = [
    (leave, {}, Needed, "the HAProxy of cp1, cp2, cp3 sends requests to cp2"),
    (left, {}, Satisfied, "cp2 has restarted"),
    (os_update.Leave(), {}, Satisfied, "no package asks for a restart"),
    (os_update.Leave(), RESTART, Needed, "the HAProxy of cp1, cp2, cp3 sends requests to cp2"),
]


@pytest.mark.parametrize(("step", "changes", "kind", "text"), LEAVING)
def test_an_api_server_is_left_before_its_host_restarts(
    step: Step, changes: dict[str, Any], kind: type, text: str
) -> None:
    """Only then: it runs the wanted version already."""
    used: dict[str, Any] = {"haproxy_unused": frozenset()}
    others = {"cp1": used, "cp3": used}
    images = {"kube-apiserver": "registry.k8s.io/kube-apiserver:v1.36.3"}
    situation = make_situation(
        "cp2", control_planes=3, extra=VIRTUAL, others=others, static_pods=images, **used, **changes
    )
    verdict = step.check(situation)

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
