"""kubectl's rules over pods, and label selectors, without any API."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import InputError
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Budget, Owner, PodFacts, Pods
from clusterctl.model.selector import selects
from clusterctl.rules.drain import leaving
from tests.builders import make_inventory

WEB = Owner("ReplicaSet", "web", "1")
DAEMON = Owner("DaemonSet", "agent", "2")
ORPHAN = replace(DAEMON, present=False)
OTHER = replace(DAEMON, api_version="apps.example.io/v1")


def make_pod(**changes: Any) -> PodFacts:
    """A running pod of a ReplicaSet on w1."""
    pod = PodFacts("shop", "web-1", "uid-1", "w1", controller=WEB)
    return replace(pod, **changes)


def outcome(pod: PodFacts, **options: Any) -> str:
    """What happens to the pod when its node is drained."""
    going = leaving(Pods((pod,)), "w1", DrainOptions(**options))
    (what,) = (name for name in ("evicted", "staying", "fatal") if getattr(going, name))
    return what


@pytest.mark.parametrize(
    ("pod", "options", "expected"),
    [
        ({}, {}, "evicted"),
        ({"controller": DAEMON}, {"force": True}, "staying"),
        ({"controller": DAEMON, "empty_dirs": ("x",)}, {}, "staying"),
        ({"controller": DAEMON, "phase": "Failed"}, {}, "evicted"),
        ({"controller": ORPHAN}, {}, "fatal"),
        ({"controller": ORPHAN}, {"force": True}, "evicted"),
        ({"controller": ORPHAN, "empty_dirs": ("x",)}, {"force": True}, "fatal"),
        ({"controller": OTHER}, {}, "evicted"),
        ({"mirror": True, "controller": None, "empty_dirs": ("x",)}, {}, "staying"),
        ({"empty_dirs": ("x",)}, {}, "fatal"),
        ({"empty_dirs": ("x",)}, {"delete_emptydir_data": True}, "evicted"),
        ({"empty_dirs": ("x",), "phase": "Succeeded"}, {}, "evicted"),
        ({"controller": None}, {}, "fatal"),
        ({"controller": None}, {"force": True}, "evicted"),
        ({"controller": None, "phase": "Failed"}, {}, "evicted"),
        ({"controller": None, "phase": "Pending"}, {}, "fatal"),
        ({"terminating": True, "overdue": 100.0, "controller": None}, {"skip_wait_for_delete_timeout": 60}, "staying"),
        ({"terminating": True, "overdue": 60.9}, {"skip_wait_for_delete_timeout": 60}, "evicted"),
        ({"terminating": True, "overdue": 61.0}, {"skip_wait_for_delete_timeout": 60}, "staying"),
        ({"terminating": True, "overdue": 1e6}, {}, "evicted"),
    ],
)
def test_each_rule_decides_as_kubectls(pod: Mapping[str, Any], options: Mapping[str, Any], expected: str) -> None:
    """One row for each branch of kubectl's filters."""
    assert outcome(make_pod(**pod), **options) == expected


def test_a_fatal_pod_names_its_reason_and_what_overrides_it() -> None:
    """An operator reads the volume that is lost, and the option that says so."""
    pods = (make_pod(empty_dirs=("cache", "tmp")), make_pod(controller=None), make_pod(controller=ORPHAN))

    fatal = leaving(Pods(pods), "w1", DrainOptions()).fatal

    assert [each.reason for each in fatal] == [
        "keeps data in emptyDir cache, tmp, which is lost",
        "has no controller",
        "belongs to DaemonSet agent, which does not exist",
    ]
    assert [each.remedy.partition(" ")[0] for each in fatal] == ["delete_emptydir_data", "force", "force"]


def test_only_running_pods_without_a_maker_are_gone_for_good() -> None:
    """What a controller makes again is not lost, what has finished is not missed."""
    pods = (
        make_pod(name="web"),
        make_pod(name="lonely", controller=None),
        make_pod(name="orphan", controller=ORPHAN),
        make_pod(name="done", controller=None, phase="Succeeded"),
        make_pod(name="elsewhere", controller=None, node="w2"),
    )

    going = leaving(Pods(pods), "w1", DrainOptions(force=True))

    assert [pod.name for pod in going.gone_for_good] == ["lonely", "orphan"]


