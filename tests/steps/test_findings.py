"""Each finding about a host beside the others and about the network: what is found, and what an operator reads."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model import places
from clusterctl.model.facts import ClockFact, Disk, FileFact, Link, Route, Service
from clusterctl.model.survey import EndpointFact, Fsync, Survey, Way
from clusterctl.model.verdict import Blocked, Satisfied
from clusterctl.rules import surveying
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.cidrs import Cidrs
from clusterctl.steps.preflight.clock import Clock
from clusterctl.steps.preflight.disk_space import DiskSpace
from clusterctl.steps.preflight.docker import Docker
from clusterctl.steps.preflight.endpoint import Endpoint
from clusterctl.steps.preflight.etcd_disk import EtcdDisk
from clusterctl.steps.preflight.mac_address import MacAddress
from clusterctl.steps.preflight.mtu import Mtu
from clusterctl.steps.preflight.product_uuid import ProductUuid
from clusterctl.steps.preflight.reach import Reach
from clusterctl.steps.preflight.registries import Registries
from clusterctl.steps.preflight.ssh_host_keys import SshHostKeys
from clusterctl.steps.preflight.time_service import TimeService
from clusterctl.steps.preflight.unique_address import UniqueAddress
from tests.builders import make_facts, make_inventory, make_situation, make_survey

NODE = frozenset({places.KUBELET_CONF})
W2 = make_facts("w2")
FLANNEL = "  network: {plugin: flannel}\n"
CLONE = {"host_keys": frozenset({"ssh-rsa A", "ssh-ed25519 w2"})}


def way(peer: str = "cp1", problem: str = "", **changes: Any) -> Way:
    """The API server's port of a peer."""
    return replace(Way(peer, "tcp", 6443, problem, "" if problem else peer), **changes)


def disks(free: int, size: int = 100_000, mounted: str = "/") -> dict[str, Disk]:
    """All directories on one file system."""
    return {path: Disk(free, size, mounted) for path in places.DISKS}


def endpoint(problem: str, by: str = "", address: str = "203.0.113.5") -> Survey:
    """A survey that found this of the endpoint."""
    return make_survey(endpoint=(EndpointFact(address, problem, by),))


