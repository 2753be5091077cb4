"""The library's face: load an inventory, connect, plan, run, verify, forecast. ``clusterctl`` exports these names.

Everything else that a command does is a function in ``clusterctl.actions``, called with the session of ``connect``.
"""

import shlex
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.model.inventory import Inventory, load_inventory
from clusterctl.model.secret import Secret

if TYPE_CHECKING:
    from fabric import Config

    from clusterctl.actions.exec import Ran, Tell
    from clusterctl.engine.events import Publish
    from clusterctl.engine.plan import Plan
    from clusterctl.remote.group import HostGroup
    from clusterctl.report.checks import Checks
    from clusterctl.rules.forecast import Forecast
    from clusterctl.session.session import Session


def load(path: str | PathLike[str]) -> Inventory:
    """Read and check the inventory at ``path``. Raises InputError, which names every mistake with its line."""
    return load_inventory(Path(path))


def connect(path: str | PathLike[str], *, sudo_password: str | None = None) -> "Session":
    """Open a session on the inventory at ``path``: a context manager, which closes every connection at its end.

    Hosts are connected to when they are first needed. ``sudo_password`` stands in for the inventory's. Raises
    InputError for an inventory with mistakes.
    """
    from clusterctl.report.progress import Unseen
    from clusterctl.session.call import Call
    from clusterctl.session.opening import open_session

    return open_session(
        Path(path),
        password=None if sudo_password is None else lambda: Secret(sudo_password),
        call=Call(options=("-i", shlex.quote(str(path)))),
        progress=Unseen,
    )


def plan(
    session: "Session", playbook: str | PathLike[str], *, limit: Sequence[str] = (), ignore: Sequence[str] = ()
) -> "Plan":
    """What ``playbook`` would do now, and nothing is changed.

    ``playbook`` is the path of a file, or the name of one of our own, such as ``bootstrap``. ``limit`` are names of
    hosts or roles that walk, none meaning all; ``ignore`` findings that shall not block. A Plan has ``changes``,
    ``blocked``, ``unknown`` and each step with its verdict. Raises InputError for what is not there, ConnectError or
    SeveralErrors for hosts that cannot be reached.
    """
    from clusterctl.actions.playbooks import any_playbook, ignoring

    book = ignoring(any_playbook(str(playbook)), ignore)
    return session.plan(book.limited(limit, session.inventory))


def run(
    session: "Session",
    playbook: str | PathLike[str],
    *,
    limit: Sequence[str] = (),
    ignore: Sequence[str] = (),
    subscriber: "Publish | None" = None,
) -> bool:
    """Do what ``plan`` shows, prove each step, and say whether anything was done. The call is the confirmation.

    ``subscriber`` is called with each event of ``clusterctl.engine.events`` as it happens, from several threads. The
    operator's lock is held until the session ends, and the audit trail is written. Raises Refused, before anything
    changes, for blocked findings or another operator at work; else the error of the host that failed, or SeveralErrors.
    """
    from clusterctl.actions.operator import Program
    from clusterctl.actions.playbooks import any_playbook, ignoring
    from clusterctl.actions.running import Wishes, run_playbook

    return run_playbook(
        session,
        ignoring(any_playbook(str(playbook)), ignore),
        Program(subscriber),
        Wishes(limit, ignore),
        again=session.call.command("run", shlex.quote(str(playbook))),
        answered=True,
    )


def execute(
    session: "Session",
    hosts: Sequence[str],
    command: str,
    *,
    root: bool = True,
    read_only: bool = False,
    tell: "Tell | None" = None,
) -> "tuple[Ran, ...]":
    """Run ``command``, a line of shell, on ``hosts`` (names or roles, none meaning all) at once.

    Each Ran has the host, its exit status, and what it said; one that could not be reached has an ``error`` instead.
    ``tell`` is called with each line as it comes: host, stream, line. Raises InputError for an unknown host, and
    Refused while another operator works, unless the command is ``read_only``.
    """
    from clusterctl.actions import exec as action

    wanted = action.select(session.inventory, hosts)
    return action.execute(session, wanted, command, root=root, read_only=read_only, tell=tell)


def verify(session: "Session", *, quick: bool = False, deadline: float = 300.0) -> "Checks":
    """Use the cluster, in at most ``deadline`` seconds, and say what was seen; ``quick`` looks at the basics alone.

    Each of ``checks`` says whether it is ``ok``. Raises KubernetesError or ConnectError.
    """
    from clusterctl.actions.verify import verify as action

    return action(session, quick=quick, deadline=deadline)


def forecast(session: "Session", hosts: Sequence[str] = ()) -> "tuple[Forecast, ...]":
    """What draining the nodes of ``hosts``, none meaning all, would meet; nothing is moved.

    Raises InputError for a host that is no node, KubernetesError or ConnectError.
    """
    from clusterctl.actions.forecast import forecast as action

    return action(session, hosts)


def connections(inventory: Inventory, *words: str, config: "Config | None" = None) -> "HostGroup":
    """A Fabric Group of the hosts that ``words`` name (names or roles, none meaning all), for a fabfile.

    They are logged in to as the inventory says, through its bastions, and their host keys are checked; they connect
    when they are first used. ``config`` are your own settings of Fabric. Raises InputError for an unknown host.
    """
    from clusterctl.actions.exec import select
    from clusterctl.remote.fleet import Fleet
    from clusterctl.remote.group import HostGroup

    return HostGroup(Fleet(inventory), select(inventory, words), config)