PODS = st.builds(
    make_pod,
    uid=st.uuids().map(str),
    node=st.sampled_from(["w1", "w2"]),
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    controller=st.sampled_from([None, WEB, DAEMON, ORPHAN, OTHER]),
    mirror=st.booleans(),
    terminating=st.booleans(),
    overdue=st.floats(-30, 300),
    empty_dirs=st.sampled_from([(), ("cache",)]),
)
OPTIONS = st.builds(
    DrainOptions,
    force=st.booleans(),
    delete_emptydir_data=st.booleans(),
    skip_wait_for_delete_timeout=st.sampled_from([0, 1, 60]),
)


@given(st.lists(PODS, unique_by=lambda pod: pod.uid), OPTIONS)
def test_every_pod_of_the_node_is_judged_once(pods: list[PodFacts], options: DrainOptions) -> None:
    """A pod leaves, stays, or is in the way; pods of other nodes are nobody's concern."""
    going = leaving(Pods(tuple(pods)), "w1", options)

    judged = [*going.evicted, *(each.pod for each in going.staying), *(each.pod for each in going.fatal)]
    assert sorted(pod.uid for pod in judged) == sorted(pod.uid for pod in pods if pod.node == "w1")
    assert not any(pod.mirror for pod in going.evicted)
    assert not any(each.pod.finished for each in going.fatal)


@given(st.lists(PODS, unique_by=lambda pod: pod.uid), OPTIONS)
def test_an_option_only_ever_removes_reasons(pods: list[PodFacts], options: DrainOptions) -> None:
    """With both consents nothing is in the way, and each consent alone adds no reason."""

    def fatal(**changes: bool) -> set[str]:
        going = leaving(Pods(tuple(pods)), "w1", options.model_copy(update=changes))
        return {each.pod.uid for each in going.fatal}

    assert not fatal(force=True, delete_emptydir_data=True)
    assert fatal(force=True) <= fatal(force=False)
    assert fatal(delete_emptydir_data=True) <= fatal(delete_emptydir_data=False)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))


@given(LABELS, st.sampled_from("abc"), st.lists(st.sampled_from("12"), min_size=1))
def test_selectors_and_their_opposites(labels: dict[str, str], key: str, values: list[str]) -> None:
    """NotIn is what In is not, DoesNotExist what Exists is not; matchLabels is In with one value."""

    def holds(operator: str, *, given: list[str] | None = None) -> bool:
        return selects({"matchExpressions": [{"key": key, "operator": operator, "values": given}]}, labels)

    assert holds("In", given=values) != holds("NotIn", given=values)
    assert holds("Exists") != holds("DoesNotExist")
    assert selects({"matchLabels": {key: values[0]}}, labels) == holds("In", given=values[:1])
    assert not holds("Near")
    assert selects({}, labels)


def test_a_budget_covers_pods_of_its_own_namespace() -> None:
    """One without a selector covers nobody, one with an empty selector everybody."""
    budget = Budget("shop", "web", 0, 1, 1, 1, selector={"matchLabels": {"app": "web"}})
    pod = make_pod(labels={"app": "web"})

    assert budget.covers(pod)
    assert not budget.covers(replace(pod, namespace="other"))
    assert not replace(budget, selector=None).covers(pod)
    assert replace(budget, selector={}).covers(make_pod())
    assert Pods((pod,), (budget, replace(budget, namespace="other"))).budgets_of(pod) == (budget,)


def test_the_inventory_says_how_nodes_are_drained() -> None:
    """Without a word of it, nothing is forced and a quarter of an hour is waited."""
    assert make_inventory().cluster.drain == DrainOptions(timeout=900, grace_period=-1)
    assert make_inventory("  drain: {force: true, timeout: 60}\n").cluster.drain == DrainOptions(force=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("{forse: true}", "cluster.drain.forse: unknown key; did you mean 'force'?"),
        ("{timeout: -1}", "cluster.drain.timeout: "),
        ("{grace_period: -2}", "cluster.drain.grace_period: "),
    ],
)
def test_mistakes_are_told(text: str, mistake: str) -> None:
    """The section is as strict as its neighbours."""
    with pytest.raises(InputError, match=mistake.replace("?", r"\?")):
        make_inventory(f"  drain: {text}\n")