HOST_CASES: list[tuple[Finding, str, dict[str, Any], type, str]] = [
    (ProductUuid(), "w1", {}, Satisfied, "gives none"),
    (ProductUuid(), "w1", {"product_uuid": "4c4c"}, Satisfied, "4c4c"),
    (MacAddress(), "w1", {}, Satisfied, "52:54:00:00:00:21"),
    (MacAddress(), "w1", {"links": {}}, Satisfied, "none"),
    (
        MacAddress(),
        "w1",
        {"links": {"192.0.2.21": W2.links["192.0.2.22"]}},
        Blocked,
        "w2 has the same MAC address, 52:54:00:00:00:22",
    ),
    (
        MacAddress(),
        "w1",
        {"links": {"192.0.2.21": Link("eth0", "52:54:00:00:00:21", 1500), "10.0.2.15": W2.links["192.0.2.22"]}},
        Satisfied,
        "",
    ),
    (SshHostKeys(), "w1", {}, Satisfied, "of its own"),
    (SshHostKeys(), "w1", CLONE, Blocked, "w2 has the same SSH host key (ssh-ed25519)"),
    (Clock(), "w1", {}, Satisfied, "within"),
    (Clock(), "w1", {"clock": None}, Satisfied, "not measured"),
    (Clock(), "w1", {"clock": ClockFact(9.0, 0.2)}, Blocked, "9.0 s ahead of the other hosts'"),
    (Clock(), "w1", {"clock": ClockFact(-40.0, 0.2)}, Blocked, "40.0 s behind"),
    (Clock(), "w1", {"clock": ClockFact(3.0, 0.2)}, Satisfied, "~3.0 s ahead"),
    (Clock(), "w1", {"clock": ClockFact(6.0, 5.5)}, Satisfied, "within"),
    (TimeService(), "w1", {}, Satisfied, "systemd-timesyncd"),
    (TimeService(), "w1", {"services": {}}, Satisfied, "~no time service"),
    (DiskSpace(), "cp1", {}, Satisfied, "50000 MiB free"),
    (DiskSpace(), "cp1", {"disks": disks(7000)}, Blocked, "7000 MiB free for /var/lib/containerd"),
    (DiskSpace(), "w1", {"disks": disks(7000)}, Satisfied, "~/ has 7 % left"),
    (DiskSpace(), "w1", {"disks": disks(7000, 20_000)}, Satisfied, "7000 MiB"),
    (
        DiskSpace(),
        "cp1",
        {"disks": {**disks(50_000), "/var/lib/etcd": Disk(16, 16, "/var/lib/etcd")}},
        Blocked,
        "16 MiB free for /var/lib/etcd (on /var/lib/etcd), 2048 wanted",
    ),
    (DiskSpace(), "w1", {"disks": disks(10), "paths": NODE}, Satisfied, "a node already"),
    (UniqueAddress(), "w1", {}, Satisfied, "192.0.2.21"),
    (
        UniqueAddress(),
        "w1",
        {"addresses": ("192.0.2.22",)},
        Blocked,
        "w2 carries 192.0.2.22 as well",
    ),
    (Cidrs(), "w1", {"routes": (Route("192.0.2.0/24", "eth0"),)}, Satisfied, ""),
    (
        Cidrs(),
        "w1",
        {"routes": (Route("10.10.3.0/24", "tun0"),)},
        Blocked,
        "pod_cidr 10.10.0.0/16 overlaps the route to 10.10.3.0/24 on tun0",
    ),
    (Cidrs(), "w1", {"routes": (Route("10.10.3.0/24", "cni0"),)}, Satisfied, ""),
    (Cidrs(), "w1", {"routes": (Route("10.10.3.0/24", "tun0"),), "paths": NODE}, Satisfied, "node"),
    (Cidrs(), "w1", {"nameservers": ("10.96.1.1",)}, Blocked, "the name server 10.96.1.1"),
    (Cidrs(), "w1", {"addresses": ("10.10.0.5",)}, Blocked, "10.10.0.5, the address of w1"),
    (Cidrs(), "w1", {"routes": (Route("fd00::/64", "eth0"),)}, Satisfied, ""),
    (Docker(), "w1", {}, Satisfied, "none"),
    (Docker(), "w1", {"services": {places.DOCKER_SERVICE: Service("active", "enabled")}}, Blocked, "Docker runs"),
    (
        Docker(),
        "w1",
        {"files": {"/etc/containerd/config.toml": FileFact('disabled_plugins = ["cri"]\n', "644")}},
        Satisfied,
        "~/etc/containerd/config.toml is Docker's",
    ),
]

SURVEY_CASES: list[tuple[Finding, str, Survey | None, type, str]] = [
    (Reach(), "w1", make_survey(ways=(way(),)), Satisfied, "1 ways open"),
    (Reach(), "w1", None, Satisfied, "not asked"),
    (Reach(), "w1", Survey(problem="perl is not installed"), Blocked, "perl is not installed"),
    (
        Reach(),
        "w1",
        make_survey(ways=(way(problem="no answer"), way(problem="no answer", protocol="udp", port=8472), way("w2"))),
        Blocked,
        "cannot reach TCP 6443, UDP 8472 of cp1: no answer",
    ),
    (
        Reach(),
        "w1",
        make_survey(ways=(way(answered_by="w2"),)),
        Blocked,
        "w2 answers at the address of cp1",
    ),
    (
        Mtu(),
        "w1",
        make_survey(ways=(way(protocol="udp", port=8472, packet=1500, wanted=1500),)),
        Satisfied,
        "1500 bytes",
    ),
    (
        Mtu(),
        "w1",
        make_survey(ways=(way(protocol="udp", port=8472, packet=1400, wanted=1500),)),
        Blocked,
        "packets of 1500 bytes do not reach cp1 (1400 do)",
    ),
    (
        Mtu(),
        "w1",
        make_survey(ways=(way(problem="no answer", protocol="udp", wanted=1500),)),
        Satisfied,
        "not tried",
    ),
    (Endpoint(), "w1", make_survey(), Satisfied, "leads to cp1"),
    (Endpoint(), "w1", make_survey(endpoint=None), Satisfied, "not asked"),
    (Endpoint(), "w1", make_survey(endpoint=()), Blocked, "does not resolve"),
    (Endpoint(), "w1", endpoint("", "w2", "192.0.2.22"), Blocked, "an address of the worker w2"),
    (Endpoint(), "w1", endpoint("no answer", "", "192.0.2.11"), Blocked, "on cp1) cannot be reached"),
    (Endpoint(), "w1", endpoint("", "cp1"), Satisfied, "~203.0.113.5 is on no interface"),
    (Endpoint(), "w1", endpoint(""), Satisfied, "~203.0.113.5 is on no interface"),
    (Endpoint(), "w1", endpoint("", "w1"), Blocked, "w1 answers there"),
    (Endpoint(), "w1", endpoint("", "?"), Blocked, "something else answers"),
    (Endpoint(), "w1", endpoint("", "-"), Satisfied, "~the endpoint"),
    (Endpoint(), "w1", endpoint("Connection refused"), Satisfied, "~the endpoint"),
    (Endpoint(), "w1", endpoint("no answer"), Blocked, "cannot be reached from here: no answer"),
    (Registries(), "w1", make_survey(), Satisfied, "registry.k8s.io"),
    (
        Registries(),
        "w1",
        make_survey(registries=(("quay.io", "https://quay.io: curl: (6) no host"), ("registry.k8s.io", ""))),
        Blocked,
        "quay.io does not answer (https://quay.io: curl: (6) no host)",
    ),
    (
        Registries(),
        "w1",
        make_survey(registries=(("quay.io", "curl is not installed"),)),
        Satisfied,
        "~curl is not installed yet",
    ),
    (EtcdDisk(), "cp1", make_survey(), Satisfied, "median 1.0 ms"),
    (EtcdDisk(), "w1", make_survey(fsync=None), Satisfied, "no etcd on a worker"),
    (EtcdDisk(), "cp1", make_survey(fsync=None), Satisfied, "~not measured"),
    (EtcdDisk(), "cp1", make_survey(fsync=Fsync(100, 1.0, 24.0)), Satisfied, "~100 writes"),
    (EtcdDisk(), "cp1", make_survey(fsync=Fsync(60, 13.0, 24.0)), Blocked, "slow: 60 writes"),
]


