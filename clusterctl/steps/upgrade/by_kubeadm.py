"""A step in which kubeadm upgrades its host."""

from clusterctl.errors import CommandFailed
from clusterctl.model.places import PATCHES, UPGRADED
from clusterctl.model.situation import Situation
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.trouble import next_step
from clusterctl.steps.step import ScriptStep, Tools


class ByKubeadm(ScriptStep):
    """A step in which kubeadm upgrades this host."""

    reads_api = True
    deadline = 300.0

    def script(self, situation: Situation) -> Script:
        """kubeadm upgrade with what the inventory tells it, and the mark that it came to its end."""
        cluster = situation.cluster
        environment = proxy.control_plane_environment(situation) if situation.host.role == "control-plane" else {}
        options = [f"--ignore-preflight-errors={','.join(cluster.ignore_preflight_errors)}"]
        return script(
            self.name,
            environment=environment,
            version=cluster.kubernetes,
            options=(options if cluster.ignore_preflight_errors else [])
            + ([f"--patches={PATCHES}"] if cluster.patches else []),
            mark=UPGRADED,
        )

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Run the script. Its last lines say what the host is at when kubeadm failed."""
        host = situation.host
        try:
            tools.machine.run(self.script(situation))
        except CommandFailed as error:
            error.resolution = next_step(situation, error.details) or (
                f"see why: ssh {host.address} sudo journalctl -u kubelet -n 50; then run the same command again. "
                "A component that does not come up is put back to its old manifest; kubeadm goes on from there"
            )
            raise
