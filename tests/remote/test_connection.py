"""Scripts, secrets and files over a real SSH connection."""

import base64
import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterctl.errors import ClusterctlError, CommandFailed, ConnectError, InputError, OutcomeUnknown, Refused
from clusterctl.model.secret import Secret
from clusterctl.remote import wire
from clusterctl.remote.connection import Connection
from clusterctl.remote.fleet import Fleet
from clusterctl.render import Script
from tests.remote.conftest import Sshd, wait_until

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def connection(sshd: Sshd, make_fleet: MakeFleet) -> Connection:
    """A connection to a running server, as a user who needs no sudo."""
    return without_sudo(make_fleet(sshd))


def without_sudo(fleet: Fleet) -> Connection:
    """The connection to the first host; whoever runs the tests becomes nobody else."""
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C "
    return connection


def script(text: str, name: str = "test/script") -> Script:
    """A script with a step's name."""
    return Script(name, text)


def cut_when(path: Path, sshd: Sshd) -> threading.Thread:
    """Break all connections once ``path`` exists."""

    def work() -> None:
        wait_until(path.exists)
        sshd.cut()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_run_returns_what_the_script_printed(connection: Connection) -> None:
    """Standard output is the answer; standard error of a script that succeeds is not."""
    assert connection.run(script("echo out; echo err >&2")) == "out\n"


def test_a_failing_script_tells_host_name_status_and_last_lines(connection: Connection) -> None:
    """An operator reads what failed where, what the host said and what to do next."""
    with pytest.raises(CommandFailed) as caught:
        connection.run(script("seq 1 100 >&2; exit 3"))

    error = caught.value
    assert error.what == "h1: test/script failed with exit status 3"
    assert error.details.splitlines() == [str(number) for number in range(86, 101)]
    assert "run the same command again" in error.resolution


def test_a_failing_script_that_only_printed_to_stdout_shows_that(connection: Connection) -> None:
    """Scripts with a log print it to standard output."""
    with pytest.raises(CommandFailed) as caught:
        connection.run(script("echo it is broken; exit 1"))

    assert caught.value.details == "it is broken"


def test_exit_status_75_means_that_another_script_runs(connection: Connection) -> None:
    """The script's own lock refuses to start a second one; nothing failed."""
    with pytest.raises(Refused) as caught:
        connection.run(script("echo 'another script of clusterctl runs here: kubeadm/init' >&2; exit 75"))

    assert "kubeadm/init" in caught.value.details


def test_a_command_of_the_script_that_exits_with_75_has_failed(connection: Connection) -> None:
    """The lock speaks on standard error; the commands of a script write to its log."""
    with pytest.raises(CommandFailed, match="exit status 75"):
        connection.run(script("echo temporary failure; exit 75"))


def test_large_output_on_both_streams_arrives_whole(connection: Connection) -> None:
    """More output than the window holds, on both streams at once, blocks nobody."""
    text = "head -c 3000000 /dev/zero | tr '\\0' a; head -c 3000000 /dev/zero | tr '\\0' b >&2; echo end"

    assert connection.run(script(text)) == "a" * 3_000_000 + "end\n"


def test_a_large_script_runs_whole(connection: Connection) -> None:
    """A script larger than an argument may be (128 KiB) travels through standard input."""
    text = "main() {\n" + "".join(f": {number:0>90}\n" for number in range(2200)) + "echo whole\n}\nmain </dev/null\n"

    assert len(text) > 200_000
    assert connection.run(script(text)) == "whole\n"


def test_output_while_the_script_is_still_being_sent_blocks_nobody(connection: Connection) -> None:
    """A script that fills the output before it has read its own end neither hangs nor loses anything."""
    text = "head -c 4000000 /dev/zero | tr '\\0' a\n" + "# padding\n" * 400_000 + "echo end\n"

    assert connection.run(script(text)) == "a" * 4_000_000 + "end\n"


