"""A cluster in memory: scripts and API verbs change it, the observer reads it.

The fake host and the fake API share one world, so a join that runs on a host makes a node appear in the API. The
fake reacts to a script's name, takes files from its ``put_file`` lines, and refuses what it does not know.
"""

import hashlib
import io
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

from clusterctl.engine.events import Event
from clusterctl.engine.playbook import Playbook
from clusterctl.engine.runner import Runner
from clusterctl.engine.view import View
from clusterctl.errors import CommandFailed, ConnectError, KubernetesError, OutcomeUnknown, Refused
from clusterctl.model import places
from clusterctl.model.facts import (
    Applied,
    CalicoFacts,
    ClusterFacts,
    ComponentStatus,
    Cordon,
    EtcdMember,
    FileFact,
    HostFacts,
    NodeFacts,
    Package,
    Service,
    Workload,
)
from clusterctl.model.inventory import DrainOptions, Host, Inventory, Source
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
from clusterctl.model.secret import Secret
from clusterctl.model.survey import Survey
from clusterctl.render import Script
from clusterctl.rules import network, packages, upgrading
from clusterctl.rules.drain import SOFT_TAINT, leaving
from clusterctl.rules.kernel import MODULES, sysctls
from clusterctl.rules.versions import at_least, minor, minor_text
from clusterctl.steps.control_plane.init import FINISHED
from clusterctl.steps.step import ClusterApi, Machine, Saved, Tools
from clusterctl.steps.upgrade.snapshot import FOLDER
from tests.builders import PAUSES, make_facts, make_node, make_survey

