"""The SSH handshake: which algorithms we ask for, and what its failures mean."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from clusterctl.errors import ConnectError
from clusterctl.remote.known_hosts import HostKey, Known, key_order
from clusterctl.remote.way import Way
from clusterctl.remote.wire import ASK_EVERY, POLL, Passage, Piped, Wire

if TYPE_CHECKING:
    from paramiko import Transport

# Seconds. A server that swaps or waits for its name service may be slow to greet and to check a key.
TIMEOUT = 15
LOGIN_TIMEOUT = 30

# What OpenSSH says in clear text instead of its greeting.
_NOT_NOW = ("Not allowed at this time", "Exceeded MaxStartups")

# The hybrid of ML-KEM and curve25519 where the server has it, then the elliptic curves; classic groups are slow.
_KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
)
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")

_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
# One handshake each; a server has one ECDSA key. Servers penalise clients that connect often without logging in.
_HANDSHAKES = (_KEY_TYPES[:1], _KEY_TYPES[1:4], _KEY_TYPES[4:])


def new_transport(wire: Wire | Passage, known: Known) -> "Transport":
    """Make a transport over ``wire`` that asks for our algorithms, the keys that we know of the server first."""
    from paramiko import Transport

    # What goes wrong is told by the errors, once; paramiko would print it to stderr, with a traceback.
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    transport = Transport(wire)  # type: ignore[arg-type]  # It reads and writes like a socket.
    wire.settimeout(POLL)
    options = transport.get_security_options()
    options.kex = tuple(name for name in _KEX if name in options.kex)
    options.ciphers = _CIPHERS
    options.digests = _MACS
    options.key_types = key_order(known, options.key_types)
    transport.banner_timeout = TIMEOUT
    transport.handshake_timeout = TIMEOUT
    transport.auth_timeout = LOGIN_TIMEOUT
    transport.channel_timeout = LOGIN_TIMEOUT
    return transport


def keep_alive(transport: "Transport") -> None:
    """Ask the host for a sign of life whenever nothing was said for some seconds.

    paramiko's own keepalive wants no answer and so notices nothing; with an answer, the Wire's count of silent
    reads tells a host that is busy from one that is gone.
    """
    from paramiko import Message
    from paramiko.common import cMSG_GLOBAL_REQUEST

    def ask() -> None:
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        transport._send_user_message(message)  # type: ignore[attr-defined]

    transport.packetizer.set_keepalive(ASK_EVERY, ask)


def abandon(transport: "Transport | None", wire: Wire | Passage) -> None:
    """Close a transport whose handshake may not be complete, and the timer that paramiko leaves running then."""
    if transport is not None:
        transport.packetizer.complete_handshake()
        transport.close()
    wire.close()


def host_key(transport: "Transport") -> HostKey:
    """The key that the server has proved to hold."""
    key = transport.get_remote_server_key()
    return HostKey(key.get_name(), key.asbytes())


def fetch_host_key(name: str, wire: Wire | Passage, algorithms: Iterable[str]) -> HostKey:
    """Shake hands asking for ``algorithms`` alone, and return the server's key.

    Raises ConnectError, and paramiko's IncompatiblePeer when the server has no such key.
    """
    from paramiko.ssh_exception import IncompatiblePeer, SSHException

    transport = None
    try:
        transport = new_transport(wire, Known())
        transport.get_security_options().key_types = tuple(algorithms)
        transport.start_client(timeout=2 * TIMEOUT)
        return host_key(transport)
    except IncompatiblePeer:
        raise
    except (SSHException, EOFError, OSError) as error:
        raise no_handshake(name, wire, error) from error
    finally:
        abandon(transport, wire)


def no_handshake(host: str, wire: Wire | Passage, error: Exception) -> ConnectError:
    """Say why there is no SSH session with ``host`` over ``wire``, before anybody logged in."""
    text, cause = str(error), error.__context__
    said = wire.greeting.decode(errors="replace").strip().splitlines()
    first = "".join(character if character.isprintable() else "?" for character in said[0]) if said else ""
    if any(phrase in first for phrase in _NOT_NOW):
        return ConnectError(
            f"{host}: the SSH server at {wire.place} takes no new connections from us at the moment",
            details=first,
            resolution=f"wait some minutes; on {host}, see MaxStartups and PerSourcePenalties in sshd_config",
        )
    if first and b"SSH-" not in wire.greeting:
        return ConnectError(
            f"{host}: what answers at {wire.place} is not an SSH server",
            details=f"it says: {first}",
            resolution=f"correct the port of {host} in the inventory (ssh.port, or port of the host)",
        )
    if isinstance(wire, Piped) and not first:
        return ConnectError(
            f"{host}: {wire.place} did not lead to an SSH server",
            details=wire.said or str(cause or "") or text,
            resolution=f"try it by hand: {wire.place.partition(' ')[2]}; ssh.config of the inventory names the file "
            "that it comes from",
        )
    if not first and isinstance(cause, TimeoutError):
        return ConnectError(
            f"{host}: {wire.place} is open and says nothing for {TIMEOUT} s; it may not be an SSH server",
            resolution=f"correct the port of {host} in the inventory, or look at its SSH server: journalctl -u ssh",
        )
    if type(error).__name__ == "IncompatiblePeer":
        return ConnectError(
            f"{host}: the SSH server at {wire.place} shares no algorithm with us",
            details=text,
            resolution=f"update the SSH server of {host}; it needs AES and an ed25519, ECDSA or RSA (SHA-2) host key",
        )
    return ConnectError(
        f"{host}: {wire.place} closed the connection during the SSH handshake",
        details=str(cause or "") or text,
        resolution=f"the host may be starting, or short of something; on {host}: journalctl -u ssh",
    )


def fetch_host_keys(way: Way, connect: Callable[[Way], Wire | Passage]) -> list[HostKey]:
    """Ask the server of ``way`` for its host keys of all usual types, ed25519 first.

    Nothing vouches for them: somebody has to compare the fingerprints. Raises ConnectError when no SSH server
    answers there.
    """
    from paramiko.ssh_exception import IncompatiblePeer

    from clusterctl.remote.handshake import fetch_host_key

    keys = []
    for types in _HANDSHAKES:
        algorithms = [name for type_ in types for name in HostKey(type_, b"").algorithms]
        try:
            keys.append(fetch_host_key(way.name, connect(way), algorithms))
        except IncompatiblePeer:
            continue  # The server has no key of these types.
    if not keys:
        raise ConnectError(
            f"{way.name}: the SSH server has no host key of a type that clusterctl knows",
            resolution=f"create one on {way.name}: sudo ssh-keygen -A; then restart its SSH server",
        )
    return keys
