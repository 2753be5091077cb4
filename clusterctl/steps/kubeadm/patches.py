"""Put kubeadm's patches on the host."""

from clusterctl.model.places import PATCHES
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import File, ScriptStep


class Patches(ScriptStep):
    """The folder that kubeadm takes its patches from holds those of the inventory, and no others."""

    name = "kubeadm/patches"
    title = "Put kubeadm's patches on the host"

    def check(self, situation: Situation) -> Verdict:
        """The files' names and text."""
        wanted = {file.path: file.content for file in self.files(situation)}
        there = {path: file.content for path, file in situation.facts.files.items() if path.startswith(f"{PATCHES}/")}
        different = sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
        if different:
            return Needed(f"{', '.join(different)} differs from what is wanted")
        return Satisfied(f"{len(wanted)} patches are there" if wanted else "none is wanted")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The patches."""
        return tuple(File(f"{PATCHES}/{file.name}", file.content, "0600") for file in situation.cluster.patches)

    def script(self, situation: Situation) -> Script:
        """Write what is wanted, remove what is not."""
        files = self.files(situation)
        wanted = {file.path for file in files}
        there = (path for path in situation.facts.files if path.startswith(f"{PATCHES}/"))
        return script(self.name, files=files, unwanted=sorted(path for path in there if path not in wanted))
