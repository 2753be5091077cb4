"""Workers replaced one after the other on a cluster in memory: a fault at every action, and what always holds."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from clusterctl.actions.surge import surge_to
from clusterctl.engine.events import StepChanged
from clusterctl.engine.playbook import load_playbook
from clusterctl.errors import ClusterctlError, Refused
from clusterctl.model.facts import ClusterFacts
from clusterctl.model.inventory import Inventory, with_roles
from clusterctl.model.pods import Owner, PodFacts, Pods
from clusterctl.model.situation import Situation
from clusterctl.resources import folder
from clusterctl.rules.surge import Link
from clusterctl.rules.versions import at_least, image_version
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import make_inventory
from tests.engine.test_upgrade import state
from tests.simulation import FAULTS, Fault, Killed, World, run

BOOTSTRAP = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)
UPGRADE = load_playbook(folder("playbooks") / "upgrade.yaml", CATALOGUE)
ANYWHERE = {"tolerations": [{"operator": "Exists"}]}


def inventory(kubernetes: str) -> Inventory:
    """One control plane, two workers, a spare."""
    return make_inventory("  network: {plugin: flannel}\n", kubernetes=kubernetes, spares=1)


@dataclass
class Watched(World):
    """A world in which, before and after every action, that holds which may never break."""

    watching: bool = False
    broken: list[str] = field(default_factory=list)

    def act(self, host: str, name: str, effect: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        """As in any world, and looked at."""
        with self.lock:
            self._look_at_all(f"before {host} {name}")
            try:
                super().act(host, name, effect, half)
            finally:
                self._look_at_all(f"after {host} {name}")

    def _look_at_all(self, when: str) -> None:
        if not self.watching or self.api is None:
            return
        workers = [node for node in self.api.nodes.values() if not node.control_plane]
        free = [node.name for node in workers if node.ready and node.cordoned is None]
        if len(free) < len(self.inventory.workers):
            self.broken.append(f"{when}: only {', '.join(free)} take pods")
        if len([node for node in self.api.nodes.values() if node.cordoned]) > 1:
            self.broken.append(f"{when}: two nodes are drained")
        server = image_version(self.hosts["cp1"].static_pods["kube-apiserver"])
        if not all(at_least(server, node.kubelet_version) for node in workers):
            self.broken.append(f"{when}: a kubelet is newer than the API server")


def before() -> Watched:
    """A cluster at 1.35.4, with pods on its workers."""
    world = Watched(inventory("1.35.4"))
    world.hosts["w3"] = replace(world.hosts["w3"], available=("1.35.4-1.1", "1.36.3-1.1"))
    run(BOOTSTRAP, world)
    assert world.api is not None
    assert "w3" not in world.api.nodes
    web = Owner("ReplicaSet", "web", "1")
    found = [
        PodFacts("web", f"{name}-{number}", f"{name}-{number}", name, controller=web, scheduling=ANYWHERE)
        for name in ("w1", "w2")
        for number in (1, 2)
    ]
    world.pods, world.watching = Pods(tuple(found)), True
    world.actions.clear()
    return world


BEFORE = before()


def copied(world: Watched, **changes: object) -> Watched:
    """The same cluster, with an inventory that wants 1.36.3."""
    found = copy.copy(world)
    found.inventory = inventory("1.36.3")
    for name in ("hosts", "actions", "surveyed", "pending", "faults", "secrets", "broken"):
        setattr(found, name, copy.copy(getattr(world, name)))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def observed(world: Watched) -> Situation:
    """What is seen of the world."""
    facts = {host.name: world.look(host) for host in world.inventory.hosts}
    return Situation(world.inventory, world.inventory.first_control_plane, facts, world.look_at_api())


def upgrade(world: Watched) -> tuple[Link, ...]:
    """As the command line does: the chain by what is seen, and the playbook that it makes."""
    while any(world.look(host).busy for host in world.inventory.hosts):
        pass
    found = surge_to("1.36.3", observed(world), {})
    run(found.shape(UPGRADE), world)
    return found.links


def go_on(world: Watched) -> None:
    """Run again, a while after a fault. What a refusal asks of a person is done first."""
    world.break_at, world.api_starts = None, 0
    for _ in range(3):
        try:
            upgrade(world)
        except Refused as refused:
            world.obey(refused)
        else:
            return
    raise AssertionError("still refused")


AFTER = copied(BEFORE)
LINKS = upgrade(AFTER)


def api(world: Watched) -> ClusterFacts:
    """Its cluster."""
    assert world.api is not None
    return world.api


def test_the_chain_and_what_it_leads_to() -> None:
    """Each host joins at the new version before another leaves; the last one stands by, clean."""
    assert [(link.host, link.joins) for link in LINKS] == [("w3", True), ("w1", False), ("w1", True), ("w2", False)]
    assert not AFTER.broken
    assert {name: node.kubelet_version for name, node in api(AFTER).nodes.items()} == dict.fromkeys(
        ("cp1", "w1", "w3"), "1.36.3"
    )
    assert not [node for node in api(AFTER).nodes.values() if node.unschedulable or node.cordoned]
    walked = [f"{host} {name}".removeprefix("api ") for host, name in AFTER.actions]
    order = ["w3 workers/join", "cordon w1", "drain w1", "remove w1", "w1 workers/reset", "w1 workers/join", "drain w2"]
    assert sorted(order, key=walked.index) == order
    assert not any(word.endswith("w2 workers/join") for word in walked)


def test_labels_and_taints_belong_to_hosts() -> None:
    """The host that joins again has its own; the one that took its place has not."""
    assert api(AFTER).nodes["w1"].labels == {"disk": "ssd"}
    assert api(AFTER).nodes["w3"].labels == {}


def test_a_second_upgrade_changes_nothing() -> None:
    """Roles in the inventory are as they were; what is seen decides."""
    world = copied(AFTER)
    done = len(world.actions)

    assert upgrade(world) == ()
    assert len(world.actions) == done


def test_bootstrap_finds_nothing_to_do_once_the_roles_are_exchanged() -> None:
    """And before that it says which spare is a node."""
    world = copied(AFTER)
    done = len(world.actions)

    with pytest.raises(Refused, match="spares of the inventory are nodes of the cluster: w3"):
        run(BOOTSTRAP, world)
    world.inventory = with_roles(world.inventory, {"w2": "spare", "w3": "worker"})
    events = run(BOOTSTRAP, world)

    assert len(world.actions) == done
    assert not [event for event in events if isinstance(event, StepChanged)]


# What comes before is that of every upgrade and of every join: test_upgrade.py and test_bootstrap.py break it off.
FIRST = AFTER.actions.index(("api", "create token"))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(FIRST, len(AFTER.actions)))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_surge_converges_after_a_fault_anywhere(at: int, fault: Fault) -> None:
    """Whatever breaks: enough workers are there at any time, and running again ends as if nothing had been."""
    world = copied(BEFORE, break_at=at, fault=fault)
    error: ClusterctlError | None = None
    try:
        upgrade(world)
    except Killed:
        pass
    except ClusterctlError as caught:
        error = caught
    assert len(world.actions) > at
    for node in api(world).nodes.values():
        assert not node.cordoned or error is None or node.name in str(error)

    go_on(world)

    assert not world.broken
    assert state(world) == state(AFTER)


def test_no_worker_is_drained_while_another_is_not_ready() -> None:
    """The spare that joined has to be Ready, and so do the workers that stay."""
    world = copied(BEFORE, break_at=len(AFTER.actions))
    sick = replace(api(world).nodes["w2"], ready=False, reason="KubeletNotReady")
    world.api = replace(api(world), nodes={**api(world).nodes, "w2": sick})
    world.watching = False

    with suppress(ClusterctlError):
        upgrade(world)

    assert "w3" not in api(world).nodes  # The findings before refuse.
    found = surge_to("1.36.3", observed(world), {}).shape(UPGRADE)
    chain = replace(found, plays=tuple(play for play in found.plays if play.name.startswith(("Join", "Replace"))))
    with pytest.raises(ClusterctlError, match="1 of 2 workers would be Ready without it"):
        run(chain, world)
    assert api(world).nodes["w3"].ready
    assert not [node for node in api(world).nodes.values() if node.cordoned]
