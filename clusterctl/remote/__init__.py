"""SSH to the hosts, by paramiko."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader


class _InvokeLater:
    """A finder that lets ``import invoke`` load invoke when something of it is first used.

    paramiko needs it for one thing, ``Match exec`` in OpenSSH's configuration, and it takes half as long to load as
    paramiko itself.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """What is found for ``invoke``, with a loader that waits; nothing for other modules."""
        spec = PathFinder.find_spec(name, path) if name == "invoke" else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _InvokeLater)
