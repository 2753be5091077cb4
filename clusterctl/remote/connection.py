"""One host over SSH: scripts through standard input, secrets into files, forwarded connections."""

import shlex
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.errors import CommandFailed, ConnectError, OutcomeUnknown, Refused
from clusterctl.model.inventory import Host
from clusterctl.model.secret import Secret
from clusterctl.remote.arrival import Arrival
from clusterctl.remote.bastion import Bastions
from clusterctl.remote.exchange import Result, Take, converse
from clusterctl.remote.login import Login
from clusterctl.remote.sudo import not_root, prefix, without_warning
from clusterctl.remote.way import Way
from clusterctl.remote.wire import Passage, Wire
from clusterctl.render import Script

if TYPE_CHECKING:
    from fabric import Config
    from paramiko import Channel, Transport

    from clusterctl.remote.fabric_connection import FabricConnection

# The script's lock is held: said on standard error, where the script's own commands, which may exit alike, say nothing.
_BUSY = 75
_TAIL = 15
_AGAIN = "run the same command again: it looks first and goes on from there"
_CONTENT = "@@ content"
# Bytes of what a command says first: enough to tell whether it is sudo that speaks.
_FIRST = 4096
# Seconds. paramiko wakes us before it marks a broken connection as broken.
_LAST_WORDS = 0.2


