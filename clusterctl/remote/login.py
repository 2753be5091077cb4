"""Who we are to the hosts: private keys, the agent, sudo's password; and the host keys we trust. Read once per run."""

import os
import threading
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import ConnectError, InputError
from clusterctl.model.inventory import Ssh
from clusterctl.model.secret import Secret
from clusterctl.remote.known_hosts import KnownHosts
from clusterctl.remote.sudo import SudoPassword
from clusterctl.remote.way import Ways

if TYPE_CHECKING:
    from paramiko import PKey


class Login:
    """How all hosts of an inventory are logged in to. Safe to use from several threads.

    ``sudo_password`` was typed by the operator; it stands in for the inventory's.
    """

    def __init__(self, ssh: Ssh, sudo_password: Secret | None = None) -> None:
        self.ssh = ssh
        self.ways = Ways(ssh)
        self._typed = sudo_password
        self._lock = threading.Lock()
        self._known_hosts: KnownHosts | None = None
        self._keys: dict[Path, PKey | ConnectError] = {}
        self._sudo: SudoPassword | InputError | None = None

    @property
    def agent(self) -> bool:
        """Whether an SSH agent may hold keys for us."""
        return bool(os.environ.get("SSH_AUTH_SOCK"))

    @property
    def known_hosts(self) -> KnownHosts:
        """The host keys that we trust. Raises InputError when the file cannot be read."""
        with self._lock:
            if self._known_hosts is None:
                self._known_hosts = KnownHosts(self.ssh.known_hosts)
            return self._known_hosts

    @property
    def sudo(self) -> SudoPassword | None:
        """sudo's password, None when it is to be asked without one. Raises InputError when it cannot be read."""
        with self._lock:
            source = self.ssh.sudo_password
            if self._sudo is None and (self._typed or source):
                try:
                    password = self._typed or (source.read("sudo's password (ssh.sudo_password)") if source else None)
                    self._sudo = SudoPassword(password) if password else None
                except InputError as error:
                    self._sudo = error
            if isinstance(self._sudo, InputError):
                raise self._sudo
            return self._sudo

    def key(self, path: Path) -> "PKey | None":
        """The private key in ``path``; None when the file is of no use and an agent may hold another.

        Raises ConnectError when there is no agent either.
        """
        with self._lock:
            if path not in self._keys:
                try:
                    self._keys[path] = _load(path)
                except ConnectError as error:
                    self._keys[path] = error
            key = self._keys[path]
        if not isinstance(key, ConnectError):
            return key
        if not self.agent:
            raise key
        return None

    def key_problem(self, path: Path) -> ConnectError | None:
        """Why the file at ``path`` gave no key."""
        key = self._keys.get(path)
        return key if isinstance(key, ConnectError) else None


def _load(path: Path) -> "PKey":
    """The key in a file. Raises ConnectError."""
    from paramiko import ECDSAKey, Ed25519Key, PasswordRequiredException, RSAKey, SSHException

    unknown = ConnectError(
        f"{path} is not a private key in a format that clusterctl reads",
        resolution=f"convert it to OpenSSH's format: ssh-keygen -p -f {path}",
    )
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConnectError(
            f"there is no private key {path}, and no SSH agent",
            resolution=f"name your key in the inventory (ssh.key), or create one: ssh-keygen -t ed25519 -f {path}",
        ) from error
    except UnicodeDecodeError as error:
        raise unknown from error
    except OSError as error:
        raise ConnectError(
            f"cannot read the private key {path}: {error.strerror}",
            resolution=f"let the user who runs clusterctl read it, or name another (ssh.key): ls -l {path}",
        ) from error
    for kind in (Ed25519Key, ECDSAKey, RSAKey):
        try:
            return kind.from_private_key(StringIO(text))
        except PasswordRequiredException as error:
            raise ConnectError(
                f"the private key {path} is encrypted with a passphrase, and no SSH agent holds it",
                resolution=f'add it to an agent: eval "$(ssh-agent)"; ssh-add {path}',
            ) from error
        except (SSHException, ValueError, TypeError, IndexError):
            continue  # A key of another kind.
    raise unknown
