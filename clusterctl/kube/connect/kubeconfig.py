"""A kubeconfig, read."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from clusterctl.errors import InputError
from clusterctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Access:
    """What a kubeconfig's current context says: where the API is, whom to trust, who we are."""

    server: str
    server_name: str = ""
    authority: str = ""
    insecure: bool = False
    certificate: str = ""
    key: Secret | None = None
    token: Secret | None = None
    command: Mapping[str, Any] | None = None
    proxy: str = ""


def read_kubeconfig(text: str, *, folder: Path | None = None, source: str = "the kubeconfig") -> Access:
    """Read the current context. Files it names are looked for from ``folder``. Raises InputError."""
    try:
        config = yaml.safe_load(text)
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"] or {}
        url = urlsplit(cluster["server"])
        if url.scheme != "https" or not url.hostname:
            raise ValueError(f"the server {cluster['server']!r} is not https://HOST:PORT")
        key = _content(user, "client-key", folder)
        token = user.get("token") or _file(user.get("tokenFile"), folder).strip()
        return Access(
            server=cluster["server"].rstrip("/"),
            server_name=cluster.get("tls-server-name") or url.hostname,
            authority=_content(cluster, "certificate-authority", folder),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            certificate=_content(user, "client-certificate", folder),
            key=Secret(key) if key else None,
            token=Secret(token) if token else None,
            command=user.get("exec"),
            proxy=cluster.get("proxy-url") or "",
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        # Of a YAML error only the place is shown: its text quotes the file, which holds keys.
        mark = getattr(error, "problem_mark", None)
        problem = (
            f"not valid YAML near line {mark.line + 1}"
            if mark
            else f"{error} is missing"
            if isinstance(error, KeyError)
            else "not a kubeconfig"
            if isinstance(error, (yaml.YAMLError, TypeError, AttributeError, binascii.Error))
            else str(error)
        )
        raise InputError(
            f"{source}: {problem}",
            resolution="compare it with /etc/kubernetes/admin.conf of a control plane; `kubectl config view` shows "
            "a kubeconfig without its secrets",
        ) from None


def _named(config: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for entry in config[kind] or []:
        if entry["name"] == name:
            return dict(entry)
    raise ValueError(f"it has no entry {name!r} among its {kind}")


def _content(entry: Mapping[str, Any], key: str, folder: Path | None) -> str:
    """What a kubeconfig says under ``key``: base64 in the file itself, or the name of another file."""
    data = entry.get(f"{key}-data")
    return base64.b64decode(data, validate=True).decode() if data else _file(entry.get(key), folder)


def _file(name: str | None, folder: Path | None) -> str:
    return (folder / name if folder else Path(name)).read_text(encoding="utf-8") if name else ""
