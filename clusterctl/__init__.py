"""clusterctl: turn machines that answer SSH into a kubeadm Kubernetes cluster, and run it for years.

What stands here is for programs; ``docs/python.md`` shows it. Errors are those of ``clusterctl.errors``, each with what
failed, what the host said and what to do next; no call ends the program. Times are seconds.
"""

from clusterctl.version import __version__ as __version__

TYPE_CHECKING = False  # typing itself would be most of what this import costs; type checkers know the name.
if TYPE_CHECKING:
    from typing import Any

    from clusterctl.api import connect, connections, execute, forecast, load, plan, run, verify

__all__ = ["connect", "connections", "execute", "forecast", "load", "plan", "run", "verify"]


def __getattr__(name: str) -> "Any":
    """Import what is asked for when it is asked for: ``import clusterctl`` alone costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clusterctl import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The names that are there, also those that wait."""
    return sorted([*globals(), *__all__])
