"""Every error a user can meet, and the exit code it ends with.

- ``ClusterctlError``: base; a bug or something unexpected (exit code 1).
- ``InputError``: the inventory, a playbook or a flag is wrong; nothing was touched (2).
- ``Refused``: blocked findings, a lock that is held, or a question answered with no (3).
- ``ConnectError``: a host cannot be reached or does not let us in; nothing was sent (4).
- ``HostKeyError``: of these, a host key that is not known or not the one that we know (4).
- ``OutcomeUnknown``: the connection broke while a change was running (5).
- ``CommandFailed``: a command ran on a host and failed (6).
- ``NotVerified``: a change was applied and its postcondition did not come true (7).
- ``KubernetesError``: the Kubernetes API answered with an error or not at all (8).
- ``SeveralErrors``: several hosts failed; all are reported, the worst one counts.

An error says what failed and where (``what``), what the host said (``details``, its last lines), and what
to do next (``resolution``, with a command to paste where there is one).
"""

from collections.abc import Mapping, Sequence


class ClusterctlError(Exception):
    """Something unexpected happened: a bug, unless a subclass says otherwise."""

    exit_code = 1

    def __init__(self, what: str, *, details: str = "", resolution: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {line}" for line in self.details.splitlines()]
        if self.resolution:
            lines.append(f"  Next: {self.resolution}")
        return "\n".join(lines)


class InputError(ClusterctlError):
    """The inventory, a playbook or a flag is wrong. Nothing was touched."""

    exit_code = 2


class Refused(ClusterctlError):
    """clusterctl refuses to act: blocked findings, a lock that is held, no confirmation."""

    exit_code = 3


class ConnectError(ClusterctlError):
    """A host cannot be reached, is not the one we know, or does not let us in. Nothing was sent."""

    exit_code = 4


class HostKeyError(ConnectError):
    """The host is not known, or not the one that we know. Trying again does not help."""


class OutcomeUnknown(ClusterctlError):
    """The connection broke while a change was running; nobody knows yet how it ended."""

    exit_code = 5


class CommandFailed(ClusterctlError):
    """A command ran and exited with a failure."""

    exit_code = 6


class NotVerified(ClusterctlError):
    """A change was applied without an error, and its postcondition did not come true in time."""

    exit_code = 7


class KubernetesError(ClusterctlError):
    """The Kubernetes API refused a request, failed it, or did not answer.

    ``status`` is the HTTP status, or None when there was no answer.
    """

    exit_code = 8

    def __init__(self, what: str, *, details: str = "", resolution: str = "", status: int | None = None) -> None:
        super().__init__(what, details=details, resolution=resolution)
        self.status = status


class SeveralErrors(ClusterctlError):
    """Several hosts failed. The exit code is that of the worst one.

    "Worst" is the one that leaves most to find out: a bug first, then an unknown outcome, a change that did
    not come true, a failed command, the API, a connection, a refusal, bad input.
    """

    _WORST_FIRST = (1, 5, 7, 6, 8, 4, 3, 2)

    def __init__(self, errors: Sequence[ClusterctlError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The exit code of the worst error."""
        codes = {error.exit_code for error in self.errors}
        return next((code for code in self._WORST_FIRST if code in codes), 1)


def raise_all(errors: Mapping[str, ClusterctlError]) -> None:
    """Raise the error of one host, or SeveralErrors with those of all; one that is the same for hosts is told once."""
    several = list({str(error): error for error in errors.values()}.values())
    if several:
        raise several[0] if len(several) == 1 else SeveralErrors(several)
