"""Who we are to the hosts: the private key and the agent, and the host keys we trust. Read once per run."""

import os
import threading
from io import StringIO
from typing import TYPE_CHECKING

from clusterctl.errors import ConnectError
from clusterctl.model.inventory import Ssh
from clusterctl.remote.known_hosts import KnownHosts

if TYPE_CHECKING:
    from paramiko import PKey


class Login:
    """How all hosts of an inventory are logged in to. Safe to use from several threads."""

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self._lock = threading.Lock()
        self._known_hosts: KnownHosts | None = None
        self._key: PKey | None = None
        self._problem: ConnectError | None = None

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
    def key(self) -> "PKey | None":
        """The private key; None when its file is of no use and an agent may hold another.

        Raises ConnectError when there is no agent either.
        """
        with self._lock:
            if self._key is None and self._problem is None:
                try:
                    self._key = _load(self)
                except ConnectError as error:
                    self._problem = error
            if self._problem and not self.agent:
                raise self._problem
            return self._key

    @property
    def key_problem(self) -> ConnectError | None:
        """Why the key file gave no key."""
        return self._problem


def _load(login: Login) -> "PKey":
    """The key in the inventory's key file. Raises ConnectError."""
    from paramiko import ECDSAKey, Ed25519Key, PasswordRequiredException, RSAKey, SSHException

    path = login.ssh.key
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
