"""Write the audit policy."""

from clusterctl.model.places import API_SERVER_MANIFEST, AUDIT_POLICY
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, document, script
from clusterctl.steps.step import File, ScriptStep


class AuditPolicy(ScriptStep):
    """The host has the API server's audit policy."""

    name = "api-server/audit-policy"
    title = "Write the audit policy"

    def check(self, situation: Situation) -> Verdict:
        """An API server that runs reads the policy at its start only."""
        facts, wanted = situation.facts, self.files(situation)
        if not wanted:
            return Satisfied("not wanted")
        if facts.file(AUDIT_POLICY) == wanted[0].content:
            return Satisfied(f"{AUDIT_POLICY} is as wanted")
        if API_SERVER_MANIFEST in facts.paths:
            return Blocked(
                f"{AUDIT_POLICY} differs from what is wanted, and the API server runs with it",
                "changes after bootstrap are not applied yet: put the inventory's policy back",
            )
        return Needed(f"{AUDIT_POLICY} is missing or differs from what is wanted")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The policy: the inventory's, or ours."""
        audit = situation.cluster.audit
        if audit is None:
            return ()
        return (File(AUDIT_POLICY, audit.policy.content or document("kubeadm/audit-policy.yaml.j2"), "0600"),)

    def script(self, situation: Situation) -> Script:
        """Write the file."""
        return script(self.name, files=self.files(situation))
