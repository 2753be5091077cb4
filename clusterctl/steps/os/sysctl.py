"""Set kernel parameters."""

from clusterctl.model.places import SYSCTL_FILE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.kernel import sysctls
from clusterctl.steps.step import File, ScriptStep


class Sysctl(ScriptStep):
    """The kernel forwards and filters as pod networks need it, also after a reboot."""

    name = "os/sysctl"
    title = "Set kernel parameters"

    def check(self, situation: Situation) -> Verdict:
        """The values in force, and the file for the next boot."""
        facts, wanted = situation.facts, sysctls(situation.cluster)
        wrong = [f"{key} is {facts.sysctls.get(key, 'absent')}" for key in wanted if facts.sysctls.get(key) != "1"]
        if wrong:
            return Needed(", ".join(wrong))
        (file,) = self.files(situation)
        if facts.file(file.path) != file.content:
            return Needed(f"{file.path} does not set them for the next boot")
        return Satisfied(f"{len(wanted)} parameters are set")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The file that sets them at boot."""
        return (File(SYSCTL_FILE, "".join(f"{key} = 1\n" for key in sysctls(situation.cluster))),)

    def script(self, situation: Situation) -> Script:
        """Write the file and load it."""
        return script(self.name, file=self.files(situation)[0])
