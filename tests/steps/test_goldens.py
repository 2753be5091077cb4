"""Every script and file that a host receives, word for word; ``make golden`` writes them anew."""

import os
import re
import subprocess
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clusterctl.model.facts import FileFact, Package, Service
from clusterctl.model.inventory import Inventory, parse_inventory
from clusterctl.model.places import ENCRYPTION
from clusterctl.model.situation import Situation
from clusterctl.render import probe, reader, survey
from clusterctl.rules import surveying
from clusterctl.rules.probed import probe_values
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.step import Step
from clusterctl.steps.upgrade import snapshot
from clusterctl.steps.upgrade.snapshot import Record
from tests.builders import PATCHES, PAUSE, SOURCES, SWITCHES, VIRTUAL, make_facts, make_inventory, make_situation

GOLDEN = Path(__file__).parent.parent / "golden"
STEPS = {step.name: step for step in CATALOGUE.values()}

NESTED = """\
cluster:
  name: lab
  kubernetes: 1.36.3
  endpoint: 10.77.0.11:6443
  sources:
    packages: http://10.77.0.1:8080
    packages_key_fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567"
    registries:
      registry.k8s.io: {mirrors: ["http://10.77.0.1:5000"]}
      docker.io: {mirrors: ["http://10.77.0.1:5000"]}
      registry.example:5000: {http: true}
  kubelet: {failCgroupV1: false, cgroupDriver: cgroupfs}
  kube_proxy: {mode: iptables, conntrack: {maxPerCore: 0}}
  containerd:
    runtime:
      restrict_oom_score_adj: true
      containerd:
        runtimes: {runc: {base_runtime_spec: /etc/containerd/cri-base.json, options: {SystemdCgroup: false}}}
  api_server: {extra_args: {profiling: false, v: 3}, cert_sans: [k8s.example, 192.0.2.99]}
  controller_manager: {extra_args: {node-cidr-mask-size: 25}}
  scheduler: {extra_args: [{name: v, value: 2}]}
  etcd: {extra_args: {quota-backend-bytes: 8589934592}}
  feature_gates: {SomeGate: true, OtherGate: false}
  patches: %s
  encryption_at_rest: true
  audit: {}
  ignore_preflight_errors: [SystemVerification, Mem]
hosts:
  - {name: cp1, address: 192.0.2.11, role: control-plane}
  - {name: w1, address: 192.0.2.21, role: worker}
  - {name: w2, address: 192.0.2.22, role: worker}
"""


def situation(host: str, inventory: Inventory, **changes: object) -> Situation:
    """A host with containerd and kubeadm installed, on which ``changes`` hold."""
    facts = {each.name: make_facts(each.name) for each in inventory.hosts}
    facts[host] = make_facts(host, **{"containerd_version": "2.3.7", "images": (PAUSE,), **changes})
    return Situation(inventory, inventory.host(host), facts)


