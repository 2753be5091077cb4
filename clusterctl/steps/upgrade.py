"""A new version of Kubernetes on one host, by kubeadm: its repository, its package, and what it does with them.

Nothing is ever brought back to an older version: what a step brings may be there already, or be newer.
"""

import re

from clusterctl.errors import CommandFailed
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least, minor
from clusterctl.render import Script, script
from clusterctl.steps import os_proxy, packages
from clusterctl.steps.kubeadm import PATCHES
from clusterctl.steps.places import UPGRADED
from clusterctl.steps.preflight import repository_url
from clusterctl.steps.repository import add
from clusterctl.steps.step import File, ScriptStep, Step, Tools
from clusterctl.steps.trouble import next_step
from clusterctl.steps.upgrading import (
    COMPONENTS,
    cluster_version,
    component_versions,
    installed,
    interrupted,
    lagging_pods,
    older_control_planes,
    passed,
    reached,
    unfit,
)


class Repository(ScriptStep):
    """apt knows the package repository of the wanted minor version."""

    name = "upgrade/repository"
    title = "Switch to the package repository of the new version"

    def check(self, situation: Situation) -> Verdict:
        """The source list's text; that of a newer minor may stay on a host that needs nothing of this one."""
        verdict = packages.Repository().check(situation)
        there = re.search(r"/v(\d+\.\d+)/", situation.facts.file(packages.SOURCE) or "")
        newer = there is not None and minor(there[1]) > minor(situation.cluster.minor)
        if newer and passed(situation) and not unfit(situation, packages.KUBERNETES):
            return Satisfied(f"this host is beyond {situation.cluster.minor}")
        return verdict if isinstance(verdict, Satisfied) else interrupted(situation) or verdict

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The source list."""
        return packages.Repository().files(situation)

    def script(self, situation: Situation) -> Script:
        """Fetch the key, keep the one with the expected fingerprint, write the list, read the repository's index."""
        return add(
            self.name,
            situation,
            key=f"{repository_url(situation)}/Release.key",
            fingerprint=situation.cluster.sources.packages_key_fingerprint,
            keyring=packages.KEYRING,
            source=self.files(situation)[0],
        )


class Kubeadm(ScriptStep):
    """kubeadm is of the wanted version. Only while it has to act for this version may it not be of a newer minor."""

    name = "upgrade/kubeadm"
    title = "Install the new kubeadm"

    def check(self, situation: Situation) -> Verdict:
        """Version, hold, and that dpkg is done with it."""
        wanted, version = situation.cluster.kubernetes, installed(situation.facts, "kubeadm")
        if problem := unfit(situation, ("kubeadm",)):
            return interrupted(situation) or Needed(problem)
        if minor(version) > minor(wanted) and not passed(situation):
            return Needed(f"kubeadm is {version}, and only one of {situation.cluster.minor} can bring this host there")
        return Satisfied(f"kubeadm {version}, held")

    def script(self, situation: Situation) -> Script:
        """Install exactly this package at this version, and hold it."""
        wanted, there = situation.cluster.kubernetes, installed(situation.facts, "kubeadm")
        return script(
            self.name,
            environment=os_proxy.environment(situation.cluster),
            package=f"kubeadm={wanted}-*",
            hold="kubeadm",
            newer=bool(there) and not at_least(wanted, there),
        )


class _Kubeadm(ScriptStep):
    """A step in which kubeadm upgrades this host."""

    reads_api = True
    deadline = 300.0

    def script(self, situation: Situation) -> Script:
        """kubeadm upgrade with what the inventory tells it, and the mark that it came to its end."""
        cluster = situation.cluster
        environment = os_proxy.control_plane_environment(situation) if situation.host.role == "control-plane" else {}
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


class Apply(_Kubeadm):
    """The first control plane, and with it the cluster's configuration, is of the wanted version."""

    name = "upgrade/apply"
    title = "Upgrade the first control plane (kubeadm upgrade apply)"

    def check(self, situation: Situation) -> Verdict:
        """The images in its manifests, kubeadm's configuration in the cluster, and the mark that it came to its end."""
        wanted = situation.cluster.kubernetes
        if situation.api is None:
            return Unknown(situation.api_problem)
        for name, version in zip(COMPONENTS, component_versions(situation.facts), strict=False):
            if not at_least(version, wanted):
                return Needed(f"{name} is {version or 'of an unknown version'}, wanted is {wanted}")
        if not at_least(cluster_version(situation), wanted):
            return Needed(f"kubeadm's configuration says {cluster_version(situation)}, wanted is {wanted}")
        if not passed(situation):
            return Needed(f"kubeadm upgrade apply {wanted} did not come to its end here")
        return Satisfied(f"the control plane runs {component_versions(situation.facts)[0]}")


class Node(_Kubeadm):
    """kubeadm has brought this host, which is not the first control plane, to the cluster's version."""

    name = "upgrade/node"
    title = "Upgrade the node (kubeadm upgrade node)"

    def check(self, situation: Situation) -> Verdict:
        """The images in a control plane's manifests, and the mark; kubeadm takes the version from the cluster."""
        wanted = situation.cluster.kubernetes
        if situation.api is None:
            return Unknown(situation.api_problem)
        if passed(situation):
            return Satisfied(f"kubeadm upgraded this host to {reached(situation)}")
        if not at_least(cluster_version(situation), wanted):
            return Unknown(f"the cluster is at {cluster_version(situation)}; the first control plane takes it further")
        if situation.host.role != "control-plane" and (older := older_control_planes(situation)):
            return Unknown(f"control planes come first: {', '.join(older)}")
        return Needed(f"kubeadm has not upgraded this host to {wanted}")


class StaticPods(Step):
    """The host's control plane pods are those of its manifests, and ready."""

    name = "upgrade/static-pods"
    title = "Wait until the control plane's pods run the new version"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """As the API shows them: their images and whether they are ready."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if problem := lagging_pods(situation, situation.host.name):
            return Needed(problem)
        return Satisfied("the pods are those of the manifests, and ready")
