"""Tell apt of the proxy."""

import re

from clusterctl.model.places import APT_PROXY
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import File, ScriptStep

# apt knows hosts by their names; domains and networks reach it through the environment of our own scripts.
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


class Proxy(ScriptStep):
    """apt takes the way out that the inventory names."""

    name = "os/proxy"
    title = "Tell apt of the proxy"

    def check(self, situation: Situation) -> Verdict:
        """The text of a settings file of our own; others are left alone."""
        wanted, there = self.files(situation), situation.facts.file(APT_PROXY)
        if not wanted:
            return (
                Needed(f"{APT_PROXY} names a proxy, and none is wanted")
                if there is not None
                else Satisfied("none wanted")
            )
        if there != wanted[0].content:
            return Needed(f"{APT_PROXY} is missing or differs from what is wanted")
        return Satisfied("apt knows the proxy")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """apt's settings."""
        proxy = situation.cluster.proxy
        if proxy is None:
            return ()
        lines = ["// The proxy of clusterctl's inventory (cluster.proxy)."]
        for scheme, address in (("http", proxy.http), ("https", proxy.https)):
            lines.append(f'Acquire::{scheme}::Proxy "{address or "DIRECT"}";')
            lines += [f'Acquire::{scheme}::Proxy::{name} "DIRECT";' for name in proxy.no_proxy if _HOST.fullmatch(name)]
        return (File(APT_PROXY, "".join(f"{line}\n" for line in lines)),)

    def script(self, situation: Situation) -> Script:
        """Write the file, or remove it."""
        files = self.files(situation)
        return script(self.name, files=files, unwanted=() if files else (APT_PROXY,))