def expect(verdict: object, kind: type, text: str) -> None:
    """The verdict is of this kind and says this; a text that begins with ``~`` asks for a warning."""
    assert isinstance(verdict, kind)
    assert isinstance(verdict, Satisfied | Blocked)
    said = verdict.note if isinstance(verdict, Satisfied) else verdict.reason
    assert text.removeprefix("~") in said
    if isinstance(verdict, Satisfied):
        assert verdict.warning == text.startswith("~")


@pytest.mark.parametrize(("step", "host", "changes", "kind", "text"), HOST_CASES)
def test_findings_by_facts(step: Finding, host: str, changes: dict[str, Any], kind: type, text: str) -> None:
    """The finding answers with this verdict and names this fact."""
    expect(step.check(make_situation(host, **changes)), kind, text)


@pytest.mark.parametrize(("step", "host", "survey", "kind", "text"), SURVEY_CASES)
def test_findings_by_the_survey(step: Finding, host: str, survey: Survey | None, kind: type, text: str) -> None:
    """The finding answers with this verdict and names what was tried."""
    situation = replace(make_situation(host), surveys={host: survey} if survey else {})

    expect(step.check(situation), kind, text)


def test_clones_name_each_other() -> None:
    """Three alike: each names the other two."""
    facts = {name: make_facts(name, product_uuid="4c4c") for name in ("cp1", "w1", "w2")}
    situation = replace(make_situation("w1"), all_facts=facts)

    expect(ProductUuid().check(situation), Blocked, "cp1 and w2 have the same product_uuid, 4c4c")


def test_hosts_that_agree_with_each_other_and_not_with_us() -> None:
    """The operator's own computer may be the one that is wrong: a warning."""
    facts = {name: make_facts(name, clock=ClockFact(900.0, 0.2)) for name in ("cp1", "w1", "w2")}
    situation = replace(make_situation("w1"), all_facts=facts)

    expect(Clock().check(situation), Satisfied, "~900 s ahead of this computer's")


@pytest.mark.parametrize(
    "step", [step for step in CATALOGUE.values() if isinstance(step, Finding)], ids=lambda step: step.name
)
def test_every_finding_can_be_ignored_and_stays_seen(step: Finding) -> None:
    """Whatever blocks becomes a warning with the same words; the step itself is left as it is."""
    situation = make_situation("cp1", hostname="localhost", init="runit")

    verdict, ignored = step.check(situation), step.ignored().check(situation)

    if isinstance(verdict, Blocked):
        assert ignored == Satisfied(f"ignored by the operator: {verdict.reason}", warning=True)
    else:
        assert ignored == verdict
    assert step.check(situation) == verdict


