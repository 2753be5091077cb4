"""Push images into a registry over its HTTP API."""

import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clusterctl.errors import CommandFailed
from clusterctl.lab.build.image import blob, manifest_descriptor

_TIMEOUT = 60.0


@dataclass(frozen=True)
class Registry:
    """A registry that answers plain HTTP."""

    host: str
    port: int

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            return self._ask("GET", "/v2/")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def push(
        self,
        layout: Path,
        repository: str,
        tag: str,
        tick: Callable[[], None],
        descriptor: Mapping[str, Any] | None = None,
    ) -> None:
        """Push the image, or the list of images, of an OCI layout: its only one, or that of ``descriptor``."""
        descriptor = descriptor or manifest_descriptor(layout)
        manifest = blob(layout, descriptor["digest"])
        content = json.loads(manifest.read_text())
        for child in content.get("manifests", ()):
            self.push(layout, repository, child["digest"], tick, child)
        for part in () if "manifests" in content else (content["config"], *content["layers"]):
            tick()
            self._push_blob(layout, repository, part["digest"])
        self._done(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            manifest.read_bytes(),
            {"Content-Type": descriptor["mediaType"]},
        )

    def _push_blob(self, layout: Path, repository: str, digest: str) -> None:
        status, _ = self._ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        if status == http.HTTPStatus.OK:
            return
        headers = self._done("POST", f"/v2/{repository}/blobs/uploads/", b"")
        upload = urlsplit(headers["location"])
        query = f"{upload.query}&digest={digest}" if upload.query else f"digest={digest}"
        self._done(
            "PUT",
            f"{upload.path}?{query}",
            blob(layout, digest),
            {"Content-Type": "application/octet-stream"},
        )

    def _done(
        self, method: str, path: str, body: bytes | Path, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, str]:
        status, answered = self._ask(method, path, body, headers)
        if status not in (http.HTTPStatus.CREATED, http.HTTPStatus.ACCEPTED):
            raise CommandFailed(
                f"the registry answered {status} to {method} {path.partition('?')[0]}",
                resolution="run the same command again: what is built already is kept",
            )
        return answered

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | Path | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        try:
            if isinstance(body, Path):
                with body.open("rb") as data:
                    length = {"Content-Length": str(os.fstat(data.fileno()).st_size)}
                    connection.request(method, path, data, {**(headers or {}), **length})
                    return _answer(connection)
            connection.request(method, path, body, dict(headers or {}))
            return _answer(connection)
        finally:
            connection.close()


def _answer(connection: http.client.HTTPConnection) -> tuple[int, Mapping[str, str]]:
    answer = connection.getresponse()
    answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}
