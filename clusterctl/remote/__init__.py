"""SSH to the hosts, by Fabric and paramiko."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader

# What Fabric, its invoke and pydantic import at their heads, and need for what clusterctl does not do: invoke its YAML
# for files of settings, a mock's asyncio, plug-ins of pydantic. Half of the time that importing them takes.
_LATER = ("invoke.vendor.yaml",)


class _Later:
    """A finder that lets modules load when something of them is first used."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """What is found for one of these modules, with a loader that waits; nothing for others."""
        spec = PathFinder.find_spec(name, path) if name in _LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Later)
