"""Install the new kubelet and restart it."""

from clusterctl.model.places import KUBELET_PACKAGES, KUBELET_SERVICE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.endpoint import rotates
from clusterctl.rules.packages import interrupted, unfit
from clusterctl.rules.upgrading import component_versions, kubelet_done, older_control_planes, passed
from clusterctl.steps.step import ScriptStep


class Kubelet(ScriptStep):
    """The kubelet of the wanted version runs; it and kubectl are held there."""

    name = "upgrade/kubelet"
    title = "Install the new kubelet and restart it"
    reads_api = True
    deadline = 180.0

    def check(self, situation: Situation) -> Verdict:
        """Packages, and what the node says of itself. A kubelet may not be newer than the API servers."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        problem = unfit(situation, KUBELET_PACKAGES)
        if not problem and kubelet_done(situation):
            return Satisfied(f"{node.kubelet_version}, held")
        if situation.host.role != "control-plane" and (older := older_control_planes(situation)):
            return Unknown(f"control planes come first: {', '.join(older)}")
        if component_versions(situation.facts) and not passed(situation):
            return Unknown("its control plane comes first")
        return interrupted(situation) or Needed(problem or f"the kubelet that runs is {node.kubelet_version}")

    def script(self, situation: Situation) -> Script:
        """Install exactly these packages at this version, hold them, restart the kubelet and see what it restarts."""
        wanted = situation.cluster.kubernetes
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            packages=[f"{name}={wanted}-*" for name in KUBELET_PACKAGES if unfit(situation, (name,))],
            hold=KUBELET_PACKAGES,
            service=KUBELET_SERVICE,
            restarts_api_server=rotates(situation),
        )
