"""The bootstrap playbook on a cluster in memory: order, repetition, and a fault at every action."""

import threading
from collections import Counter
from contextlib import suppress

import pytest

from clusterctl.engine.events import StepChanged
from clusterctl.engine.playbook import load_playbook
from clusterctl.errors import ClusterctlError, Refused
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import SWITCHES, make_facts, make_inventory
from tests.simulation import FAULTS, Fault, Killed, World, run

BOOTSTRAP = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)


OWN = f"  network: {{plugin: manifests, manifests: [{{file: own.yaml, sha256: '{'0' * 64}'}}]}}"
NETWORKS = {"calico": "", "flannel": "  network: {plugin: flannel}", "manifests": OWN}


def bootstrapped(network: str = "calico") -> World:
    """A world after an undisturbed run."""
    world = World(make_inventory(SWITCHES + NETWORKS[network]))
    run(BOOTSTRAP, world)
    return world


ACTIONS = len(bootstrapped().actions)


def test_bootstrap_makes_a_cluster() -> None:
    """Every host becomes a node with its labels and taints, and no token is left."""
    world = bootstrapped()

    assert world.api is not None
    assert set(world.api.nodes) == {"cp1", "w1", "w2"}
    assert world.api.nodes["w1"].labels["disk"] == "ssd"
    assert world.api.nodes["w1"].taints == ("gpu=yes:NoSchedule",)
    assert world.api.join_tokens == ()


def test_a_second_run_changes_nothing() -> None:
    """Running again on the result does nothing at all."""
    world = bootstrapped()
    before = len(world.actions)

    events = run(BOOTSTRAP, world)

    assert len(world.actions) == before
    assert not [event for event in events if isinstance(event, StepChanged)]


def test_no_worker_joins_before_the_control_plane_runs() -> None:
    """Plays are barriers."""
    actions = bootstrapped().actions

    names = [name for _, name in actions]
    assert names.index("control-plane/init") < names.index("workers/join")
    assert names.index("apply") < names.index("workers/join")


def test_calico_comes_in_its_order() -> None:
    """Its kinds, its operator, then what the operator is told."""
    names = [name for _, name in bootstrapped().actions]

    places = [names.index(f"apply network/{step}") for step in ("calico-crds", "calico-operator")]
    assert [*places, names.index("apply")] == sorted([*places, names.index("apply")])
    assert len([name for name in names if name.startswith("apply")]) == 3


@pytest.mark.parametrize("network", ["flannel", "manifests"])
def test_another_plugin_is_applied_once(network: str) -> None:
    """The steps of the plugins that are not chosen do nothing, and a second run changes nothing."""
    world = bootstrapped(network)
    before = len(world.actions)

    run(BOOTSTRAP, world)

    assert len([name for _, name in world.actions if name.startswith("apply")]) == 1
    assert len(world.actions) == before


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_every_plugin_converges_after_a_fault_while_it_is_applied(network: str, fault: Fault) -> None:
    """Running again ends where an undisturbed run ends."""
    whole = bootstrapped(network)
    for at in (index for index, (_, name) in enumerate(whole.actions) if name.startswith("apply")):
        world = World(make_inventory(SWITCHES + NETWORKS[network]), break_at=at, fault=fault)
        with suppress(ClusterctlError, Killed):
            run(BOOTSTRAP, world)
        world.break_at = None
        run(BOOTSTRAP, world)

        assert (world.hosts, world.api) == (whole.hosts, whole.api)


def test_each_change_is_made_once_per_host() -> None:
    """An undisturbed run sends no script twice to a host."""
    counts = Counter(action for action in bootstrapped().actions if "/" in action[1])

    assert set(counts.values()) == {1}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(ACTIONS))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_bootstrap_converges_after_a_fault_anywhere(at: int, fault: Fault) -> None:
    """Whatever breaks at whichever action: running again ends where an undisturbed run ends."""
    world = World(make_inventory(SWITCHES), break_at=at, fault=fault)
    with suppress(ClusterctlError, Killed):
        run(BOOTSTRAP, world)
    assert len(world.actions) > at

    world.break_at = None
    run(BOOTSTRAP, world)

    assert (world.hosts, world.api) == (_undisturbed.hosts, _undisturbed.api)
    assert threading.active_count() == 1


_undisturbed = bootstrapped()


def test_a_failing_host_does_not_stop_the_others_in_its_play() -> None:
    """The play goes on for the healthy hosts, and the run stops after it."""
    healthy = [index for index, action in enumerate(_undisturbed.actions) if action == ("w1", "os/swap-off")]
    world = World(make_inventory(SWITCHES), break_at=healthy[0], fault="fails")

    with pytest.raises(ClusterctlError):
        run(BOOTSTRAP, world)

    failed = world.actions[healthy[0]][0]
    for host in {"cp1", "w1", "w2"} - {failed}:
        assert (host, "runtime/config") in world.actions
    assert ("cp1", "control-plane/init") not in world.actions


def test_a_half_done_init_is_refused_and_left_alone() -> None:
    """Files of kubeadm without an API that answers need a person."""
    world = World(make_inventory(SWITCHES))
    world.hosts["cp1"] = make_facts("cp1", paths=frozenset({"/etc/kubernetes/admin.conf"}))

    with pytest.raises(Refused, match="the API cannot be asked"):
        run(BOOTSTRAP, world)

    assert ("cp1", "control-plane/init") not in world.actions
    assert not [action for action in world.actions if action[1] == "workers/join"]
