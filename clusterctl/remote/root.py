"""Becoming root on a host, and telling why it did not work."""

import re

from clusterctl.errors import ConnectError
from clusterctl.remote.exchange import Result

# What sudo says although it works.
_WARNING = re.compile(r"^sudo: unable to resolve host .*\n?", re.MULTILINE)
_PASSWORD = re.compile(r"password is required|authentication is required|terminal is required|no tty present")
# sudo, and sudo-rs.
_REFUSAL = re.compile(r"is not in the sudoers file|is not allowed to (execute|run sudo)|I'm afraid I can't do that")
_ADVICE = re.compile(r"[Pp]lease login as the user \"([^\"\s]+)\"")


def prefix(user: str) -> str:
    """What goes before a command so that it runs as root. sudo's messages are recognised in English."""
    return "env LC_ALL=C " if user == "root" else "env LC_ALL=C sudo -n -- "


def without_warning(stderr: str) -> str:
    """``stderr`` without what sudo complains of while it works."""
    return _WARNING.sub("", stderr)


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
    if _PASSWORD.search(last):
        return ConnectError(f"{host}: sudo asks {user} for a password", details=said, resolution=f"on {host}: {rule}")
    if _REFUSAL.search(said):
        return ConnectError(
            f"{host}: {user} may not use sudo", details=said, resolution=f"as an administrator on {host}: {rule}"
        )
    if last.startswith("sudo: "):
        return ConnectError(
            f"{host}: sudo does not make {user} root", details=said, resolution=f"try on {host}: sudo -n true"
        )
    return None
