"""docs/sources.md lists every public address, and its example leaves none of them in use."""

import re
from pathlib import Path
from typing import Any

import yaml

from clusterctl.cli.verify import verify
from clusterctl.model.inventory import Inventory, parse_inventory
from clusterctl.model.situation import Situation
from clusterctl.render import probe, survey
from clusterctl.rules import surveying
from clusterctl.rules.probed import probe_values
from clusterctl.steps.catalogue import CATALOGUE
from tests.builders import PAUSE, make_facts, make_inventory

GUIDE = (Path(__file__).parents[1] / "docs" / "sources.md").read_text()
# What our examples and tests call their own.
OWN = re.compile(r".*\.(internal|example)|192\.0\.2\.\d+|127\.0\.0\.1|[a-z]+|\$.*")


def texts(inventory: Inventory) -> list[str]:
    """All that hosts are sent for this inventory, and where the operator's computer fetches manifests."""
    facts = {host.name: make_facts(host.name, containerd_version="2.3.7", images=(PAUSE,)) for host in inventory.hosts}
    found = [probe(**probe_values(inventory)).text]
    found += [survey("ask", **values).text for values in surveying.asking(inventory, facts, {}).values()]
    for host in inventory.hosts:
        situation = Situation(inventory, host, facts)
        for step in CATALOGUE.values():
            found += [step.preview(situation), *(str(source) for source in step.sources(situation))]
    return found


def addresses(found: list[str]) -> set[str]:
    """The public hosts in addresses and in the names of images; a registry behind its mirrors is asked by nobody."""
    hosts = set[str]()
    for text in found:
        asked = "\n".join(line for line in text.splitlines() if not line.startswith("server = "))
        hosts |= set(re.findall(r"https?://([A-Za-z0-9.-]+)", asked))
        hosts |= set(re.findall(r"\bimage(?:Repository)?\"?: \"?([a-z0-9.-]+\.[a-z]+)(?:/|\"|$)", asked, re.MULTILINE))
    return {host for host in hosts if not OWN.fullmatch(host)}


def registries(inventory: Inventory) -> set[str]:
    """The registries that hosts pull from."""
    facts = {host.name: make_facts(host.name) for host in inventory.hosts}
    asked: Any = surveying.asking(inventory, facts, {})
    return {urls[0] for values in asked.values() for urls in values["registries"]}


def test_the_guide_lists_every_public_address() -> None:
    """Of both network plugins, of Docker's containerd, and of verify's image."""
    plans = [
        make_inventory(),
        make_inventory("  network: {plugin: flannel}\n  sources: {containerd: {packages: docker}}"),
    ]
    image = next(option.default for option in verify.params if option.name == "image")
    public = addresses([text for plan in plans for text in texts(plan)]) | {str(image).partition("/")[0]}

    assert public >= {"registry.k8s.io", "pkgs.k8s.io", "download.docker.com", "ghcr.io", "raw.githubusercontent.com"}
    assert not {host for host in public if f"`{host}`" not in GUIDE}


def test_the_guides_example_asks_no_public_address(tmp_path: Path) -> None:
    """Every address that is left is the site's own, and every registry has a mirror there."""
    example = yaml.safe_load(GUIDE.partition("```yaml\n")[2].partition("```")[0])
    (tmp_path / "mirror-ca.crt").write_text((Path(__file__).parent / "data" / "ca.crt").read_text())
    cluster = {"name": "gap", "kubernetes": "1.36.3", "endpoint": "192.0.2.11:6443", **example["cluster"]}
    hosts = [
        {"name": "cp1", "address": "192.0.2.11", "role": "control-plane"},
        {"name": "w1", "address": "192.0.2.21", "role": "worker"},
    ]
    inventory = parse_inventory(yaml.safe_dump({"cluster": cluster, "hosts": hosts}), str(tmp_path / "inventory.yaml"))

    left = addresses(texts(inventory))
    mirrored = {name for name, settings in inventory.cluster.sources.registries.items() if settings.mirrors}

    assert not left - mirrored
    assert registries(inventory) <= mirrored
