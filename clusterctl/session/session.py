"""One call's dealings with the hosts and the API: connect, look, plan, run, and close everything at the end.

What touches the outside is behind ``World``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from clusterctl.engine.plan import Plan, make_plan
from clusterctl.engine.playbook import Playbook
from clusterctl.engine.view import Clock, SystemClock, View
from clusterctl.errors import ClusterctlError, InputError, raise_all
from clusterctl.model.facts import ClusterFacts, HostFacts
from clusterctl.model.inventory import Host, Inventory, Role, Source, with_roles
from clusterctl.model.secret import Secret, redact
from clusterctl.model.situation import Situation, find_node
from clusterctl.model.verdict import Blocked, Needed
from clusterctl.report.progress import Progress
from clusterctl.session.call import Call, operator
from clusterctl.session.link import Link
from clusterctl.session.locks import Locks
from clusterctl.session.stopping import stop_cleanly
from clusterctl.session.world import Api, Tunnel, World
from clusterctl.steps.step import Step, Tools

if TYPE_CHECKING:
    from clusterctl.engine.contract import Contract
    from clusterctl.engine.events import Publish
    from clusterctl.model.pods import Around, PodFacts, Pods, Refusal
    from clusterctl.model.survey import Survey
    from clusterctl.report.checks import Checks
    from clusterctl.report.ndjson import Lines
    from clusterctl.rules.forecast import Forecast


_AT_ONCE = 64
_T = TypeVar("_T")


class Session:
    """A call's connections, and what was seen through them. Its own observer of machines and API.

    ``path`` is the inventory's file. ``progress`` tells what takes longer than a moment; without it,
    standard error does.
    """

    def __init__(
        self,
        inventory: Inventory,
        world: World,
        clock: Clock | None = None,
        *,
        path: Path = Path("inventory.yaml"),
        call: Call | None = None,
        progress: type[Progress] | None = None,
    ) -> None:
        self.inventory = inventory
        self.path = path
        self.call = call = call or Call()
        self.progress = progress or Progress
        self._world = world
        self._clock = clock or SystemClock()
        self._say: Callable[[Host, str, float], None] = lambda host, why, seconds: None
        self.view = self._make_view()
        self.unreached: dict[str, ClusterctlError] = {}
        self.began = False
        self._link = Link(world, self._planes)
        self._locks = Locks(world, call)
        self._tunnels: list[Tunnel] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _make_view(self) -> View:
        return View(self.inventory, self, self._clock, lambda *waiting: self._say(*waiting))

    def aim(self, kubernetes: str) -> None:
        """Go for another version of Kubernetes than the inventory's, and forget what was seen so far."""
        cluster = self.inventory.cluster.model_copy(update={"kubernetes": kubernetes})
        self.inventory = self.inventory.model_copy(update={"cluster": cluster})
        self._world.aim(self.inventory)
        self.view = self._make_view()

    def assign(self, roles: Mapping[str, Role]) -> None:
        """Take the inventory's hosts for what ``roles`` says from now on, and forget what was seen so far."""
        self.inventory = with_roles(self.inventory, roles)
        self._world.aim(self.inventory)
        self.view = self._make_view()

    def a_control_plane(self) -> Host:
        """The first control plane that was reached. Raises the error of the first one when none was."""
        reached = self._reached_planes()
        raise_all({name: error for name, error in self.unreached.items() if not reached})
        return reached[0]

    def versions(self, minors: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """The versions of these minors in the package source, as a control plane sees it, and what went wrong."""
        if not minors:
            return (), ""
        with self.progress("asking the package source which versions it has"):
            return self._world.versions(self.a_control_plane(), minors)

    def close(self) -> None:
        """Close every connection, and give the operator's lock back."""
        self._locks.close()
        for tunnel in self._tunnels:
            tunnel.close()
        self._link.close()
        self._world.close()

    def connect(self, hosts: Sequence[Host] | None = None) -> None:
        """Connect to ``hosts``, or all, at once. Raises the error of one, or SeveralErrors with those of all."""
        raise_all(self.try_to_connect(hosts))

    def try_to_connect(self, hosts: Sequence[Host] | None = None) -> dict[str, ClusterctlError]:
        """Connect to ``hosts``, or all, at once; return the errors of those that cannot be reached."""
        wanted = self.inventory.hosts if hosts is None else tuple(hosts)
        with self.progress("connecting to", [host.name for host in wanted]) as progress:
            return _at_once(self._world.connect, wanted, progress)

    def look_at(self, hosts: Sequence[Host] | None = None) -> dict[str, HostFacts]:
        """Connect to ``hosts``, or all, and probe them at once. Raises as ``connect`` does."""
        wanted = self.inventory.hosts if hosts is None else tuple(hosts)
        self.connect(wanted)
        raise_all(self._probe(wanted))
        return self._facts(wanted)

    def look_where_possible(self, *, spares: bool = True) -> tuple[dict[str, HostFacts], dict[str, ClusterctlError]]:
        """Probe all hosts at once, or all but spares; return the facts of those that answer, the others' errors."""
        wanted = self.inventory.hosts if spares else self.inventory.nodes
        errors = self.try_to_connect(wanted)
        reached = [host for host in wanted if host.name not in errors]
        errors |= self._probe(reached)
        self.unreached = dict(errors)
        return self._facts([host for host in reached if host.name not in errors]), errors

    def _probe(self, hosts: Sequence[Host]) -> dict[str, ClusterctlError]:
        with self.progress("reading the facts of", [host.name for host in hosts]) as progress:
            self._say = lambda host, why, seconds: progress.say(host.name, why)
            return _at_once(lambda host: self.view.look([host]), hosts, progress)

    def _facts(self, hosts: Sequence[Host]) -> dict[str, HostFacts]:
        return {host.name: self.view.situation(host, api=False).facts for host in hosts}

    def situation(self, host: Host, step: Step) -> Situation:
        """What is known of ``host``, as ``step`` wants to see it."""
        situation = self.view.situation(host, api=step.reads_api, pods=step.reads_pods, survey=step.reads_survey)
        return self.view.look_ahead(situation) if step.looks_ahead(situation) else situation

    def plan(self, playbook: Playbook, *, lock: bool = False, texts: bool = False, partial: bool = False) -> Plan:
        """Look at all hosts, and predict what ``playbook`` would do.

        ``lock`` takes the operator's lock before, and keeps it until the session ends: nobody else acts meanwhile.
        ``texts`` is make_plan's.

        The hosts that walk, and one control plane, have to be reached; the others need not, when the playbook
        is limited, and spares that do not walk are not even tried. With ``partial`` the plan is about those hosts that
        are reached; ``unreached`` has the others.
        """
        walking = [host.name for host in playbook.hosts(self.inventory)]
        concerned = [host for host in self.inventory.hosts if host.role != "spare" or host.name in walking]
        self.unreached = {}
        self._give_up_on(self.try_to_connect(concerned), walking, partial=partial)
        if lock:
            for host in self._reached_planes():
                self._locks.take(host)
        # To connect to the API costs an import and a few round trips: hosts answer meanwhile.
        threading.Thread(target=self._try_to_connect_api, name="api", daemon=True).start()
        errors = self._probe([host for host in concerned if host.name not in self.unreached])
        self._give_up_on(errors, walking, partial=partial)
        if reached := [name for name in walking if name not in self.unreached]:
            playbook = playbook.limited(reached, self.inventory)
        else:
            raise_all({name: self.unreached[name] for name in walking})
        with self.progress("reading the cluster"):
            made = make_plan(playbook, self.inventory, self.situation, texts=texts)
        return self._with_manifests(playbook, made)

    def _with_manifests(self, playbook: Playbook, made: Plan) -> Plan:
        """The plan, in which a step whose manifests cannot be had is blocked. They are kept for the run."""
        wanted: dict[int, tuple[Source, ...]] = {}
        for index, ((_, host, step), planned) in enumerate(
            zip(playbook.steps(self.inventory), made.steps, strict=True)
        ):
            if isinstance(planned.verdict, Needed):
                wanted[index] = step.sources(self.situation(host, step))
        steps = list(made.steps)
        for index, sources in wanted.items():
            for source in sources:
                with self.progress(f"reading {source}"):
                    try:
                        self._world.fetch(source)
                    except ClusterctlError as error:
                        reason = "\n".join(filter(None, (error.what, error.details)))
                        steps[index] = replace(steps[index], verdict=Blocked(reason, error.resolution))
        return replace(made, steps=tuple(steps))

    def _give_up_on(self, errors: Mapping[str, ClusterctlError], needed: Collection[str], *, partial: bool) -> None:
        """Raise the errors of the hosts that are needed, and remember those of the others.

        The control planes are needed when none of them is reached; no other host is when ``partial``.
        """
        self.unreached |= errors
        lost = not self._reached_planes()
        needed = {*needed, *(host.name for host in self.inventory.control_planes if lost)}
        if lost or not partial:
            raise_all({name: error for name, error in self.unreached.items() if name in needed})

    def _reached_planes(self) -> list[Host]:
        return [host for host in self.inventory.control_planes if host.name not in self.unreached]

    def run(self, playbook: Playbook, publish: Publish, trail: Lines, *, contract: Contract | None = None) -> None:
        """Run ``playbook``; every event goes to ``publish``, every action to ``trail``. Raises as Runner does.

        With a ``contract`` no step acts but as it says. ``began`` says from now on that something may have changed.
        """
        # Most calls look and change nothing.
        from clusterctl.engine.events import Waiting
        from clusterctl.engine.runner import Runner
        from clusterctl.session.audit import audited_api, audited_machine
        from clusterctl.session.backups import Backups
        from clusterctl.session.watch import watched_machine

        self.began = True
        self._say = lambda host, why, seconds: publish(Waiting(host.name, "", why, seconds))

        def tools(host: Host, say: Callable[[str], None], stopping: Callable[[], bool]) -> Tools:
            self._locks.keep()
            machine = watched_machine(self._world.machine(host), lambda: redact(self._world.glance(host)), say)
            return Tools(
                audited_machine(machine, host.name, trail),
                lambda: audited_api(self.api().changes(), trail),
                say,
                self._world.fetch,
                lambda name: audited_machine(self._world.machine(self.inventory.host(name)), name, trail),
                stopping,
                operator(),
                Backups(self.inventory.cluster.name),
            )

        runner = Runner(playbook, self.view, tools, self._clock, publish, contract)
        with stop_cleanly(runner):
            runner.run()

    def hold(self) -> None:
        """Connect to the control planes, and take the operator's lock on those that are reached.

        Raises Refused when another operator works, and the errors of all when none is reached.
        """
        self.unreached |= self.try_to_connect(self.inventory.control_planes)
        self.a_control_plane()
        for host in self._reached_planes():
            self._locks.take(host)

    def execute(
        self,
        hosts: Sequence[Host],
        command: str,
        *,
        root: bool,
        out: Callable[[Host, bytes], object],
        err: Callable[[Host, bytes], object],
    ) -> tuple[dict[str, int], dict[str, ClusterctlError]]:
        """Run a command on all ``hosts`` at once; the exit statuses, and the errors of those that gave none.

        What it prints goes to ``out`` and ``err``, from several threads. A host that cannot be reached, or that is lost
        in the middle, holds nobody up.
        """
        statuses: dict[str, int] = {}

        def one(host: Host) -> None:
            self._world.connect(host)
            take, take_errors = partial(out, host), partial(err, host)
            statuses[host.name] = self._world.execute(host, command, root=root, out=take, err=take_errors)

        with self.progress("running it on", [host.name for host in hosts]) as progress:
            errors = _at_once(one, hosts, progress)
        return statuses, errors

    def verify(self, *, image: str, deadline: float, keep: bool, quick: bool) -> Checks:
        """Use the cluster, in ``deadline`` seconds, and say what was seen. Raises KubernetesError or ConnectError."""
        with self.progress("verifying the cluster") as progress:
            return self.api().verify(
                progress.now,
                image=image,
                deadline=deadline,
                keep=keep,
                quick=quick,
                version=self.inventory.cluster.kubernetes,
                nodes=[host.name for host in self.inventory.nodes],
            )

    def forecast(self, hosts: Sequence[Host]) -> tuple[Forecast, ...]:
        """What draining the nodes of ``hosts`` would meet.

        Raises InputError for a host without a node, KubernetesError or ConnectError.
        """
        from clusterctl.rules.forecast import forecast

        with self.progress("reading the cluster") as progress:
            cluster, pods = self.look_at_api(), self.look_at_pods()
            nodes = [_node(host, cluster) for host in hosts]
            progress.now("asking which pods could be evicted")
            pods = self.view.ahead(pods, nodes)
            return tuple(forecast(pods, node, cluster.nodes, self.inventory.cluster.drain) for node in nodes)

    def admin_conf(self) -> Secret:
        """The administrator's kubeconfig, read on a control plane. Raises KubernetesError or ConnectError."""
        return self._link.on_a_control_plane(self._world.admin_conf)

    def tunnel(self, host: Host, address: str, port: int) -> Tunnel:
        """A local port that leads to ``address`` and ``port`` as the host reaches them, until the session ends."""
        tunnel = self._world.tunnel(host, address, port)
        self._tunnels.append(tunnel)
        return tunnel

    def api(self) -> Api:
        """The connection to the API, made when it is first asked for. Raises KubernetesError or ConnectError."""
        return self._link.api()

    def _planes(self) -> Sequence[Host]:
        """The control planes, those that were not reached last."""
        return sorted(self.inventory.control_planes, key=lambda host: host.name in self.unreached)

    def _try_to_connect_api(self) -> None:
        with suppress(Exception):  # Most often there is no cluster yet. Whoever asks for the API next is told.
            self.api()

    # What follows makes a session the View's observer.

    def look(self, host: Host) -> HostFacts:
        """Probe a host. Raises ConnectError."""
        return self._world.look(host)

    def look_at_api(self) -> ClusterFacts:
        """Read the cluster. Raises KubernetesError or ConnectError."""
        return self._link.read(lambda api: api.observe())

    def look_at_pods(self) -> Pods:
        """Read the pods of the cluster. Raises KubernetesError or ConnectError."""
        return self._link.read(lambda api: api.pods())

    def look_around(self, pods: Pods) -> Around:
        """Read what else a forecast has to know. Raises KubernetesError or ConnectError."""
        return self._link.read(lambda api: api.around(pods))

    def try_evictions(self, pods: Sequence[PodFacts]) -> Mapping[str, Refusal]:
        """Ask which pods could not be evicted now, and evict none. Raises KubernetesError or ConnectError."""
        return self._link.read(lambda api: api.try_evictions(pods))

    def survey(self, facts: Mapping[str, HostFacts]) -> Mapping[str, Survey]:
        """Let the hosts look at each other."""
        return self._world.survey(facts)

    def reconnect(self, host: Host, deadline: float) -> None:
        """Connect again to a host that was lost. Raises ConnectError."""
        self._link.lost(host)
        self._world.reconnect(host, deadline)


def _at_once(act: Callable[[Host], object], hosts: Sequence[Host], progress: Progress) -> dict[str, ClusterctlError]:
    """Do ``act`` for all hosts at once; return the errors, in the order of the hosts."""
    errors: dict[str, ClusterctlError] = {}
    done: list[Host] = []

    def one(host: Host) -> None:
        try:
            act(host)
            done.append(host)
        except ClusterctlError as error:
            errors[host.name] = error
        finally:
            progress.done(host.name)

    pool = ThreadPoolExecutor(max_workers=max(1, min(_AT_ONCE, len(hosts))))
    try:
        list(pool.map(one, hosts))
    finally:
        # After Ctrl-C nobody waits for hosts that are silent.
        pool.shutdown(wait=len(errors) + len(done) == len(hosts), cancel_futures=True)
    return {host.name: errors[host.name] for host in hosts if host.name in errors}


def _node(host: Host, cluster: ClusterFacts) -> str:
    node = find_node(host, cluster)
    if node is None:
        raise InputError(
            f"{host.name} is not a node of the cluster", resolution=f"nodes are: {', '.join(cluster.nodes) or 'none'}"
        )
    return node.name
