"""The command line on a cluster in memory: the real commands, session and steps; machines and API are fakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clusterctl.cli import cli
from clusterctl.errors import ClusterctlError, KubernetesError, Refused
from clusterctl.kube.verify.verify import Check, VerifyResult
from clusterctl.model.facts import ClusterFacts, HostFacts
from clusterctl.model.inventory import Host, Inventory, Source
from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
from clusterctl.model.secret import Secret
from clusterctl.model.survey import Survey
from clusterctl.session import opening, session
from clusterctl.steps.step import ClusterApi, Machine
from tests.simulation import FakeApi, FakeClock, FakeMachine, World

INVENTORY = """\
cluster:
  name: demo
  kubernetes: 1.36.3
  endpoint: 192.0.2.11:6443
hosts:
  - {name: cp1, address: 192.0.2.11, role: control-plane}
  - {name: w1, address: 192.0.2.21, role: worker}
  - {name: w2, address: 192.0.2.22, role: worker}
"""

ADMIN_CONF = """\
apiVersion: v1
kind: Config
current-context: admin
clusters: [{name: demo, cluster: {server: "https://192.0.2.11:6443", certificate-authority-data: Q0E=}}]
contexts: [{name: admin, context: {cluster: demo, user: admin}}]
users: [{name: admin, user: {client-key-data: c2VjcmV0}}]
"""


@dataclass
class FakeHold:
    """The operator's lock of one run."""

    run: str
    alive: bool = True

    def close(self) -> None:
        """Given back."""
        self.alive = False


