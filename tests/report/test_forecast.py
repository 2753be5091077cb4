"""A forecast as an operator reads it, and as JSON."""

import json

import click

from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Around, Owner, Pinned, Pods, Refusal
from clusterctl.report.forecast import earlier_drains, forecast_json, forecast_text, is_held
from clusterctl.rules.forecast import forecast
from tests.builders import make_budget, make_node, make_pod
from tests.report.golden import compare

NODES = {name: make_node(name) for name in ("w1", "w2", "w3")}
HELD = Refusal(429, "The disruption budget db holds", by_budget=True)
PODS = Pods(
    (
        make_pod("db-0", labels={"app": "db"}, controller=Owner("StatefulSet", "db", "uid-db")),
        make_pod("debug", controller=None, labels={}),
        make_pod("cache-1", empty_dirs=("data",), labels={}, controller=Owner("ReplicaSet", "cache", "uid-cache")),
        make_pod("gpu-1", labels={}, scheduling={"nodeSelector": {"gpu": "yes"}}, controller=Owner("Job", "gpu", "u")),
        make_pod("web-1"),
        make_pod("web-2"),
        make_pod("web-3", "w2"),
    ),
    (
        make_budget(),
        make_budget(
            "db",
            disruptions_allowed=0,
            current_healthy=1,
            desired_healthy=1,
            expected_pods=1,
            counted=True,
            selector={"matchLabels": {"app": "db"}},
        ),
    ),
    {"shop/db-0": HELD},
    Around(pinned=(Pinned("shop", "web", {"app": "web"}),)),
)
FORECASTS = [forecast(PODS, node, NODES, DrainOptions()) for node in NODES]


def test_the_text() -> None:
    """A table, then each node with what there is to tell, then the verdict."""
    compare("forecast.txt", click.unstyle(forecast_text(FORECASTS, earlier=12.4)) + "\n")


def test_nothing_in_the_way() -> None:
    """Nodes with nothing to tell are rows of the table alone."""
    text = forecast_text([FORECASTS[2]])

    assert text.splitlines()[-1] == "1 node can be drained as things are now."
    assert "Earlier" not in text
    assert not is_held(FORECASTS[2])


def test_long_lists_of_losses_are_cut() -> None:
    """What blocks is told in full; of what is only worth knowing the first few."""
    jobs = tuple(make_pod(f"job-{number}", controller=Owner("Job", f"j{number}", "u")) for number in range(8))

    text = forecast_text([forecast(Pods(jobs), "w1", NODES, DrainOptions())])

    assert "job-4 of the Job j4" in text
    assert "job-5 of" not in text
    assert "and 3 more, which --json lists" in text


def test_the_json() -> None:
    """The same, for programs: what holds, and whether it may pass."""
    data = json.loads(json.dumps(forecast_json(FORECASTS, earlier=12.4)))

    assert (data["held"], data["earlier_seconds"]) == (["w1"], 12.4)
    first = data["nodes"][0]
    assert first["unmanaged"] == [{"pod": "shop/debug", "reason": "has no controller"}]
    assert [each["pod"] for each in first["emptydir"]] == ["shop/cache-1"]
    assert [(each["pods"], each["may_pass"]) for each in first["blocks"]] == [(["shop/db-0"], False)]
    assert first["in_turns"] == [{"budget": "shop/web", "pods": ["shop/web-1", "shop/web-2"], "at_a_time": 1}]
    assert [each["pod"] for each in first["nowhere_to_go"]] == ["shop/gpu-1"]
    assert data["nodes"][2]["moving"] == []


def test_earlier_drains() -> None:
    """The middle of all drains that were timed, whichever command made them."""
    assert earlier_drains({"upgrade/drain": [10.0, 20.0], "reboot/drain": [60.0], "os/swap-off": [1.0]}) == 20.0
    assert earlier_drains({"os/swap-off": [1.0]}) is None
