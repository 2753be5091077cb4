"""What tells one manifest from another."""

import hashlib

DIGEST_ANNOTATION = "clusterctl.io/manifest"


def manifest_digest(text: str) -> str:
    """The digest of a YAML stream, as it stands on each object that was applied by it: ``sha256:HEX``."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