@dataclass
class FakeMachines:
    """The simulated cluster as the session reaches it. ``broken`` maps hosts to why they cannot be reached."""

    world: World
    broken: dict[str, ClusterctlError] = field(default_factory=dict)
    api_failures: list[ClusterctlError] = field(default_factory=list)
    admin_conf_text: str = ADMIN_CONF
    connected: list[str] = field(default_factory=list)
    checks: tuple[Check, ...] = ()
    verified: tuple[str, float, bool, bool, str, tuple[str, ...]] | None = None
    apis: int = 0
    closed: bool = False
    holder: str = ""
    holds: list["FakeHold"] = field(default_factory=list)
    manifest_problem: ClusterctlError | None = None
    sudo_password: Secret | None = None
    deaf: set[str] = field(default_factory=set)
    executed: list[tuple[str, str, bool]] = field(default_factory=list)
    services: dict[tuple[str, int], int] = field(default_factory=dict)
    source: tuple[str, ...] = ("1.34.4", "1.35.4", "1.36.3")

    def connect(self, host: Host) -> None:
        """Note who was connected to."""
        self._reach(host)
        self.connected.append(host.name)

    def reconnect(self, host: Host, deadline: float) -> None:
        """A lost host is back at once."""
        self._reach(host)

    def look(self, host: Host) -> HostFacts:
        """The simulated facts."""
        self._reach(host)
        return self.world.look(host)

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """What the simulated hosts find."""
        return self.world.survey(facts)

    def machine(self, host: Host) -> Machine:
        """The simulated machine."""
        return FakeMachine(self.world, host)

    def execute(
        self,
        host: Host,
        command: str,
        *,
        root: bool,
        out: Callable[[bytes], object],
        err: Callable[[bytes], object],
    ) -> int:
        """Says the command, and its words on standard error; ``exit N`` ends with N."""
        self._reach(host)
        self.executed.append((host.name, command, root))
        out(f"{command}\n".encode())
        return int(command.removeprefix("exit ")) if command.startswith("exit ") else 0

    def glance(self, host: Host) -> str:
        """Scripts of the simulation take no time."""
        return ""

    def hold(self, host: Host, *, run: str, operator: str, command: str) -> "FakeHold":
        """The lock, unless ``holder`` has it."""
        if self.holder:
            raise Refused(f"another operator works on this cluster: {self.holder}")
        self.holds.append(FakeHold(run))
        return self.holds[-1]

    def tunnel(self, host: Host, address: str, port: int) -> "FakeTunnel":
        """A tunnel to the local port that ``services`` has for the target."""
        self._reach(host)
        return FakeTunnel(self.services[address, port], self, host.name)

    def admin_conf(self, host: Host) -> Secret:
        """There is one as soon as there is a cluster."""
        self._reach(host)
        if self.world.api is None:
            raise KubernetesError(f"{host.name}: there is no cluster", resolution="clusterctl bootstrap")
        return Secret(self.admin_conf_text)

    def aim(self, inventory: Inventory) -> None:
        """The simulation acts by this inventory from now on."""
        self.world.inventory = inventory

    def versions(self, host: Host, minors: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """What ``source`` has of these minors."""
        self._reach(host)
        return tuple(each for each in self.source if each.rpartition(".")[0] in minors), ""

    def fetch(self, source: Source) -> str:
        """The place stands for the text; ``manifest_problem`` is raised instead."""
        if self.manifest_problem is not None:
            raise self.manifest_problem
        return self.world.fetch(source)

    def connect_api(self, host: Host, admin_conf: Secret) -> "FakeApiConnection":
        """A new connection."""
        self.apis += 1
        return FakeApiConnection(self, host.name)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _reach(self, host: Host) -> None:
        if host.name in self.broken:
            raise self.broken[host.name]


@dataclass
class FakeTunnel:
    """Leads to a local port as long as its host is not broken."""

    port: int
    machines: FakeMachines
    host: str
    problem: ClusterctlError | None = None

    @property
    def alive(self) -> bool:
        """Whether the host is there."""
        return self.host not in self.machines.broken

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class FakeApiConnection:
    """Reads the simulated cluster; fails first with what ``api_failures`` holds."""

    machines: FakeMachines
    host: str
    open: bool = True

    def answers(self) -> bool:
        """Unless ``deaf`` names the control plane it goes through."""
        return self.host not in self.machines.deaf

    def observe(self) -> ClusterFacts:
        """The simulated cluster."""
        assert self.open
        if self.machines.api_failures:
            raise self.machines.api_failures.pop(0)
        return self.machines.world.look_at_api()

    def pods(self) -> Pods:
        """The simulated pods."""
        assert self.open
        return self.machines.world.look_at_pods()

    def around(self, pods: Pods) -> Around:
        """What is around the simulated pods."""
        return self.machines.world.look_around(pods)

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """The simulated budgets."""
        return self.machines.world.try_evictions(pods)

    def changes(self) -> ClusterApi:
        """What changes the simulated cluster."""
        return FakeApi(self.machines.world)

    def service(self, namespace: str, name: str) -> tuple[str, tuple[int, ...]]:
        """One at the ports that ``services`` of the machines has."""
        return "10.96.0.10", tuple(port for _, port in self.machines.services)

    def verify(
        self,
        report: Callable[[str], None],
        *,
        image: str,
        deadline: float,
        keep: bool,
        quick: bool,
        version: str,
        nodes: Sequence[str],
    ) -> VerifyResult:
        """What ``checks`` holds."""
        report(f"using {image} for {deadline:.0f} s")
        self.machines.verified = (image, deadline, keep, quick, version, tuple(nodes))
        return VerifyResult(self.machines.checks)

    def close(self) -> None:
        """Closed for good."""
        self.open = False


Call = Callable[..., Result]


@pytest.fixture
def world() -> World:
    """Three fresh hosts."""
    from clusterctl.model.inventory import parse_inventory

    return World(parse_inventory(INVENTORY))


@pytest.fixture
def machines(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeMachines:
    """The fakes behind every session, on a clock that does not wait."""
    fakes = FakeMachines(world)

    def make_world(inventory: Inventory, sudo_password: Secret | None, begin: opening.Begin | None) -> FakeMachines:
        fakes.sudo_password = sudo_password
        return fakes

    monkeypatch.setattr(opening, "make_world", make_world)
    monkeypatch.setattr(session, "SystemClock", FakeClock)
    return fakes


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in a directory with an inventory: ``call("plan", "bootstrap")``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CLUSTERCTL_INVENTORY", raising=False)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)

    def invoke(*words: str, answer: str | None = None, color: bool = False) -> Result:
        return CliRunner().invoke(cli, list(words), input=answer, prog_name="clusterctl", color=color)

    return invoke


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there to answer questions."""
    monkeypatch.setattr("clusterctl.cli.ask.on_terminal", lambda: True)


def lines(result: Result) -> Sequence[str]:
    """The lines of standard output."""
    return result.stdout.splitlines()
