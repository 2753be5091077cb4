"""A plan in words and as JSON, from a plan made by hand."""

import json

import click

from clusterctl.engine.plan import FileChange, Plan, PlannedStep
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.report.plan import plan_text
from tests.report.golden import compare

SYSCTL = "/etc/sysctl.d/99-kubernetes.conf"
NEW = FileChange(SYSCTL, None, "net.ipv4.ip_forward = 1\n")
OLD = FileChange(SYSCTL, "# ours\nnet.ipv4.ip_forward = 0\n", "# ours\nnet.ipv4.ip_forward = 1\n")
MANY = tuple(f"w{number}" for number in range(1, 41))

PLAN = Plan(
    "bootstrap",
    (
        PlannedStep("Check the hosts", "cp1", "preflight/system", "Check", Satisfied("Debian 12")),
        PlannedStep("Check the hosts", "w1", "preflight/system", "Check", Blocked("process 1 is runit", "use systemd")),
        PlannedStep("Check the hosts", "w2", "preflight/system", "Check", Blocked("process 1 is runit", "use systemd")),
        PlannedStep("Prepare the hosts", "cp1", "os/swap-off", "Turn swap off", Satisfied("no swap is on")),
        PlannedStep("Prepare the hosts", "w1", "os/swap-off", "Turn swap off", Needed("swap is on: /swapfile")),
        PlannedStep("Prepare the hosts", "w2", "os/swap-off", "Turn swap off", Needed("swap is on: /swapfile")),
        PlannedStep("Prepare the hosts", "cp1", "os/sysctl", "Set", Needed("net.ipv4.ip_forward is 0"), (OLD,)),
        PlannedStep("Prepare the hosts", "w1", "os/sysctl", "Set", Needed("net.ipv4.ip_forward is 0"), (NEW,)),
        PlannedStep("Prepare the hosts", "w2", "os/sysctl", "Set", Needed("net.ipv4.ip_forward is 0"), (NEW,)),
        PlannedStep("Join the workers", "w1", "workers/join", "Join", Unknown("w1 is not a node yet")),
        PlannedStep("Join the workers", "w2", "workers/join", "Join", Unknown("w2 is not a node yet")),
    ),
)


def text(plan: Plan, *, verbose: bool = False, diff: bool = False) -> str:
    """The plan without colours."""
    return click.unstyle(plan_text(plan, verbose=verbose, diff=diff)) + "\n"


def test_a_plan_in_words() -> None:
    """Grouped by play, hosts folded, satisfied steps counted, blocked ones at the end."""
    compare("plan.txt", text(PLAN))


def test_a_plan_with_everything() -> None:
    """Satisfied steps and diffs; a file that differs from host to host is not folded."""
    compare("plan-verbose-diff.txt", text(PLAN, verbose=True, diff=True))


def test_a_plan_as_json() -> None:
    """The numbers at the top, then every step on every host."""
    compare("plan.json", json.dumps(PLAN.as_json(), indent=2) + "\n")


def test_a_plan_without_changes() -> None:
    """It says so."""
    plan = Plan("bootstrap", PLAN.steps[:1])

    assert text(plan).splitlines()[-1] == "bootstrap: no changes, 1 satisfied (=)."


def test_a_finding_of_two_plays_is_told_once_at_the_end() -> None:
    """A host is named once, however often it is looked at."""
    verdict = Blocked("w1 has no room", "make some")
    plays = ("Look", "Upgrade the workers")
    plan = Plan("upgrade", tuple(PlannedStep(play, "w1", "drain/placement", "Check", verdict) for play in plays))

    settle = text(plan).partition("Blocked: settle these first\n")[2].splitlines()

    assert settle[:2] == ["  w1: drain/placement: w1 has no room", "    Next: make some"]
    assert settle[2] == ""


def test_forty_hosts_are_one_line() -> None:
    """The middle of a long list is left out."""
    plan = Plan(
        "b", tuple(PlannedStep("Play", host, "a/b", "Do", Needed(f"{host} is not a node yet")) for host in MANY)
    )

    assert text(plan).splitlines()[1] == "  + w1 w2 w3 … w40 (40 hosts)  a/b  is not a node yet"
