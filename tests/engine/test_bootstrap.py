"""The bootstrap playbook on a cluster in memory: order, repetition, and a fault at every action."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from clusterctl.engine.events import Event, RunFinished, StepChanged, Waiting
from clusterctl.engine.playbook import load_playbook
from clusterctl.errors import ClusterctlError, CommandFailed, OutcomeUnknown, Refused, SeveralErrors
from clusterctl.model import places
from clusterctl.model.facts import EtcdMember
from clusterctl.model.places import ADMIN_CONF, ENCRYPTION
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import SWITCHES, VIRTUAL, make_facts, make_inventory
from tests.simulation import FAULTS, Fault, Killed, World, run

BOOTSTRAP = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)

OWN = f"  network: {{plugin: manifests, manifests: [{{file: own.yaml, sha256: '{'0' * 64}'}}]}}"
NETWORKS = {"calico": "", "flannel": "  network: {plugin: flannel}", "manifests": OWN}


def bootstrapped(network: str = "calico", control_planes: int = 1) -> World:
    """A world after an undisturbed run."""
    extra = SWITCHES + NETWORKS[network] + ("\n" + VIRTUAL if control_planes > 1 else "")
    world = World(make_inventory(extra, control_planes=control_planes))
    run(BOOTSTRAP, world)
    return world


def state(world: World) -> object:
    """What is lasting of a world. A boot's id and the order of its services' starts are not."""
    return {name: replace(facts, boot_id="") for name, facts in world.hosts.items()}, world.api


def go_on(world: World) -> None:
    """Run again, a while after a fault. What a refusal asks of a person is done first."""
    world.break_at, world.api_starts = None, 0
    for _ in range(3):
        try:
            run(BOOTSTRAP, world)
        except Refused as refused:
            world.obey(refused)
        else:
            return
    raise AssertionError("still refused")


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


def test_nothing_is_lost_when_every_host_restarts() -> None:
    """Swap, modules, kernel parameters and services are as they were, so running again does nothing."""
    world = bootstrapped()
    before = len(world.actions)
    for host in world.inventory.hosts:
        world.reboot(host.name)

    run(BOOTSTRAP, world)

    assert len(world.actions) == before
    assert state(world) == state(bootstrapped())


def test_no_worker_joins_before_the_control_plane_runs() -> None:
    """Plays are barriers."""
    actions = bootstrapped().actions

    names = [name for _, name in actions]
    assert names.index("control-plane/init") < names.index("workers/join")
    assert names.index("apply") < names.index("workers/join")


# What kubeadm's etcd-join leaves on the host: before it writes the manifest, and while it waits for the new etcd.
ASKED = frozenset({ADMIN_CONF, places.BOOTSTRAP_CONF, *places.MANIFESTS[1:]})
WAITED = ASKED | {places.MANIFESTS[0]}
NEVER_STARTED = EtcdMember("cp2", "", ("192.0.2.12",))


@pytest.mark.parametrize("paths", [ASKED, WAITED])
@pytest.mark.parametrize(
    ("member", "told"),
    [
        (replace(NEVER_STARTED, learner=True), "member cp2 of etcd has never started, and is a learner without a vote"),
        (NEVER_STARTED, "its member cp2 of etcd has never started, and the quorum counts on it: 2 of 2 members have"),
        (replace(NEVER_STARTED, name="cp2", learner=True), "its member cp2 of etcd is a learner and was not promoted"),
    ],
)
def test_a_join_that_failed_at_etcd_is_named_with_the_commands_that_end_it(
    paths: frozenset[str], member: EtcdMember, told: str
) -> None:
    """ "context deadline exceeded": etcd knows the host, which never came. What the refusal says is enough to join."""
    world = World(
        make_inventory(VIRTUAL + NETWORKS["flannel"], control_planes=3), faults={("cp2", "control-plane/join"): "fails"}
    )
    with pytest.raises(CommandFailed):
        run(BOOTSTRAP, world)
    cp1, cp2 = world.hosts["cp1"], world.hosts["cp2"]
    assert cp1.etcd_members is not None
    world.hosts["cp1"] = replace(cp1, etcd_members=(*cp1.etcd_members, member))
    world.hosts["cp2"] = replace(cp2, paths=cp2.paths | paths)
    before = len(world.actions)

    with pytest.raises(Refused) as caught:
        run(BOOTSTRAP, world)

    assert not [name for host, name in world.actions[before:] if host == "cp2"]
    assert told in caught.value.what
    removal, _, reset = caught.value.resolution.partition("; ssh 192.0.2.12 sudo kubeadm reset -f")
    assert reset
    assert "kubectl -n kube-system exec etcd-cp1 -- etcdctl " in removal
    assert removal.endswith(" member remove cp2")
    world.obey(caught.value)
    run(BOOTSTRAP, world)
    assert [each.id for each in world.hosts["cp1"].etcd_members or ()] == ["cp1", "cp2", "cp3"]
    assert world.api is not None
    assert {name for name, node in world.api.nodes.items() if node.control_plane} == {"cp1", "cp2", "cp3"}


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
        go_on(world)

        assert state(world) == state(whole)


def test_each_change_is_made_once_per_host() -> None:
    """An undisturbed run sends no script twice to a host."""
    counts = Counter(action for action in bootstrapped().actions if "/" in action[1])

    assert set(counts.values()) == {1}


_undisturbed = bootstrapped()
_highly_available = bootstrapped("flannel", control_planes=3)
PLACES = [
    *((1, "calico", at) for at in range(len(_undisturbed.actions))),
    *((3, "flannel", at) for at in range(len(_highly_available.actions))),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("control_planes", "network", "at"), PLACES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_bootstrap_converges_after_a_fault_anywhere(control_planes: int, network: str, at: int, fault: Fault) -> None:
    """Whatever breaks at whichever action: running again ends where an undisturbed run ends."""
    whole = _undisturbed if control_planes == 1 else _highly_available
    world = World(whole.inventory, break_at=at, fault=fault)
    with suppress(ClusterctlError, Killed):
        run(BOOTSTRAP, world)
    assert len(world.actions) > at

    go_on(world)

    assert state(world) == state(whole)
    assert threading.active_count() == 1


def test_control_planes_join_one_after_the_other() -> None:
    """Each with certificates that were uploaded for it, and before the first worker; all have the same key."""
    actions = [action for action in _highly_available.actions if action[1].startswith("control-plane/")]
    actions += [action for action in _highly_available.actions if action[1] == "workers/join"]

    assert [action for action in _highly_available.actions if action in actions][:6] == [
        ("cp1", "control-plane/init"),
        ("cp1", "control-plane/upload-certs"),
        ("cp2", "control-plane/join"),
        ("cp1", "control-plane/upload-certs"),
        ("cp3", "control-plane/join"),
        actions[-2],
    ]
    assert len({facts.digests[ENCRYPTION] for name, facts in _highly_available.hosts.items() if name[0] == "c"}) == 1
    assert _highly_available.api is not None
    assert _highly_available.api.join_tokens == ()


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


@pytest.mark.parametrize("action", ["control-plane/init", "apply", "label w1", "delete tokens", "os/sysctl"])
def test_a_step_that_was_done_before_its_host_restarted_counts(action: str) -> None:
    """The run goes on, once the API server that starts with the host answers again."""
    # By its name: hosts walk side by side, so numbers differ from run to run.
    host = next(host for host, name in _undisturbed.actions if name == action)
    world = World(make_inventory(SWITCHES), faults={(host, action): "reboots after"})

    run(BOOTSTRAP, world)

    assert state(world) == state(_undisturbed)


def test_an_api_server_that_starts_is_waited_for_in_sight() -> None:
    """A finished cluster whose API does not answer for a moment is neither refused nor changed."""
    world = bootstrapped()
    before, world.api_starts = len(world.actions), 3

    events = run(BOOTSTRAP, world)

    assert len(world.actions) == before
    assert [event for event in events if isinstance(event, Waiting) and "does not answer" in event.message]


def test_an_api_server_that_never_answers_is_a_clear_end() -> None:
    """The refusal says where to look, and does not blame the playbook."""
    world = bootstrapped()
    world.api_starts = 10**6
    describe = replace(BOOTSTRAP, plays=tuple(play for play in BOOTSTRAP.plays if play.on == "all")[-1:])

    with pytest.raises(SeveralErrors) as caught:
        run(describe, world)

    for error in caught.value.errors:
        assert isinstance(error, Refused)
        assert "cannot be judged: the API server does not answer" in error.what
        assert "crictl ps -a --name kube-apiserver" in error.resolution


def test_a_host_that_restarts_in_the_middle_is_told_so() -> None:
    """The outcome names the restart and what is not done."""
    world = World(make_inventory(SWITCHES), faults={("w1", "packages/kubernetes"): "reboots during"})

    with pytest.raises(OutcomeUnknown, match="restarted in the middle and the step is not done: kubeadm is not fully"):
        run(BOOTSTRAP, world)


class Expiring(World):
    """A world in which w1's first token is gone by the time kubeadm wants it."""

    def act(self, host: str, name: str, effect: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        """As in any world."""
        if (host, name) == ("w1", "workers/join") and ("w1", "workers/join") not in self.actions and self.api:
            self.api = replace(self.api, join_tokens=())
        super().act(host, name, effect, half)


def test_a_token_that_expired_while_joining_is_made_anew_by_the_next_run() -> None:
    """kubeadm's own words are told with what they mean; each join has a token of its own."""
    world = Expiring(make_inventory(SWITCHES))

    with pytest.raises(ClusterctlError, match=r"Unauthorized\n.*the join token expired or was deleted; run the same"):
        run(BOOTSTRAP, world)

    go_on(world)
    assert state(world) == state(_undisturbed)


SCRIPTS = sorted({name for host, name in _undisturbed.actions if host == "w1"})


@pytest.mark.parametrize("action", SCRIPTS)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.startswith("killed")])
def test_two_hosts_may_fail_in_one_run(action: str, fault: Fault) -> None:
    """Both are told, each by its own error; running again ends where an undisturbed run ends."""
    other = FAULTS[(FAULTS.index(fault) + 1) % 4]
    world = World(make_inventory(SWITCHES), faults={("w1", action): fault, ("w2", action): other})

    with suppress(ClusterctlError):
        run(BOOTSTRAP, world)

    assert not world.faults
    go_on(world)
    assert state(world) == state(_undisturbed)


