"""Change one value in the inventory's text, and leave every other character as it is."""

import yaml

from clusterctl.errors import InputError


def with_kubernetes(text: str, version: str) -> str:
    """The inventory's ``text`` with another ``cluster.kubernetes``. Raises InputError when there is none."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in ("cluster", "kubernetes"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, yaml.ScalarNode):
        raise InputError("the inventory has no cluster.kubernetes", resolution="add it by hand")
    quote = node.style or ""
    return text[: node.start_mark.index] + quote + version + quote + text[node.end_mark.index :]
