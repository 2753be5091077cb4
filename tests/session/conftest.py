"""The session on a cluster in memory."""

from tests.cli.conftest import world

__all__ = ["world"]
