"""sudo with a password: sent when it is asked for, once, and seen by nobody else."""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed, ConnectError, OutcomeUnknown
from clusterctl.model.secret import Secret
from clusterctl.remote import sudo as module
from clusterctl.remote.connection import Connection
from clusterctl.remote.fleet import Fleet
from clusterctl.remote.sudo import SudoPassword
from clusterctl.render import Script
from tests.remote.conftest import Sshd, wait_until

MakeSshd = Callable[..., Sshd]
MakeFleet = Callable[..., Fleet]
PASSWORD = "pass'word $(touch gone) \u00e4"

# Called as sudo -S -p PROMPT -- COMMAND... It keeps a line for each password that it got.
ASKS = """\
#!/bin/sh
prompt=$3 answers={folder}/answers; shift 4
echo 'We trust you have received the usual lecture.' >&2
for try in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r answer || {{ echo EOF >>$answers; echo 'sudo: no password was provided' >&2; exit 1; }}
  printf '%s\\n' "$answer" >>$answers
  if test "$answer" = "$(cat {folder}/password)"; then {granted}; fi
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"""


def asking(sshd: Sshd, password: str = PASSWORD, granted: str = 'exec "$@"') -> Sshd:
    """A server whose sudo asks for a password."""
    (sshd.folder / "password").write_text(password)
    sudo(sshd, ASKS.format(folder=sshd.folder, granted=granted))
    return sshd


def sudo(sshd: Sshd, text: str) -> None:
    """Replace the server's sudo."""
    (sshd.bin / "sudo").write_text(text)
    (sshd.bin / "sudo").chmod(0o755)


def answers(sshd: Sshd) -> list[str]:
    """What the server's sudo got."""
    path = sshd.folder / "answers"
    return path.read_text().splitlines() if path.exists() else []


def admin(fleet: Fleet, password: SudoPassword, number: int = 0) -> Connection:
    """The connection of somebody who needs sudo."""
    connection = fleet.connection(fleet.inventory.hosts[number])
    connection.user = "admin"
    connection.sudo = password
    return connection


@pytest.fixture
def password() -> SudoPassword:
    """The right one."""
    return SudoPassword(Secret(PASSWORD))


def script(text: str) -> Script:
    """A script with a step's name."""
    return Script("test/script", text)


def test_everything_runs_as_root_after_the_password(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword, tmp_path: Path
) -> None:
    """Scripts, secrets, files and locks; sudo's lecture and prompt are part of no answer."""
    connection = admin(make_fleet(asking(sshd)), password)

    assert connection.run(script("cat <<<done")) == "done\n"
    connection.put_secret(str(tmp_path / "token"), Secret("s3cret\n"))
    assert connection.fetch(str(tmp_path / "token")).reveal() == "s3cret\n"
    with connection.start("/bin/cat", b"held") as channel:
        assert channel.recv(4) == b"held"

    assert answers(sshd) == [PASSWORD] * 4
    assert not (tmp_path / "gone").exists()


def test_the_output_of_a_script_that_speaks_at_once_arrives_whole(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword
) -> None:
    """Nothing of it is taken for sudo's words, on either stream, nor is the login shell's greeting part of it."""
    (sshd.home / ".bashrc").write_text("echo Welcome; echo Hint >&2\n")
    connection = admin(make_fleet(asking(sshd)), password)

    assert connection.run(script("echo '@@ root'; echo '@@ password' >&2; seq 3")) == "@@ root\n1\n2\n3\n"
    with pytest.raises(CommandFailed) as caught:
        connection.run(script("echo it broke >&2; exit 1"))
    assert caught.value.details == "it broke"


def executed(connection: Connection, command: str) -> tuple[int, bytes, bytes]:
    """How a command of the operator's own ended, and what it said."""
    out, err = bytearray(), bytearray()
    status = connection.execute(command, root=True, out=out.extend, err=err.extend)
    return status, bytes(out), bytes(err)


