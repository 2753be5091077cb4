"""Install containerd."""

from packaging.version import Version

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.steps.runtime.containerd_config import parse_version
from clusterctl.steps.step import ScriptStep

# Older releases lack what the CRI of the supported Kubernetes versions asks for.
_OLDEST = Version("1.7")


class Containerd(ScriptStep):
    """containerd is installed. A version that is there already stays."""

    name = "runtime/containerd"
    title = "Install containerd"

    def check(self, situation: Situation) -> Verdict:
        """The program itself, wherever it came from."""
        version = situation.facts.containerd_version
        if not version:
            return Needed("containerd is not installed")
        if parse_version(version) < _OLDEST:
            return Blocked(
                f"containerd {version} is too old; Kubernetes {situation.cluster.minor} needs {_OLDEST} or newer",
                "install a newer containerd, for example containerd.io from Docker's repository",
            )
        return Satisfied(f"containerd {version}")

    def script(self, situation: Situation) -> Script:
        """Install the package."""
        source = situation.cluster.sources.containerd
        package = source.package or ("containerd" if source.packages == "distribution" else "containerd.io")
        return script(self.name, environment=proxy.environment(situation.cluster), package=package)
