"""What a pod requests, as the scheduler reckons."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from clusterctl.kube.pod_facts import pod_facts, quantity, requested


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("250m", "0.25"),
        ("1.5", "1.5"),
        ("100n", "1e-7"),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("129k", 129_000),
        ("2G", 2 * 10**9),
        ("1e3", 1000),
        ("12E", 12 * 10**18),
        ("3Ei", 3 * 2**60),
    ],
)
def test_quantities_are_read_exactly(text: str, number: Any) -> None:
    """Kubernetes' decimal and binary units, and exponents."""
    assert quantity(text) == Decimal(number)


def container(cpu: str, **more: str) -> dict[str, Any]:
    """A container that requests some processor time."""
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [{}]}, "0"),
        ({"containers": [container("1"), container("500m")]}, "1.5"),
        ({"containers": [container("1")], "initContainers": [container("3"), container("2")]}, "3"),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, "2"),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1", restartPolicy="Always"), container("4")],
            },
            "5",
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [container("1")], **container("700m"), "overhead": {"cpu": "100m"}}, "0.8"),
    ],
)
def test_a_pod_needs_what_runs_at_the_same_time(spec: dict[str, Any], cpu: str) -> None:
    """Init containers run one after the other, sidecars beside all; the pod's own request replaces their sum."""
    assert requested(spec, "cpu") == Decimal(cpu)


def test_a_bare_pod_is_read() -> None:
    """What the API leaves out is empty."""
    pod = pod_facts({"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "spec": {}}, datetime.now(UTC))

    assert (pod.node, pod.phase, pod.controller, pod.ready, pod.terminating) == ("", "", None, False, False)
    assert (pod.cpu, pod.memory, pod.scheduling) == (0, 0, {})
