"""What a run measures while it goes, on a cluster in memory whose endpoint and services are real web servers."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.engine.events import Event, Measured, Outage
from clusterctl.errors import ConnectError, InputError
from clusterctl.model.facts import ClusterFacts, FileFact
from clusterctl.model.inventory import parse_inventory
from clusterctl.model.places import ADMIN_CONF, CA_CERT
from clusterctl.session.probing import targets, watching
from clusterctl.session.session import Session
from tests.cli.conftest import INVENTORY, Call, FakeMachines, lines
from tests.kube.certificates import server_certificate
from tests.simulation import World
from tests.web import Server, serving

PLAYBOOK = "plays: [{name: Quiet the hosts, hosts: all, run: [os/swap-off]}]"


@pytest.fixture
def server() -> Iterator[Server]:
    """What is asked."""
    with serving() as state:
        yield state


@pytest.fixture
def session(machines: FakeMachines) -> Iterator[Session]:
    """A session that has looked at every host of a cluster."""
    machines.world.api = ClusterFacts("1.36.3")
    with Session(machines.world.inventory, machines) as opened:
        opened.look_at()
        yield opened


def wait_for(what: Callable[[], bool]) -> None:
    """A condition of another thread."""
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_gap_is_told_and_summed_up(session: Session, server: Server) -> None:
    """A server that fails for a while: its gap, the first error, and the whole measure."""
    url, events = f"http://127.0.0.1:{server.port}/live", list[Event]()

    with watching(targets(session, [url]), events.append):
        wait_for(lambda: len(server.asked) > 1)
        server.status = 503
        asked = len(server.asked)
        wait_for(lambda: len(server.asked) > asked + 1)
        server.status = 200
        wait_for(lambda: bool(events))

    outage, measured = events
    assert isinstance(outage, Outage)
    assert isinstance(measured, Measured)
    assert (outage.target, outage.error) == (url, "503 Service Unavailable")
    assert measured.lost == outage.lost >= 2
    assert measured.asked == len(server.asked)
    assert 0.2 < outage.seconds < measured.seconds


def test_the_api_endpoint_is_asked_with_the_cluster_s_authority(machines: FakeMachines, tmp_path: Path) -> None:
    """The session knows the authority by the control plane's facts; without a cluster there is nothing to ask."""
    certificate, key = server_certificate("127.0.0.1")
    (tmp_path / "server.pem").write_bytes(certificate + key)
    wire = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wire.load_cert_chain(tmp_path / "server.pem")
    with serving(wire) as server:
        world = World(parse_inventory(INVENTORY.replace("192.0.2.11:6443", f"127.0.0.1:{server.port}")))
        fakes = FakeMachines(world)
        with Session(world.inventory, fakes) as session:
            session.look_at()
            assert targets(session, []) == ()
        files = {CA_CERT: FileFact(certificate.decode(), "644")}
        world.hosts["cp1"] = replace(world.hosts["cp1"], files=files, paths=frozenset({ADMIN_CONF}))
        with Session(world.inventory, fakes) as session:
            session.look_at()
            (target,) = targets(session, [])
            assert target.ask()

    assert target.name == f"API endpoint 127.0.0.1:{server.port}"
    assert server.asked == [f"/version of 127.0.0.1:{server.port}"]


def test_a_service_is_asked_through_a_host_that_is_up(session: Session, machines: FakeMachines, server: Server) -> None:
    """Through a worker; when that restarts, through the next one; without any host nothing is known."""
    machines.services["10.96.0.10", 80] = server.port
    (target,) = targets(session, ["svc/web/web"])

    assert target.ask()
    machines.broken["w1"] = ConnectError("w1: it restarts")
    assert target.ask()
    machines.broken |= dict.fromkeys(("w2", "cp1"), ConnectError("gone"))
    assert not target.ask()
    assert len(server.asked) == 2


def test_a_service_s_port_may_be_named(session: Session, machines: FakeMachines, server: Server) -> None:
    """The first one is meant otherwise."""
    machines.services |= {("10.96.0.10", 80): 1, ("10.96.0.10", 8080): server.port}

    assert targets(session, ["svc/web/web:8080"])[0].ask()


@pytest.mark.parametrize("probe", ["web", "ftp://web", "svc/web", "svc//web", "svc/a/b/c", "svc/a/b:http", ""])
def test_what_cannot_be_probed(session: Session, probe: str) -> None:
    """Bad input, with the three ways to write it."""
    with pytest.raises(InputError, match="--probe: ") as caught:
        targets(session, [probe])

    assert "svc/NAMESPACE/NAME" in caught.value.resolution


def test_a_run_tells_what_it_measured(call: Call, machines: FakeMachines, tmp_path: Path, server: Server) -> None:
    """On the console after the summary, in the log, and in the audit trail."""
    (tmp_path / "quiet.yaml").write_text(PLAYBOOK)
    url = f"http://127.0.0.1:{server.port}"

    result = call("run", "quiet.yaml", "--yes", "--probe", url, "--log", "log")

    assert result.exit_code == 0, result.output
    assert any(f"{url}: {len(server.asked)} request" in line and "none lost" in line for line in lines(result))
    trail = next((tmp_path / "state").rglob("*-quiet-*.ndjson"))
    for path in (trail, tmp_path / "log"):
        events = [json.loads(line) for line in path.read_text().splitlines()]
        (measured,) = [event for event in events if event["event"] == "measured"]
        assert (measured["target"], measured["asked"], measured["lost"]) == (url, len(server.asked), 0)
    assert f"watch {url}" not in {thread.name for thread in threading.enumerate()}


def test_a_probe_that_is_wrong_stops_the_run_before_it_changes_anything(
    call: Call, machines: FakeMachines, tmp_path: Path
) -> None:
    """It is found after the plan and before the question."""
    (tmp_path / "quiet.yaml").write_text(PLAYBOOK)

    result = call("run", "quiet.yaml", "--yes", "--probe", "web")

    assert result.exit_code == 2
    assert machines.world.actions == []
