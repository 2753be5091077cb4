"""Becoming root on a host, with a password or without, and telling why it did not work."""

import re
import shlex
import threading
import time
from typing import TYPE_CHECKING, Literal

from clusterctl.errors import ConnectError
from clusterctl.model.secret import Secret
from clusterctl.remote.exchange import Result

if TYPE_CHECKING:
    from paramiko import Channel


# sudo's messages are recognised in English.
_ENGLISH = "env LC_ALL=C "
# What sudo says although it works.
_WARNING = re.compile(r"^sudo: unable to resolve host .*\n?", re.MULTILINE)
_NO_TERMINAL = re.compile(r"you must have a tty to run sudo")
# sudo, and sudo-rs.
_PASSWORD = re.compile(r"password is required|authentication is required|terminal is required|no tty present")
_WRONG = re.compile(r"incorrect password attempt|incorrect authentication attempt|Authentication failed")
_REFUSAL = re.compile(r"is not in the sudoers file|is not allowed to (execute|run sudo)|I'm afraid I can't do that")
_ADVICE = re.compile(r"[Pp]lease login as the user \"([^\"\s]+)\"")

# What sudo asks with, and what a command that runs as root says first.
_ASKS = "@@ password"
_BEGUN = "@@ root"
# Seconds for sudo to ask or to begin: it may have to ask a directory about the user and the password.
_PATIENCE = 60.0
_CHUNK = 4096
_MOMENT = 0.5


def prefix(user: str) -> str:
    """What goes before a command so that it runs as root, when sudo asks for no password."""
    return _ENGLISH if user == "root" else f"{_ENGLISH}sudo -n -- "


def without_warning(stderr: str) -> str:
    """``stderr`` without what sudo complains of while it works."""
    return _WARNING.sub("", stderr)


class SudoPassword:
    """sudo's password, the same on all hosts. Safe to use from several threads.

    It is sent when sudo asks for it and never otherwise: a sudo that asks nothing would hand it to the script. A
    host that refused it does not get it again. Until one host has accepted it the hosts take turns, and when one
    refuses it meanwhile no other gets it: many hosts may ask one directory, which locks accounts.
    """

    def __init__(self, password: Secret) -> None:
        self._password = password
        self._turn = threading.Lock()
        self._accepted = False
        self._refusals: dict[str, ConnectError] = {}

    def command(self, host: str, command: str) -> str:
        """What runs ``command`` as root on ``host``; ``give`` has to follow. Raises as that does."""
        self._check(host)
        begin = f"echo {shlex.quote(_BEGUN)} && exec {command}"
        return f"{_ENGLISH}sudo -S -p {shlex.quote(_ASKS)} -- /bin/sh -c {shlex.quote(begin)}"

    def give(self, host: str, user: str, channel: "Channel") -> None:
        """Answer sudo if it asks, and return when the command runs as root: its input and output begin there.

        Raises ConnectError when it does not come to that, and closes ``channel``; nothing was run then.
        """
        dialogue = _Dialogue(channel)
        try:
            if dialogue.answer() == "asks":
                self._answer(host, user, dialogue)
            elif dialogue.heard != "begun":
                raise _not_begun(host, user, dialogue)
        except BaseException:
            channel.close()
            raise

    def _answer(self, host: str, user: str, dialogue: "_Dialogue") -> None:
        if self._accepted:
            self._attempt(host, user, dialogue)
            return
        with self._turn:
            self._check(host)
            self._attempt(host, user, dialogue)

    def _attempt(self, host: str, user: str, dialogue: "_Dialogue") -> None:
        dialogue.say(f"{self._password.reveal()}\n")
        if dialogue.answer() == "begun":
            self._accepted = True
            return
        error = _not_begun(host, user, dialogue)
        self._accepted = self._accepted or bool(_REFUSAL.search(dialogue.said))
        self._refusals[host] = error
        raise error

    def _check(self, host: str) -> None:
        """Raise the error of an attempt that makes another one on ``host`` unwise."""
        refusals = dict(self._refusals)
        refusal = refusals.get(host) or (None if self._accepted else next(iter(refusals.values()), None))
        if refusal is not None:
            raise refusal


