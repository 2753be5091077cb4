"""Each step's check over facts before, after, half done and foreign."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import yaml

from clusterctl.model import places
from clusterctl.model.facts import ClockFact, ClusterFacts, FileFact, Package, Service, Workload
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.rules import kernel
from clusterctl.steps import joining, kubeadm_config
from clusterctl.steps.api_server.audit_policy import AuditPolicy
from clusterctl.steps.api_server.encryption_key import EncryptionKey
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.control_plane.add_ons import AddOns
from clusterctl.steps.control_plane.init import FINISHED, Init
from clusterctl.steps.control_plane.join_tokens import JoinTokens
from clusterctl.steps.kubeadm.patches import Patches
from clusterctl.steps.network.calico import Calico
from clusterctl.steps.network.calico_crds import CalicoCrds
from clusterctl.steps.network.flannel import Flannel
from clusterctl.steps.nodes.labels import Labels
from clusterctl.steps.nodes.ready import Ready
from clusterctl.steps.nodes.taints import Taints
from clusterctl.steps.os import swap_off
from clusterctl.steps.os.modules import Modules
from clusterctl.steps.os.proxy import Proxy
from clusterctl.steps.os.swap_off import SwapOff
from clusterctl.steps.os.sysctl import Sysctl
from clusterctl.steps.packages.kubernetes import Kubernetes
from clusterctl.steps.packages.repository import Repository as PackagesRepository
from clusterctl.steps.preflight.address import Address
from clusterctl.steps.preflight.hostname import Hostname
from clusterctl.steps.preflight.leftovers import Leftovers
from clusterctl.steps.preflight.machine_id import MachineId
from clusterctl.steps.preflight.packages import Packages
from clusterctl.steps.preflight.ports import Ports
from clusterctl.steps.preflight.resources import Resources
from clusterctl.steps.preflight.settings import Settings
from clusterctl.steps.preflight.source import Source
from clusterctl.steps.preflight.system import System
from clusterctl.steps.runtime import containerd_config, registries
from clusterctl.steps.runtime.config import Config
from clusterctl.steps.runtime.containerd import Containerd
from clusterctl.steps.runtime.images import Images
from clusterctl.steps.runtime.repository import Repository
from clusterctl.steps.step import Step
from clusterctl.steps.workers.join import Join
from tests.builders import PAUSE, SOURCES, SWITCHES, make_facts, make_node, make_situation
from tests.steps.test_drain import CASES as DRAIN_CASES
from tests.steps.test_findings import HOST_CASES, SURVEY_CASES
from tests.steps.test_high_availability import CASES as HA_CASES
from tests.steps.test_network import CASES as NETWORK_CASES
from tests.steps.test_rolling import CASES as ROLLING_CASES
from tests.steps.test_rolling import LEAVING
from tests.steps.test_upgrade import CASES as UPGRADE_CASES
from tests.steps.test_upgrade_look import CASES as LOOK_CASES
from tests.steps.test_upgrade_snapshot import CASES as SAVE_CASES
from tests.steps.test_workers_replace import CASES as REPLACE_CASES
from tests.steps.test_workers_replace import ROUTES, SPARES

SYSCTLS = dict.fromkeys(kernel.sysctls(make_situation().cluster), "1")
MASKED = {"swap.target": Service("inactive", "masked")}
CONFIGURED = make_situation(containerd_version="2.3.7", images=(PAUSE,))
CONFIG_FILES = {file.path: FileFact(file.content, "644") for file in Config().files(CONFIGURED)}
RUNNING = {"containerd.service": Service("active", "enabled")}
INSTALLED = {name: Package("1.36.3-1.1", held=True, intact=True) for name in places.KUBERNETES_PACKAGES}
KUBELET = {"kubelet.service": Service("activating", "enabled")}
WHOLE = ClusterFacts(
    version="1.36.3",
    nodes={"cp1": make_node("cp1", control_plane=True), "w1": make_node("w1")},
    finished=frozenset(FINISHED),
    workloads={
        "kube-system/DaemonSet/kube-proxy": Workload("DaemonSet", "kube-system", "kube-proxy", 2, 2, ()),
        "kube-system/Deployment/coredns": Workload("Deployment", "kube-system", "coredns", 2, 2, ()),
    },
)
TRACES = frozenset({ADMIN_CONF, places.KUBELET_CONF, *places.MANIFESTS})

KEY = {places.ENCRYPTION: "a digest"}
API_SERVER = frozenset({places.API_SERVER_MANIFEST})
SWITCHED = make_situation(extra=SWITCHES)
AUDIT = {file.path: FileFact(file.content, "600") for file in AuditPolicy().files(SWITCHED)}
PATCHED = {file.path: FileFact(file.content, "600") for file in Patches().files(SWITCHED)}
PATCH = "/etc/kubernetes/patches/etcd.yaml"
SOURCED = make_situation(extra=SOURCES, containerd_version="2.3.7", images=(PAUSE,))
SOURCED_FILES = {file.path: FileFact(file.content, "644") for file in Config().files(SOURCED)}
GUARDED = {
    places.hosts_file(name): hashlib.sha256(
        registries.with_password(name, SOURCED.cluster.sources).reveal().encode()
    ).hexdigest()
    for name in ("registry.k8s.io", "mirror.example:5000")
}
KUBE_PROXY, ETCD = "registry.k8s.io/kube-proxy:v1.36.3", "registry.k8s.io/etcd:3.6.8-0"


def settings(**changes: Any) -> ClusterFacts:
    """A cluster that keeps what init told it; ``changes`` are sections of its ClusterConfiguration."""
    kept = {each["kind"]: each for each in list(yaml.safe_load_all(kubeadm_config.init_config(make_situation())))[1:]}
    kept["ClusterConfiguration"] = {**kept["ClusterConfiguration"], **changes}
    return replace(WHOLE, settings=kept)


def fstab(text: str) -> dict[str, FileFact]:
    """The facts of an fstab."""
    return {"/etc/fstab": FileFact(text, "644")}


CASES: list[tuple[Step, str, dict[str, Any], type, str]] = [
    # preflight
    (System(), "cp1", {}, Satisfied, "Debian"),
    (System(), "cp1", {"os_id": "ubuntu", "os_version": "22.04"}, Satisfied, ""),
    (
        System(),
        "cp1",
        {"os_id": "ubuntu", "os_version": "20.04", "os_name": "Ubuntu 20.04"},
        Blocked,
        "20.04",
    ),
    (System(), "cp1", {"os_id": "fedora", "os_name": "Fedora"}, Blocked, "Fedora"),
    (System(), "cp1", {"os_id": "debian", "os_version": ""}, Blocked, "Debian"),
    (System(), "cp1", {"architecture": "riscv64"}, Blocked, "riscv64"),
    (System(), "cp1", {"init": "runit"}, Blocked, "runit"),
    (Resources(), "cp1", {"cpus": 1}, Blocked, "1 processor"),
    (Resources(), "w1", {"cpus": 1}, Satisfied, ""),
    (Resources(), "cp1", {"memory_mib": 1024}, Blocked, "1024 MiB"),
    (Hostname(), "w1", {}, Satisfied, "w1"),
    (Hostname(), "w1", {"hostname": "CP1"}, Blocked, "cp1 has the same host name"),
    (
        MachineId(),
        "w1",
        {"machine_id": make_facts("w2").machine_id},
        Blocked,
        "w2 has the same machine-id",
    ),
    (MachineId(), "w1", {"machine_id": ""}, Blocked, "empty"),
    (Hostname(), "w1", {"hostname": "work_1"}, Blocked, "no DNS name"),
    (Hostname(), "w1", {"hostname": "localhost"}, Blocked, "no name"),
    (Address(), "w1", {}, Satisfied, "192.0.2.21"),
    (Address(), "w1", {"addresses": ()}, Blocked, "no interface carries 192.0.2.21"),
    (Ports(), "cp1", {"listeners": {6443: "kube-apiserver", 10250: "kubelet"}}, Satisfied, ""),
    (Ports(), "cp1", {"listeners": {6443: "nginx"}}, Blocked, "port 6443 is held by nginx"),
    (Ports(), "w1", {"listeners": {6443: "nginx"}}, Satisfied, ""),
    (Packages(), "w1", {}, Satisfied, ""),
    (Packages(), "w1", {"dpkg_problem": "not fully installed"}, Blocked, "interrupted"),
    (Packages(), "w1", {"packages": {"kubelet": Package("1.37.1-1.1", True, True)}}, Blocked, "newer"),
    (Packages(), "w1", {"packages": {"kubelet": Package("1.35.4-1.1", True, True)}}, Satisfied, ""),
    (
        Packages(),
        "w1",
        {"packages": {"kubelet": Package("1.35.4-1.1", True, True)}, "paths": TRACES},
        Blocked,
        "this node runs kubelet 1.35.4",
    ),
    (Source(), "w1", {}, Satisfied, "1.36.3 is in"),
    (Source(), "w1", {"available": None}, Satisfied, "installed"),
    (Source(), "w1", {"available": ("1.36.2-1.1", "1.36.10-1.1")}, Blocked, "1.36.2-1.1, 1.36.10-1.1"),
    (Source(), "w1", {"available": None, "available_problem": "curl: (6) no host"}, Blocked, "curl: (6)"),
    (Source(), "w1", {"available": None, "available_problem": "curl is not installed"}, Satisfied, "curl"),
    (Leftovers(), "w1", {}, Satisfied, "none"),
    (Leftovers(), "w1", {"files": {places.CA_CERT: FileFact("other", "644")}}, Blocked, "another cluster"),
    (Leftovers(), "w1", {"paths": frozenset({places.BOOTSTRAP_CONF})}, Blocked, "did not finish"),
    (Leftovers(), "w1", {"paths": frozenset({"/etc/cni/net.d/05-cilium.conflist"})}, Blocked, "05-cilium"),
    (Leftovers(), "w1", {"paths": frozenset({"/etc/cni/net.d/10-flannel.conflist"})}, Blocked, "10-flannel"),
    (
        Leftovers(),
        "w1",
        {"paths": frozenset({"/etc/cni/net.d/10-calico.conflist", "/etc/cni/net.d/calico-kubeconfig"})},
        Satisfied,
        "",
    ),
    (
        Leftovers(),
        "w1",
        {"paths": frozenset({places.KUBELET_CONF, "/etc/cni/net.d/10-flannel.conflist"})},
        Satisfied,
        "",
    ),
    # os
    (SwapOff(), "w1", {"swaps": ("/swapfile",)}, Needed, "swap is on: /swapfile"),
    (SwapOff(), "w1", {"services": MASKED, "files": fstab("/swapfile\tnone\tswap\tsw\t0\t0\n")}, Needed, "fstab"),
    (SwapOff(), "w1", {"services": MASKED, "files": fstab("# /swapfile none swap sw 0 0\n")}, Satisfied, ""),
    (SwapOff(), "w1", {"services": {}}, Needed, "swap.target is not masked"),
    (
        SwapOff(),
        "w1",
        {"services": {**MASKED, "zramswap.service": Service("active", "enabled")}},
        Needed,
        "zramswap.service",
    ),
    (SwapOff(), "w1", {"services": MASKED}, Satisfied, "no swap"),
    (Modules(), "w1", {}, Needed, "br_netfilter"),
    (Modules(), "w1", {"modules": frozenset(kernel.MODULES)}, Needed, "next boot"),
    (Sysctl(), "w1", {}, Needed, "net.ipv4.ip_forward is 0"),
    (Sysctl(), "w1", {"sysctls": SYSCTLS}, Needed, "next boot"),
    # runtime
    (Containerd(), "w1", {}, Needed, "not installed"),
    (Containerd(), "w1", {"containerd_version": "1.6.20~ds1"}, Blocked, "too old"),
    (Containerd(), "w1", {"containerd_version": "2.2.1-0ubuntu1~24.04.4"}, Satisfied, ""),
    (Config(), "w1", {}, Unknown, "decide"),
    (Config(), "w1", {"containerd_version": "2.3.7", "images": (PAUSE,)}, Needed, "config.toml"),
    *(
        (
            Config(),
            "w1",
            {
                "containerd_version": "2.3.7",
                "images": (PAUSE,),
                "files": CONFIG_FILES,
                "services": services,
                "containerd_config": loaded,
            },
            kind,
            text,
        )
        for services, loaded, kind, text in (
            ({}, "loaded", Needed, "not running"),
            (RUNNING, "stale", Needed, "before its configuration"),
            ({"containerd.service": Service("active", "disabled")}, "loaded", Needed, "boot"),
            (RUNNING, "loaded", Satisfied, ""),
        )
    ),
    # sources
    (Proxy(), "w1", {}, Satisfied, "none wanted"),
    (Proxy(), "w1", {"files": {places.APT_PROXY: FileFact("", "644")}}, Needed, "none is wanted"),
    (Proxy(), "w1", {"extra": SOURCES}, Needed, "missing or differs"),
    (
        Proxy(),
        "w1",
        {"extra": SOURCES, "files": {f.path: FileFact(f.content, "644") for f in Proxy().files(SOURCED)}},
        Satisfied,
        "apt knows",
    ),
    (Repository(), "w1", {}, Satisfied, "distribution"),
    (Repository(), "w1", {"files": {places.CONTAINERD_SOURCE: FileFact("", "644")}}, Needed, "names a repository"),
    (Repository(), "w1", {"extra": SOURCES}, Needed, "does not name"),
    (Repository(), "w1", {"extra": SOURCES, "os_codename": ""}, Blocked, "VERSION_CODENAME"),
    *(
        (
            Repository(),
            "w1",
            {
                "extra": SOURCES,
                "files": {f.path: FileFact(f.content, "644") for f in Repository().files(SOURCED)},
                "paths": paths,
            },
            kind,
            text,
        )
        for paths, kind, text in (
            (frozenset[str](), Needed, f"{places.CONTAINERD_KEYRING} is missing"),
            (frozenset({places.CONTAINERD_KEYRING}), Satisfied, "configured"),
        )
    ),
    *(
        (
            Config(),
            "w1",
            {
                "extra": SOURCES,
                "containerd_version": "2.3.7",
                "images": (PAUSE,),
                "services": RUNNING,
                "containerd_config": "loaded",
                "files": SOURCED_FILES | files,
                "digests": digests,
            },
            kind,
            text,
        )
        for files, digests, kind, text in (
            ({}, GUARDED, Satisfied, ""),
            ({}, {}, Needed, "certs.d/registry.k8s.io/hosts.toml"),
            ({}, dict.fromkeys(GUARDED, "an old password's"), Needed, "mirror.example:5000/hosts.toml"),
            (
                {next(iter(GUARDED)): FileFact("open to all", "644")},
                GUARDED,
                Needed,
                "registry.k8s.io/hosts.toml differs",
            ),
        )
    ),
    (
        Config(),
        "w1",
        {
            "containerd_version": "2.3.7",
            "images": (PAUSE,),
            "files": {**CONFIG_FILES, places.CONTAINERD_PROXY: FileFact("[Service]", "644")},
            "services": RUNNING,
            "containerd_config": "loaded",
        },
        Needed,
        f"{places.CONTAINERD_PROXY} differs",
    ),
    (Images(), "w1", {}, Unknown, "kubeadm"),
    (
        Images(),
        "w1",
        {"images": (PAUSE, KUBE_PROXY, ETCD)},
        Needed,
        "pause:3.10.2, kube-proxy:v1.36.3",
    ),
    (Images(), "cp1", {"images": (PAUSE, ETCD), "pulled": frozenset({PAUSE})}, Needed, ": etcd:3.6.8-0"),
    (Images(), "w1", {"images": (PAUSE, ETCD), "pulled": frozenset({PAUSE})}, Satisfied, "there"),
    (Images(), "w1", {"images": (PAUSE,), "paths": TRACES}, Satisfied, "a node already"),
    (
        Packages(),
        "w1",
        {"dpkg_problem": "curl is unpacked", "package_lock": "apt-get (process 7) holds the lock /x"},
        Satisfied,
        "being installed: apt-get (process 7)",
    ),
    # kubeadm and what lies beside the API server
    (Patches(), "w1", {}, Satisfied, "none is wanted"),
    (Patches(), "w1", {"extra": SWITCHES}, Needed, "kube-scheduler+merge.yaml"),
    (Patches(), "w1", {"files": {PATCH: FileFact("old", "600")}}, Needed, PATCH),
    (Patches(), "w1", {"extra": SWITCHES, "files": PATCHED}, Satisfied, "1 patches"),
    (EncryptionKey(), "cp1", {}, Satisfied, "not wanted"),
    (EncryptionKey(), "cp1", {"extra": SWITCHES}, Needed, "missing"),
    (EncryptionKey(), "cp1", {"extra": SWITCHES, "digests": KEY}, Satisfied, "is there"),
    (EncryptionKey(), "cp1", {"extra": SWITCHES, "paths": API_SERVER}, Blocked, "runs here without"),
    (AuditPolicy(), "cp1", {}, Satisfied, "not wanted"),
    (AuditPolicy(), "cp1", {"extra": SWITCHES}, Needed, "missing"),
    (AuditPolicy(), "cp1", {"extra": SWITCHES, "paths": API_SERVER}, Blocked, "differs"),
    (AuditPolicy(), "cp1", {"extra": SWITCHES, "files": AUDIT, "paths": API_SERVER}, Satisfied, "as wanted"),
    # packages
    (PackagesRepository(), "w1", {}, Needed, "1.36"),
    (Kubernetes(), "w1", {}, Needed, "kubeadm is not installed"),
    (Kubernetes(), "w1", {"packages": INSTALLED, "services": KUBELET}, Satisfied, "1.36.3"),
    (Kubernetes(), "w1", {"packages": INSTALLED}, Needed, "boot"),
    (
        Kubernetes(),
        "w1",
        {"packages": {**INSTALLED, "kubelet": Package("1.36.3-1.1", False, True)}},
        Needed,
        "held",
    ),
    (
        Kubernetes(),
        "w1",
        {"packages": {**INSTALLED, "kubelet": Package("1.36.3-1.1", True, False)}},
        Needed,
        "not fully",
    ),
    (
        Kubernetes(),
        "w1",
        {"packages": {**INSTALLED, "kubectl": Package("1.36.30-1.1", True, True)}},
        Needed,
        "1.36.30",
    ),
]


@pytest.mark.parametrize(("step", "host", "changes", "kind", "text"), CASES)
def test_check_on_a_host(step: Step, host: str, changes: dict[str, Any], kind: type, text: str) -> None:
    """The check answers with this verdict and names this fact."""
    verdict = step.check(make_situation(host, **changes))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)


API_CASES: list[tuple[Step, str, ClusterFacts | None, dict[str, Any], type, str]] = [
    (Init(), "cp1", None, {}, Needed, "no cluster"),
    (Init(), "cp1", None, {"paths": TRACES}, Blocked, "cannot be asked"),
    (Init(), "cp1", None, {"paths": frozenset({places.ETCD_DATA})}, Blocked, "/var/lib/etcd"),
    (Init(), "cp1", WHOLE, {"paths": TRACES}, Satisfied, "1.36.3"),
    (Init(), "cp1", replace(WHOLE, version="1.35.4"), {"paths": TRACES}, Blocked, "1.35.4"),
    (
        Init(),
        "cp1",
        replace(WHOLE, finished=WHOLE.finished - {"deployment/coredns"}),
        {"paths": TRACES},
        Blocked,
        "deployment/coredns is missing",
    ),
    (Init(), "cp1", replace(WHOLE, nodes={}), {"paths": TRACES}, Blocked, "node/cp1"),
    (Settings(), "w1", settings(clusterName="x"), {}, Satisfied, "once"),
    (Settings(), "cp1", None, {}, Satisfied, "no cluster"),
    (Settings(), "cp1", settings(kubernetesVersion="v1.35.0", etcd={"local": {}}), {}, Satisfied, "agree"),
    (Settings(), "cp1", settings(clusterName="x"), {}, Blocked, "clusterName is x, the inventory"),
    (Settings(), "cp1", settings(), {"extra": SWITCHES}, Blocked, "audit-policy-file="),
    (Settings(), "cp1", settings(), {"extra": "  kubelet: {maxPods: 200}"}, Blocked, "maxPods is not set"),
    (Settings(), "cp1", settings(), {"extra": "  kubelet: {x: 0s, y: 0}"}, Satisfied, ""),
    (
        Settings(),
        "cp1",
        settings(scheduler={"extraArgs": [{"name": "v", "value": "4"}]}),
        {},
        Blocked,
        "scheduler.extraArgs is v=4, and the inventory names none",
    ),
    (Join(), "w1", None, {}, Needed, "not a node"),
    (Join(), "w1", None, {"paths": TRACES}, Blocked, "cannot be asked"),
    (Join(), "w1", WHOLE, {"paths": frozenset({places.BOOTSTRAP_CONF})}, Blocked, "did not finish"),
    (Join(), "w1", replace(WHOLE, nodes={}), {}, Needed, "not a node"),
    (Join(), "w1", replace(WHOLE, nodes={}), {"paths": TRACES}, Blocked, "has no node w1"),
    (Join(), "w1", WHOLE, {}, Blocked, "kubelet.conf"),
    (Join(), "w1", WHOLE, {"paths": TRACES}, Satisfied, "w1 is a node"),
    (Join(), "w1", WHOLE, {"paths": TRACES, "hostname": "W1"}, Satisfied, "w1 is a node"),
    (Labels(), "w1", None, {}, Unknown, "not a node"),
    (Labels(), "w2", None, {}, Satisfied, "none"),
    (Labels(), "w1", WHOLE, {}, Needed, "disk=ssd"),
    (
        Labels(),
        "w1",
        replace(WHOLE, nodes={"w1": make_node(labels={"disk": "ssd", "old": "x"}, owned_labels=frozenset({"old"}))}),
        {},
        Needed,
        "old-",
    ),
    (
        Labels(),
        "w1",
        replace(WHOLE, nodes={"w1": make_node(labels={"disk": "ssd", "foreign": "x"})}),
        {},
        Satisfied,
        "",
    ),
    (Taints(), "w1", WHOLE, {}, Needed, "gpu=yes:NoSchedule"),
    (
        Taints(),
        "w1",
        replace(WHOLE, nodes={"w1": make_node(taints=("gpu=yes:NoSchedule", "node.kubernetes.io/x:NoExecute"))}),
        {},
        Satisfied,
        "",
    ),
    (Ready(), "w1", WHOLE, {}, Satisfied, "Ready"),
    (
        Ready(),
        "w1",
        replace(WHOLE, nodes={"w1": make_node(ready=False, reason="cni plugin not initialized")}),
        {},
        Needed,
        "cni plugin",
    ),
    (
        Ready(),
        "w1",
        replace(WHOLE, nodes={"w1": make_node(kubelet_version="1.35.4")}),
        {},
        Needed,
        "1.35.4",
    ),
    (AddOns(), "cp1", WHOLE, {}, Satisfied, ""),
    (AddOns(), "cp1", replace(WHOLE, workloads={}), {}, Needed, "kube-proxy is missing"),
    (JoinTokens(), "cp1", WHOLE, {}, Satisfied, ""),
    (JoinTokens(), "cp1", replace(WHOLE, join_tokens=("a",)), {}, Needed, "1 of"),
]


@pytest.mark.parametrize(("step", "host", "api", "changes", "kind", "text"), API_CASES)
def test_check_with_the_api(
    step: Step, host: str, api: ClusterFacts | None, changes: dict[str, Any], kind: type, text: str
) -> None:
    """The check joins what the host and the API say."""
    verdict = step.check(make_situation(host, api=api, **changes))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)


SILENT: list[tuple[Step, str, type]] = [
    (Flannel(), "  network: {plugin: flannel}", Unknown),
    (CalicoCrds(), "", Unknown),
    (Calico(), "", Unknown),
    (Join(), "", Unknown),
    (Labels(), "", Unknown),
    (Taints(), "", Unknown),
    (Ready(), "", Unknown),
    (Init(), "", Blocked),
]


@pytest.mark.parametrize(("step", "extra", "kind"), SILENT)
def test_a_cluster_that_does_not_answer_is_not_taken_for_none(step: Step, extra: str, kind: type) -> None:
    """It is neither installed anew nor called missing; the verdict repeats why the API cannot be asked."""
    host = "cp1" if step.name.startswith(("network/", "control-plane/")) else "w1"
    there = frozenset({ADMIN_CONF, places.KUBELET_CONF})
    before = make_situation(host, extra=extra, paths=there)
    facts = {**before.all_facts, "cp1": make_facts("cp1", paths=there)}

    verdict = step.check(replace(before, all_facts=facts, api_problem="it starts"))

    assert isinstance(verdict, kind)
    assert "it starts" in getattr(verdict, "reason", "")
    assert not isinstance(verdict, Blocked) or "within a minute" in verdict.resolution


@pytest.mark.parametrize(("clock", "seconds"), [(None, 900), (ClockFact(3600.4, 0.1), 4500), (ClockFact(-60, 0), 840)])
def test_a_join_token_lives_by_the_clock_of_the_control_plane(clock: ClockFact | None, seconds: int) -> None:
    """An operator's clock that is an hour behind does not make tokens that have expired already."""
    situation = make_situation("w1", api=WHOLE)
    facts = {**situation.all_facts, "cp1": make_facts("cp1", clock=clock, paths=frozenset({ADMIN_CONF}))}

    assert joining.token_seconds(replace(situation, all_facts=facts)) == seconds


