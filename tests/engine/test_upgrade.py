"""The upgrade playbook on a cluster in memory: order, repetition, a fault at every action, and what always holds."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from clusterctl.actions.hops import for_hop, what_runs
from clusterctl.engine.events import Event, StepChanged
from clusterctl.engine.playbook import Play, Playbook, load_playbook
from clusterctl.errors import ClusterctlError, CommandFailed, Refused
from clusterctl.model.inventory import Inventory
from clusterctl.model.places import BACKUP_RECORD
from clusterctl.model.pods import Owner, PodFacts, Pods
from clusterctl.model.situation import Situation
from clusterctl.resources import folder
from clusterctl.rules.drain import SOFT_TAINT
from clusterctl.rules.hops import Hop, hops
from clusterctl.rules.versions import at_least, image_version, minor
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import VIRTUAL, make_inventory
from tests.simulation import COMES_BACK, FAULTS, Fault, Killed, World, run

BOOTSTRAP = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)
UPGRADE = load_playbook(folder("playbooks") / "upgrade.yaml", CATALOGUE)
SAVE = ("upgrade/snapshot", "upgrade/snapshot-kept")
KNOWN = ("1.34.4", "1.35.4", "1.36.3")


def inventory(kubernetes: str, control_planes: int) -> Inventory:
    """With flannel, and a virtual IP when there are several control planes."""
    extra = "  network: {plugin: flannel}\n" + (VIRTUAL if control_planes > 1 else "")
    return make_inventory(extra, control_planes=control_planes, kubernetes=kubernetes)


@dataclass
class Watched(World):
    """A world in which, before and after every action, that holds which may never break."""

    batch: int = 1
    watching: bool = False
    broken: list[str] = field(default_factory=list)

    def act(self, host: str, name: str, effect: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        """As in any world, and looked at."""
        with self.lock:
            self._look_at_all(f"before {host} {name}", host, name)
            try:
                super().act(host, name, effect, half)
            finally:
                self._look_at_all(f"after {host} {name}", host, name)

    def _look_at_all(self, when: str, host: str, action: str) -> None:
        if not self.watching or self.api is None:
            return
        nodes = self.api.nodes.values()
        cordoned = [node.name for node in nodes if node.cordoned]
        planes = [each.name for each in self.inventory.control_planes]
        busy = [name for name in planes if name in self.pending and name != host]
        # What these do disturbs nobody.
        if host in planes and busy and action not in ("upgrade/leftovers", "os-update/lists"):
            self.broken.append(f"{when}: {host} acts while {', '.join(busy)} is not at rest")
        if len(cordoned) > self.batch:
            self.broken.append(f"{when}: {', '.join(cordoned)} are cordoned")
        if "w2" in self.api.nodes and not self.api.nodes["w2"].unschedulable:
            self.broken.append(f"{when}: the operator's cordon of w2 is gone")
        servers = [image_version(self.hosts[name].static_pods["kube-apiserver"]) for name in planes]
        if (
            len({minor(version)[1] for version in servers}) > 2
            or max(map(minor, servers))[1] - min(map(minor, servers))[1] > 1
        ):
            self.broken.append(f"{when}: API servers are {', '.join(servers)}")
        for node in nodes:
            if not node.control_plane and not all(at_least(server, node.kubelet_version) for server in servers):
                self.broken.append(f"{when}: the kubelet of {node.name} is newer than an API server")
            if minor(max(servers, key=minor))[1] - minor(node.kubelet_version)[1] > 3:
                self.broken.append(f"{when}: the kubelet of {node.name} is too old")


def pods() -> Pods:
    """Two pods of a ReplicaSet, which tolerate all, and one of a DaemonSet on each node; on w1 one that comes back."""
    web, proxy = Owner("ReplicaSet", "web", "1"), Owner("DaemonSet", "kube-proxy", "2")
    anywhere = {"tolerations": [{"operator": "Exists"}]}
    found = []
    for node in ("cp1", "w1", "w2"):
        for number in (1, 2):
            name, uid = f"web-{node}-{number}", f"{node}-{number}"
            found.append(PodFacts("web", name, uid, node, controller=web, scheduling=anywhere))
        found.append(PodFacts("kube-system", f"kube-proxy-{node}", f"{node}-p", node, controller=proxy))
    found.append(PodFacts("web", "back", "back", "w1", labels=COMES_BACK, controller=web, scheduling=anywhere))
    return Pods(tuple(found))


def running_at(kubernetes: str, control_planes: int) -> Watched:
    """A cluster at this version, with pods, and w2 cordoned by its operator."""
    world = Watched(inventory(kubernetes, control_planes))
    run(BOOTSTRAP, world)
    assert world.api is not None
    w2 = replace(world.api.nodes["w2"], unschedulable=True)
    world.api = replace(world.api, nodes={**world.api.nodes, "w2": w2})
    world.pods, world.watching = pods(), True
    world.actions.clear()
    return world


BEFORE = {planes: running_at("1.35.4", planes) for planes in (1, 3)}


def copied(world: Watched, kubernetes: str, **changes: object) -> Watched:
    """The same cluster, with an inventory that wants another version."""
    found = copy.copy(world)
    found.inventory = inventory(kubernetes, len(world.inventory.control_planes))
    for name in ("hosts", "actions", "surveyed", "pending", "faults", "secrets", "broken"):
        setattr(found, name, copy.copy(getattr(world, name)))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def upgraded(control_planes: int) -> Watched:
    """A cluster after an undisturbed upgrade."""
    world = copied(BEFORE[control_planes], "1.36.3")
    run(UPGRADE, world)
    assert not world.broken
    return world


def state(world: World) -> object:
    """What is lasting of a world. A boot's id is not, nor is what lies in /run, nor which hop was saved last."""
    hosts = {
        name: replace(
            facts,
            boot_id="",
            paths=frozenset(path for path in facts.paths if not path.startswith("/run/")),
            files={path: file for path, file in facts.files.items() if not path.startswith(("/run/", BACKUP_RECORD))},
        )
        for name, facts in world.hosts.items()
    }
    return hosts, world.api, world.pods