CALICO = make_inventory(
    """\
  pod_cidr: 10.20.0.0/16
  network:
    encapsulation: VXLANCrossSubnet
    mtu: 1400
    registry: registry.example:5000/mirror
    kubelet_volume_plugin_path: None
    installation: {flexVolumePath: None, calicoNetwork: {linuxDataplane: Nftables}}
"""
)
OWN = make_inventory(f"  network: {{plugin: manifests, manifests: [{{file: own.yaml, sha256: '{'0' * 64}'}}]}}")
SOURCED = make_inventory(SOURCES)
SIX = parse_inventory(
    """\
cluster:
  name: six
  kubernetes: 1.36.3
  endpoint: "[fd00::11]:6443"
  pod_cidr: fd01::/56
  service_cidr: fd02::/112
  network: {plugin: flannel}
hosts:
  - {name: cp1, address: "fd00::11", role: control-plane}
  - {name: w1, address: "fd00::21", role: worker}
  - {name: w2, address: "fd00::22", role: worker}
"""
)
HIGHLY_AVAILABLE = make_inventory(VIRTUAL + SWITCHES, control_planes=3)
SECOND = make_situation(
    "cp2",
    control_planes=3,
    extra=VIRTUAL + SWITCHES,
    others={
        "cp1": {"digests": {ENCRYPTION: "a digest"}, "packages": {"haproxy": Package("2.6", held=False, intact=True)}}
    },
)
PLAIN, LAB = make_inventory(), parse_inventory(NESTED % PATCHES)
STALE = "/etc/kubernetes/patches/etcd.yaml"
SCRIPTS: list[tuple[str, Step, Situation]] = [
    ("os-swap-off-file", STEPS["os/swap-off"], situation("w1", PLAIN, swaps=("/swapfile", "/my swap"))),
    (
        "os-swap-off-zram",
        STEPS["os/swap-off"],
        situation("w1", PLAIN, services={"zramswap.service": Service("active", "enabled")}),
    ),
    ("os-modules-one-missing", STEPS["os/modules"], situation("w1", PLAIN)),
    ("os-sysctl", STEPS["os/sysctl"], situation("w1", PLAIN)),
    ("os-proxy", STEPS["os/proxy"], situation("w1", SOURCED)),
    ("os-proxy-none", STEPS["os/proxy"], situation("w1", PLAIN)),
    ("runtime-repository-docker", STEPS["runtime/repository"], situation("w1", SOURCED)),
    ("runtime-repository-none", STEPS["runtime/repository"], situation("w1", PLAIN)),
    ("runtime-config-passwords", STEPS["runtime/config"], situation("w1", SOURCED)),
    ("runtime-images", STEPS["runtime/images"], situation("w1", SOURCED)),
    ("control-plane-init-proxy", STEPS["control-plane/init"], situation("cp1", SOURCED)),
    ("runtime-containerd", STEPS["runtime/containerd"], situation("w1", PLAIN)),
    ("runtime-config-plain", STEPS["runtime/config"], situation("w1", PLAIN)),
    ("runtime-config-nested", STEPS["runtime/config"], situation("w1", LAB)),
    ("runtime-config-containerd-1.7", STEPS["runtime/config"], situation("w1", LAB, containerd_version="1.7.24~ds1")),
    ("packages-repository-official", STEPS["packages/repository"], situation("w1", PLAIN)),
    ("packages-repository-own", STEPS["packages/repository"], situation("w1", LAB)),
    ("packages-kubernetes", STEPS["packages/kubernetes"], situation("w1", PLAIN)),
    ("kubeadm-patches", STEPS["kubeadm/patches"], situation("w1", LAB, files={STALE: FileFact("old", "600")})),
    ("api-server-encryption-key", STEPS["api-server/encryption-key"], situation("cp1", LAB)),
    ("api-server-audit-policy", STEPS["api-server/audit-policy"], situation("cp1", LAB)),
    ("control-plane-init-plain", STEPS["control-plane/init"], situation("cp1", PLAIN)),
    ("control-plane-init-nested", STEPS["control-plane/init"], situation("cp1", LAB)),
    (
        "control-plane-init-ipv6",
        STEPS["control-plane/init"],
        situation("cp1", SIX, addresses=("192.0.2.1", "fd00::11")),
    ),
    ("os-sysctl-ipv6", STEPS["os/sysctl"], situation("w1", SIX)),
    ("network-flannel-ipv6", STEPS["network/flannel"], situation("cp1", SIX)),
    ("api-server-encryption-key-given", STEPS["api-server/encryption-key"], SECOND),
    ("control-plane-join", STEPS["control-plane/join"], SECOND),
    ("control-plane-init-virtual-ip", STEPS["control-plane/init"], situation("cp1", HIGHLY_AVAILABLE)),
    ("endpoint-haproxy", STEPS["endpoint/haproxy"], SECOND),
    ("endpoint-haproxy-installed", STEPS["endpoint/haproxy"], replace(SECOND, host=HIGHLY_AVAILABLE.hosts[0])),
    ("endpoint-keepalived", STEPS["endpoint/keepalived"], SECOND),
    ("endpoint-keepalived-alone", STEPS["endpoint/keepalived"], situation("cp1", make_inventory(VIRTUAL))),
    ("endpoint-leave", STEPS["endpoint/leave"], SECOND),
    ("endpoint-rejoin", STEPS["endpoint/rejoin"], SECOND),
    ("reboot-leave", STEPS["reboot/leave"], SECOND),
    ("reboot-restart", STEPS["reboot/restart"], situation("w1", PLAIN)),
    ("os-update-lists", STEPS["os-update/lists"], situation("w1", SOURCED)),
    ("os-update-packages", STEPS["os-update/packages"], situation("w1", SOURCED)),
    ("os-update-leave", STEPS["os-update/leave"], SECOND),
    ("os-update-restart", STEPS["os-update/restart"], situation("w1", PLAIN)),
    ("workers-join", STEPS["workers/join"], situation("w1", LAB, hostname="W1")),
    ("workers-reset", STEPS["workers/reset"], situation("w1", PLAIN)),
    ("upgrade-snapshot", STEPS["upgrade/snapshot"], situation("cp1", PLAIN)),
    ("network-flannel", STEPS["network/flannel"], situation("cp1", make_inventory("  network: {plugin: flannel}"))),
    ("network-calico-crds", STEPS["network/calico-crds"], situation("cp1", PLAIN)),
    ("network-calico-operator", STEPS["network/calico-operator"], situation("cp1", CALICO)),
    ("network-calico-plain", STEPS["network/calico"], situation("cp1", PLAIN)),
    ("network-calico-settings", STEPS["network/calico"], situation("cp1", CALICO)),
    ("network-manifests", STEPS["network/manifests"], situation("cp1", OWN)),
    ("upgrade-soft-taint", STEPS["upgrade/soft-taint"], situation("w1", PLAIN)),
    ("upgrade-repository", STEPS["upgrade/repository"], situation("w1", LAB)),
    ("upgrade-kubeadm", STEPS["upgrade/kubeadm"], situation("w1", PLAIN)),
    (
        "upgrade-kubeadm-newer",
        STEPS["upgrade/kubeadm"],
        situation("w1", SOURCED, packages={"kubeadm": Package("1.37.1-1.1", held=True, intact=True)}),
    ),
    ("upgrade-apply", STEPS["upgrade/apply"], situation("cp1", LAB)),
    ("upgrade-apply-plain", STEPS["upgrade/apply"], situation("cp1", PLAIN)),
    ("upgrade-node", STEPS["upgrade/node"], situation("w1", LAB)),
    ("upgrade-packages", STEPS["upgrade/packages"], situation("w1", PLAIN)),
    ("upgrade-kubelet", STEPS["upgrade/kubelet"], situation("w1", PLAIN)),
    ("upgrade-kubelet-behind-virtual-ip", STEPS["upgrade/kubelet"], SECOND),
    (
        "upgrade-kubelet-installed",
        STEPS["upgrade/kubelet"],
        situation(
            "w1",
            PLAIN,
            packages={name: Package("1.36.3-1.1", held=True, intact=True) for name in ("kubelet", "kubectl")},
        ),
    ),
    ("upgrade-leftovers", STEPS["upgrade/leftovers"], situation("w1", PLAIN)),
]


