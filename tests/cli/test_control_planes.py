"""Several control planes: each of them leads to the API, holds the operator's lock, and may be down."""

import json

import pytest

from clusterctl.errors import ConnectError, KubernetesError, Refused, SeveralErrors
from clusterctl.model.facts import ClusterFacts
from clusterctl.model.inventory import parse_inventory
from clusterctl.session.session import Session
from tests.cli.conftest import INVENTORY, Call, FakeMachines
from tests.simulation import FakeClock, World

MORE = "".join(f"  - {{name: cp{n}, address: 192.0.2.1{n}, role: control-plane}}\n" for n in (2, 3))
DOWN = {"cp1": ConnectError("cp1: no route")}


@pytest.fixture
def world() -> World:
    """Three control planes and two workers, fresh."""
    return World(parse_inventory(INVENTORY + MORE))


@pytest.fixture
def ha(call: Call, machines: FakeMachines) -> FakeMachines:
    """A cluster of them, made by bootstrap; the inventory lists them."""
    from pathlib import Path

    Path("inventory.yaml").write_text(INVENTORY + MORE)
    assert call("bootstrap", "--yes").exit_code == 0
    machines.connected.clear()
    return machines


@pytest.fixture
def session(world: World) -> Session:
    """A session on a cluster that answers."""
    world.api = ClusterFacts("v1.36.3")
    return Session(world.inventory, FakeMachines(world), FakeClock())


def fakes(session: Session) -> FakeMachines:
    """What is behind the session."""
    machines = session._world
    assert isinstance(machines, FakeMachines)
    return machines


def test_the_api_is_reached_through_the_first_that_answers(session: Session) -> None:
    """One that is down and one whose API server is not ready are passed over."""
    machines = fakes(session)
    machines.broken, machines.deaf = dict(DOWN), {"cp2"}

    session.look_at_api()

    assert (machines.connected, machines.apis) == (["cp2", "cp3"], 2)


def test_when_the_one_in_between_dies_another_is_taken(session: Session) -> None:
    """The next look goes through the next control plane."""
    machines = fakes(session)
    session.look_at_api()
    machines.broken, machines.api_failures = dict(DOWN), [KubernetesError("no answer")]

    session.look_at_api()

    assert machines.connected == ["cp1", "cp2"]


def test_one_that_cannot_be_reached_is_told_before_those_without_a_cluster(world: World) -> None:
    """Whether there is a cluster is not known before it was asked."""
    machines = FakeMachines(world, broken={"cp2": ConnectError("cp2: no route")})

    with pytest.raises(ConnectError, match="cp2"):
        Session(world.inventory, machines, FakeClock()).look_at_api()


def test_a_lost_connection_to_the_one_in_between_gives_up_its_tunnel(session: Session) -> None:
    """Reconnecting another control plane does not."""
    machines = fakes(session)
    machines.broken = dict(DOWN)
    session.look_at_api()
    session.reconnect(session.inventory.host("cp3"), 10)
    session.look_at_api()
    assert machines.apis == 1

    session.reconnect(session.inventory.host("cp2"), 10)
    session.look_at_api()

    assert machines.apis == 2


def test_the_lock_is_taken_on_every_control_plane_that_is_reached(call: Call, ha: FakeMachines) -> None:
    """Two operators who reach one of them in common exclude each other."""
    ha.holds.clear()
    ha.broken = dict(DOWN)

    assert call("bootstrap", "--yes", "--limit", "w1").exit_code == 0

    assert len(ha.holds) == 2
    assert not any(hold.alive for hold in ha.holds)


def test_a_lock_of_somebody_else_on_any_of_them_counts(call: Call, ha: FakeMachines) -> None:
    """It was taken while another host was down."""
    ha.holder = "ann"

    assert call("bootstrap", "--yes").exit_code == Refused.exit_code


def test_a_plan_speaks_of_the_hosts_that_answer(call: Call, ha: FakeMachines) -> None:
    """The first control plane is down: the others' steps are judged, through the API, and it is named."""
    ha.broken = dict(DOWN)

    result = call("plan", "bootstrap", "--json")

    plan = json.loads(result.stdout)
    assert result.exit_code == 4
    assert "cp1: no route" in result.stderr
    assert {step["host"] for step in plan["steps"]} == {"cp2", "cp3", "w1", "w2"}
    assert (plan["changes"], plan["blocked"], plan["unknown"]) == (0, 0, 0)


def test_half_a_plan_is_not_saved(call: Call, ha: FakeMachines) -> None:
    """A contract is about all hosts or none."""
    ha.broken = dict(DOWN)

    assert call("plan", "bootstrap", "-o", "plan.json").exit_code == 4
    assert call("run", "plan.json", "--yes").exit_code == 2


def test_a_run_needs_every_host_that_walks(call: Call, ha: FakeMachines) -> None:
    """Nothing is done to some of the hosts because others are down."""
    before = len(ha.world.actions)
    ha.broken = dict(DOWN)

    assert call("bootstrap", "--yes").exit_code == 4
    assert len(ha.world.actions) == before


def test_status_and_kubeconfig_work_without_the_first(call: Call, ha: FakeMachines) -> None:
    """Every control plane has what they need."""
    ha.broken = dict(DOWN)

    assert call("status").exit_code == 0
    assert call("kubeconfig").exit_code == 0


def test_without_any_control_plane_all_of_them_are_told(session: Session) -> None:
    """Nobody can ask the API; each host's reason is there."""
    from clusterctl.engine.playbook import Playbook

    machines = fakes(session)
    machines.broken = {name: ConnectError(name) for name in ("cp1", "cp2", "cp3", "w1")}

    with pytest.raises(SeveralErrors) as caught:
        session.plan(Playbook("nothing", ()), partial=True)

    assert [error.what for error in caught.value.errors] == ["cp1", "cp2", "cp3"]
