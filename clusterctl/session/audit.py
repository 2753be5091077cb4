"""The audit trail: every script that was sent and every verb of the API, with its result, in one file for each run.

Machines and API are wrapped, so that no step can forget it. Secrets are not in scripts; values of type Secret are
written as stars, and so is every later text that contains one.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from clusterctl.errors import ClusterctlError
from clusterctl.render import Script
from clusterctl.report.ndjson import Lines
from clusterctl.session.call import Call, operator
from clusterctl.session.state import state_folder
from clusterctl.steps.step import ClusterApi, Machine
from clusterctl.version import __version__


def open_trail(call: Call, cluster: str, playbook: str) -> Lines:
    """A new file for a run, in the user's state directory. Raises InputError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = state_folder("runs") / f"{stamp}-{cluster}-{playbook}-{os.getpid()}.ndjson"
    trail = Lines(path, new=True)
    trail.write("call", operator=operator(), command=call.text, clusterctl=__version__, cluster=cluster)
    return trail


def audited_machine(machine: Machine, host: str, trail: Lines) -> Machine:
    """``machine``, with every call of a method written down."""
    return cast(Machine, _Audited(machine, host, trail))


def audited_api(api: ClusterApi, trail: Lines) -> ClusterApi:
    """``api``, with every call of a verb written down."""
    return cast(ClusterApi, _Audited(api, "api", trail))


class _Audited:
    def __init__(self, what: object, where: str, trail: Lines) -> None:
        self._what = what
        self._where = where
        self._trail = trail

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._what, name)
        if name.startswith("_") or not callable(member):
            return member
        return self._written(name, member)

    def _written(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            script = next((argument for argument in arguments if isinstance(argument, Script)), None)
            what: dict[str, Any] = {"host": self._where, "verb": name}
            if script is not None:
                what["script"] = script.name
                self._trail.write("sent", **what, text=script.text)
            else:
                told = [argument for argument in arguments if not callable(argument)]  # Who is told of progress is not.
                self._trail.write("sent", **what, arguments=told, **({"options": more} if more else {}))
            began = time.monotonic()
            try:
                result = call(*arguments, **more)
            except ClusterctlError as error:
                self._trail.write("failed", **what, error=error, seconds=_since(began))
                raise
            except BaseException as error:
                self._trail.write("broken-off", **what, error=type(error).__name__, seconds=_since(began))
                raise
            self._trail.write("returned", **what, result=result, seconds=_since(began))
            return result

        return called


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
