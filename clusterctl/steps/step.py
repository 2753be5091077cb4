"""What a step is: a postcondition, and a way to make it true."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from clusterctl.errors import CommandFailed
from clusterctl.model.inventory import DrainOptions, Source
from clusterctl.model.secret import Secret
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Verdict
from clusterctl.render import Script
from clusterctl.rules.trouble import next_step


class Machine(Protocol):
    """What can change one host."""

    def run(self, script: Script) -> str:
        """Run the script as root, once, and return what it printed.

        Raises CommandFailed when it exits with a failure, OutcomeUnknown when the connection breaks meanwhile.
        """

    def put_secret(self, path: str, content: Secret) -> None:
        """Write ``content`` to ``path``, below ``/run/clusterctl``, with mode 0600, through standard input."""

    def fetch(self, path: str) -> Secret:
        """Read a text file that only root may read. Raises CommandFailed when there is none."""

    def copy(self, path: str, to: Path, *, sha256: str) -> None:
        """Copy a file that only root may read to the operator's computer, with mode 0600, however large it is.

        It appears there whole and with this digest, or not at all. Raises CommandFailed, and InputError when it cannot
        be written there.
        """


@dataclass(frozen=True, slots=True)
class Saved:
    """A file on a host that is to be kept elsewhere: where it lies, its digest, and its size in bytes."""

    path: str
    sha256: str
    size: int


class Archive(Protocol):
    """The operator's computer, as the place for what is saved of the cluster."""

    def keep(self, name: str, machine: Machine, files: Mapping[str, Saved], texts: Mapping[str, str]) -> str:
        """Copy ``files`` of ``machine``, and write ``texts``, into a new folder ``name``; both have their names there.

        The folder appears whole or not at all, with a SHA256SUMS. Returns where it lies, ``user@host:/path``. Raises
        as ``Machine.copy`` does.
        """


class ClusterApi(Protocol):
    """What can change the cluster.

    Raises KubernetesError when the API refuses, OutcomeUnknown when a change was sent and no answer came.
    """

    def create_join_token(self, *, ttl_seconds: int) -> Secret:
        """Make a bootstrap token that lets one node join, marked as clusterctl's, and wait until it is signed for."""

    def delete_join_tokens(self) -> None:
        """Delete every bootstrap token that clusterctl made."""

    def set_labels(self, node: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node, remove those whose value is None, and record which ones clusterctl owns."""

    def set_taints(self, node: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        """Add and remove taints of a node, leaving all others, and record which ones clusterctl owns."""

    def apply(self, manifest: str, *, record: str = "", digest: str = "") -> None:
        """Apply every object of a YAML stream by server-side apply, in its order.

        With ``record`` the cluster keeps, under that name, the digest and the workloads of the stream: a digest is
        there when the whole stream was applied. ``digest`` replaces that of the text.
        """

    def cordon(self, node: str, *, by: str) -> None:
        """Let no pod be scheduled to a node, and mark it: by whom, when, and whether it was so before."""

    def uncordon(self, node: str) -> None:
        """Take clusterctl's marks off a node, the soft taint included. A node without a mark stays as it is.

        Pods may come again, unless the node was unschedulable before it was marked.
        """

    def remove_node(self, node: str) -> None:
        """Delete a worker's node that clusterctl has drained. Raises Refused for any other, and deletes nothing."""

    def soft_taint(self, node: str) -> None:
        """Let pods prefer other nodes, because this one is to be drained soon."""

    def drain(self, node: str, options: DrainOptions, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        """Let the pods of a cordoned node go as kubectl does, wait until they are gone, and note that in the mark.

        Returns early when ``stopping`` says so. Raises Refused before anything is evicted when a pod may not be,
        NotVerified past the deadline: it names the pods that are left and the budgets that hold them.
        """


@dataclass(frozen=True, slots=True)
class Tools:
    """The capabilities of one host's walk. Only ``apply`` receives them.

    ``cluster`` connects when it is first called. ``say`` tells the operator what is being waited for. ``fetch``
    reads a manifest, whose digest it has checked. ``other`` is another machine of the inventory, by its host's name.
    ``stopping`` says that the operator wants the run to end: what only waits then returns. ``operator`` is who that is,
    ``user@host``. ``archive`` keeps what is saved of the cluster.
    """

    machine: Machine
    cluster: Callable[[], ClusterApi]
    say: Callable[[str], None]
    fetch: Callable[[Source], str]
    other: Callable[[str], Machine]
    stopping: Callable[[], bool]
    operator: str
    archive: Archive


@dataclass(frozen=True, slots=True)
class File:
    """A text file that a step puts on its host; ``mode`` as in ``chmod``."""

    path: str
    content: str
    mode: str = "0644"


class Step(ABC):
    """One postcondition on one host.

    ``name`` is ``phase/step``; the class lives in ``clusterctl/steps/<phase>.py``. ``title`` is an imperative.
    ``reads_api`` says that the check looks at the API, ``reads_pods`` that it looks at the API's pods as well,
    ``reads_survey`` that it looks at what hosts find around them, ``changes_host`` that ``apply`` changes the host, so
    that its facts have to be read again. ``deadline`` is how long, in seconds, the postcondition may take to come true
    after ``apply``. ``follows`` says that the run itself makes the step necessary. ``steady`` is how many times in a
    row the check has to hold before it is believed, on a host that the same walk changed before. ``renews`` says that
    nothing that was known of the host holds after ``apply``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reads_api: ClassVar[bool] = False
    reads_pods: ClassVar[bool] = False
    reads_survey: ClassVar[bool] = False
    changes_host: ClassVar[bool] = True
    deadline: ClassVar[float] = 30.0
    follows: ClassVar[bool] = False
    steady: ClassVar[int] = 1
    renews: ClassVar[bool] = False

    @abstractmethod
    def check(self, situation: Situation) -> Verdict:
        """Say whether the postcondition holds. Pure."""

    def apply(self, situation: Situation, tools: Tools) -> None:  # noqa: B027 - a step may only wait.
        """Make the postcondition true. A step that only waits or only checks does nothing here."""

    def looks_ahead(self, situation: Situation) -> bool:
        """Whether the check wants to know what draining this host's node would meet, which costs time. Pure."""
        return False

    @property
    def binding(self) -> bool:
        """Whether a saved plan has to name this step's action: it changes something, and not only after ourselves."""
        return not self.follows and type(self).apply is not Step.apply

    def touches(self, situation: Situation) -> tuple[str, ...]:
        """The names of other hosts that ``apply`` changes and the check looks at. Pure."""
        return ()

    def beside(self, others: "Sequence[Step]") -> Self:
        """The step as it is in a playbook with these steps, for one that has to ask another. Pure."""
        return self

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The files that ``apply`` writes on this host. Pure."""
        return ()

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The manifests that ``apply`` fetches. Pure."""
        return ()

    def preview(self, situation: Situation) -> str:
        """What ``apply`` would send, as an operator reads it. Pure; without secrets."""
        return ""


class ScriptStep(Step):
    """A step whose ``apply`` is one script."""

    @abstractmethod
    def script(self, situation: Situation) -> Script:
        """The script that makes the postcondition true. Pure."""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Run the script. Where it fails for a reason that we know, the error says what to do about it."""
        try:
            tools.machine.run(self.script(situation))
        except CommandFailed as error:
            error.resolution = next_step(situation, error.details) or error.resolution
            raise

    def preview(self, situation: Situation) -> str:
        """The script's text."""
        return self.script(situation).text
