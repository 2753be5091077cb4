"""Pull the first images."""

from clusterctl.model.places import REGISTRIES
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE
from clusterctl.steps.step import ScriptStep

_EVERYWHERE = ("/pause:", "/kube-proxy:")
_AT_ONCE = 3


class Images(ScriptStep):
    """The host has pulled the images that Kubernetes begins with."""

    name = "runtime/images"
    title = "Pull the first images"

    def check(self, situation: Situation) -> Verdict:
        """What containerd holds; a node needs nothing of the kind any more."""
        if is_node(situation):
            return A_NODE
        if not situation.facts.images:
            return Unknown("the kubeadm that will be installed decides the images")
        missing = self._missing(situation)
        if missing:
            return Needed("not pulled yet: " + ", ".join(image.rpartition("/")[2] for image in missing))
        return Satisfied("they are there")

    def script(self, situation: Situation) -> Script:
        """Pull what is missing, some of it at once, by the settings of containerd's registries."""
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            images=self._missing(situation),
            at_once=_AT_ONCE,
            hosts=REGISTRIES,
        )

    def _missing(self, situation: Situation) -> tuple[str, ...]:
        """A control plane runs all of kubeadm's images, a worker the pause image and kube-proxy."""
        every = situation.host.role == "control-plane"
        wanted = (image for image in situation.facts.images if every or any(part in image for part in _EVERYWHERE))
        return tuple(image for image in wanted if image not in situation.facts.pulled)
