"""The inventory as a JSON Schema, so that editors complete and check it while it is written."""

from typing import Any

from clusterctl.model.inventory.document import Inventory

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def inventory_schema() -> dict[str, Any]:
    """The JSON Schema of an inventory file, from the model.

    What no single key shows, such as an address that two hosts share, is left to ``inventory check``.
    """
    schema = Inventory.model_json_schema()
    return {"$schema": _DIALECT, "title": "clusterctl inventory", **{k: v for k, v in schema.items() if k != "title"}}
