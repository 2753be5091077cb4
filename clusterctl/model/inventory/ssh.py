"""How the hosts are logged in to, as the inventory says."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from clusterctl.model.inventory.strict import SecretSource, Strict
from clusterctl.model.inventory.values import Port, User, address


class Bastion(Strict):
    """A server through which the hosts are reached, and how it is logged in to."""

    address: Annotated[str, AfterValidator(address)]
    user: User | None = None
    key: Path | None = None
    port: Port | None = None


class Ssh(Strict):
    """How the hosts are logged in to. What is not said here, ``config`` may say: OpenSSH's own file."""

    user: User | None = None
    key: Path | None = None
    known_hosts: Path = Path("~/.ssh/known_hosts")
    port: Port | None = None
    config: Path = Path("~/.ssh/config")
    bastion: Bastion | None = None
    sudo_password: SecretSource | None = None
