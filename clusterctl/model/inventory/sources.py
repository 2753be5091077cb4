"""Where packages and images come from, and the proxy in between."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from clusterctl.model.inventory.strict import LocalFile, LocalText, SecretSource, Strict

# A repository's address; what is below it has its own slash.
Address = Annotated[str, Field(pattern=r"^https?://[^\s@]*[^\s@/]$")]


def _fingerprint(value: str) -> str:
    compact = value.replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-F]{40}", compact):
        raise ValueError("must be the 40 hexadecimal digits of an OpenPGP key")
    return compact


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


def _certificates(value: LocalFile) -> LocalFile:
    if "-----BEGIN CERTIFICATE-----" not in value.content:
        raise ValueError(f"{value.name} holds no certificate in PEM form")
    if "PRIVATE KEY-----" in value.content:
        raise ValueError(f"{value.name} holds a private key; only the authority's certificate belongs on the hosts")
    return value


class ContainerdSource(Strict):
    """The packages of containerd: the distribution's, Docker's, or those of a repository of one's own.

    ``url`` of Docker's packages is the directory above those of the distributions. A repository without a ``suite``
    is flat. ``key`` is where the repository's OpenPGP key can be had.
    """

    packages: Literal["distribution", "docker", "repository"] = "distribution"
    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+-]+$")] | None = None
    url: Address | None = None
    suite: Annotated[str, Field(pattern=r"^[\w./-]+$")] | None = None
    components: tuple[Annotated[str, Field(pattern=r"^[\w./-]+$")], ...] = ()
    key: Address | None = None
    key_fingerprint: Fingerprint | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in ("url", "suite", "components", "key", "key_fingerprint") if getattr(self, name)}
        if self.packages == "distribution" and given:
            raise ValueError(
                f"{', '.join(sorted(given))}: the distribution's packages come as the hosts' apt knows them"
            )
        if self.packages == "repository":
            missing = [name for name in ("url", "key_fingerprint") if name not in given]
            if missing:
                raise ValueError(f"a repository needs {' and '.join(missing)}")
            if bool(self.suite and not self.suite.endswith("/")) != bool(self.components):
                raise ValueError("components belong to a suite, and a suite needs some; a flat repository has neither")
        return self


class Registry(Strict):
    """How containerd reaches one host that has images, as a registry and wherever it is named as a mirror.

    ``mirrors`` are asked first, in order; the registry itself is asked last. A mirror's address says by its
    scheme whether it speaks TLS.
    """

    mirrors: tuple[Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")], ...] = ()
    http: bool = False
    ca_file: Annotated[LocalText, AfterValidator(_certificates)] | None = None
    skip_verify: bool = False
    username: Annotated[str, Field(pattern=r"^[^:\s][^:]*$")] | None = None
    password: SecretSource | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.http and self.password:
            raise ValueError("a password would travel in the clear: a registry with one has to speak TLS")
        if self.skip_verify and self.ca_file:
            raise ValueError("skip_verify and ca_file exclude each other: an authority is named to verify by it")
        return self


class Sources(Strict):
    """Where packages and images come from."""

    packages: Address = "https://pkgs.k8s.io"
    # The key that signs the official repositories of all minors (isv:kubernetes OBS Project).
    packages_key_fingerprint: Fingerprint = "DE15B14486CD377B9E876E1A234654DA9A296436"
    containerd: ContainerdSource = ContainerdSource.model_construct()
    images: Annotated[str, Field(min_length=1)] = "registry.k8s.io"
    registries: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?$")], Registry] = {}

    @model_validator(mode="after")
    def _nothing_in_the_clear(self) -> Self:
        for mirror in (mirror for registry in self.registries.values() for mirror in registry.mirrors):
            if mirror.startswith("http:") and self.host(mirror).password:
                raise ValueError(f"the password of {urlsplit(mirror).netloc} would travel in the clear to {mirror}")
        return self

    def host(self, address: str) -> Registry:
        """What the inventory says of the host in the address of a mirror."""
        return self.registries.get(urlsplit(address).netloc, Registry())


class Proxy(Strict):
    """The way out for packages and images; ``no_proxy`` are names, domains and networks that are reached directly."""

    http: str | None = None
    https: str | None = None
    no_proxy: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:/_*-]+$")], ...] = ()

    @field_validator("http", "https")
    @classmethod
    def _address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d+)?/?", value):
            return value.rstrip("/") if value else value
        if "@" in value:
            raise ValueError(
                "must hold no user and no password: systemd and kubeadm show a proxy's address to everybody on a host; "
                "let the proxy admit the hosts by their addresses, or name a forwarder of yours that logs in to it"
            )
        raise ValueError("must be an address such as http://proxy.example.internal:3128")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.http or self.https):
            raise ValueError("needs http, https or both")
        return self