@pytest.mark.parametrize("action", SCRIPTS)
def test_within_the_budget_the_others_become_a_cluster(action: str) -> None:
    """w1 fails at any of its steps: w2 joins all the same, w1 is left, and running again brings it in."""
    book = replace(BOOTSTRAP, plays=tuple(replace(play, max_failures=1) for play in BOOTSTRAP.plays))
    world = World(make_inventory(SWITCHES), faults={("w1", action): "fails"})
    events: list[Event] = []

    with pytest.raises(CommandFailed, match=f"w1: {action} exited with 1"):
        run(book, world, events)

    assert world.api is not None
    assert {name for name, node in world.api.nodes.items() if node.ready} == {"cp1", "w2"}
    assert world.api.join_tokens == ()
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert {host for host, _ in finished.left} == {"w1"}
    assert {"workers/join", "nodes/ready"} <= {step for _, step in finished.left}
    go_on(world)
    assert state(world) == state(_undisturbed)


def test_a_half_done_init_is_refused_and_left_alone() -> None:
    """Files of kubeadm without an API that answers need a person."""
    world = World(make_inventory(SWITCHES))
    world.hosts["cp1"] = make_facts("cp1", paths=frozenset({"/etc/kubernetes/admin.conf"}))

    with pytest.raises(Refused, match="the API cannot be asked"):
        run(BOOTSTRAP, world)

    assert ("cp1", "control-plane/init") not in world.actions
    assert not [action for action in world.actions if action[1] == "workers/join"]
