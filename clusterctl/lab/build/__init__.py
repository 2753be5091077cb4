"""Everything a Kubernetes cluster needs, built from Go modules and Debian packages into the user's cache.

For places that the official package repository and registry are out of reach of. See docs/lab-sources.md.
"""

from clusterctl.lab.build.api import build, build_rootfs, missing
from clusterctl.lab.build.artifacts import Artifacts
from clusterctl.lab.build.events import BuildEvent, Building, Built, Noted, Report
from clusterctl.lab.build.versions import VERSIONS

__all__ = [
    "VERSIONS",
    "Artifacts",
    "BuildEvent",
    "Building",
    "Built",
    "Noted",
    "Report",
    "build",
    "build_rootfs",
    "missing",
]
