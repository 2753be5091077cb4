"""Save a plan, and find and check a saved one."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterctl.actions.playbooks import playbook_path
from clusterctl.engine.contract import Contract, make_contract, read_contract
from clusterctl.engine.plan import Plan
from clusterctl.errors import InputError


def save_plan(
    path: Path, plan: Plan, *, inventory: Path, playbook: str, limit: Sequence[str], ignore: Sequence[str]
) -> None:
    """Write ``plan`` to ``path`` as a contract, whole or not at all. Raises Refused when a step is blocked.

    ``inventory`` is the file that it was made from.
    """
    source = playbook_path(playbook)
    name = playbook if source.stem == playbook else str(source.resolve())
    contract = make_contract(plan, playbook=name, digests=digests(playbook, inventory), limit=limit, ignore=ignore)
    path = path.expanduser()
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # With mode 0600.
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(contract.as_json(), file, indent=1)
            file.write("\n")
        Path(temporary).replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def saved_plan(name: str) -> Contract | None:
    """The contract in the file ``name``; None when there is no such file, or it is no saved plan."""
    path = Path(name).expanduser()
    if name.endswith((".yaml", ".yml")) or not path.is_file():
        return None
    try:
        return read_contract(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {name}: {error}") from error


def digests(playbook: str, inventory: Path) -> Mapping[str, str]:
    """The digests of an inventory, and of a playbook."""
    return {"inventory": _digest(inventory), "playbook": _digest(playbook_path(playbook))}


def _digest(path: Path) -> str:
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