Fault = Literal[
    "fails",
    "drops before",
    "drops during",
    "drops after",
    "killed before",
    "killed during",
    "killed after",
    "reboots before",
    "reboots during",
    "reboots after",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
# After so many looks a script that goes on without us has ended, an API server has started with its host.
_LOOKS = 3

SWAP = "/swapfile"
OPERATOR = "ada@desk"
FSTAB = {"/etc/fstab": FileFact(f"UUID=1 / ext4 errors=remount-ro 0 1\n{SWAP} none swap sw 0 0\n", "644")}


class Killed(BaseException):
    """clusterctl itself is gone at this moment."""


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds that only grow."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds


@dataclass
class World:
    """Hosts and API, and what has been done to them, in order.

    The action with the number ``break_at`` meets ``fault``; so does each of ``faults``, by host and name, once.
    ``secrets`` are the files below /run, which go with a reboot. ``saved`` are the digests of what lies on hosts to be
    copied, ``kept`` the folders of the operator with what is in them.
    """

    inventory: Inventory
    hosts: dict[str, HostFacts] = field(default_factory=dict)
    api: ClusterFacts | None = None
    actions: list[tuple[str, str]] = field(default_factory=list)
    break_at: int | None = None
    fault: Fault = "fails"
    lock: threading.RLock = field(default_factory=threading.RLock)
    surveys: dict[str, Survey] = field(default_factory=dict)
    surveyed: list[set[str]] = field(default_factory=list)
    pending: dict[str, tuple[Callable[[], None], int]] = field(default_factory=dict)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    certificate_key: str = ""
    api_starts: int = 0
    pods: Pods = field(default_factory=Pods)
    saved: dict[str, dict[str, str]] = field(default_factory=dict)
    kept: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.hosts:
            available = (f"{self.inventory.cluster.kubernetes}-1.1",)
            self.hosts = {
                host.name: make_facts(host.name, swaps=(SWAP,), files=FSTAB, available=available)
                for host in self.inventory.hosts
            }
        self._fresh = dict(self.hosts)

    def act(self, host: str, name: str, effect: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        """Do ``effect``, or what the fault of this moment makes of it; ``half`` is what a power cut leaves of it."""
        with self.lock:
            self.actions.append((host, name))
            fault = self.faults.pop((host, name), None)
            if self.break_at == len(self.actions) - 1:
                fault = self.fault
            what, _, when = (fault or "").partition(" ")
            if what == "fails":
                raise CommandFailed(f"{host}: {name} exited with 1")
            if when == "after" or not what:
                effect()
            elif when == "during" and what == "reboots":
                half()
            elif when == "during":
                self.pending[host] = (effect, _LOOKS)
            if what == "killed":
                raise Killed
            if what == "reboots":
                self.reboot(self.inventory.first_control_plane.name if host == "api" else host)
            if what:
                raise OutcomeUnknown(f"{host}: the connection broke in {name}")

    def reboot(self, name: str) -> None:
        """The host starts again: what is on its disk decides how it comes up, and a script in hand is gone."""
        self.pending.pop(name, None)
        self.secrets.pop(name, None)
        self.hosts[name] = _rebooted(self.hosts[name], self._fresh[name])
        if self.api and places.KUBELET_CONF in self.hosts[name].paths and name not in self.api.nodes:
            # A kubelet registers its node whenever it starts.
            node = make_node(name, kubelet_version=packages.installed(self.hosts[name], "kubelet"))
            self.api = replace(self.api, nodes={**self.api.nodes, name: node})
        if name == self.inventory.first_control_plane.name:
            self.api_starts = _LOOKS

    def obey(self, refused: Refused) -> None:
        """Do by hand what a refusal asks for: ``dpkg --configure``, or ``kubeadm reset`` with what stands beside it."""
        name = refused.what.partition(":")[0]
        facts = self.hosts[name]
        if "dpkg --configure -a" in refused.resolution:
            _configure_packages(self, self.inventory.host(name))
        elif "kubeadm reset" in refused.resolution:
            files = {path: file for path, file in facts.files.items() if path != places.CA_CERT}
            kept = facts.paths & {places.KUBERNETES_KEYRING, places.CONTAINERD_KEYRING}
            self.hosts[name] = replace(facts, paths=kept, files=files, etcd_members=None, static_pods={})
            # kubeadm knows by its manifest that there is a member to take out.
            if places.MANIFESTS[0] in facts.paths or f"member remove {name}" in refused.resolution:
                self._forget(name)
        else:
            raise refused

    def _forget(self, name: str) -> None:
        """``kubeadm reset`` takes its member out of etcd; ``kubectl delete node`` stands beside it in a refusal."""
        for other, facts in self.hosts.items():
            if facts.etcd_members is not None:
                members = tuple(member for member in facts.etcd_members if member.id != name)
                self.hosts[other] = replace(facts, etcd_members=members)
        if self.api is not None:
            nodes = {each: node for each, node in self.api.nodes.items() if each != name}
            self.api = replace(self.api, nodes=nodes)

    # What the engine's Observer reads.

    def look(self, host: Host) -> HostFacts:
        """The facts; a script that goes on without us ends after a few looks."""
        with self.lock:
            if host.name in self.pending:
                effect, looks = self.pending.pop(host.name)
                if looks:
                    self.pending[host.name] = (effect, looks - 1)
                    return replace(self.hosts[host.name], busy="a script")
                effect()
            return self.hosts[host.name]

    def look_at_api(self) -> ClusterFacts:
        """The API's facts; nodes are Ready once the network plugin is there."""
        with self.lock:
            if "api" in self.pending:
                self.pending.pop("api")[0]()
            self.api_starts, starts = max(0, self.api_starts - 1), self.api_starts
            if self.api is None or starts:
                raise KubernetesError("the API server does not answer")
            boots = {name: facts.boot_id for name, facts in self.hosts.items()}
            nodes = {name: replace(node, boot_id=boots.get(name, "")) for name, node in self.api.nodes.items()}
            return replace(self.api, nodes=nodes)

    def look_at_pods(self) -> Pods:
        """The pods, of an API that answers."""
        with self.lock:
            if self.api is None or self.api_starts:
                raise KubernetesError("the API server does not answer")
            return self.pods

    def look_around(self, pods: Pods) -> Around:
        """What ``pods`` says of it."""
        return self.pods.around

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """The simulated API server refuses a ready pod that a budget without a disruption left covers."""
        refused = {}
        for pod in pods:
            budgets = [budget for budget in self.pods.budgets_of(pod) if pod.ready]
            if len(budgets) > 1:
                refused[str(pod)] = Refusal(500, "This pod has more than one PodDisruptionBudget", by_budget=True)
            elif budgets and budgets[0].disruptions_allowed < 1:
                refused[str(pod)] = Refusal(429, f"The disruption budget {budgets[0].name} holds", by_budget=True)
        return refused

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Every host that is to join finds what it needs."""
        joined = {name for name, each in facts.items() if places.KUBELET_CONF in each.paths}
        usual = make_survey(endpoint=None) if self.inventory.cluster.virtual_ip else make_survey()
        found = {name: self.surveys.get(name, usual) for name in facts if name not in joined}
        self.surveyed.append(set(found))
        return found

    def reconnect(self, host: Host, deadline: float) -> None:
        """A lost host is back at once."""

    def fetch(self, source: Source) -> str:
        """A manifest's place stands for its text."""
        return f"# {source}\n"


@dataclass(frozen=True)
class FakeMachine:
    """Runs scripts on one host of the world."""

    world: World
    host: Host

    def run(self, script: Script) -> str:
        """React to the script's name."""
        half = _HALVES.get(script.name, _nothing)
        self.world.act(
            self.host.name,
            script.name,
            lambda: _EFFECTS[script.name](self.world, self.host, script),
            lambda: half(self.world, self.host, script),
        )
        return SAVED if script.name == "upgrade/snapshot" else ""

    def put_secret(self, path: str, content: Secret) -> None:
        """Keep what is written below /run/clusterctl until a script uses it."""
        assert path.startswith("/run/clusterctl/")
        secrets, name, text = self.world.secrets, self.host.name, content.reveal()
        self.world.act(name, f"put {path}", lambda: secrets.setdefault(name, {}).update({path: text}))

    def fetch(self, path: str) -> Secret:
        """The digest of a secret file stands for its text."""
        return Secret(self.world.hosts[self.host.name].digests[path])

    def copy(self, path: str, to: Path, *, sha256: str) -> None:
        """What was saved on the host arrives, unless the connection breaks twice; the digest stands for the content."""
        assert self.world.saved[self.host.name][path] == sha256

        def arrive() -> None:
            if to.parent.is_dir():  # The operator's folders are real where the whole command line is.
                to.write_text(sha256)

        try:
            self.world.act(self.host.name, f"copy {path}", arrive)
        except OutcomeUnknown as error:
            raise ConnectError(error.what) from error


@dataclass(frozen=True)
class FakeArchive:
    """The operator's folders."""

    world: World

    def keep(self, name: str, machine: Machine, files: Mapping[str, Saved], texts: Mapping[str, str]) -> str:
        """A folder is there once everything in it is."""
        for own, file in files.items():
            machine.copy(file.path, Path(name) / own, sha256=file.sha256)
        self.world.kept[name] = {**{own: file.sha256 for own, file in files.items()}, **texts}
        return f"operator@desk:/backups/{name}"


@dataclass(frozen=True)
class FakeApi:
    """Changes the world's cluster."""

    world: World

    def _change(
        self,
        verb: str,
        effect: Callable[[ClusterFacts], ClusterFacts],
        half: Callable[[ClusterFacts], ClusterFacts] = lambda api: api,
    ) -> None:
        def act(change: Callable[[ClusterFacts], ClusterFacts]) -> None:
            if self.world.api is None or self.world.api_starts:
                raise KubernetesError(f"{verb}: the API server does not answer")
            self.world.api = change(self.world.api)

        try:
            self.world.act("api", verb, lambda: act(effect), lambda: act(half))
        except CommandFailed as error:
            raise KubernetesError(error.what) from error

    def create_join_token(self, *, ttl_seconds: int) -> Secret:
        """A token that the world lists."""
        self._change("create token", lambda api: replace(api, join_tokens=(*api.join_tokens, "token")))
        return Secret("abcdef.0123456789abcdef")

    def delete_join_tokens(self) -> None:
        """No token is left."""
        self._change("delete tokens", lambda api: replace(api, join_tokens=()))

    def set_labels(self, node: str, labels: Mapping[str, str | None]) -> None:
        """Labels of the node."""

        def effect(api: ClusterFacts) -> ClusterFacts:
            old = api.nodes[node]
            new = {key: value for key, value in {**old.labels, **labels}.items() if value is not None}
            owned = old.owned_labels | labels.keys()
            return replace(api, nodes={**api.nodes, node: replace(old, labels=new, owned_labels=owned)})

        self._change(f"label {node}", effect)

    def set_taints(self, node: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        """Taints of the node."""

        def effect(api: ClusterFacts) -> ClusterFacts:
            old = api.nodes[node]
            taints = (*(taint for taint in old.taints if taint not in remove), *add)
            new = replace(old, taints=taints, owned_taints=old.owned_taints | set(add))
            return replace(api, nodes={**api.nodes, node: new})

        self._change(f"taint {node}", effect)

    def apply(self, manifest: str, *, record: str = "", digest: str = "") -> None:
        """What is recorded is there; once a plugin has all it needs, every node turns Ready."""

        def effect(api: ClusterFacts) -> ClusterFacts:
            if record:
                loads = _OWN_WORKLOADS if record == "network/manifests" else ()
                api = replace(api, applied={**api.applied, record: Applied(digest, loads)})
            if record == "network/calico-crds":
                return replace(api, calico=CalicoFacts(network.CALICO_KINDS))
            if record == "network/calico-operator":
                return _with_workload(api, network.OPERATOR, digest)
            nodes = {name: replace(node, ready=True) for name, node in api.nodes.items()}
            api = replace(api, nodes=nodes)
            if record == "network/manifests":
                return _with_workload(api, _OWN_WORKLOADS[0], digest)
            if "kind: Installation" in manifest:
                return _with_calico(api, manifest)
            flannel = Workload("DaemonSet", "kube-flannel", "kube-flannel-ds", 1, 1, (), manifest_digest(manifest))
            return replace(api, workloads={**api.workloads, network.FLANNEL: flannel})

        def begun(api: ClusterFacts) -> ClusterFacts:
            return replace(api, applied={**api.applied, record: Applied("")}) if record else api

        self._change("apply" if not record else f"apply {record}", effect, begun)

    def cordon(self, node: str, *, by: str) -> None:
        """The mark remembers what was before the first cordon."""

        def mark(old: NodeFacts) -> NodeFacts:
            made = old.cordoned or Cordon(by, "2026-01-01T00:00:00Z", old.unschedulable)
            drained = made.drained and old.unschedulable
            return replace(old, unschedulable=True, cordoned=replace(made, drained=drained))

        self._change_node("cordon", node, mark)

    def uncordon(self, node: str) -> None:
        """No mark is left, and what was before it is so again."""

        def unmark(old: NodeFacts) -> NodeFacts:
            taints = tuple(taint for taint in old.taints if taint != SOFT_TAINT)
            before = old.cordoned.unschedulable if old.cordoned else old.unschedulable
            return replace(old, unschedulable=before, cordoned=None, taints=taints)

        self._change_node("uncordon", node, unmark)

    def remove_node(self, node: str) -> None:
        """The node, and the pods on it."""

        def effect(api: ClusterFacts) -> ClusterFacts:
            old = api.nodes[node]
            assert old.cordoned is not None
            assert old.cordoned.drained, f"{node} is not drained"
            assert not old.control_plane
            pods = tuple(pod for pod in self.world.pods.pods if pod.node != node)
            self.world.pods = replace(self.world.pods, pods=pods)
            return replace(api, nodes={name: each for name, each in api.nodes.items() if name != node})

        self._change(f"remove {node}", effect)

    def soft_taint(self, node: str) -> None:
        """The taint, once."""
        self._change_node(
            "soft-taint", node, lambda old: replace(old, taints=tuple(dict.fromkeys((*old.taints, SOFT_TAINT))))
        )

    def drain(self, node: str, options: DrainOptions, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        """The pods that leave are gone at once; a fault in the middle leaves half of them.

        Those that are labelled so are made again in the same place.
        """
        going = leaving(self.world.pods, node, options)
        if going.fatal:
            raise Refused(f"{node} cannot be drained: {going.fatal[0].pod} {going.fatal[0].reason}")

        def leave(api: ClusterFacts, gone: tuple[PodFacts, ...]) -> ClusterFacts:
            back = {pod.uid for pod in gone if pod.labels == COMES_BACK}
            kept = [pod for pod in self.world.pods.pods if pod not in gone or pod.uid in back]
            pods = tuple(replace(pod, uid="another") if pod.uid in back else pod for pod in kept)
            self.world.pods = replace(self.world.pods, pods=pods)
            return api

        def drained(api: ClusterFacts) -> ClusterFacts:
            old = api.nodes[node]
            mark = replace(old.cordoned, drained=True) if old.cordoned else None
            return leave(replace(api, nodes={**api.nodes, node: replace(old, cordoned=mark)}), going.evicted)

        half = going.evicted[: len(going.evicted) // 2]
        self._change(f"drain {node}", drained, lambda api: leave(api, half))

    def _change_node(self, verb: str, node: str, change: Callable[[NodeFacts], NodeFacts]) -> None:
        self._change(f"{verb} {node}", lambda api: replace(api, nodes={**api.nodes, node: change(api.nodes[node])}))


COMES_BACK = {"whatever": "is cordoned"}
"""The labels of a pod that is made again on the node that it left."""
_OWN_WORKLOADS = ("own/DaemonSet/plugin",)


def _with_workload(api: ClusterFacts, key: str, digest: str) -> ClusterFacts:
    namespace, kind, name = key.split("/")
    return replace(api, workloads={**api.workloads, key: Workload(kind, namespace, name, 1, 1, (), digest)})


def _with_calico(api: ClusterFacts, manifest: str) -> ClusterFacts:
    """The operator does at once what it is told."""
    spec = next(yaml.load_all(manifest, yaml.CSafeLoader))["spec"]
    done = ComponentStatus(available=True, progressing=False, degraded=False, observed=1)
    facts = CalicoFacts(network.CALICO_KINDS, spec, 1, "v3.32.1", True, 1, dict.fromkeys(("calico", "apiserver"), done))
    return _with_workload(replace(api, calico=facts), network.CALICO_NODE, "")


def put_files(script: Script) -> dict[str, FileFact]:
    """The files that a script writes by ``put_file``."""
    return _put_files(script.text)


@cache
def _put_files(text: str) -> dict[str, FileFact]:
    files = {}
    for match in re.finditer(r"^  put_file ", text, re.MULTILINE):
        reader = shlex.shlex(io.StringIO(text[match.end() :]), posix=True)
        reader.whitespace_split = True
        reader.commenters = ""
        path, mode, content = (reader.get_token() or "" for _ in range(3))
        files[path] = FileFact(content, mode.lstrip("0"))
    return files


def _host(world: World, host: Host, **changes: object) -> None:
    world.hosts[host.name] = replace(world.hosts[host.name], **changes)  # type: ignore[arg-type]


def _written(world: World, host: Host, script: Script, **changes: object) -> None:
    _host(world, host, files={**world.hosts[host.name].files, **put_files(script)}, **changes)


def _services(world: World, host: Host, **services: Service) -> dict[str, Service]:
    return {**world.hosts[host.name].services, **{name.replace("_", "."): value for name, value in services.items()}}


def _rebooted(facts: HostFacts, fresh: HostFacts) -> HostFacts:
    """What a host is after its boot. ``fresh`` is how its installer's own settings bring it up."""

    def lines(path: str) -> list[str]:
        return [line for line in (facts.file(path) or "").splitlines() if not line.startswith("#")]

    def started(name: str, service: Service) -> Service:
        if name == places.KUBELET_SERVICE and service.enabled == "enabled":
            return _kubelet(places.KUBELET_CONF in facts.paths)
        return replace(service, active="active" if service.enabled in ("enabled", "static") else "inactive")

    sysctls = dict(line.split(" = ") for line in lines("/etc/sysctl.d/99-kubernetes.conf"))
    services = {name: started(name, service) for name, service in facts.services.items()}
    containerd_config = services.get("containerd.service")
    return replace(
        facts,
        boot_id=f"{facts.boot_id}, again",
        swaps=tuple(line.split()[0] for line in lines("/etc/fstab") if " swap " in line),
        modules=fresh.modules | set(lines("/etc/modules-load.d/kubernetes.conf")),
        sysctls={**fresh.sysctls, **sysctls},
        paths=frozenset(path for path in facts.paths if not path.startswith("/run/")),
        services=services,
        containerd_config=facts.containerd_config if containerd_config and containerd_config.active == "active" else "",
        haproxy_unused=None if facts.haproxy_unused is None else frozenset(),
    )


def _kubelet(joined: bool) -> Service:
    return Service("active" if joined else "activating", "enabled")


def _configure_packages(world: World, host: Host) -> None:
    """dpkg ends what it had begun."""
    facts = world.hosts[host.name]
    done = {name: replace(package, intact=True) for name, package in facts.packages.items()}
    version = "2.3.7" if "containerd" in facts.dpkg_problem else facts.containerd_version
    _host(world, host, packages=done, containerd_version=version, dpkg_problem="")


def _swap_off(world: World, host: Host, script: Script) -> None:
    fstab = world.hosts[host.name].file("/etc/fstab") or ""
    lines = [f"# off for Kubernetes: {line}" if " swap " in line else line for line in fstab.splitlines(True)]
    _host(
        world,
        host,
        swaps=(),
        files={**world.hosts[host.name].files, "/etc/fstab": FileFact("".join(lines), "644")},
        services=_services(world, host, swap_target=Service("inactive", "masked")),
    )


def _kubernetes(world: World, host: Host, script: Script) -> None:
    _install(world, host, *places.KUBERNETES_PACKAGES)
    _host(
        world,
        host,
        services=_services(world, host, kubelet_service=_kubelet(joined=False)),
        available=None,
    )


def _install(world: World, host: Host, *names: str, intact: bool = True) -> None:
    """Packages at the wanted version; of kubeadm, the images that it names from now on as well."""
    version = world.inventory.cluster.kubernetes
    found = {name: Package(f"{version}-1.1", held=intact, intact=intact) for name in names}
    _host(world, host, packages={**world.hosts[host.name].packages, **found})
    if "kubeadm" in names:
        _host(world, host, images=(PAUSES[minor_text(version)],))


def _manifests(world: World, host: Host, version: str = "", *components: str) -> None:
    """The host's manifests name these components at this version, and the kubelet runs them."""
    version = version or world.inventory.cluster.kubernetes
    images = {name: f"registry.k8s.io/{name}:v{version}" for name in components or upgrading.COMPONENTS}
    pods = {"etcd": "registry.k8s.io/etcd:3.6.8-0", **world.hosts[host.name].static_pods, **images}
    _host(world, host, static_pods=pods)
    assert world.api is not None
    named = {f"{name}-{host.name}": image for name, image in pods.items()}
    world.api = replace(
        world.api,
        static_pods={**world.api.static_pods, **dict.fromkeys(named, True)},
        static_pod_images={**world.api.static_pod_images, **named},
    )


def _init(world: World, host: Host, script: Script) -> None:
    version = world.inventory.cluster.kubernetes
    _written(
        world,
        host,
        script,
        paths=world.hosts[host.name].paths | {ADMIN_CONF, places.KUBELET_CONF, places.ETCD_DATA, *places.MANIFESTS},
    )
    files = {**world.hosts[host.name].files, places.CA_CERT: FileFact("CA\n", "644")}
    _host(world, host, files=files, services=_services(world, host, kubelet_service=_kubelet(joined=True)))
    _etcd_of(world, host)
    world.api = ClusterFacts(
        version=version,
        nodes={
            host.name: make_node(
                host.name, control_plane=True, ready=False, reason="no network plugin", kubelet_version=version
            )
        },
        workloads={
            "kube-system/DaemonSet/kube-proxy": Workload("DaemonSet", "kube-system", "kube-proxy", 1, 1, ()),
            "kube-system/Deployment/coredns": Workload("Deployment", "kube-system", "coredns", 2, 2, ()),
        },
        finished=frozenset(FINISHED),
        join_tokens=("made-by-init",),
        settings={
            each["kind"]: each
            for file in put_files(script).values()
            for each in yaml.load_all(file.content, yaml.CSafeLoader)
            if each["kind"] != "InitConfiguration"
        },
    )
    _manifests(world, host)


def _etcd_of(world: World, *joined: Host) -> None:
    """Every control plane's etcd knows these members."""
    members = tuple(EtcdMember(host.name, host.name, (host.address,)) for host in joined)
    for host in joined:
        _host(world, host, etcd_members=members)


def _upload_certs(world: World, host: Host, script: Script) -> None:
    if world.api is None:
        raise CommandFailed(f"{host.name}: the API server does not answer")
    world.certificate_key = world.secrets[host.name].pop("/run/clusterctl/certificate-key")
    world.api = replace(world.api, join_tokens=(*world.api.join_tokens, "owns the certificates"))


def _join_control_plane(world: World, host: Host, script: Script) -> None:
    if world.api is None or not {"token", "owns the certificates"} <= set(world.api.join_tokens):
        raise CommandFailed(f"{host.name}: there is no token, or there are no certificates")
    if world.secrets[host.name].pop("/run/clusterctl/certificate-key") != world.certificate_key:
        raise CommandFailed(f"{host.name}: the certificates cannot be decrypted")
    _written(
        world,
        host,
        script,
        paths=world.hosts[host.name].paths | {*places.MANIFESTS, ADMIN_CONF, places.ETCD_DATA},
    )
    _join(world, host, script)
    node = replace(world.api.nodes[host.name], control_plane=True)
    world.api = replace(world.api, nodes={**world.api.nodes, host.name: node})
    nodes = world.api.nodes
    _manifests(world, host)
    _etcd_of(world, *(each for each in world.inventory.control_planes if each.name in nodes))


def _join(world: World, host: Host, script: Script) -> None:
    if world.api is None:
        raise CommandFailed(f"{host.name}: there is no cluster to join")
    if not world.api.join_tokens:
        said = "Abort reading the cluster-info ConfigMap after timeout of 5m0s: Unauthorized"
        raise CommandFailed(f"{host.name}: {script.name} failed with exit status 1", details=said)
    if not world.secrets.pop(host.name, None):
        raise CommandFailed(f"{host.name}: there is no discovery file")
    _host(world, host, paths=world.hosts[host.name].paths | {places.KUBELET_CONF})
    files = {**world.hosts[host.name].files, places.CA_CERT: FileFact("CA\n", "644")}
    _host(world, host, files=files, services=_services(world, host, kubelet_service=_kubelet(joined=True)))
    node = make_node(host.name, kubelet_version=world.inventory.cluster.kubernetes)
    world.api = replace(world.api, nodes={**world.api.nodes, host.name: node})


def _encryption_key(world: World, host: Host, script: Script) -> None:
    if places.ENCRYPTION in world.hosts[host.name].digests:
        raise CommandFailed(f"{host.name}: the key is there already")
    given = world.secrets.get(host.name, {}).pop("/run/clusterctl/encryption-config", f"made on {host.name}")
    _host(world, host, digests={**world.hosts[host.name].digests, places.ENCRYPTION: given})


def _part(world: World, host: Host, script: Script) -> None:
    """HAProxy or keepalived; the first control plane has the address."""
    name = script.name.partition("/")[2]
    installed = {**world.hosts[host.name].packages, name: Package("1.0", held=False, intact=True)}
    services = {**world.hosts[host.name].services, f"{name}.service": Service("active", "enabled")}
    _written(world, host, script, packages=installed, services=services)
    if name == "haproxy":
        _host(world, host, haproxy_unused=frozenset())
    wanted = world.inventory.cluster.virtual_ip
    if name == "keepalived" and wanted and host == world.inventory.first_control_plane:
        _host(world, host, addresses=(*world.hosts[host.name].addresses, wanted))


def _lists(world: World, host: Host, script: Script) -> None:
    """The sources have a new kernel, until that is installed."""
    kernel = "linux-image-amd64"
    news = "" if kernel in world.hosts[host.name].packages else f"{kernel}\n"
    noted = FileFact(f"{world.hosts[host.name].now:.0f}\n{news}", "644")
    _host(world, host, files={**world.hosts[host.name].files, places.UPGRADABLE: noted})


def _os_upgraded(world: World, host: Host, script: Script) -> None:
    """The new kernel asks for a restart."""
    facts = world.hosts[host.name]
    installed = {**facts.packages, "linux-image-amd64": Package("6.1.1", held=False, intact=True)}
    _host(world, host, packages=installed, paths=facts.paths | {places.RESTART_REQUIRED})
    _lists(world, host, script)


def _told_haproxy(world: World, host: Host, script: Script) -> None:
    """The HAProxy of this host uses a server, or does not."""
    told = re.search(r"set server kube-apiserver/(\S+) state (drain|ready)", script.text)
    unused = world.hosts[host.name].haproxy_unused
    assert told
    assert unused is not None
    _host(world, host, haproxy_unused=unused | {told[1]} if told[2] == "drain" else unused - {told[1]})


def _containerd_config(world: World, host: Host, script: Script) -> None:
    """Passwords that were handed over are in their place, known by their digests, and nowhere else."""
    folder = "/run/clusterctl/registries/"
    digests = {
        f"/etc/containerd/certs.d/{path.removeprefix(folder)}/hosts.toml": hashlib.sha256(text.encode()).hexdigest()
        for path, text in world.secrets.pop(host.name, {}).items()
    }
    _written(
        world,
        host,
        script,
        digests={**world.hosts[host.name].digests, **digests},
        containerd_config="loaded",
        services=_services(world, host, containerd_service=Service("active", "enabled")),
    )


SAVED = """\
Snapshot saved at /var/lib/etcd/clusterctl-snapshot.db
@@ saved
{"hash": 1, "revision": 4711, "totalKey": 815, "totalSize": 2097152, "version": "3.6.0"}
aaaa 2097152 etcd.db
bbbb 81920 etc-kubernetes.tar
"""


def _snapshot(world: World, host: Host, script: Script) -> None:
    if world.hosts[host.name].etcd_members is None:
        raise CommandFailed(f"{host.name}: no container of etcd is running here")
    folder = FOLDER
    world.saved[host.name] = {f"{folder}/etcd.db": "aaaa", f"{folder}/etc-kubernetes.tar": "bbbb"}


def _snapshot_kept(world: World, host: Host, script: Script) -> None:
    _written(world, host, script)
    world.saved.pop(host.name, None)


def _kubeadm_acts(world: World, host: Host) -> str:
    """What kubeadm itself insists on: its own minor, and that of the cluster at most one behind."""
    wanted = world.inventory.cluster.kubernetes
    version = packages.installed(world.hosts[host.name], "kubeadm")
    assert at_least(version, wanted)
    assert minor(version) == minor(wanted), f"{host.name}: kubeadm {version} for {wanted}"
    assert world.api is not None
    return wanted


def _cluster_version(world: World) -> str:
    assert world.api is not None
    return str(world.api.settings["ClusterConfiguration"]["kubernetesVersion"]).removeprefix("v")


def _upgrade_apply(world: World, host: Host, script: Script) -> None:
    """The control plane, then kubeadm's configuration; with one control plane the API is silent for a while."""
    wanted = _kubeadm_acts(world, host)
    assert world.api is not None
    assert minor(wanted)[1] - minor(_cluster_version(world))[1] <= 1
    assert not all(node.unschedulable for node in world.api.nodes.values())
    _manifests(world, host)
    kept = {**world.api.settings["ClusterConfiguration"], "kubernetesVersion": f"v{wanted}"}
    settings = {**world.api.settings, "ClusterConfiguration": kept}
    world.api = replace(world.api, version=wanted, settings=settings)
    if len(world.inventory.control_planes) == 1:
        world.api_starts = _LOOKS
    _upgraded(world, host, script)


def _upgrade_node(world: World, host: Host, script: Script) -> None:
    wanted = _kubeadm_acts(world, host)
    assert at_least(_cluster_version(world), wanted)
    if host.role == "control-plane":
        _manifests(world, host)
    _upgraded(world, host, script)


def _upgraded(world: World, host: Host, script: Script) -> None:
    _written(world, host, script, paths=world.hosts[host.name].paths | {places.KUBEADM_BACKUPS})


def _half_upgraded(world: World, host: Host, script: Script) -> None:
    """A power cut after the first component, which the kubelet starts."""
    if host.role == "control-plane":
        _manifests(world, host, world.inventory.cluster.kubernetes, "kube-apiserver")


def _new_kubelet(world: World, host: Host, script: Script) -> None:
    """A kubelet of another minor on a node that was not drained, or with the flags of an older kubeadm, would break."""
    facts, wanted = world.hosts[host.name], world.inventory.cluster.kubernetes
    assert world.api is not None
    node = world.api.nodes[host.name]
    if minor(node.kubelet_version) != minor(wanted):
        assert node.unschedulable, f"{host.name} is not cordoned"
        left = leaving(world.pods, host.name, world.inventory.cluster.drain).evicted
    assert not [pod for pod in left if pod.uid != "another"], f"{host.name} is not drained"
    assert at_least((facts.file(places.UPGRADED) or "").strip(), wanted), f"{host.name} has old flags"
    _install(world, host, "kubelet", "kubectl")
    world.api = replace(world.api, nodes={**world.api.nodes, host.name: replace(node, kubelet_version=wanted)})


def _reset(world: World, host: Host, script: Script) -> None:
    """Nothing of a node is left; packages, repositories and settings of the system stay."""
    facts = world.hosts[host.name]
    assert world.api is not None
    assert host.name not in world.api.nodes, f"{host.name} is a node"
    files = {path: file for path, file in facts.files.items() if path not in (places.CA_CERT, places.UPGRADED)}
    gone = (places.KUBELET_CONF, places.RESETTING)
    paths = frozenset(path for path in facts.paths if path not in gone and not path.startswith("/run/clusterctl/"))
    services = _services(world, host, kubelet_service=Service("inactive", "disabled"))
    _host(world, host, files=files, paths=paths, services=services)


_EFFECTS: dict[str, Callable[[World, Host, Script], None]] = {
    "os/swap-off": _swap_off,
    "os/modules": lambda world, host, script: _written(world, host, script, modules=frozenset(MODULES)),
    "os/sysctl": lambda world, host, script: _written(
        world, host, script, sysctls=dict.fromkeys(sysctls(world.inventory.cluster), "1")
    ),
    "os/proxy": _written,
    "runtime/repository": lambda world, host, script: _written(
        world, host, script, paths=world.hosts[host.name].paths | {places.CONTAINERD_KEYRING}
    ),
    "runtime/containerd": lambda world, host, script: _host(world, host, containerd_version="2.3.7"),
    "packages/repository": lambda world, host, script: _written(
        world, host, script, paths=world.hosts[host.name].paths | {places.KUBERNETES_KEYRING}
    ),
    "packages/kubernetes": _kubernetes,
    "runtime/config": _containerd_config,
    "runtime/images": lambda world, host, script: _host(world, host, pulled=frozenset(world.hosts[host.name].images)),
    "kubeadm/patches": _written,
    "endpoint/haproxy": _part,
    "endpoint/keepalived": _part,
    "endpoint/leave": _told_haproxy,
    "reboot/leave": _told_haproxy,
    "os-update/leave": _told_haproxy,
    "reboot/restart": lambda world, host, script: world.reboot(host.name),
    "os-update/restart": lambda world, host, script: world.reboot(host.name),
    "os-update/lists": _lists,
    "os-update/packages": _os_upgraded,
    "endpoint/rejoin": _told_haproxy,
    "api-server/encryption-key": _encryption_key,
    "api-server/audit-policy": _written,
    "control-plane/init": _init,
    "control-plane/upload-certs": _upload_certs,
    "control-plane/join": _join_control_plane,
    "workers/join": _join,
    "upgrade/snapshot": _snapshot,
    "upgrade/snapshot-kept": _snapshot_kept,
    "upgrade/repository": lambda world, host, script: _written(world, host, script),
    "upgrade/kubeadm": lambda world, host, script: _install(world, host, "kubeadm"),
    "upgrade/apply": _upgrade_apply,
    "upgrade/node": _upgrade_node,
    "upgrade/packages": lambda world, host, script: _host(
        world,
        host,
        paths=world.hosts[host.name].paths | {places.fitting(world.inventory.cluster.kubernetes)},
    ),
    "upgrade/kubelet": _new_kubelet,
    "workers/reset": _reset,
    "upgrade/leftovers": lambda world, host, script: _host(
        world, host, paths=world.hosts[host.name].paths - {places.KUBEADM_BACKUPS}
    ),
}


def _first_file(world: World, host: Host, script: Script) -> None:
    path, file = next(iter(put_files(script).items()))
    _host(world, host, files={**world.hosts[host.name].files, path: file})


def _half_installed(name: str) -> Callable[[World, Host, Script], None]:
    def effect(world: World, host: Host, script: Script) -> None:
        _install(world, host, name, intact=False)
        _host(world, host, dpkg_problem=f"{name} is half-configured")

    return effect


def _with_paths(*paths: str) -> Callable[[World, Host, Script], None]:
    def effect(world: World, host: Host, script: Script) -> None:
        _host(world, host, paths=world.hosts[host.name].paths | set(paths))

    return effect


def _nothing(world: World, host: Host, script: Script) -> None:
    """Nothing of it is on the disk yet."""


def _half_joined(world: World, host: Host, script: Script) -> None:
    """A node without its role, and a member of etcd that has no vote."""
    found = {ADMIN_CONF, places.KUBELET_CONF, places.ETCD_DATA, *places.MANIFESTS}
    _host(world, host, paths=world.hosts[host.name].paths | found)
    joined = [name for name, facts in world.hosts.items() if facts.etcd_members is not None]
    learner = EtcdMember(host.name, host.name, (host.address,), learner=True)
    for name in joined:
        members = world.hosts[name].etcd_members or ()
        world.hosts[name] = replace(world.hosts[name], etcd_members=(*members, learner))
    assert world.api is not None
    world.api = replace(world.api, nodes={**world.api.nodes, host.name: make_node(host.name)})


# What a power cut in the middle leaves on the disk. Scripts that are not here leave nothing.
_HALVES: dict[str, Callable[[World, Host, Script], None]] = {
    "os/modules": _written,
    "os/sysctl": _written,
    "runtime/containerd": lambda world, host, script: _host(world, host, dpkg_problem="containerd is unpacked"),
    "packages/repository": _with_paths(places.KUBERNETES_KEYRING),
    "packages/kubernetes": _half_installed("kubeadm"),
    "upgrade/kubeadm": _half_installed("kubeadm"),
    "upgrade/apply": _half_upgraded,
    "upgrade/node": _half_upgraded,
    "upgrade/kubelet": _half_installed("kubelet"),
    "runtime/config": _first_file,
    "kubeadm/patches": _first_file,
    "control-plane/init": _with_paths(places.ETCD_DATA, *places.MANIFESTS),
    "control-plane/join": _half_joined,
    "workers/join": _with_paths(places.BOOTSTRAP_CONF),
    "workers/reset": _with_paths(places.RESETTING),
    "endpoint/haproxy": _first_file,
    "endpoint/keepalived": _first_file,
}


def run(playbook: Playbook, world: World, events: list[Event] | None = None) -> list[Event]:
    """Run ``playbook`` on ``world``; what happens goes into ``events``. Raises what the runner raises."""
    events = [] if events is None else events
    clock = FakeClock()

    def tools(host: Host, say: Callable[[str], None], stopping: Callable[[], bool]) -> Tools:
        machine: Machine = FakeMachine(world, host)
        api: ClusterApi = FakeApi(world)
        return Tools(
            machine,
            lambda: api,
            say,
            world.fetch,
            lambda name: FakeMachine(world, world.inventory.host(name)),
            stopping,
            OPERATOR,
            archive=FakeArchive(world),
        )

    view = View(world.inventory, world, clock, lambda host, message, seconds: None)
    view.look(world.inventory.hosts)
    Runner(playbook, view, tools, clock, events.append).run()
    return events