class Connection:
    """The way to one host. Opens when it is first used, and again when it was lost; safe to use from threads.

    ``host`` says where, ``login`` how, ``bastions`` opens the way. Raises InputError when our own files cannot be
    used. Every method may raise ConnectError, which means that nothing was sent.
    """

    def __init__(self, host: Host, login: Login, bastions: Bastions) -> None:
        self.host = host
        self.way = login.ways.to(host)
        self.user = self.way.user
        self.become = prefix(self.user)
        self.sudo = login.sudo if self.user != "root" else None
        self._login = login
        self._bastions = bastions
        self._lock = threading.Lock()
        self._session: FabricConnection | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a connection that, as far as we know, works."""
        session = self._session
        return session is not None and session.alive

    def fabric(self, config: "Config | None" = None) -> "FabricConnection":
        """Another connection to the host, for whoever wants Fabric's verbs; it is theirs to close.

        ``config`` are their own settings of Fabric.
        """
        return self._fabric(self._bastions.wire, config)

    def _fabric(self, connect: Callable[[Way], Wire | Passage], config: "Config | None" = None) -> "FabricConnection":
        from clusterctl.remote.fabric_connection import FabricConnection

        return FabricConnection(self.way, self._login, connect, config)

    def open(self) -> None:
        """Connect and log in, unless that is so already. Raises ConnectError, or InputError for known_hosts."""
        self._transport()

    def close(self) -> None:
        """Close the connection. What runs on the host goes on."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def run(self, script: Script) -> str:
        """Run a script that changes the host, as root, once, and return what it printed.

        Raises CommandFailed when it exits with a failure, OutcomeUnknown when nobody can say how it ended, and
        Refused when another script of clusterctl runs on the host.
        """
        result = self._execute("/bin/bash -s", script.text.encode())
        if result.status is None:
            raise self._unknown(script.name)
        busy = without_warning(result.stderr).strip()
        if result.status == _BUSY and busy:
            raise Refused(
                f"{self.host.name}: {script.name} was not started: another script of clusterctl runs on this host",
                details=_tail(busy),
                resolution=f"wait until it ends; then {_AGAIN}",
            )
        return self.output(script.name, result)

    def read(self, script: Script) -> str:
        """Run a script that only reads, as root, and return what it printed.

        A connection that breaks is opened once more and the script sent again. Raises CommandFailed when it exits
        with a failure.
        """
        result = self._read("/bin/bash -s", script.text.encode(), script.name)
        return self.output(script.name, result)

    def execute(self, command: str, *, root: bool, out: Take, err: Take) -> int:
        """Run a command of the operator's own, as root or as who logs in, and return its exit status.

        What it prints goes to ``out`` and ``err`` in pieces as it comes; they may raise a ClusterctlError, which cuts
        the command off. Raises OutcomeUnknown when nobody can say how it ended.
        """
        first = {"out": b"", "err": b""}

        def keeping(name: str, take: Take) -> Take:
            def kept(data: bytes) -> object:
                first[name] = (first[name] + data)[:_FIRST]
                return take(data)

            return kept

        channel = self._start(f"/bin/sh -c {shlex.quote(command)}") if root else self._channel(command)
        status = converse(channel, b"", keeping("out", out), keeping("err", err)).status
        if status is None:
            raise self._unknown("the command")
        said = Result(status, *(first[name].decode(errors="replace") for name in ("out", "err")))
        if root and status and (refused := not_root(self.host.name, self.user, said)):
            raise refused
        return status

    def put_secret(self, path: str, content: Secret) -> None:
        """Write ``content`` to ``path`` with mode 0600, in a directory that is made with mode 0700.

        The file appears whole or not at all. Raises CommandFailed and OutcomeUnknown, neither with the content.
        """
        data = content.reveal().encode()
        folder, target = shlex.quote(str(PurePosixPath(path).parent)), shlex.quote(path)
        part = shlex.quote(f"{path}.part")
        command = (
            f"umask 077 && mkdir -p -m 0700 -- {folder} && rm -f -- {part} && cat > {part} && "
            f'if [ "$(wc -c < {part})" -eq {len(data)} ]; then mv -f -- {part} {target}; '
            f"else rm -f -- {part}; echo 'the content arrived incomplete' >&2; exit 1; fi"
        )
        result = self._execute(f"/bin/sh -c {shlex.quote(command)}", data)
        if result.status is None:
            raise self._unknown(f"writing {path}")
        self.output(f"writing {path}", Result(result.status, "", result.stderr))

    def fetch(self, path: str) -> Secret:
        """Read a text file that only root may read. Raises CommandFailed when there is none."""
        # What a login shell prints before the command is cut off at the mark.
        command = f"echo {shlex.quote(_CONTENT)} && cat -- {shlex.quote(path)}"
        result = self._read(f"/bin/sh -c {shlex.quote(command)}", b"", f"reading {path}")
        self.output(f"reading {path}", Result(result.status, "", result.stderr))
        return Secret(result.stdout.partition(f"{_CONTENT}\n")[2])

    def copy(self, path: str, to: Path, *, sha256: str) -> None:
        """Copy a file that only root may read to ``to`` on this computer, with mode 0600, in pieces.

        It appears whole and with this digest, or not at all. Raises CommandFailed when there is none or it arrives
        damaged, InputError when it cannot be written here.
        """
        command = f"echo {shlex.quote(_CONTENT)} && cat -- {shlex.quote(path)}"
        name = f"copying {path}"
        for _ in range(2):
            with Arrival(to, _CONTENT) as arrival:
                result = converse(self._start(f"/bin/sh -c {shlex.quote(command)}"), b"", arrival.take)
                if result.status is not None:
                    self.output(name, Result(result.status, "", result.stderr))
                    arrival.keep(sha256, f"{self.host.name}: {path}")
                    return
            self._drop_if_dead()
        raise self._lost(name)

    def start(self, command: str, stdin: bytes) -> "Channel":
        """Start ``command`` as root, send ``stdin``, and leave its standard input open. Whoever asked closes it."""
        from paramiko import SSHException

        channel = self._start(command)
        try:
            channel.sendall(stdin)
        except (SSHException, EOFError, OSError) as error:
            self._drop_if_dead()
            raise self._lost("the start of a command", error) from error
        return channel

    def forward(self, host: str, port: int) -> "Channel":
        """Connect to ``host`` and ``port`` as seen from this host, and return a channel that acts like a socket."""
        from paramiko import ChannelException, SSHException

        try:
            return self._transport().open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0))
        except ChannelException as error:
            if error.code == 1:
                raise ConnectError(
                    f"{self.host.name}: the SSH server forbids forwarding",
                    details=error.text,
                    resolution=f"on {self.host.name}, set AllowTcpForwarding yes in sshd_config and reload ssh",
                ) from error
            raise ConnectError(
                f"{self.host.name}: cannot reach {host} port {port} from there",
                details=error.text,
                resolution=f"look what listens on {self.host.name}: sudo ss -ltnp",
            ) from error
        except (SSHException, EOFError, OSError) as error:
            self._drop_if_dead()
            raise self._lost(f"forwarding to {host} port {port}", error) from error

    def output(self, name: str, result: Result) -> str:
        """What a command printed. Raises the error for its exit status."""
        if result.status is None:
            raise self._lost(name)
        if result.status == 0:
            return result.stdout
        refused = not_root(self.host.name, self.user, result)
        if refused:
            raise refused
        raise CommandFailed(
            f"{self.host.name}: {name} failed with exit status {result.status}",
            details=_tail(without_warning(result.stderr)) or _tail(result.stdout),
            resolution=f"correct on {self.host.name} what it says; then {_AGAIN}",
        )

    def _unknown(self, name: str) -> OutcomeUnknown:
        self._drop_if_dead()
        how = "the host ended it without a status" if self.alive else "the connection broke"
        return OutcomeUnknown(f"{self.host.name}: {how} while {name} was running", resolution=_AGAIN)

    def _lost(self, name: str, error: Exception | None = None) -> ConnectError:
        return ConnectError(
            f"{self.host.name}: the connection broke at {name}",
            details=str(error or ""),
            resolution=f"check that {self.host.name} is up and that the network holds; then {_AGAIN}",
        )

    def _read(self, command: str, stdin: bytes, name: str) -> Result:
        for _ in range(2):
            result = self._execute(command, stdin)
            if result.status is not None:
                return result
            self._drop_if_dead()
        raise self._lost(name)

    def _execute(self, command: str, stdin: bytes) -> Result:
        return converse(self._start(command), stdin)

    def _start(self, command: str) -> "Channel":
        """Start ``command`` as root with its standard input open."""
        if self.sudo is None:
            return self._channel(self.become + command)
        channel = self._channel(self.sudo.command(self.host.name, command))
        self.sudo.give(self.host.name, self.user, channel)
        return channel

    def _channel(self, command: str) -> "Channel":
        """Start ``command``: it waits for what we send, so this may be repeated."""
        from paramiko import ChannelException, SSHException

        for last in (False, True):
            try:
                channel = self._transport().open_session()
                channel.exec_command(command)
            except ChannelException as error:
                raise ConnectError(
                    f"{self.host.name}: the SSH server refuses another session",
                    details=error.text,
                    resolution=f"on {self.host.name}, look at MaxSessions in sshd_config",
                ) from error
            except (SSHException, EOFError, OSError) as error:
                self._drop_if_dead()
                if last or self.alive:
                    raise self._lost("the start of a command", error) from error
            else:
                return channel
        raise AssertionError("unreachable")

    def _drop_if_dead(self) -> None:
        session = self._session
        if session is None:
            return
        session.transport.join(_LAST_WORDS)
        with self._lock:
            if session.alive or self._session is not session:
                return
            self._session = None
        session.close()

    def _transport(self) -> "Transport":
        with self._lock:
            if self._session is None or not self._session.alive:
                if self._session is not None:
                    self._session.close()
                    self._session = None
                wire = self._bastions.wire(self.way)
                session = self._fabric(lambda _: wire)  # The host greets while Fabric is imported.
                session.open()
                self._session = session
            transport: Transport = self._session.transport
            return transport


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_TAIL:])