def compare(name: str, text: str) -> None:
    """Compare ``text`` with its golden, or write it when GOLDEN=write."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"{name} differs; read the difference, then `make golden`"


@pytest.mark.parametrize(("name", "step", "on"), SCRIPTS, ids=[name for name, _, _ in SCRIPTS])
def test_what_a_host_receives(name: str, step: Step, on: Situation) -> None:
    """The text is as reviewed, and bash can read a script."""
    text = step.preview(on)
    suffix = "yaml" if step.name.startswith("network/") else "sh"

    compare(f"{name}.{suffix}", text)
    if suffix == "sh":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_probe() -> None:
    """The probe's text is as reviewed, and bash can read it."""
    text = probe(**probe_values(LAB)).text

    compare("facts.sh", text)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize("mode", ["listen", "ask", "end"])
def test_the_survey(mode: str) -> None:
    """Each mode's text is as reviewed, and bash can read it; perl can read its programs."""
    facts = {name: make_facts(name) for name in ("cp1", "w1", "w2")}
    listening = surveying.listening(LAB, facts)["cp1"]
    asking = surveying.asking(LAB, facts, {"w1": frozenset({"tcp/10250", "udp/8472"})})["cp1"]
    values: dict[str, dict[str, object]] = {"listen": listening, "ask": asking, "end": {"pids": (42,)}}
    text = survey(mode, **values[mode]).text

    compare(f"survey-{mode}.sh", text)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    for program in re.findall(r"<<'PERL'\n(.*?)\nPERL\n", text, re.DOTALL):
        subprocess.run(["perl", "-c"], input=program, text=True, check=True, capture_output=True)


def test_what_a_backup_leaves() -> None:
    """The note on the host, and the way back that lies beside the backup, are as reviewed."""
    record = Record("1.36.3", "20270115T080000Z", 1.8e9, 4711, "aaaa", "op@desk:/backups/my cluster")
    text = snapshot.kept_script(record).text
    images = {"etcd": "registry.k8s.io/etcd:3.6.8-0"}
    planes = {name: replace(facts, static_pods=images) for name, facts in SECOND.all_facts.items()}
    on = replace(SECOND, all_facts=planes)

    compare("upgrade-snapshot-kept.sh", text)
    compare("restore.md", snapshot.restore_text(on, record.stamp, {"revision": 4711, "totalKey": 815}))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


