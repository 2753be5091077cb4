"""What an upgrade has to know of a host: certificates, etcd's health, and what its API server was asked for."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

_METRIC = re.compile(r"(\w+)\{([^}]*)\} ")
_MINOR = re.compile(r"\d+\.\d+")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_PEM = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """What the etcd of a host says of itself: its version, the bytes of its database, and what is wrong.

    ``leader`` is empty while there is none.
    """

    version: str
    size: int
    leader: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeprecatedApi:
    """A deprecated API that somebody asked for since the API server started; ``removed`` is the release without it."""

    name: str
    removed: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """Read while a node is not at the wanted version yet.

    ``certificates`` maps the paths of files to the certificate in them, as ``expiry`` reads it. ``etcd`` is None where
    none answers. ``deprecated`` are APIs that will go, ``gates`` the API server's feature gates with their stages, such
    as ``BETA``; both are None where no API server answers.
    """

    certificates: Mapping[str, str] = field(default_factory=dict)
    etcd: EtcdStatus | None = None
    deprecated: tuple[DeprecatedApi, ...] | None = None
    gates: Mapping[str, str] | None = None


def parse_outlook(certificates: Sequence[str], etcd: Sequence[str], metrics: Sequence[str]) -> Outlook:
    """Make an outlook of the lines that the probe printed of each."""
    read = list(_metrics(metrics))
    return Outlook(
        certificates=dict(line.split("\t", 1) for line in certificates),
        etcd=_etcd(etcd),
        deprecated=_deprecated(read) if read else None,
        gates={
            labels["name"]: labels.get("stage") or "GA" for name, labels in read if name == "kubernetes_feature_enabled"
        }
        if read
        else None,
    )


@lru_cache(maxsize=4096)
def expiry(certificate: str) -> float | None:
    """When a certificate ends, in seconds since 1970; it is base64 of DER or of PEM. None when it cannot be read."""
    from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

    try:
        data = base64.b64decode(certificate, validate=True)
        load = load_pem_x509_certificate if data.startswith(_PEM) else load_der_x509_certificate
        return load(data).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def _metrics(lines: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for line in lines:
        if match := _METRIC.match(line):
            yield match[1], dict(_LABEL.findall(match[2]))


def _deprecated(metrics: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[DeprecatedApi, ...]:
    """Those with a release that removes them, whatever their subresource; of the others nobody knows when they go."""
    found = {
        DeprecatedApi(
            "/".join(filter(None, (each["group"], each["version"], each["resource"]))), each["removed_release"]
        )
        for name, each in metrics
        if name == "apiserver_requested_deprecated_apis" and _MINOR.fullmatch(each.get("removed_release", ""))
    }
    return tuple(sorted(found, key=lambda api: api.name))


def _etcd(lines: Sequence[str]) -> EtcdStatus | None:
    """The answers of etcd's ``/v3/maintenance/status`` and ``/v3/maintenance/alarm``, a line each."""
    try:
        status, alarms = (json.loads(line) for line in lines)
        found = [str(alarm.get("alarm")) for alarm in alarms.get("alarms", ())]
        return EtcdStatus(
            version=status["version"],
            size=int(status["dbSize"]),
            leader="" if status.get("leader", "0") == "0" else str(status["leader"]),
            problems=tuple(dict.fromkeys([*map(str, status.get("errors", ())), *found])),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
