"""Bootstrap tokens: which ones are clusterctl's, and what a new one looks like. Pure but for chance."""

import base64
import binascii
import secrets
import string
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clusterctl.model.secret import Secret

COLLECTION = "/api/v1/namespaces/kube-system/secrets"
CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
OURS_QUERY = {"fieldSelector": "type=bootstrap.kubernetes.io/token"}

_LABEL = "clusterctl.io/join-token"
_ALPHABET = string.ascii_lowercase + string.digits


def new_token(now: datetime, ttl_seconds: int) -> tuple[Secret, dict[str, Any]]:
    """Make a token that lets one node join, and the object that makes the cluster accept it."""
    token_id, secret = (_random(6), _random(16))
    expiration = (now + timedelta(seconds=ttl_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {
            "name": f"bootstrap-token-{token_id}",
            "namespace": "kube-system",
            "labels": {_LABEL: "true"},
        },
        "stringData": {
            "description": "clusterctl",
            "token-id": token_id,
            "token-secret": secret,
            "expiration": expiration,
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        },
    }
    return Secret(f"{token_id}.{secret}"), body


def is_ours(item: Mapping[str, Any]) -> bool:
    """Whether clusterctl, or ``kubeadm init`` for it, made this token: its label or its description says so."""
    if (item["metadata"].get("labels") or {}).get(_LABEL) == "true":
        return True
    try:
        description = base64.b64decode((item.get("data") or {}).get("description", "")).decode("utf-8", "replace")
    except (binascii.Error, ValueError, TypeError):
        return False
    return description.split(" ")[0] == "clusterctl"


def is_signed(info: Mapping[str, Any], token: Secret) -> bool:
    """Whether the controller manager has signed the cluster-info ConfigMap with this token. (bootstrapsigner)"""
    return f"jws-kubeconfig-{token.reveal().partition('.')[0]}" in (info.get("data") or {})


def token_id(item: Mapping[str, Any]) -> str:
    """The public half of a token, which names its object."""
    return str(item["metadata"]["name"]).removeprefix("bootstrap-token-")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
