"""Where the built things are: what the lab uses to start machines and to serve packages and images."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Artifacts:
    """Everything a lab is made of, complete and in the cache."""

    rootfs: Path
    """The directory tree of a machine's root file system. It never changes: use it as a lower layer."""

    repository: Path
    """The directory to be served over HTTP: ``core:/stable:/v1.36/deb/`` for each minor, and ``containerd/``."""

    key_fingerprint: str
    """The fingerprint of the key that signs the repositories."""

    repository_key: Path
    """The public part of that key, ASCII-armoured."""

    registry: Path
    """The storage directory of the image registry, with all images of the built versions."""

    registry_program: Path
    """The registry program."""

    def registry_command(self, host: str, port: int) -> tuple[str, ...]:
        """The command that serves the registry, readable and writable, over plain HTTP until it is ended."""
        return registry_command(self.registry_program, self.registry, host, port)


def registry_command(program: Path, storage: Path, host: str, port: int) -> tuple[str, ...]:
    """The command that serves a storage directory with the registry program."""
    return (
        "env",
        f"REGISTRY_HTTP_ADDR={host}:{port}",
        f"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={storage}",
        "OTEL_TRACES_EXPORTER=none",
        str(program),
        "serve",
        str(program.with_name("config.yml")),
    )