def test_a_command_runs_as_root_after_the_password(sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword) -> None:
    """Its standard input is empty, its exit status its own."""
    connection = admin(make_fleet(asking(sshd)), password)

    assert executed(connection, "echo one | cat; cat; echo two >&2; exit 7") == (7, b"one\n", b"two\n")
    assert answers(sshd) == [PASSWORD]


def test_a_command_that_sudo_refuses_was_not_run(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """That is no exit status of the command."""
    sudo(sshd, "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    connection = make_fleet(sshd).connection(make_fleet(sshd).inventory.hosts[0])
    connection.user, connection.become = "admin", "env LC_ALL=C sudo -n -- "

    with pytest.raises(ConnectError, match="sudo asks admin for a password"):
        executed(connection, "echo never")


def test_a_sudo_that_asks_nothing_never_gets_the_password(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword, tmp_path: Path
) -> None:
    """The script's standard input begins with the script."""
    sudo(sshd, '#!/bin/sh\nshift 4\nexec "$@"\n')
    connection = admin(make_fleet(sshd), password)

    assert connection.run(script("echo first; cat")) == "first\n"
    connection.put_secret(str(tmp_path / "token"), Secret("s3cret"))
    assert (tmp_path / "token").read_text() == "s3cret"


def test_a_wrong_password_is_sent_once_and_told(sshd: Sshd, make_fleet: MakeFleet) -> None:
    """Whatever is tried afterwards: sudo is not even started again."""
    connection = admin(make_fleet(asking(sshd)), SudoPassword(Secret("hunter22")))

    for _ in range(3):
        with pytest.raises(ConnectError, match="h1: sudo does not accept the password of admin") as caught:
            connection.run(script("echo never"))

    assert caught.value.exit_code == 4
    assert "sudo -k -v" in caught.value.resolution
    assert "hunter22" not in str(caught.value)
    assert [line for line in answers(sshd) if line != "EOF"] == ["hunter22"]


def test_a_wrong_password_is_tried_on_one_host_alone(make_sshd: MakeSshd, make_fleet: MakeFleet) -> None:
    """One directory behind all hosts counts one attempt, however many are asked at the same moment."""
    servers = [asking(make_sshd()) for _ in range(4)]
    for server in servers:
        server.start()
    fleet, wrong = make_fleet(*servers), SudoPassword(Secret("hunter22"))
    connections = [admin(fleet, wrong, number) for number in range(4)]
    errors: list[ConnectError] = []

    def one(connection: Connection) -> None:
        try:
            connection.run(script("echo never"))
        except ConnectError as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line for server in servers for line in answers(server) if line != "EOF"] == ["hunter22"]
    assert len(errors) == 4
    assert len(set(errors)) == 1


def test_a_host_with_another_password_is_told_alone(make_sshd: MakeSshd, make_fleet: MakeFleet) -> None:
    """Once a host has accepted the password, one that does not is its own problem."""
    servers = [asking(make_sshd()), asking(make_sshd(), password="another"), asking(make_sshd())]
    for server in servers:
        server.start()
    fleet, right = make_fleet(*servers), SudoPassword(Secret(PASSWORD))
    first, second, third = (admin(fleet, right, number) for number in range(3))

    assert first.run(script("echo done")) == "done\n"
    with pytest.raises(ConnectError, match="h2: sudo does not accept"):
        second.run(script("echo never"))
    with pytest.raises(ConnectError, match="h2: sudo does not accept"):
        second.run(script("echo never"))
    assert third.run(script("echo done")) == "done\n"

    assert [line for line in answers(servers[1]) if line != "EOF"] == [PASSWORD]


ENDINGS = {
    "one attempt allowed": ("sudo: 1 incorrect password attempt", "does not accept the password"),
    "sudo-rs": ("sudo: Authentication failed, try again.", "does not accept the password"),
    "not in sudoers": ("admin is not in the sudoers file.", "admin may not use sudo"),
    "expired": ("sudo: Account or password is expired, reset your password and try again", "does not make admin root"),
    "nothing": ("", "does not make admin root"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_sudo_that_ends_after_the_password_is_told(sshd: Sshd, make_fleet: MakeFleet, case: str) -> None:
    """The right password is not all that sudo may want; nothing is tried again."""
    said, what = ENDINGS[case]
    asking(sshd, granted=f"echo '{said}' >&2; exit 1")
    connection = admin(make_fleet(sshd), SudoPassword(Secret(PASSWORD)))

    for _ in range(2):
        with pytest.raises(ConnectError, match=what) as caught:
            connection.run(script("echo never"))

    assert said in caught.value.details
    assert caught.value.resolution
    assert answers(sshd) == [PASSWORD]


@pytest.mark.parametrize(
    ("said", "what", "way_out"),
    [
        ("sudo: sorry, you must have a tty to run sudo", "wants a terminal", "Defaults:admin !requiretty"),
        ("admin is not in the sudoers file.", "may not use sudo", "as an administrator"),
    ],
)
def test_a_sudo_that_does_not_even_ask_is_told(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword, said: str, what: str, way_out: str
) -> None:
    """With and without a password."""
    sudo(sshd, f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    connection = admin(make_fleet(sshd), password)
    for each in (password, None):
        connection.sudo = each
        connection.become = "env LC_ALL=C sudo -n -- "

        with pytest.raises(ConnectError, match=what) as caught:
            connection.run(script("echo never"))

        assert way_out in caught.value.resolution


def test_a_sudo_that_says_nothing_is_given_up(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory may be out of reach."""
    monkeypatch.setattr(module, "_PATIENCE", 0.3)
    sudo(sshd, "#!/bin/sh\nsleep 20\n")

    with pytest.raises(ConnectError, match="neither asked for a password nor began"):
        admin(make_fleet(sshd), password).run(script("echo never"))


def test_a_connection_that_breaks_at_sudo_has_changed_nothing(
    sshd: Sshd, make_fleet: MakeFleet, password: SudoPassword, tmp_path: Path
) -> None:
    """The script was not sent yet: no outcome is unknown."""
    asking(sshd, granted=f"touch {tmp_path}/asked; sleep 5")
    connection = admin(make_fleet(sshd), password)

    def cut() -> None:
        wait_until((tmp_path / "asked").exists)
        sshd.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(ConnectError, match="the connection broke while sudo was asked") as caught:
        connection.run(script("echo never"))
    cutter.join()

    assert not isinstance(caught.value, OutcomeUnknown)


def test_the_password_is_in_no_argument_list_and_no_environment(
    sshd: Sshd, make_fleet: MakeFleet, tmp_path: Path
) -> None:
    """While sudo runs and while the script does, no process of the machine shows it."""
    mark = "marked-" + os.urandom(8).hex()
    asking(sshd, password=mark, granted='sleep 0.3; exec "$@"')
    connection = admin(make_fleet(sshd), SudoPassword(Secret(mark)))
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for name in ("cmdline", "environ"):
                for path in Path("/proc").glob(f"[0-9]*/{name}"):
                    try:
                        if mark.encode() in path.read_bytes():
                            seen.append(str(path))
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = connection.run(script("sleep 0.3; env"))
    over.set()
    watcher.join()

    assert answers(sshd) == [mark]
    assert not seen
    assert mark not in answer


def test_a_file_is_copied_with_the_password(
    make_sshd: MakeSshd, make_fleet: MakeFleet, password: SudoPassword, tmp_path: Path
) -> None:
    """What sudo and the wrapper say is not part of the file."""
    sshd = asking(make_sshd())
    sshd.start()
    content = bytes(range(256)) * 500
    (tmp_path / "etcd.db").write_bytes(content)

    digest = hashlib.sha256(content).hexdigest()
    admin(make_fleet(sshd), password).copy(str(tmp_path / "etcd.db"), tmp_path / "copy", sha256=digest)

    assert (tmp_path / "copy").read_bytes() == content
