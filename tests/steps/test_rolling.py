"""Checks of the steps that cordon, drain, restart, upgrade and give back: before, after, half done and foreign."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model import places
from clusterctl.model.facts import ClusterFacts, Cordon, FileFact
from clusterctl.model.pods import Pods
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.rules.drain import SOFT_TAINT
from clusterctl.steps.nodes.cordon import Cordon as NodesCordon
from clusterctl.steps.nodes.drain import Drain as NodesDrain
from clusterctl.steps.nodes.uncordon import Uncordon as NodesUncordon
from clusterctl.steps.os_update.drain import Drain as OsUpdateDrain
from clusterctl.steps.os_update.leave import Leave as OsUpdateLeave
from clusterctl.steps.os_update.lists import Lists
from clusterctl.steps.os_update.packages import Packages
from clusterctl.steps.os_update.restart import Restart as OsUpdateRestart
from clusterctl.steps.os_update.uncordon import Uncordon as OsUpdateUncordon
from clusterctl.steps.reboot.drain import Drain
from clusterctl.steps.reboot.leave import Leave
from clusterctl.steps.reboot.ready import Ready
from clusterctl.steps.reboot.restart import Restart
from clusterctl.steps.reboot.uncordon import Uncordon
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
around, since = Drain().beside([Restart(HERE)]), Drain().beside([Restart(SINCE)])
back, too_early = Uncordon().beside([Restart(SINCE)]), Uncordon().beside([Restart(HERE)])
leave = Leave().beside([Restart({"cp2": "boot-12"})])
left = Leave().beside([Restart({"cp2": "boot-11"})])

CASES: list[tuple[Step, ClusterFacts | None, dict[str, Any], type, str]] = [
    (NodesCordon(), None, {}, Unknown, "no cluster"),
    (NodesCordon(), FREE, {}, Needed, "w1 takes pods"),
    (NodesCordon(), CORDONED, {}, Satisfied, "w1 was cordoned by ada@desk, 2026-01-01T00:00:00Z"),
    (NodesCordon(), FOREIGN, {}, Satisfied, "by somebody else"),
    (NodesUncordon(), None, {}, Unknown, "no cluster"),
    (NodesUncordon(), FREE, {}, Satisfied, "no mark"),
    (NodesUncordon(), CORDONED, {}, Needed, "cordoned by clusterctl"),
    (NodesUncordon(), api(taints=(SOFT_TAINT,)), {}, Needed, "tainted by clusterctl"),
    (NodesUncordon(), FOREIGN, {}, Blocked, "cordoned by somebody else"),
    (NodesDrain(), None, {}, Unknown, "no cluster"),
    (NodesDrain(), FREE, {}, Needed, "w1 is not cordoned, and 1 of its pods has to leave"),
    (NodesDrain(), CORDONED, {}, Needed, "1 pod of w1 has to leave"),
    (NodesDrain(), CORDONED, {"pods": Pods()}, Satisfied, "cordoned and drained"),
    (Restart(), FREE, {}, Blocked, "which start of the host is meant is not known"),
    (Restart(HERE), FREE, {}, Needed, "w1 runs as it did"),
    (Restart(SINCE), FREE, {}, Satisfied, "w1 has restarted"),
    (Ready(), None, {}, Unknown, "no cluster"),
    (Ready(), api(boot_id="boot-20"), {}, Needed, "has not spoken since its host started"),
    (Ready(), api(boot_id="boot-21", ready=False, reason="KubeletNotReady"), {}, Needed, "KubeletNotReady"),
    (Ready(), api(boot_id="boot-21"), {}, Satisfied, "w1 is Ready"),
    (Drain(), CORDONED, {"pods": Pods()}, Satisfied, "cordoned and drained"),
    (around, FREE, {}, Needed, "w1 is not cordoned"),
    (since, FREE, {}, Satisfied, "w1 has restarted"),
    (too_early, CORDONED, {}, Unknown, "given back when it is through"),
    (back, CORDONED, {}, Needed, "cordoned by clusterctl"),
    (back, FOREIGN, {}, Satisfied, "no mark"),
    (Lists(), FREE, {}, Needed, "is not known"),
    (Lists(), FREE, {**NEWS, "now": 3500.0}, Satisfied, "within the last hour"),
    (Lists(), FREE, {**NEWS, "now": 7200.0}, Needed, "they were read 2 h ago"),
    (Packages(), FREE, {}, Unknown, "have to be read first"),
    (Packages(), FREE, NEWS, Needed, "libc6, linux-image-amd64 can be upgraded"),
    (Packages(), FREE, listed(*"abcdefg"), Needed, "a, b, c, d, e and 2 more can be upgraded"),
    (Packages(), FREE, NO_NEWS, Satisfied, "no package"),
    (OsUpdateRestart(), FREE, {}, Satisfied, "no package asks"),
    (OsUpdateRestart(), FREE, RESTART, Needed, "/run/reboot-required is there"),
    (OsUpdateDrain(), FREE, {}, Unknown, "have to be read first"),
    (OsUpdateDrain(), FREE, NEWS, Needed, "w1 is not cordoned"),
    (OsUpdateDrain(), FREE, {**NO_NEWS, **RESTART}, Needed, "w1 is not cordoned"),
    (OsUpdateDrain(), FREE, NO_NEWS, Satisfied, "its packages are up to date"),
    (OsUpdateUncordon(), CORDONED, NO_NEWS, Needed, "cordoned by clusterctl"),
    (OsUpdateUncordon(), CORDONED, {**NO_NEWS, **RESTART}, Unknown, "given back when it is through"),
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
    (OsUpdateLeave(), {}, Satisfied, "no package asks for a restart"),
    (OsUpdateLeave(), RESTART, Needed, "the HAProxy of cp1, cp2, cp3 sends requests to cp2"),
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
