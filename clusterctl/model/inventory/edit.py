"""Change values in the inventory's text, and leave every other character as it is."""

from collections.abc import Mapping

import yaml

from clusterctl.errors import InputError
from clusterctl.model.inventory.hosts import Role


def with_kubernetes(text: str, version: str) -> str:
    """The inventory's ``text`` with another ``cluster.kubernetes``. Raises InputError when there is none."""
    node = _value(_value(_root(text), "cluster"), "kubernetes")
    if not isinstance(node, yaml.ScalarNode):
        raise InputError("the inventory has no cluster.kubernetes", resolution="add it by hand")
    return _replaced(text, node, version)


def with_roles(text: str, roles: Mapping[str, Role]) -> str:
    """The inventory's ``text`` with other roles for the hosts that ``roles`` names."""
    hosts = _value(_root(text), "hosts")
    for host in reversed(hosts.value if isinstance(hosts, yaml.SequenceNode) else []):
        name, role = _value(host, "name"), _value(host, "role")
        if name is not None and isinstance(role, yaml.ScalarNode) and name.value in roles:
            text = _replaced(text, role, roles[name.value])
    return text


def _root(text: str) -> yaml.Node | None:
    root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return root


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _replaced(text: str, node: yaml.ScalarNode, value: str) -> str:
    quote = node.style or ""
    return text[: node.start_mark.index] + quote + value + quote + text[node.end_mark.index :]
