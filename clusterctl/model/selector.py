"""Label selectors and node selectors as the API writes them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

NODE_NAME = "metadata.name"
"""The one field of a node that a selector may name."""


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects an object with these labels: an empty one selects all, a missing one none."""
    if selector is None:
        return False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or ()
    )


def selects_node(selector: Mapping[str, Any] | None, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node selector selects a node: one of its terms has to hold; none at all selects every node."""
    if selector is None:
        return True
    return any(_term_holds(term, name, labels) for term in selector.get("nodeSelectorTerms") or ())


def _term_holds(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    return bool(expressions or fields) and (  # An empty term selects nothing.
        all(_holds(each, labels) for each in expressions) and all(_holds(each, {NODE_NAME: name}) for each in fields)
    )


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key: str = requirement["key"]
    values: Sequence[str] = requirement.get("values") or ()
    value = labels.get(key)
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                found, bound = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return found > bound if operator == "Gt" else found < bound
        case _:
            return False
