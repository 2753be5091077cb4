"""The runner: walks a playbook, looks again before it acts, acts once, and proves the result."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from clusterctl.engine.contract import Contract
from clusterctl.engine.events import (
    Interrupted,
    PlayStarted,
    Publish,
    RunFinished,
    RunStarted,
    StepChanged,
    StepFailed,
    StepLeft,
    StepSatisfied,
    StepStarted,
    Waiting,
)
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.engine.view import Clock, View
from clusterctl.errors import (
    ClusterctlError,
    ConnectError,
    HostKeyError,
    KubernetesError,
    NotVerified,
    OutcomeUnknown,
    Refused,
    SeveralErrors,
)
from clusterctl.model.inventory import Host
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step, Tools

# How old, in seconds, facts may be at the moment of acting.
_FRESH = 2.0
# How long, in seconds, a host that was lost in the middle of a change is looked for.
_RECONNECT = 180.0
# How long, in seconds, an API server that does not answer is waited for: it may be starting with its host.
_API_STARTS = 120.0
_LOOK_EVERY = 0.5
# How long, in seconds, between two looks at what has to hold several times in a row.
_STEADY_EVERY = 2.0
# How soon, in seconds, a wish to stop is acknowledged.
_NOTICE = 0.1


class _Left(Exception):
    """The wish to stop met a wait."""


_Open = Callable[[Step, Situation, Verdict], bool]


@dataclass
class _Tally:
    changed: int = 0
    satisfied: int = 0
    reached: set[tuple[str, str]] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    errors: list[ClusterctlError] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Runner:
    """Runs one playbook once.

    ``tools`` makes the capabilities for one host, of what tells the operator and what knows that he wants to stop;
    ``publish`` receives every event, from several threads. With a ``contract`` no step acts but as it says.
    """

    def __init__(
        self,
        playbook: Playbook,
        view: View,
        tools: Callable[[Host, Callable[[str], None], Callable[[], bool]], Tools],
        clock: Clock,
        publish: Publish,
        contract: Contract | None = None,
    ) -> None:
        self._contract = contract
        self._playbook = playbook
        self._view = view
        self._tools = tools
        self._clock = clock
        self._publish = publish
        self._undivided = False
        self._over = False
        self._asked = threading.Event()
        self._stop = threading.Event()
        self._told: Interrupted | None = None
        self._tally = _Tally()

    def stop(self) -> bool:
        """Ask to stop; False when that was asked for already, and all that is left is to leave.

        Hosts finish the scripts in hand, waits are cut short, and nothing new is started. In a play that is undivided
        the first call lets the hosts that have begun walk to the end of the play, and the second one does this. Safe in
        a signal handler.
        """
        if self._stop.is_set():
            return False
        if not self._undivided or self._asked.is_set():
            self._stop.set()
        self._asked.set()
        return True

    def run(self) -> None:
        """Walk all plays.

        Raises the error of the host that failed, or SeveralErrors; KeyboardInterrupt after ``stop``. When a
        KeyboardInterrupt meets it, it leaves at once.
        """
        inventory = self._view.inventory
        pairs = [(host.name, step.name) for _, host, step in self._playbook.steps(inventory)]
        began = self._clock.now()
        self._publish(
            RunStarted(self._playbook.name, tuple(host.name for host in self._playbook.hosts(inventory)), len(pairs))
        )
        for play in self._playbook.plays:
            self._play(play)
            if self._ending:
                break
        tally = self._tally
        left = tuple(pair for pair in pairs if pair not in tally.reached)
        self._publish(
            RunFinished(
                self._playbook.name,
                tally.changed,
                tally.satisfied,
                len(tally.errors),
                left,
                self._clock.now() - began,
            )
        )
        if tally.errors:
            raise tally.errors[0] if len(tally.errors) == 1 else SeveralErrors(tally.errors)
        if self._asked.is_set():
            raise KeyboardInterrupt

    @property
    def _ending(self) -> bool:
        """Whether no further batch begins."""
        return self._over or self._asked.is_set()

    def _play(self, play: Play) -> None:
        """Let the hosts walk. One that failed walks no further, in this play and in those to come."""
        failed = self._tally.failed
        hosts = play.hosts(self._view.inventory)
        healthy = tuple(host.name for host in hosts if host.name not in failed)
        if not healthy:
            self._over = bool(hosts)  # What comes later builds on what this play would have done.
            return
        self._publish(PlayStarted(play.name, healthy))
        self._undivided = play.undivided
        failed_before = len(failed)
        for group in play.batches(self._view.inventory):
            batch = [host for host in group if host.name in healthy]
            if not batch:
                continue
            pool = ThreadPoolExecutor(max_workers=len(batch), thread_name_prefix="host")
            walks = [pool.submit(self._walk, host, play.run) for host in batch]
            try:
                self._await(walks)
            finally:
                # A KeyboardInterrupt leaves walks behind; the scripts in hand end on their hosts.
                pool.shutdown(wait=all(walk.done() for walk in walks))
            self._over = len(failed) - failed_before > play.max_failures
            if self._ending:
                return

    def _await(self, walks: Sequence[Future[None]]) -> None:
        """Wait for the walks, and tell when somebody asked to stop meanwhile."""
        while wait(walks, timeout=_NOTICE).not_done:
            if self._asked.is_set():
                news = Interrupted(walking_on=not self._stop.is_set())
                if news != self._told:
                    self._told = news
                    self._publish(news)
        for walk in walks:
            walk.result()

    def _walk(self, host: Host, steps: tuple[Step, ...]) -> None:
        changed = False
        for step in steps:
            if self._stop.is_set():
                return
            began = self._clock.now()
            try:
                changed |= self._step(host, step, began, step.steady if changed else 1)
            except ClusterctlError as error:
                self._name(host, step, error)
                with self._tally.lock:
                    self._tally.errors.append(error)
                    self._tally.failed.add(host.name)
                self._publish(StepFailed(host.name, step.name, error, self._clock.now() - began))
                return
            except _Left as left:
                self._publish(StepLeft(host.name, step.name, str(left), self._clock.now() - began))
                return
            with self._tally.lock:
                self._tally.reached.add((host.name, step.name))

    def _name(self, host: Host, step: Step, error: ClusterctlError) -> None:
        """Let an error of another host, which the step touches or asks, say whose step it ended."""
        others = {each.name for each in self._view.inventory.hosts if each != host}
        if error.what.partition(":")[0] in others:
            error.what = f"{host.name}: {step.name}: {error.what}"

    def _step(self, host: Host, step: Step, began: float, looks: int) -> bool:
        """Make ``step`` true, and see it so ``looks`` times in a row; whether that took a change or a wait."""
        verdict = step.check(self._situation(host, step, float("inf")))
        if not isinstance(verdict, Satisfied):
            situation, verdict = self._judge(host, step, began, _FRESH, _api_silent)
        if isinstance(verdict, Satisfied) and looks == 1:
            with self._tally.lock:
                self._tally.satisfied += 1
            self._publish(StepSatisfied(host.name, step.name, verdict.note))
            return False
        if isinstance(verdict, Satisfied):
            self._publish(StepStarted(host.name, step.name, step.title, f"has to hold {looks} times in a row"))
        elif isinstance(verdict, Needed):
            if self._contract:
                self._contract.allow(step, situation, verdict)
            self._publish(StepStarted(host.name, step.name, step.title, verdict.reason))
            self._apply(host, step, situation, began)
        else:
            raise _refused(step, situation, verdict)
        note = self._verify(host, step, began, looks)
        with self._tally.lock:
            self._tally.changed += 1
        self._publish(StepChanged(host.name, step.name, note, self._clock.now() - began))
        return True

    def _situation(self, host: Host, step: Step, max_age: float) -> Situation:
        """What ``step`` has to see, at most ``max_age`` seconds old; hosts that it never changes stay as seen."""

        def situation(others: Sequence[str] = ()) -> Situation:
            return self._view.situation(
                host,
                api=step.reads_api,
                pods=step.reads_pods,
                survey=step.reads_survey,
                max_age=max_age if step.changes_host else float("inf"),
                api_max_age=max_age,
                others=[self._view.inventory.host(name) for name in others],
                others_max_age=max_age,
            )

        found = situation()
        touched = step.touches(found)
        found = situation(touched) if touched else found
        return self._view.look_ahead(found, max_age=max_age) if step.looks_ahead(found) else found

    def _judge(self, host: Host, step: Step, began: float, max_age: float, open_: _Open) -> tuple[Situation, Verdict]:
        """What is so, at most ``max_age`` seconds old, and what ``step`` says of it. While ``open_``, wait and look."""
        until = self._clock.now() + max(step.deadline, _API_STARTS)
        while True:
            situation = self._situation(host, step, max_age)
            verdict = step.check(situation)
            if isinstance(verdict, Satisfied) or not open_(step, situation, verdict) or self._clock.now() >= until:
                return situation, verdict
            reason = situation.api_problem if _api_silent(step, situation, verdict) else verdict.reason
            self._wait(host, step, reason, began)
            max_age = 0

    def _apply(self, host: Host, step: Step, situation: Situation, began: float) -> None:
        def say(message: str) -> None:
            self._publish(Waiting(host.name, step.name, message, self._clock.now() - began))

        names = (*((host.name,) if step.changes_host else ()), *step.touches(situation))
        try:
            step.apply(situation, self._tools(host, say, self._stop.is_set))
        except OutcomeUnknown as error:
            self._view.changed(names)
            say("the connection broke; connecting again to see how it ended")
            self._recheck(host, step, situation, began, error)
        finally:
            self._view.changed(names)

    def _recheck(self, host: Host, step: Step, before: Situation, began: float, lost: OutcomeUnknown) -> None:
        """After a lost connection: look, and go on only when the step's own check says that it is done.

        What may still come about by itself is waited for; a step that is not done is not.
        """
        try:
            self._view.reconnect(host, _RECONNECT)
            situation, verdict = self._judge(host, step, began, 0, _may_come)
        except (ConnectError, KubernetesError) as error:
            raise OutcomeUnknown(
                f"{host.name}: {step.name}: the connection broke, and what became of it could not be seen",
                details="\n".join(filter(None, (lost.what, error.what, error.details))),
                resolution=error.resolution
                if isinstance(error, HostKeyError)
                else "when the host answers again, run the same command: it looks first and goes on from there",
            ) from lost
        if not isinstance(verdict, Satisfied):
            rebooted = before.facts.boot_id != situation.facts.boot_id
            how = "the host was restarted in the middle" if rebooted else "the connection broke"
            raise OutcomeUnknown(
                f"{host.name}: {step.name}: {how} and the step is not done: {verdict.reason}",
                details=lost.what,
                resolution=verdict.resolution
                if isinstance(verdict, Blocked)
                else "run the same command again: it looks first and goes on from there",
            ) from lost

    def _verify(self, host: Host, step: Step, began: float, looks: int) -> str:
        """Look until ``step`` holds ``looks`` times in a row; what it said last."""
        deadline = self._clock.now() + step.deadline
        held = 0
        while True:
            reason, resolution = "", ""
            try:
                verdict = step.check(self._situation(host, step, 0))
                if isinstance(verdict, Satisfied):
                    held += 1
                    if held == looks:
                        return verdict.note
                    so_far = f"seen {held} of {looks} times in a row: {verdict.note}"
                    self._wait(host, step, so_far, began, _STEADY_EVERY)
                    continue
                reason = verdict.reason
                resolution = verdict.resolution if isinstance(verdict, Blocked | Needed) else ""
            except HostKeyError as error:  # It stays so until a person looked.
                raise NotVerified(
                    f"{host.name}: {step.name} was applied, and nobody can see whether it came true: {error.what}",
                    details=error.details,
                    resolution=error.resolution,
                ) from error
            except (ConnectError, KubernetesError) as error:
                reason = error.what
            held = 0
            if self._clock.now() >= deadline:
                raise NotVerified(
                    f"{host.name}: {step.name} was applied and did not come true in {step.deadline:.0f} s: {reason}",
                    resolution=resolution or f"look at {host.name}, then run the same command again",
                )
            self._wait(host, step, reason, began)

    def _wait(self, host: Host, step: Step, reason: str, began: float, seconds: float = _LOOK_EVERY) -> None:
        """Wait until the next look. Raises _Left once somebody asked to stop: what comes true does so without us."""
        if self._stop.is_set():
            raise _Left(reason)
        self._publish(Waiting(host.name, step.name, reason, self._clock.now() - began))
        self._clock.sleep(seconds)


def _api_silent(step: Step, situation: Situation, verdict: Verdict) -> bool:
    """Whether the verdict was given without the API, which the step wants to see and which may answer in a while."""
    return step.reads_api and situation.api_silent and not isinstance(verdict, Needed)


def _may_come(step: Step, situation: Situation, verdict: Verdict) -> bool:
    """Whether the step may be done although its check does not see it yet."""
    return (step.reads_api and situation.api_silent) or isinstance(verdict, Blocked)


def _refused(step: Step, situation: Situation, verdict: Blocked | Unknown) -> Refused:
    name = situation.host.name
    if isinstance(verdict, Blocked):
        return Refused(f"{name}: {step.name}: {verdict.reason}", resolution=verdict.resolution)
    if step.reads_api and situation.api_silent:
        return Refused(
            f"{name}: {step.name} cannot be judged: {situation.api_problem}",
            resolution=f"look why on {situation.founders[0]}: sudo crictl ps -a --name kube-apiserver; "
            "sudo journalctl -u kubelet -n 50; when the API server answers again, run the same command again",
        )
    return Refused(
        f"{name}: {step.name} cannot be judged: {verdict.reason}",
        resolution="a step that brings this about has to run before it: compare the order with playbooks/",
    )