def test_a_script_that_does_not_read_its_end_is_no_problem(connection: Connection) -> None:
    """A command that exits early leaves the rest of its input unread."""
    with pytest.raises(CommandFailed, match="exit status 4"):
        connection.run(script("exit 4\n" + "# padding\n" * 500_000))


def test_a_process_left_in_the_background_does_not_hold_the_run(connection: Connection) -> None:
    """The script's end counts, not that of a daemon which keeps its output open."""
    daemon = int(connection.run(script("sleep 600 & echo $!")))

    os.kill(daemon, signal.SIGKILL)  # It was still there.


def test_a_script_that_closed_its_outputs_is_awaited(connection: Connection, tmp_path: Path) -> None:
    """The end of the output is not the end of the script."""
    connection.run(script(f"exec >/dev/null 2>&1; sleep 0.3; touch {tmp_path}/done"))

    assert (tmp_path / "done").exists()


def test_scripts_run_side_by_side_over_one_connection(connection: Connection, sshd: Sshd) -> None:
    """One connection carries several channels; each answer goes to its caller."""
    answers: dict[int, str] = {}

    def one(number: int) -> None:
        answers[number] = connection.read(script(f"sleep 0.1; echo {number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {number: f"{number}\n" for number in range(8)}
    assert len(sshd.sessions()) == 1


def test_put_secret_writes_a_private_file_in_a_private_folder(connection: Connection, tmp_path: Path) -> None:
    """Mode 0600 in 0700, whatever the name of the file."""
    path = tmp_path / "run" / "it's a $(touch gone)" / "token"

    connection.put_secret(str(path), Secret("s3cret\n"))

    assert path.read_text() == "s3cret\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]


def test_put_secret_replaces_a_file_that_others_could_read(connection: Connection, tmp_path: Path) -> None:
    """The old mode does not survive."""
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)

    connection.put_secret(str(path), Secret("new"))

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_in_no_argument_list(connection: Connection, sshd: Sshd, tmp_path: Path) -> None:
    """While the file is written, no process on the machine shows the content in /proc/*/cmdline or environ."""
    secret = "s3cret-" + base64.b64encode(os.urandom(300_000)).decode()
    cat = sshd.bin / "cat"
    cat.write_text(f'#!/bin/sh\ntouch {tmp_path}/writing; sleep 0.5; exec /bin/cat "$@"\n')
    cat.chmod(0o755)
    seen: list[str] = []

    def watch() -> None:
        wait_until((tmp_path / "writing").exists)
        for name in ("cmdline", "environ"):
            for path in Path("/proc").glob(f"[0-9]*/{name}"):
                try:
                    if b"s3cret-" in path.read_bytes():
                        seen.append(str(path))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection.put_secret(str(tmp_path / "token"), Secret(secret))
    watcher.join()

    assert not seen
    assert (tmp_path / "token").read_text() == secret


def test_a_secret_is_in_no_error(connection: Connection, tmp_path: Path) -> None:
    """A file that cannot be written is told by its path alone."""
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(CommandFailed) as caught:
        connection.put_secret(str(tmp_path / "file" / "token"), Secret("s3cret"))

    assert "s3cret" not in str(caught.value)
    assert str(tmp_path / "file") in str(caught.value)


def test_fetch_returns_a_file_as_a_secret(connection: Connection, tmp_path: Path) -> None:
    """What a login shell prints on its own is not part of the file."""
    (tmp_path / "admin.conf").write_text("apiVersion: v1\n")

    secret = connection.fetch(str(tmp_path / "admin.conf"))

    assert isinstance(secret, Secret)
    assert secret.reveal() == "apiVersion: v1\n"


def test_fetch_ignores_what_the_login_shell_prints(
    make_sshd: Callable[..., Sshd], make_fleet: MakeFleet, tmp_path: Path
) -> None:
    """A talkative ~/.bashrc does not end up in a kubeconfig."""
    (tmp_path / "admin.conf").write_text("apiVersion: v1\n")
    sshd = make_sshd()
    (sshd.home / ".bashrc").write_text("echo Welcome\n")
    sshd.start()

    assert without_sudo(make_fleet(sshd)).fetch(str(tmp_path / "admin.conf")).reveal() == "apiVersion: v1\n"


def test_fetch_of_a_missing_file_fails(connection: Connection, tmp_path: Path) -> None:
    """There is nothing to return."""
    with pytest.raises(CommandFailed, match=r"reading .*admin.conf failed"):
        connection.fetch(str(tmp_path / "admin.conf"))


CONTENT = bytes(range(256)) * 1000 + b"@@ content\n" + bytes(300)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def files(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def arrivals(tmp_path: Path) -> Path:
    """A folder on the operator's computer."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_copy_brings_a_binary_file(connection: Connection, tmp_path: Path, arrivals: Path) -> None:
    """Every byte as it was, for its owner alone, and nothing beside it."""
    (tmp_path / "etcd.db").write_bytes(CONTENT)

    connection.copy(str(tmp_path / "etcd.db"), arrivals / "copy", sha256=DIGEST)

    assert (arrivals / "copy").read_bytes() == CONTENT
    assert (arrivals / "copy").stat().st_mode & 0o777 == 0o600
    assert files(arrivals) == ["copy"]


def test_copy_ignores_what_the_login_shell_prints(
    make_sshd: Callable[..., Sshd], make_fleet: MakeFleet, tmp_path: Path, arrivals: Path
) -> None:
    """A talkative ~/.bashrc does not end up in a snapshot."""
    (tmp_path / "etcd.db").write_bytes(CONTENT)
    sshd = make_sshd()
    (sshd.home / ".bashrc").write_text("echo Welcome\n")
    sshd.start()

    without_sudo(make_fleet(sshd)).copy(str(tmp_path / "etcd.db"), arrivals / "copy", sha256=DIGEST)

    assert (arrivals / "copy").read_bytes() == CONTENT


def test_a_file_that_arrives_damaged_does_not_stay(connection: Connection, tmp_path: Path, arrivals: Path) -> None:
    """Another digest is an error, and no file is left that might be taken for the right one."""
    (tmp_path / "etcd.db").write_bytes(CONTENT)

    with pytest.raises(CommandFailed, match=r"etcd.db arrived damaged"):
        connection.copy(str(tmp_path / "etcd.db"), arrivals / "copy", sha256="0" * 64)

    assert files(arrivals) == []


def test_copy_of_a_missing_file_fails(connection: Connection, tmp_path: Path, arrivals: Path) -> None:
    """The host says why, and nothing is left."""
    with pytest.raises(CommandFailed, match=r"copying .*etcd.db failed") as caught:
        connection.copy(str(tmp_path / "etcd.db"), arrivals / "copy", sha256=DIGEST)

    assert "No such file" in caught.value.details
    assert files(arrivals) == []


def test_copy_to_where_nothing_can_be_written_says_so(connection: Connection, tmp_path: Path, arrivals: Path) -> None:
    """It is our side's mistake."""
    (tmp_path / "etcd.db").write_bytes(CONTENT)

    with pytest.raises(InputError, match=r"cannot write .*/gone/copy"):
        connection.copy(str(tmp_path / "etcd.db"), arrivals / "gone" / "copy", sha256=DIGEST)


def test_a_full_disk_ends_the_copy(connection: Connection, tmp_path: Path) -> None:
    """The error names the place, and the command on the host is not left waiting."""
    (tmp_path / "etcd.db").write_bytes(CONTENT * 20)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        with pytest.raises(InputError, match=r"small/copy: No space left"):
            connection.copy(str(tmp_path / "etcd.db"), small / "copy", sha256=DIGEST)
        assert files(small) == []
    finally:
        subprocess.run(["umount", small], check=True)
    assert connection.read(script("echo well")) == "well\n"


def test_a_copy_that_breaks_off_is_begun_anew_once(
    connection: Connection, sshd: Sshd, tmp_path: Path, arrivals: Path
) -> None:
    """The first part does not stay in the file."""
    (tmp_path / "etcd.db").write_bytes(CONTENT)
    (sshd.bin / "cat").write_text(
        f'#!/bin/sh\nif test -e {tmp_path}/cut; then exec /bin/cat "$@"; fi\n'
        f"head -c 1000 {tmp_path}/etcd.db; touch {tmp_path}/cut; sleep 60\n"
    )
    (sshd.bin / "cat").chmod(0o755)
    cutting = cut_when(tmp_path / "cut", sshd)

    connection.copy(str(tmp_path / "etcd.db"), arrivals / "copy", sha256=DIGEST)
    cutting.join()

    assert (arrivals / "copy").read_bytes() == CONTENT


def test_a_connection_that_breaks_leaves_the_outcome_unknown(
    connection: Connection, sshd: Sshd, tmp_path: Path
) -> None:
    """The script goes on to its end on the host; here nobody knows, and nothing is sent again."""
    text = f"""
        trap '' PIPE HUP
        touch {tmp_path}/started; sleep 0.5; echo lost; echo once >>{tmp_path}/done
    """
    cutter = cut_when(tmp_path / "started", sshd)

    with pytest.raises(OutcomeUnknown, match="h1: the connection broke while test/script was running"):
        connection.run(script(text))
    cutter.join()

    assert not connection.alive
    wait_until((tmp_path / "done").exists)
    assert connection.run(script(f"cat {tmp_path}/done")) == "once\n"


def test_a_script_that_is_killed_leaves_the_outcome_unknown(connection: Connection) -> None:
    """Without an exit status nobody knows how far it came; the connection is still there."""
    with pytest.raises(OutcomeUnknown, match="ended it without a status"):
        connection.run(script("kill -KILL $$"))

    assert connection.alive


def test_reading_is_repeated_once_on_a_new_connection(connection: Connection, sshd: Sshd, tmp_path: Path) -> None:
    """What changes nothing may be done again."""
    text = f"""
        if test -e {tmp_path}/started; then echo second; exit; fi
        touch {tmp_path}/started; sleep 5
    """
    cutter = cut_when(tmp_path / "started", sshd)

    assert connection.read(script(text)) == "second\n"
    cutter.join()


def test_reading_without_a_server_is_a_connect_error(connection: Connection, sshd: Sshd) -> None:
    """Nothing was changed, whatever broke."""
    sshd.stop()

    with pytest.raises(ConnectError, match="refuses connections"):
        connection.read(script("true"))


def test_a_connection_that_died_between_two_scripts_is_opened_again(connection: Connection, sshd: Sshd) -> None:
    """Nothing had been sent. Whoever notices the break first, paramiko's thread or ours."""
    for number in range(10):
        connection.run(script("true"))
        sshd.cut()
        time.sleep(number * 0.002)

        assert connection.run(script("echo again")) == "again\n"


def test_a_frozen_host_is_noticed(connection: Connection, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose network answers and whose SSH server does not is given up after a while."""
    monkeypatch.setattr(wire, "SILENCE", 1.0)
    freezer = threading.Timer(0.3, sshd.freeze, [True])
    freezer.start()

    with pytest.raises(OutcomeUnknown):
        connection.run(script("sleep 20"))
    freezer.join()
    sshd.freeze(False)


def test_a_quiet_script_is_not_taken_for_a_dead_host(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """A host that answers the keepalive is alive, although its script says nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "SILENCE", 3.0)
        patch.setattr("clusterctl.remote.handshake.ASK_EVERY", 0.5)

        assert without_sudo(make_fleet(sshd)).run(script("sleep 5; echo done")) == "done\n"


SUDO = {
    "password": ("sudo: a password is required", 1, "asks .* for a password", "NOPASSWD:ALL' | sudo tee"),
    "password, sudo-rs": ("sudo: interactive authentication is required", 1, "asks .* for a password", "NOPASSWD"),
    "not in sudoers": ("admin is not in the sudoers file.", 1, "may not use sudo", "as an administrator"),
    "not allowed": (
        "Sorry, user admin is not allowed to execute '/bin/bash -s' as root on h.",
        1,
        "may not use",
        "NOPA",
    ),
    "not allowed, sudo-rs": ("sudo: I'm sorry admin. I'm afraid I can't do that", 1, "may not use sudo", "NOPASSWD"),
    "no setuid": ("sudo: /usr/bin/sudo must be owned by uid 0", 1, "does not make .* root", "sudo -n true"),
    "with a warning before": ("sudo: unable to resolve host h: x\nsudo: a password is required", 1, "password", "tee"),
}


@pytest.mark.parametrize("case", SUDO)
def test_a_sudo_that_refuses_is_told_and_nothing_was_run(sshd: Sshd, make_fleet: MakeFleet, case: str) -> None:
    """Each way not to become root has its own sentence and its own way out."""
    said, status, what, way_out = SUDO[case]
    fleet = make_fleet(sshd)
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C sudo -n -- "
    connection.user = "admin"
    sudo = sshd.bin / "sudo"
    sudo.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit {status}\n")
    sudo.chmod(0o755)

    with pytest.raises(ConnectError, match=what) as caught:
        connection.run(script("touch never"))

    assert way_out in caught.value.resolution


def test_a_missing_sudo_is_told(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """The shell's 127 means that there is no sudo."""
    fleet = make_fleet(sshd)
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C PATH=/nonexistent sudo -n -- "
    connection.user = "admin"

    with pytest.raises(ConnectError, match="sudo is not installed"):
        connection.run(script("true"))


def test_sudo_gets_the_script_and_its_warning_is_no_failure(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """A sudo that cannot resolve its own host name warns and works; a later failure is the script's."""
    fleet = make_fleet(sshd)
    connection = fleet.connection(fleet.inventory.hosts[0])
    connection.become = "env LC_ALL=C sudo -n -- "
    connection.user = "admin"
    sudo = sshd.bin / "sudo"
    sudo.write_text('#!/bin/sh\necho "sudo: unable to resolve host h: x" >&2\nshift 2\nexec "$@"\n')
    sudo.chmod(0o755)

    assert connection.run(script("echo done")) == "done\n"
    with pytest.raises(CommandFailed) as caught:
        connection.run(script("echo it broke; exit 1"))
    assert caught.value.details == "it broke"


def test_a_login_that_only_gives_advice_is_told(make_sshd: Callable[..., Sshd], make_fleet: MakeFleet) -> None:
    """Cloud images answer root with the name of the user to take."""
    sshd = make_sshd()
    advice = 'Please login as the user "ubuntu" rather than the user "root".'
    sshd.options = [f"ForceCommand echo '{advice}'; exit 142"]
    sshd.start()

    with pytest.raises(ConnectError) as caught:
        without_sudo(make_fleet(sshd)).run(script("true"))

    assert caught.value.resolution == "set in the inventory: ssh: {user: ubuntu}"


def test_too_many_sessions_are_told(make_sshd: Callable[..., Sshd], make_fleet: MakeFleet) -> None:
    """A server may forbid sessions altogether."""
    sshd = make_sshd()
    sshd.options = ["MaxSessions 0"]
    sshd.start()

    with pytest.raises(ConnectError, match="refuses another session") as caught:
        without_sudo(make_fleet(sshd)).run(script("true"))

    assert "MaxSessions" in caught.value.resolution


def test_no_error_shows_a_secret(connection: Connection, sshd: Sshd, tmp_path: Path) -> None:
    """A connection that breaks while a secret is written does not tell it."""
    cat = sshd.bin / "cat"
    cat.write_text(f"#!/bin/sh\ntouch {tmp_path}/writing; sleep 2\n")
    cat.chmod(0o755)
    cutter = cut_when(tmp_path / "writing", sshd)

    with pytest.raises(ClusterctlError) as caught:
        connection.put_secret(str(tmp_path / "token"), Secret("s3cret"))
    cutter.join()

    assert isinstance(caught.value, OutcomeUnknown)
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "token").exists()
