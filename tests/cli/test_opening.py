"""What is begun when a session is opened: on real SSH servers, without fakes."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterctl.remote.known_hosts import KnownHosts
from tests.cli.conftest import Call
from tests.remote.conftest import Sshd, keys, make_sshd, public_key  # noqa: F401 - fixtures.

PLAYBOOK = "plays: [{name: Quiet the hosts, hosts: all, run: [os/swap-off]}]"


@pytest.fixture
def servers(
    call: Call,
    make_sshd: Callable[[str], Sshd],  # noqa: F811
    keys: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Sshd]:
    """A control plane and a worker of an inventory, both trusted; they do not run yet."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    servers = [make_sshd("127.0.0.1"), make_sshd("127.0.0.2")]
    known, hosts = KnownHosts(tmp_path / "known"), []
    for server, role in zip(servers, ("control-plane", "worker"), strict=True):
        server.options.append("LogLevel VERBOSE")
        known.record(server.address, server.port, [public_key(server.host_key("ed25519"))])
        hosts.append(f"  - {{name: {role}1, address: {server.address}, port: {server.port}, role: {role}}}\n")
    (tmp_path / "quiet.yaml").write_text(PLAYBOOK)
    (tmp_path / "inventory.yaml").write_text(
        "cluster:\n  name: test\n  kubernetes: 1.36.3\n  endpoint: 127.0.0.1:6443\n"
        "  sources: {packages: 'http://127.0.0.1:9'}\n"
        f"ssh: {{user: root, key: {keys}/login, known_hosts: {tmp_path}/known, config: /dev/null}}\n"
        "hosts:\n" + "".join(hosts)
    )
    return servers


def commands(server: Sshd) -> int:
    """How many commands a server has started."""
    return (server.folder / "log").read_text().count("Starting session: command")


@pytest.mark.skipif(os.geteuid() != 0, reason="the probe reads this computer as root")
def test_a_plan_looks_at_a_host_once(call: Call, servers: list[Sshd]) -> None:
    """What was begun before the plan is what the plan is made of."""
    for server in servers:
        server.start()

    result = call("plan", "./quiet.yaml")

    assert result.exit_code == 0, result.output
    assert "os/swap-off" in result.stdout
    assert commands(servers[1]) == 1


def test_a_host_that_was_tried_in_vain_is_told_once(call: Call, servers: list[Sshd]) -> None:
    """With the exit code of connections."""
    servers[0].start()

    result = call("bootstrap", "--yes")

    assert result.exit_code == 4
    assert result.stderr.count("worker1: 127.0.0.2") == 1


def test_nobody_waits_for_a_silent_host_when_the_command_is_wrong(call: Call, servers: list[Sshd]) -> None:
    """The attempt is left behind: a process does not wait for such a thread."""
    with socket.create_server((servers[0].address, servers[0].port)):
        result = call("plan", "./none.yaml")

        left = [thread for thread in threading.enumerate() if thread.name == "connect control-plane1"]
        assert result.exit_code == 2
        assert "none.yaml" in result.stderr
        assert [thread.daemon for thread in left] == [True]
    for thread in left:
        thread.join(20)
