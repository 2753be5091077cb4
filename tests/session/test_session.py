"""The session: connections to the API, and what happens when they break."""

import pytest

from clusterctl.errors import ConnectError, KubernetesError, SeveralErrors
from clusterctl.model.facts import ClusterFacts
from clusterctl.session.session import Session
from tests.cli.conftest import FakeMachines
from tests.simulation import FakeClock, World


@pytest.fixture
def machines(world: World) -> FakeMachines:
    """A cluster that answers."""
    world.api = ClusterFacts("v1.36.3")
    return FakeMachines(world)


@pytest.fixture
def session(machines: FakeMachines) -> Session:
    """A session on it."""
    return Session(machines.world.inventory, machines, FakeClock())


def test_the_api_is_not_connected_to_before_it_is_asked_for(session: Session, machines: FakeMachines) -> None:
    """Connecting to hosts is not connecting to the API."""
    session.connect()

    assert machines.apis == 0


def test_an_old_connection_without_an_answer_is_replaced(session: Session, machines: FakeMachines) -> None:
    """The second try goes through a new tunnel."""
    session.look_at_api()
    machines.api_failures = [KubernetesError("no answer")]

    session.look_at_api()

    assert machines.apis == 2


def test_an_answer_is_an_answer(session: Session, machines: FakeMachines) -> None:
    """An API that refuses is not asked through another tunnel."""
    session.look_at_api()
    machines.api_failures = [KubernetesError("forbidden", status=403)]

    with pytest.raises(KubernetesError, match="forbidden"):
        session.look_at_api()

    assert machines.apis == 1


def test_a_new_connection_without_an_answer_is_an_error(session: Session, machines: FakeMachines) -> None:
    """Then the next look makes a new one."""
    machines.api_failures = [KubernetesError("no answer")]

    with pytest.raises(KubernetesError, match="no answer"):
        session.look_at_api()
    session.look_at_api()

    assert machines.apis == 2


def test_reconnecting_the_first_control_plane_gives_up_its_tunnel(session: Session, machines: FakeMachines) -> None:
    """The tunnel went through the connection that was lost."""
    session.look_at_api()

    session.reconnect(session.inventory.host("w1"), 10)
    session.look_at_api()
    session.reconnect(session.inventory.host("cp1"), 10)
    session.look_at_api()

    assert machines.apis == 2


def test_all_hosts_are_tried(session: Session, machines: FakeMachines) -> None:
    """The errors come in the inventory's order."""
    machines.broken = {name: ConnectError(name) for name in ("w2", "cp1")}

    with pytest.raises(SeveralErrors) as caught:
        session.connect()

    assert [error.what for error in caught.value.errors] == ["cp1", "w2"]
    assert machines.connected == ["w1"]


def test_what_is_the_same_for_several_hosts_is_told_once(session: Session, machines: FakeMachines) -> None:
    """A bastion that is off, or our own key; each host has tried for itself."""
    machines.broken = {name: ConnectError("bastion: it is off") for name in ("w1", "w2", "cp1")}

    with pytest.raises(ConnectError, match="bastion: it is off"):
        session.connect()


def test_a_session_closes_everything(machines: FakeMachines) -> None:
    """Also after an error."""

    def fail(session: Session) -> None:
        with session:
            session.look_at_api()
            raise ConnectError("lost")

    with pytest.raises(ConnectError):
        fail(Session(machines.world.inventory, machines, FakeClock()))

    assert machines.closed