def test_every_step_has_a_case() -> None:
    """No step goes without a table row."""
    covered = {case[0].name for cases in (CASES, API_CASES, HOST_CASES, SURVEY_CASES) for case in cases}
    covered |= {case[0].name for cases in (NETWORK_CASES, HA_CASES) for case in cases}
    covered |= {case[0].name for cases in (UPGRADE_CASES, DRAIN_CASES, REPLACE_CASES, SPARES, ROUTES) for case in cases}
    covered |= {case[0].name for cases in (LOOK_CASES, SAVE_CASES, ROLLING_CASES, LEAVING) for case in cases}

    assert covered == {step.name for step in CATALOGUE.values()}


def test_blocked_verdicts_say_what_to_do() -> None:
    """Each Blocked of the tables carries a resolution."""
    situations: list[tuple[Step, Situation]] = [
        *((step, make_situation(host, **changes)) for step, host, changes, kind, _ in CASES if kind is Blocked),
        *(
            (step, make_situation(host, api=api, **changes))
            for step, host, api, changes, kind, _ in API_CASES
            if kind is Blocked
        ),
    ]

    for step, situation in situations:
        verdict = step.check(situation)
        assert isinstance(verdict, Blocked)
        assert verdict.resolution


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        ("UUID=1 / ext4 defaults 0 1\n", ()),
        ("/swap.img none swap sw 0 0\n", ("/swap.img",)),
        ("/dev/sda2\tnone\tswap\tsw\t0\t0\n", ("/dev/sda2",)),
        ("   UUID=2   none   swap   defaults 0 0", ("UUID=2",)),
        ("# /swap.img none swap sw 0 0\n", ()),
        ("  #/swap.img none swap sw 0 0\n", ()),
        ("server:/swap /mnt/swap nfs defaults 0 0\n", ()),
        ("/dev/disk/by-label/swap / ext4 defaults 0 1 # swap\n", ()),
        ("a none swap\nb none swap\n", ("a", "b")),
    ],
)
def test_fstab_is_parsed_by_its_fields(text: str, entries: tuple[str, ...]) -> None:
    """Tabs, blanks, comments and paths that say swap are told apart."""
    assert swap_off.fstab_swaps(text) == entries


def test_containerd_format_follows_the_installed_version() -> None:
    """Format 3 since containerd 2.0, format 2 before."""
    new = containerd_config.containerd_config("2.0.0", PAUSE, runtime={}, images={})
    old = containerd_config.containerd_config("1.7.24~ds1", PAUSE, runtime={"restrict_oom_score_adj": True}, images={})

    assert new.startswith("version = 3\n")
    assert old.startswith("version = 2\n")
    assert "restrict_oom_score_adj = true" in old
    assert f'sandbox_image = "{PAUSE}"' in old