class _Dialogue:
    """What sudo says before the command begins. Nothing of the command's own output is read."""

    def __init__(self, channel: "Channel") -> None:
        self.heard: Literal["", "asks", "begun", "ended"] = ""
        self.said = ""
        self._channel = channel
        self._line = b""

    @property
    def status(self) -> int | None:
        """The exit status, None when there is none."""
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    def say(self, text: str) -> None:
        """Send an answer."""
        self._channel.sendall(text.encode())

    def answer(self) -> str:
        """Wait until sudo asks, begins or ends; empty when it does none of these in time."""
        until = time.monotonic() + _PATIENCE
        news = threading.Event()
        self._channel.in_buffer.set_event(news)
        self._channel.in_stderr_buffer.set_event(news)
        self.heard = ""
        while not self.heard and time.monotonic() < until:
            over = self._channel.eof_received or self._channel.closed
            if self._channel.recv_stderr_ready():
                self.said += self._channel.recv_stderr(_CHUNK).decode(errors="replace")
                before, asks, after = self.said.rpartition(_ASKS)
                if asks:
                    self.said, self.heard = before + after, "asks"
            elif self._channel.recv_ready():
                self._line += self._channel.recv(1)
                if self._line.endswith(b"\n"):
                    self.heard = "begun" if self._line.strip() == _BEGUN.encode() else ""
                    self._line = b""
            elif over:
                self._channel.status_event.wait(_MOMENT)
                self.heard = "ended"
            else:
                news.wait(_MOMENT)
        return self.heard


def _not_begun(host: str, user: str, dialogue: _Dialogue) -> ConnectError:
    """The error of a sudo that did not begin; it asks once more when it did not accept the answer."""
    said = without_warning(dialogue.said).strip()
    if dialogue.heard == "asks" or _WRONG.search(said):
        return ConnectError(
            f"{host}: sudo does not accept the password of {user}",
            details=f"{said}\nIt was sent once, and is sent to no other host until one has accepted it.".strip(),
            resolution=f"try the password on {host}: sudo -k -v; then correct it where it comes from: "
            "-K, or ssh.sudo_password in the inventory",
        )
    if not dialogue.heard:
        return ConnectError(
            f"{host}: sudo neither asked for a password nor began within {_PATIENCE:.0f} s",
            details=said,
            resolution=f"see what sudo does on {host}: sudo -k -v",
        )
    if dialogue.status is None:
        return ConnectError(
            f"{host}: the connection broke while sudo was asked",
            details=said,
            resolution=f"check that {host} is up and that the network holds; then run the same command again",
        )
    return not_root(host, user, Result(dialogue.status, "", dialogue.said)) or ConnectError(
        f"{host}: sudo does not make {user} root", details=said, resolution=f"try on {host}: sudo -k -v"
    )


def not_root(host: str, user: str, result: Result) -> ConnectError | None:
    """The error for a ``result`` that is sudo's or the login's and not the command's. Nothing was run then."""
    if advice := _ADVICE.search(result.stdout):
        return ConnectError(
            f"{host}: {user} may not run commands there",
            details=result.stdout.strip(),
            resolution=f"set in the inventory: ssh: {{user: {advice[1]}}}",
        )
    said = without_warning(result.stderr).strip()
    last = said.rpartition("\n")[2]
    if user == "root" or result.stdout.strip():
        return None
    if result.status == 127 and "sudo" in last:
        return ConnectError(
            f"{host}: sudo is not installed",
            details=last,
            resolution=f"as root on {host}: apt-get install sudo; or log in as root (ssh.user)",
        )
    if result.status != 1:
        return None
    rule = f"echo '{user} ALL=(ALL) NOPASSWD:ALL' | sudo tee /etc/sudoers.d/clusterctl"
    if _NO_TERMINAL.search(last):
        return ConnectError(
            f"{host}: sudo wants a terminal (requiretty)",
            details=said,
            resolution=f"on {host}: echo 'Defaults:{user} !requiretty' | sudo tee /etc/sudoers.d/clusterctl",
        )
    if _PASSWORD.search(last):
        return ConnectError(
            f"{host}: sudo asks {user} for a password",
            details=said,
            resolution="give it: the same command with -K asks you, or ssh.sudo_password in the inventory says where "
            f"it is; or let sudo ask for none, on {host}: {rule}",
        )
    if _REFUSAL.search(said):
        return ConnectError(
            f"{host}: {user} may not use sudo", details=said, resolution=f"as an administrator on {host}: {rule}"
        )
    if last.startswith("sudo: "):
        return ConnectError(
            f"{host}: sudo does not make {user} root", details=said, resolution=f"try on {host}: sudo -n true"
        )
    return None
