"""Save first: a snapshot of etcd and /etc/kubernetes, kept on the operator's computer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from clusterctl import render
from clusterctl.errors import CommandFailed
from clusterctl.model.facts import HostFacts
from clusterctl.model.places import BACKUP_RECORD, etcd_url
from clusterctl.model.situation import Situation, node_address, node_name
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.versions import at_least, image_version
from clusterctl.steps.step import Saved, Step, Tools

FOLDER = "/var/lib/clusterctl/backup"
SNAPSHOT, SETTINGS = "etcd.db", "etc-kubernetes.tar"
# MiB that a snapshot leaves free on the file systems that it goes through.
SPARE = 256
_LASTS = 24 * 3600.0
_MARK = "@@ saved"


@dataclass(frozen=True, slots=True)
class Record:
    """What a host remembers of its last backup: before which version it was made, when by the host's clock, and where
    it is kept, as ``user@host:/path``.
    """

    version: str
    stamp: str
    at: float
    revision: int
    sha256: str
    kept: str


class Snapshot(Step):
    """A snapshot of this etcd, not older than a day, was made before the hop and is kept off the host."""

    name = "upgrade/snapshot"
    title = "Save etcd and /etc/kubernetes, and keep them off the host"

    def check(self, situation: Situation) -> Verdict:
        """The record on the host; a control plane that is upgraded has nothing to go back to."""
        facts, wanted = situation.facts, situation.cluster.kubernetes
        if "etcd" not in facts.static_pods:
            return Blocked(
                "no etcd runs here that kubeadm manages, so that nothing can be saved",
                f"save the cluster's etcd by hand, then take {self.name} out of a copy of the playbook",
            )
        running = image_version(facts.static_pods.get("kube-apiserver", ""))
        if at_least(running, wanted):
            return Satisfied(f"the control plane is at {running} already")
        record = read_record(facts)
        if record is None or record.version != wanted:
            return Needed(f"nothing was saved before the upgrade to {wanted}")
        if facts.now - record.at > _LASTS:
            return Needed(f"what was saved on {record.stamp} is older than a day")
        return Satisfied(f"etcd at revision {record.revision}: {record.kept}")

    def script(self, situation: Situation) -> Script:
        """Take the snapshot, verify it, and gather what is to be kept."""
        name = situation.node_name
        labels = {"container.name": "etcd", "pod.namespace": "kube-system", "pod.name": f"etcd-{name}"}
        return script(
            self.name,
            containers=",".join(f'labels."io.kubernetes.{label}"=={value}' for label, value in labels.items()),
            endpoint=etcd_url(situation.cluster),
            folder=FOLDER,
            snapshot=SNAPSHOT,
            settings=SETTINGS,
            spare=SPARE,
            mark=_MARK,
        )

    def preview(self, situation: Situation) -> str:
        """The script's text."""
        return self.script(situation).text

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Save it, keep it here, and only then note on the host that it is kept and delete the host's copy."""
        wanted, facts = situation.cluster.kubernetes, situation.facts
        status, files = _saved(tools.machine.run(self.script(situation)), situation.host.name)
        made = datetime.now(UTC)
        stamp = made.strftime("%Y%m%dT%H%M%SZ")
        tools.say(f"copying {sum(file.size for file in files.values()) >> 20} MiB off the host")
        kept = tools.archive.keep(
            f"{stamp}-before-{wanted}", tools.machine, files, {"RESTORE.md": restore_text(situation, stamp, status)}
        )
        record = Record(wanted, stamp, facts.now, status["revision"], files[SNAPSHOT].sha256, kept)
        tools.machine.run(kept_script(record))


def kept_script(record: Record) -> Script:
    """Note on the host what is kept elsewhere, and delete the host's copy."""
    content = json.dumps(asdict(record)) + "\n"
    return script("upgrade/snapshot-kept", record=BACKUP_RECORD, content=content, folder=FOLDER)


def read_record(facts: HostFacts) -> Record | None:
    """The record on a host, None when there is none that can be read."""
    try:
        data = json.loads(facts.file(BACKUP_RECORD) or "")
        return Record(**{name: data[name] for name in (field.name for field in fields(Record))})
    except (ValueError, KeyError, TypeError):
        return None


def restore_text(situation: Situation, stamp: str, status: Mapping[str, Any]) -> str:
    """How to go back: the commands for this cluster. Pure."""
    image = situation.facts.static_pods["etcd"]
    planes = []
    for host in situation.inventory.control_planes:
        facts = situation.all_facts.get(host.name)
        if facts is not None and "etcd" in facts.static_pods:
            address = node_address(host, facts, situation.cluster)
            peer = f"https://{f'[{address}]' if ':' in address else address}:2380"
            planes.append({"name": node_name(facts), "address": _login(situation, host.name), "peer": peer})
    return render.text(
        "upgrade/restore.md.j2",
        cluster=situation.cluster.name,
        version=situation.cluster.kubernetes,
        host=situation.host.name,
        address=_login(situation, situation.host.name),
        stamp=stamp,
        revision=status["revision"],
        keys=status["totalKey"],
        snapshot=SNAPSHOT,
        settings=SETTINGS,
        image=image,
        planes=planes,
        # Watches that were begun after the snapshot must not take old revisions for new ones; 3.5 cannot help it.
        bump=at_least(image_version(image), "3.6.0"),
    )


def _login(situation: Situation, name: str) -> str:
    """What scp and ssh are told."""
    host = situation.inventory.host(name)
    user = host.user or situation.inventory.ssh.user
    return f"{f'{user}@' if user else ''}{f'[{host.address}]' if ':' in host.address else host.address}"


def _saved(output: str, host: str) -> tuple[Mapping[str, Any], dict[str, Saved]]:
    """What the script says of the snapshot and of the files."""
    try:
        status, *rows = output.partition(f"{_MARK}\n")[2].splitlines()
        files = {}
        for row in rows:
            digest, size, name = row.split()
            files[name] = Saved(f"{FOLDER}/{name}", digest, int(size))
        data = json.loads(status)
        if not {"revision", "totalKey"} <= data.keys() or set(files) != {SNAPSHOT, SETTINGS}:
            raise ValueError("not everything was said")
    except (ValueError, AttributeError) as error:
        raise CommandFailed(
            f"{host}: upgrade/snapshot did not say what it saved: {error}",
            details=output[-500:],
            resolution=f"look at what it left on {host}: sudo ls -l {FOLDER}; then run the same command again",
        ) from error
    return data, files
