"""Values for tests: each builder gives a whole, plausible value, and a test says only what it cares about."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterctl.model.facts import ClockFact, ClusterFacts, Disk, HostFacts, Link, NodeFacts, Package, Route, Service
from clusterctl.model.inventory import Inventory, parse_inventory
from clusterctl.model.places import DISKS
from clusterctl.model.pods import Budget, Owner, PodFacts
from clusterctl.model.situation import Situation
from clusterctl.model.survey import EndpointFact, Fsync, Survey

PAUSE = "registry.k8s.io/pause:3.10.2"
PAUSES = {"1.34": "registry.k8s.io/pause:3.10.1", "1.35": "registry.k8s.io/pause:3.10.1", "1.36": PAUSE}
"""The pause image of each minor, as kubeadm names it."""

DATA = Path(__file__).parent / "data"
PATCHES = DATA / "patches"
PASSWORD = "correct horse battery"
os.environ["MIRROR_PASSWORD"] = PASSWORD
VIRTUAL_IP = "192.0.2.100"
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
"""Lines of the key ``cluster`` that make every optional step necessary but those of a virtual IP."""
VIRTUAL = f"  virtual_ip: {VIRTUAL_IP}\n"
"""The line of the key ``cluster`` that gives the endpoint an address of its own."""

_INVENTORY = """\
cluster:
  name: demo
  kubernetes: {kubernetes}
  endpoint: {endpoint}
{extra}
hosts:
{planes}
  - {{name: w1, address: 192.0.2.21, role: worker, labels: {{disk: ssd}}, taints: ["gpu=yes:NoSchedule"]}}
  - {{name: w2, address: 192.0.2.22, role: worker}}
{spares}"""


def make_inventory(
    extra: str = "", *, control_planes: int = 1, kubernetes: str = "1.36.3", spares: int = 0
) -> Inventory:
    """Control planes, two workers, and spares; ``extra`` are more lines of the key ``cluster``."""
    planes = "\n".join(
        f"  - {{name: cp{number}, address: 192.0.2.{10 + number}, role: control-plane}}"
        for number in range(1, control_planes + 1)
    )
    more = "".join(
        f"  - {{name: w{number}, address: 192.0.2.{20 + number}, role: spare}}\n" for number in range(3, 3 + spares)
    )
    virtual = "virtual_ip:" in extra
    endpoint = f"{VIRTUAL_IP}:8443" if virtual else "192.0.2.11:6443"
    return parse_inventory(
        _INVENTORY.format(endpoint=endpoint, extra=extra, planes=planes, kubernetes=kubernetes, spares=more)
    )


def make_facts(name: str = "cp1", **changes: Any) -> HostFacts:
    """A fresh Debian 12 host, as it comes from its installer."""
    number = {"cp1": 11, "cp2": 12, "cp3": 13, "w1": 21, "w2": 22, "w3": 23, "w4": 24}[name]
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
        routes=(Route("192.0.2.0/24", "eth0"),),
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


def make_pod(name: str = "web-1", node: str = "w1", **changes: Any) -> PodFacts:
    """A ready pod of a Deployment."""
    pod = PodFacts(
        namespace="shop",
        name=name,
        uid=f"uid-{name}",
        node=node,
        labels={"app": "web", "pod-template-hash": "5d4f"},
        controller=Owner("ReplicaSet", "web-5d4f", "uid-web"),
    )
    return replace(pod, **changes)


def make_budget(name: str = "web", **changes: Any) -> Budget:
    """A budget of the pods that ``make_pod`` makes, which lets one of two go."""
    budget = Budget("shop", name, 1, 2, 1, 2, selector={"matchLabels": {"app": "web"}})
    return replace(budget, **changes)


def make_survey(**changes: Any) -> Survey:
    """What a host finds when all is well."""
    survey = Survey(
        endpoint=(EndpointFact("192.0.2.11", "", "cp1"),),
        registries=(("registry.k8s.io", ""),),
        fsync=Fsync(100, 1.0, 2.0),
    )
    return replace(survey, **changes)


def make_situation(
    host: str = "cp1",
    *,
    api: ClusterFacts | None = None,
    extra: str = "",
    control_planes: int = 1,
    spares: int = 0,
    others: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Situation:
    """The situation of ``host``, with ``changes`` to its facts and those of ``others``; all else is fresh."""
    inventory = make_inventory(extra, control_planes=control_planes, spares=spares)
    facts = {each.name: make_facts(each.name, **(others or {}).get(each.name, {})) for each in inventory.hosts}
    facts[host] = make_facts(host, **changes)
    return Situation(inventory, inventory.host(host), facts, api, "" if api else "there is no cluster yet")
