"""Make the key that encrypts Secrets at rest."""

from clusterctl.model.places import API_SERVER_MANIFEST, ENCRYPTION
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import ScriptStep, Tools

_GIVEN = "/run/clusterctl/encryption-config"


class EncryptionKey(ScriptStep):
    """The host has the key with which the API server encrypts Secrets before it stores them in etcd."""

    name = "api-server/encryption-key"
    title = "Make the key that encrypts Secrets at rest"

    def check(self, situation: Situation) -> Verdict:
        """A key that is there stays for ever: what was encrypted with it can be read with nothing else."""
        facts = situation.facts
        if not situation.cluster.encryption_at_rest:
            return Satisfied("not wanted")
        holders = {
            name: digest for name, each in situation.all_facts.items() if (digest := each.digests.get(ENCRYPTION))
        }
        if situation.host.name in holders:
            if len(set(holders.values())) > 1:
                return Blocked(
                    f"the control planes have different files {ENCRYPTION}: {', '.join(sorted(holders))}",
                    "find out with which one the API server stored its Secrets, keep that one, copy it to the others",
                )
            return Satisfied(f"{ENCRYPTION} is there")
        if API_SERVER_MANIFEST in facts.paths:
            return Blocked(
                f"the API server runs here without {ENCRYPTION}",
                "bootstrap does not encrypt what is stored already; put the file back if it was lost, or take "
                "encryption_at_rest out of the inventory",
            )
        if holders:
            return Needed(f"{ENCRYPTION} is missing; {self._holder(situation)} has it")
        if situation.host != situation.inventory.first_control_plane:
            return Unknown(f"{situation.inventory.first_control_plane.name} makes the key first")
        return Needed(f"{ENCRYPTION} is missing")

    def script(self, situation: Situation) -> Script:
        """The key is made on the first control plane; the others get the same file."""
        return script(self.name, path=ENCRYPTION, given=_GIVEN if self._holder(situation) else "")

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Make the key, or fetch it from a control plane that has it."""
        if holder := self._holder(situation):
            tools.machine.put_secret(_GIVEN, tools.other(holder).fetch(ENCRYPTION))
        super().apply(situation, tools)

    def _holder(self, situation: Situation) -> str:
        names = (host.name for host in situation.inventory.control_planes if host != situation.host)
        holders = (name for name in names if name in situation.all_facts)
        return next((name for name in holders if ENCRYPTION in situation.all_facts[name].digests), "")
