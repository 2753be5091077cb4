"""Values for tests: each builder gives a whole, plausible value, and a test says only what it cares about."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterctl.model.facts import ClockFact, ClusterFacts, Disk, HostFacts, Link, NodeFacts, Package, Service
from clusterctl.model.inventory import Inventory, parse_inventory
from clusterctl.model.situation import Situation
from clusterctl.model.survey import EndpointFact, Fsync, Survey
from clusterctl.steps.preflight_identity import DISKS

PAUSE = "registry.k8s.io/pause:3.10.2"

DATA = Path(__file__).parent / "data"
PATCHES = DATA / "patches"
PASSWORD = "correct horse battery"
os.environ["MIRROR_PASSWORD"] = PASSWORD
SOURCES = f"""\
  proxy: {{http: "http://proxy.example:3128", no_proxy: [mirror.example, .internal.example, 10.0.0.0/8]}}
  sources:
    containerd: {{packages: docker}}
    registries:
      registry.k8s.io: {{mirrors: ["https://mirror.example:5000/v2/k8s", "http://plain.example"]}}
      mirror.example:5000: {{ca_file: {DATA}/ca.crt, username: puller, password: {{env: MIRROR_PASSWORD}}}}
      loose.example: {{skip_verify: true}}
"""
"""Lines of the key ``cluster`` with a source for everything, a proxy and a password."""

SWITCHES = f"""\
{SOURCES}\
  encryption_at_rest: true
  audit: {{policy: default}}
  patches: {PATCHES}
"""
"""Lines of the key ``cluster`` that make every optional step necessary."""

_INVENTORY = """\
cluster:
  name: demo
  kubernetes: 1.36.3
  endpoint: 192.0.2.11:6443
{extra}
hosts:
  - {{name: cp1, address: 192.0.2.11, role: control-plane}}
  - {{name: w1, address: 192.0.2.21, role: worker, labels: {{disk: ssd}}, taints: ["gpu=yes:NoSchedule"]}}
  - {{name: w2, address: 192.0.2.22, role: worker}}
"""


def make_inventory(extra: str = "") -> Inventory:
    """One control plane, two workers; ``extra`` are more lines of the key ``cluster``."""
    return parse_inventory(_INVENTORY.format(extra=extra))


def make_facts(name: str = "cp1", **changes: Any) -> HostFacts:
    """A fresh Debian 12 host, as it comes from its installer."""
    number = {"cp1": 11, "w1": 21, "w2": 22}[name]
    facts = HostFacts(
        hostname=name,
        machine_id=f"{number:032x}",
        boot_id=f"boot-{number}",
        os_id="debian",
        os_version="12",
        os_codename="bookworm",
        os_name="Debian GNU/Linux 12 (bookworm)",
        architecture="x86_64",
        kernel="6.1.0-1-amd64",
        cgroup="v2",
        cpus=2,
        memory_mib=4000,
        init="systemd",
        addresses=(f"192.0.2.{number}",),
        modules=frozenset({"overlay"}),
        sysctls={"net.ipv4.ip_forward": "0"},
        available=("1.36.2-1.1", "1.36.3-1.1"),
        packages={"curl": Package("7.88.1-10", held=False, intact=True)},
        services={
            "swap.target": Service("active", "static"),
            "systemd-timesyncd.service": Service("active", "enabled"),
        },
        links={f"192.0.2.{number}": Link("eth0", f"52:54:00:00:00:{number}", 1500)},
        host_keys=frozenset({f"ssh-ed25519 {name}"}),
        disks={path: Disk(50_000, 100_000, "/") for path in DISKS},
        clock=ClockFact(0.0, 0.1),
    )
    return replace(facts, **changes)


def make_node(name: str = "w1", **changes: Any) -> NodeFacts:
    """A worker that is Ready."""
    node = NodeFacts(
        name=name,
        ready=True,
        reason="",
        kubelet_version="1.36.3",
        internal_address="192.0.2.21",
        control_plane=False,
        unschedulable=False,
    )
    return replace(node, **changes)


def make_survey(**changes: Any) -> Survey:
    """What a host finds when all is well."""
    survey = Survey(
        endpoint=(EndpointFact("192.0.2.11", "", "cp1"),),
        registries=(("registry.k8s.io", ""),),
        fsync=Fsync(100, 1.0, 2.0),
    )
    return replace(survey, **changes)


def make_situation(host: str = "cp1", *, api: ClusterFacts | None = None, extra: str = "", **changes: Any) -> Situation:
    """The situation of ``host``, with ``changes`` to its facts; the other hosts are fresh."""
    inventory = make_inventory(extra)
    facts = {name: make_facts(name) for name in ("cp1", "w1", "w2")}
    facts[host] = make_facts(host, **changes)
    return Situation(inventory, inventory.host(host), facts, api, "" if api else "there is no cluster yet")