def test_the_survey_asks_what_a_worker_needs() -> None:
    """The API server of the control plane and the pod network of all; etcd is nobody's business but theirs."""
    inventory = make_inventory(FLANNEL)
    facts = {name: make_facts(name) for name in ("cp1", "w1", "w2")}
    listening = surveying.listening(inventory, facts)
    bound = {name: frozenset(str(port) for port in _ports(values)) for name, values in listening.items()}

    asking = surveying.asking(inventory, facts, bound)

    assert listening["cp1"]["ports"] == ["tcp/10250", "tcp/6443", "tcp/2379", "tcp/2380", "udp/8472"]
    assert listening["w1"]["ports"] == ["tcp/10250", "udp/8472"]
    assert _tasks(asking["w1"]) == {
        ("udp", "w2", "192.0.2.22", "8472", "1500"),
        ("tcp", "cp1", "192.0.2.11", "6443", "1"),
        ("udp", "cp1", "192.0.2.11", "8472", "1500"),
    }
    assert {task[:4] for task in _tasks(asking["cp1"]) if task[0] == "tcp"} == {
        ("tcp", "w1", "192.0.2.21", "10250"),
        ("tcp", "w2", "192.0.2.22", "10250"),
    }
    assert asking["cp1"]["endpoint"] == ("192.0.2.11", "6443", "1")
    assert (asking["cp1"]["fsync"], asking["w1"]["fsync"]) == ("/var/lib/etcd", "")


def test_calico_asks_for_its_own_ports_and_packets() -> None:
    """Typha among all; VXLAN on another port; an MTU of the inventory for pods makes the packet to try."""
    inventory = make_inventory("  network: {plugin: calico, mtu: 1400, registry: registry.example:5000/calico}\n")
    facts = {name: make_facts(name) for name in ("cp1", "w1", "w2")}

    asking = surveying.asking(inventory, facts, {"w1": frozenset({"tcp/10250", "tcp/5473", "udp/4789"})})

    assert surveying.listening(inventory, facts)["w1"]["ports"] == ["tcp/10250", "tcp/5473", "udp/4789"]
    assert _tasks(asking["w2"]) == {
        ("tcp", "w1", "192.0.2.21", "5473", "1"),
        ("udp", "w1", "192.0.2.21", "4789", "1450"),
    }
    assert asking["w2"]["registries"] == [
        ("registry.k8s.io", "https://registry.k8s.io"),
        ("registry.example:5000", "https://registry.example:5000"),
    ]


def test_nodes_are_not_surveyed() -> None:
    """A second run asks nobody; a new worker asks, and what runs on the nodes answers instead of listeners."""
    inventory = make_inventory()
    facts = {name: make_facts(name, paths=NODE) for name in ("cp1", "w1", "w2")}
    assert surveying.listening(inventory, facts) == {}

    facts["w2"] = make_facts("w2")
    asking = surveying.asking(inventory, facts, {"w1": frozenset(), "cp1": frozenset()})

    assert set(surveying.listening(inventory, facts)) == {"cp1", "w1", "w2"}
    assert set(asking) == {"w2"}
    assert _tasks(asking["w2"]) == {("tcp", "cp1", "192.0.2.11", "6443", "0")}
    assert asking["w2"]["endpoint"] == ("192.0.2.11", "6443", "0")


def test_mirrors_of_a_registry_are_asked_first() -> None:
    """In the inventory's order, the registry itself last."""
    inventory = make_inventory(
        FLANNEL
        + "  sources:\n    registries:\n      registry.k8s.io: {mirrors: ['http://mirror:5000/v2/'], http: true}\n"
    )
    asking = surveying.asking(inventory, {"w1": make_facts("w1")}, {})

    assert asking["w1"]["registries"] == [
        ("registry.k8s.io", "http://mirror:5000", "http://registry.k8s.io"),
        ("ghcr.io", "https://ghcr.io"),
    ]


def _ports(values: dict[str, object]) -> list[str]:
    ports = values["ports"]
    assert isinstance(ports, list)
    return ports


def _tasks(values: dict[str, object]) -> set[tuple[str, ...]]:
    """The flat list of words as rows of five."""
    words = values["tasks"]
    assert isinstance(words, list)
    return {tuple(words[start : start + 5]) for start in range(0, len(words), 5)}