class Quiet(SimpleHTTPRequestHandler):
    """A web server of files that says nothing."""

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


def test_the_reader_of_versions(tmp_path: Path) -> None:
    """Its text is as reviewed; run for real, it lists what a repository has and says which one cannot be read."""
    compare("versions.sh", reader("versions", repositories=["http://a/v1.35/deb"], environment=()).text)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "Packages").write_text(
        "Package: kubeadm\nVersion: 1.35.3-1.1\n\nPackage: kubelet\nVersion: 1.35.9-1.1\n\n"
        "Package: kubeadm\nVersion: 1.35.4-1.1\n"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        script = reader("versions", repositories=[f"{address}/there", f"{address}/absent"], environment=())
        done = subprocess.run(["bash", "-s"], input=script.text, text=True, capture_output=True, check=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    *versions, problem = done.stdout.splitlines()
    assert versions == ["1.35.3-1.1", "1.35.4-1.1"]
    assert problem.startswith(f"! {address}/absent: ")
    assert "404" in problem


def test_every_step_that_sends_something_has_a_golden() -> None:
    """A new step brings its golden along."""
    covered = {step.name for _, step, _ in SCRIPTS}
    flannel = make_inventory("  network: {plugin: flannel}")
    plans = (PLAIN, flannel, OWN, HIGHLY_AVAILABLE)
    sends = {step.name for step in CATALOGUE.values() for plan in plans if step.preview(situation("cp1", plan))}

    assert sends == covered


def test_no_golden_is_left_over() -> None:
    """A golden that no test reads is dead text."""
    names = {f"{name}.{'yaml' if step.name.startswith('network/') else 'sh'}" for name, step, _ in SCRIPTS}

    assert {path.name for path in GOLDEN.iterdir() if path.suffix in (".sh", ".yaml")} == names | {
        "facts.sh",
        "versions.sh",
        "survey-listen.sh",
        "survey-ask.sh",
        "survey-end.sh",
        "upgrade-snapshot-kept.sh",
    }


FSTAB = """\
# /etc/fstab: static file system information.
UUID=0a1b /               ext4    errors=remount-ro 0       1
/swap.img\tnone\tswap\tsw\t0\t0
  UUID=2c3d none            swap    sw              0       0
#/dev/sdb1 none swap sw 0 0
server:/swap /mnt/swap nfs defaults 0 0
"""


def test_the_swap_script_edits_fstab_by_its_fields(tmp_path: Path) -> None:
    """Run for real on a copy: swap entries become comments, everything else and a second run change nothing."""
    fstab = tmp_path / "fstab"
    fstab.write_text(FSTAB)
    body = STEPS["os/swap-off"].preview(situation("w1", PLAIN, files={"/etc/fstab": FileFact(FSTAB, "644")}))
    edit = body[body.index("  if test -e /etc/fstab") : body.index("  systemctl daemon-reload")]
    script = "set -euo pipefail\n" + edit.replace("/etc/fstab", str(fstab))

    subprocess.run(["bash", "-c", script], check=True)
    once = fstab.read_text()
    subprocess.run(["bash", "-c", script], check=True)

    assert fstab.read_text() == once
    assert once.splitlines()[2:4] == [
        "# off for Kubernetes: /swap.img\tnone\tswap\tsw\t0\t0",
        "# off for Kubernetes:   UUID=2c3d none            swap    sw              0       0",
    ]
    assert [line for line in once.splitlines() if not line.startswith("# off")] == [
        line for line in FSTAB.splitlines() if "/swap.img" not in line and "2c3d" not in line
    ]


def test_a_script_that_is_cut_off_does_nothing(tmp_path: Path) -> None:
    """Cut anywhere, the stream defines functions at most; only the whole text acts."""
    text = STEPS["os/sysctl"].preview(situation("w1", PLAIN)).replace("/run/clusterctl", str(tmp_path / "run"))
    for end in range(0, len(text) - 4, 7):
        subprocess.run(["bash", "-s"], input=text[:end], text=True, capture_output=True, check=False)

    assert not list(tmp_path.iterdir())
