"""One value changes, and nothing around it."""

import pytest

from clusterctl.errors import InputError
from clusterctl.model.inventory.edit import with_kubernetes, with_roles


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cluster:\n  kubernetes: 1.35.4  # since May\n", "cluster:\n  kubernetes: 1.36.3  # since May\n"),
        (
            'cluster: {name: a, kubernetes: "1.35.4", x: 1.35.4}\n',
            'cluster: {name: a, kubernetes: "1.36.3", x: 1.35.4}\n',
        ),
        (
            "# é\ncluster:\n  name: 'ü'\n  kubernetes: '1.35.4'\nhosts: []",
            "# é\ncluster:\n  name: 'ü'\n  kubernetes: '1.36.3'\nhosts: []",
        ),
    ],
)
def test_comments_quotes_and_order_stay(before: str, after: str) -> None:
    """Whatever way the value is written."""
    assert with_kubernetes(before, "1.36.3") == after


@pytest.mark.parametrize("text", ["", "cluster: 3", "cluster: {name: a}", "cluster: {kubernetes: {a: b}}", "[]"])
def test_without_the_key_it_says_so(text: str) -> None:
    """Nothing is added in a place that nobody chose."""
    with pytest.raises(InputError, match=r"no cluster\.kubernetes"):
        with_kubernetes(text, "1.36.3")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "hosts:\n- name: w1\n  role: worker  # ours\n- name: w2\n  role: 'spare'\n- {name: w3, role: worker}\n",
            "hosts:\n- name: w1\n  role: spare  # ours\n- name: w2\n  role: 'worker'\n- {name: w3, role: worker}\n",
        ),
        (
            '# é\nhosts: [{role: worker, name: w1}, {name: "w2", role: spare}]  # ü\n',
            '# é\nhosts: [{role: spare, name: w1}, {name: "w2", role: worker}]  # ü\n',
        ),
        ("cluster: {name: a}\n", "cluster: {name: a}\n"),
    ],
)
def test_roles_are_exchanged(before: str, after: str) -> None:
    """Of the hosts that are named, and of no others."""
    assert with_roles(before, {"w1": "spare", "w2": "worker"}) == after