def go_on(world: Watched) -> None:
    """Run again, a while after a fault. What a refusal asks of a person is done first."""
    world.break_at, world.api_starts = None, 0
    for _ in range(3):
        try:
            run(UPGRADE, world)
        except Refused as refused:
            world.obey(refused)
        else:
            return
    raise AssertionError("still refused")


AFTER = {planes: upgraded(planes) for planes in (1, 3)}


@pytest.mark.parametrize("planes", [1, 3])
def test_everything_is_at_the_new_version(planes: int) -> None:
    """Control planes, kubelets and kubeadm's configuration; no mark is left, and the operator's cordon stays."""
    world = AFTER[planes]

    assert world.api is not None
    assert {node.kubelet_version for node in world.api.nodes.values()} == {"1.36.3"}
    assert world.api.settings["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.3"
    for host in world.inventory.control_planes:
        assert image_version(world.hosts[host.name].static_pods["kube-scheduler"]) == "1.36.3"
    assert not [node for node in world.api.nodes.values() if node.cordoned or SOFT_TAINT in node.taints]
    assert [name for name, node in world.api.nodes.items() if node.unschedulable] == ["w2"]


@pytest.mark.parametrize("planes", [1, 3])
def test_a_second_upgrade_changes_nothing(planes: int) -> None:
    """0 changes, and no step waits for anything."""
    world = copied(AFTER[planes], "1.36.3")
    before = len(world.actions)

    events = run(UPGRADE, world)

    assert len(world.actions) == before
    assert not [event for event in events if isinstance(event, StepChanged)]


@pytest.mark.parametrize("planes", [1, 3])
def test_bootstrap_finds_nothing_to_do_afterwards(planes: int) -> None:
    """With the inventory at the new version the cluster is as bootstrap would have made it."""
    world = copied(AFTER[planes], "1.36.3")
    before = len(world.actions)

    run(BOOTSTRAP, world)

    assert world.actions[before:] == []


def test_the_order_of_one_control_plane_and_of_three() -> None:
    """kubeadm acts before the node is drained, the others follow one by one, and workers come last."""
    steps = [action for action in AFTER[3].actions if action[1].startswith(("upgrade/", "drain", "uncordon"))]
    walk = ["upgrade/repository", "upgrade/kubeadm", "upgrade/node", "upgrade/packages", "drain", "upgrade/kubelet"]

    def of(host: str) -> list[str]:
        return [
            name.partition(" ")[0]
            for actor, name in steps
            if (actor == host or name.endswith(f" {host}")) and name not in ("upgrade/leftovers", *SAVE)
        ]

    assert of("cp1") == ["upgrade/apply" if step == "upgrade/node" else step for step in walk] + ["uncordon"]
    for host in ("cp2", "cp3", "w1", "w2"):
        assert of(host) == [*walk, "uncordon"]
    hosts = list(dict.fromkeys(actor for actor, name in steps if name.startswith("upgrade/")))
    assert hosts == ["cp1", "cp2", "cp3", "w1", "w2"]


PLACES = [(planes, at) for planes in (1, 3) for at in range(len(AFTER[planes].actions))]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("planes", "at"), PLACES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_upgrade_converges_after_a_fault_anywhere(planes: int, at: int, fault: Fault) -> None:
    """Whatever breaks at whichever action: nothing that may never break does, and running again ends as undisturbed."""
    world = copied(BEFORE[planes], "1.36.3", break_at=at, fault=fault)
    error: ClusterctlError | None = None
    try:
        run(UPGRADE, world)
    except Killed:
        pass
    except ClusterctlError as caught:
        error = caught
    assert len(world.actions) > at
    assert world.api is not None
    for node in world.api.nodes.values():
        # What stays cordoned is named, unless nobody was left to say so.
        assert not node.cordoned or error is None or node.name in str(error)

    go_on(world)

    assert not world.broken
    assert state(world) == state(AFTER[planes])


def climb(world: Watched, to: str, *, every: bool = False) -> tuple[Hop, ...]:
    """Upgrade over several minors, as the command line does."""
    facts = {host.name: world.look(host) for host in world.inventory.hosts}
    running = what_runs(Situation(world.inventory, world.inventory.first_control_plane, facts, world.look_at_api()))
    way = hops(running, to, known=KNOWN, every=every)
    for hop in way:
        world.inventory = inventory(hop.version, len(world.inventory.control_planes))
        run(for_hop(UPGRADE, hop), world)
    return way


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("planes", [1, 3])
def test_two_minors_drain_workers_once_unless_asked_otherwise(planes: int, every: bool) -> None:
    """kubeadm steps through both on every host; the kubelets of workers jump."""
    world = running_at("1.34.4", planes)

    way = climb(world, "1.36.3", every=every)

    assert [hop.version for hop in way] == ["1.35.4", "1.36.3"]
    assert not world.broken
    counts = {name: [action[1] for action in world.actions].count(name) for name in ("drain w1", "drain cp1")}
    assert counts == {"drain w1": 2 if every else 1, "drain cp1": 2}
    assert world.actions.count(("w1", "upgrade/node")) == 2
    assert state(world) == state(AFTER[planes])


@pytest.mark.parametrize("fault", ["fails", "drops before", "reboots during"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_two_minors_converge_after_a_fault_in_the_first_hop(fault: Fault) -> None:
    """The hop that was begun is finished at its own version, then the next one follows."""
    whole = running_at("1.34.4", 3)
    climb(whole, "1.36.3")
    for at in range(0, len(whole.actions), 3):
        world = copied(running_at("1.34.4", 3), "1.34.4", break_at=at, fault=fault)
        with suppress(ClusterctlError):
            climb(world, "1.36.3")
        world.break_at, world.api_starts = None, 0
        for _ in range(3):
            try:
                climb(world, "1.36.3")
                break
            except Refused as refused:
                world.obey(refused)

        assert not world.broken
        assert state(world) == state(whole)


def test_a_worker_that_was_down_brings_its_hop_back() -> None:
    """Control planes that are through do nothing; kubeadm steps through the minor on that worker alone."""
    world = running_at("1.34.4", 1)
    without = replace(UPGRADE, plays=tuple(replace(play, only=frozenset({"cp1", "w2"})) for play in UPGRADE.plays))
    for version in ("1.35.4", "1.36.3"):
        world.inventory = inventory(version, 1)
        run(without, world)
    before = len(world.actions)

    way = climb(world, "1.36.3")

    assert [(hop.version, hop.kubelets) for hop in way] == [("1.35.4", False), ("1.36.3", True)]
    assert {host for host, name in world.actions[before:] if "/" in name} == {"w1"}
    assert world.actions.count(("w1", "upgrade/node")) == 2
    assert state(world) == state(AFTER[1])


def test_batches_of_workers_stay_within_their_size() -> None:
    """Half of two workers is one; all of them are two."""
    for batch, size in (("50%", 1), (2, 2)):
        world = copied(BEFORE[1], "1.36.3", batch=size)
        run(_with_batch(UPGRADE, batch), world)
        assert not world.broken
        assert state(world) == state(AFTER[1])


@pytest.mark.parametrize("step", ["endpoint/leave", "endpoint/rejoin"])
@pytest.mark.parametrize("fault", ["fails", "reboots before"])
def test_an_error_beside_the_endpoint_names_the_host_that_walks_as_well(step: str, fault: Fault) -> None:
    """cp2's HAProxy is told of cp1: what is wrong on cp2 ends the walk of cp1."""
    world = copied(BEFORE[3], "1.36.3", faults={("cp2", step): fault})

    with pytest.raises(ClusterctlError) as caught:
        run(UPGRADE, world)

    assert caught.value.what.startswith(f"cp1: {step}")
    assert f"cp2: {step}" in str(caught.value) or f"the connection broke in {step}" in caught.value.details
    go_on(world)
    assert state(world) == state(AFTER[3])


def _with_batch(book: Playbook, batch: int | str) -> Playbook:
    def batched(play: Play) -> Play:
        return replace(play, batch=batch) if play.on == "worker" and play.undivided else play

    return replace(book, plays=tuple(map(batched, book.plays)))


def test_a_worker_that_fails_within_the_budget_stays_cordoned_alone() -> None:
    """The others go on; it is named, and running again brings it along."""
    plays = tuple(replace(play, max_failures=1) if play.on == "worker" else play for play in UPGRADE.plays)
    world = copied(BEFORE[1], "1.36.3", faults={("w1", "upgrade/kubelet"): "fails"}, batch=2)
    events: list[Event] = []

    with pytest.raises(CommandFailed, match="w1: upgrade/kubelet"):
        run(replace(UPGRADE, plays=plays), world, events)

    assert world.api is not None
    assert {name for name, node in world.api.nodes.items() if node.cordoned} == {"w1"}
    assert world.api.nodes["w2"].kubelet_version == "1.36.3"
    go_on(world)
    assert state(world) == state(AFTER[1])
