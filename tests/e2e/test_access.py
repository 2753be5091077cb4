"""A cluster of IPv6 made as many have to make theirs: through a bastion, as a user whose sudo asks for a password.

Nothing that is secret may be seen on the way: processes are watched meanwhile, and everything that was written is
searched afterwards. The tests of this file build on each other, in their order.
"""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterctl.lab.lab import Lab
from clusterctl.steps.joining import DISCOVERY
from tests.e2e.conftest import LabFactory
from tests.e2e.test_bootstrap import command
from tests.e2e.watch import TOKEN, WRITTEN_TO, Watch, held, read, root_of

pytestmark = pytest.mark.e2e

HOSTS = ("cp1", "w1")
BASTION = "w2"
PREFIX = "fd00:77:acce::"
REGISTRY = "guarded.example:5000"
ADDRESSES = {"cp1": f"{PREFIX}11", "w1": f"{PREFIX}21", BASTION: f"{PREFIX}22"}
# What each machine gets; the password comes through standard input.
USERS: Mapping[str, str] = {
    "deploy": "usermod -aG sudo deploy && printf 'Defaults:deploy lecture=always,timestamp_timeout=0\\n' "
    ">/etc/sudoers.d/deploy",
    "jump": "true",
}


@dataclass
class Site:
    """The machines, and the operator's side: an inventory, a private folder for all that is written."""

    lab: Lab
    folder: Path
    password: str

    @property
    def inventory(self) -> Path:
        """The inventory that the tests use."""
        return self.folder / "inventory.yaml"

    @property
    def password_file(self) -> Path:
        """Where the password of sudo is; nowhere else on the operator's side."""
        return self.folder / "password"

    @property
    def registry_file(self) -> Path:
        """The password of a registry that containerd is told of."""
        return self.folder / "registry-password"

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run clusterctl as the operator, without a terminal."""
        done = subprocess.run(
            command(self.lab, *words, inventory=self.inventory),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment | environment,
        )
        count = len(list(self.folder.glob("said-*")))
        (self.folder / f"said-{count}").write_text(done.stdout + done.stderr)
        assert "Traceback" not in done.stderr
        return done

    @property
    def environment(self) -> dict[str, str]:
        """The operator's environment: the audit trail is written into the folder."""
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}

    def change(self, **ssh: Any) -> None:
        """Change how the inventory logs in."""
        data = yaml.safe_load(self.inventory.read_text())
        data["ssh"].update(ssh)
        self.inventory.write_text(yaml.safe_dump(data))

    def on(self, name: str, script: str) -> None:
        """Run a script on a machine as root."""
        done = subprocess.run(
            self.lab.ssh_command(name, "sudo", "bash", "-e"), input=script, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def attempts(self) -> list[str]:
        """The passwords that sudo has refused on any machine, as PAM logged them."""
        journals = [self.lab.run(name, "sudo journalctl --no-pager -t sudo -o cat") for name in HOSTS]
        return [line for text in journals for line in text.splitlines() if "auth): authentication failure" in line]


@pytest.fixture(scope="module")
def site(lab: LabFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two hosts that know the user deploy, and a bastion that knows jump, all with IPv6 addresses."""
    made = lab(control_planes=1, workers=2, name="e2e-acc")
    site = Site(made, tmp_path_factory.mktemp("access"), f"marked-{secrets.token_hex(8)}'$x")
    bridge = made.state.network.bridge
    subprocess.run(["ip", "-6", "address", "add", f"{PREFIX}1/64", "dev", bridge, "nodad"], check=True)
    for name, address in ADDRESSES.items():
        user = "jump" if name == BASTION else "deploy"
        home = f"/home/{user}"
        site.on(
            name,
            f"ip -6 address add {address}/64 dev eth0 nodad\n"
            f"ip -6 route add default via {PREFIX}1\n"
            f"useradd --create-home --shell /bin/bash {user}\n"
            f"cp -r /home/admin/.ssh {home}/.ssh && chown -R {user}: {home}/.ssh\n"
            f"chpasswd <<'END'\n{user}:{site.password}\nEND\n{USERS[user]}\n",
        )
    data = yaml.safe_load(made.inventory.read_text())
    data["cluster"] |= {
        "encryption_at_rest": True,
        "audit": {"policy": "default"},
        "endpoint": f"[{ADDRESSES['cp1']}]:6443",
        "pod_cidr": "fd01:77::/56",
        "service_cidr": "fd02:77::/112",
    }
    guarded = {"username": "puller", "password": {"file": str(site.registry_file)}}
    data["cluster"].setdefault("sources", {}).setdefault("registries", {})[REGISTRY] = guarded
    data["ssh"] |= {
        "user": "deploy",
        "known_hosts": str(site.folder / "known_hosts"),
        "bastion": {"address": ADDRESSES[BASTION].upper(), "user": "jump"},
    }
    data["hosts"] = [host | {"address": ADDRESSES[host["name"]]} for host in data["hosts"] if host["name"] in HOSTS]
    site.inventory.write_text(yaml.safe_dump(data))
    for path, text in ((site.password_file, site.password), (site.registry_file, f"marked-{secrets.token_hex(8)}")):
        path.touch(mode=0o600)
        path.write_text(f"{text}\n")
    return site


def test_nobody_is_trusted_at_first_sight(site: Site) -> None:
    """The bastion comes first, by its own name."""
    done = site.call("facts")

    assert done.returncode == 4
    assert "is not known" in done.stderr
    assert f"clusterctl hosts trust {ADDRESSES[BASTION]}" in done.stderr


def test_the_hosts_are_trusted_through_the_bastion(site: Site) -> None:
    """What is recorded is what the machines were given when they were made."""
    done = site.call("hosts", "trust", "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    made = {line.split()[0]: line.split()[2] for line in site.lab.directory.known_hosts.read_text().splitlines()}
    recorded = {line.split()[0]: line.split()[2] for line in (site.folder / "known_hosts").read_text().splitlines()}
    assert recorded == {address: made[site.lab.machine(name).address] for name, address in ADDRESSES.items()}


def test_a_missing_password_is_told_with_the_ways_to_give_it(site: Site) -> None:
    """sudo is not even asked to try."""
    done = site.call("plan", "bootstrap")

    assert done.returncode == 4
    assert "sudo asks deploy for a password" in done.stderr
    assert "-K" in done.stderr
    assert "ssh.sudo_password" in done.stderr
    assert site.attempts() == []


def test_a_wrong_password_is_tried_once_on_one_host(site: Site) -> None:
    """Both hosts are asked at the same moment, several times; PAM saw one attempt in all."""
    site.change(sudo_password={"env": "WRONG"})

    done = site.call("bootstrap", "--yes", WRONG="marked-wrong-password")

    assert done.returncode == 4
    assert done.stderr.count("sudo does not accept the password of deploy") == 1
    assert "Next: try the password" in done.stderr
    assert "marked-wrong" not in done.stdout + done.stderr
    assert len(site.attempts()) == 1


def test_a_variable_that_is_not_set_is_told_once(site: Site) -> None:
    """Not once for each host."""
    done = site.call("facts")

    assert done.returncode == 2
    assert done.stderr.count("the environment variable WRONG is not set") == 1


def test_sudo_that_wants_a_terminal_is_told(site: Site) -> None:
    """With the rule that lifts it."""
    site.change(sudo_password={"file": str(site.password_file)})
    site.on("cp1", "echo 'Defaults:deploy requiretty' >/etc/sudoers.d/tty")

    done = site.call("facts", "cp1")
    site.on("cp1", "rm /etc/sudoers.d/tty")

    assert done.returncode == 4
    assert "cp1: sudo wants a terminal" in done.stderr
    assert "!requiretty" in done.stderr


def test_the_password_may_be_typed(site: Site) -> None:
    """At a real terminal, which shows nothing of it; it stands in for the inventory's."""
    site.change(sudo_password={"env": "UNSET"})
    words = command(site.lab, "facts", "-K", "cp1", inventory=site.inventory)
    terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)", *words]
    with subprocess.Popen(
        terminal, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=site.environment
    ) as typing:
        assert typing.stdin
        assert typing.stdout
        said = b""
        while not said.endswith(b"password: "):
            byte = typing.stdout.read(1)
            assert byte, said
            said += byte
        typing.stdin.write(f"{site.password}\n".encode())
        typing.stdin.flush()
        said += typing.stdout.read()
        typing.stdin.close()

    assert typing.returncode == 0, said
    assert b"Debian GNU/Linux 12" in said
    assert site.password.encode() not in said
    site.change(sudo_password={"file": str(site.password_file)})


def watch(site: Site) -> Watch:
    """A watch that learns the tokens with which hosts join."""
    return Watch(site.lab, HOSTS, {DISCOVERY: TOKEN})


@pytest.fixture(scope="module")
def watched(site: Site) -> Watch:
    """The bootstrap itself, and everything that an operator may do around it, while processes are watched."""
    log, plan = str(site.folder / "log.ndjson"), str(site.folder / "plan.json")
    site.change(sudo_password={"file": str(site.password_file)})
    with watch(site) as watching:
        for words in (
            ("inventory", "check", "--json"),
            ("plan", "bootstrap", "-o", plan),
            ("render", "control-plane/init", "--host", "cp1"),
            ("bootstrap", "--yes", "--log", log),
            ("plan", "bootstrap", "--json"),
            ("status", "--json"),
            ("facts", "--json"),
            ("verify", "--quick"),
        ):
            done = site.call(*words)
            assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
    return watching


@pytest.mark.timeout(900)
def test_the_bootstrap_works(site: Site, watched: Watch) -> None:
    """Both nodes are Ready at IPv6 addresses, and a second look finds nothing to do."""
    nodes = json.loads(site.lab.run("cp1", "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o json"))[
        "items"
    ]
    ready = {
        node["metadata"]["name"]: next(
            each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready"
        )
        for node in nodes
    }
    found = {
        node["metadata"]["name"]: next(
            each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"
        )
        for node in nodes
    }
    plan = json.loads(site.call("plan", "bootstrap", "--json").stdout)

    assert found == {name: ADDRESSES[name] for name in HOSTS}
    assert ready == {"cp1": "True", "w1": "True"}
    assert (plan["changes"], plan["blocked"], plan["unknown"]) == (0, 0, 0)
    assert watched.looks > 100


def test_every_login_came_through_the_bastion(site: Site, watched: Watch) -> None:
    """As the hosts' own logs have it; jump never became root."""
    for name in HOSTS:
        accepted = re.findall(
            r"Accepted publickey for deploy from (\S+)", site.lab.run(name, "sudo journalctl --no-pager -o cat -t sshd")
        )
        assert accepted
        assert set(accepted) == {ADDRESSES[BASTION]}
    assert "jump :" not in site.lab.run(BASTION, "sudo journalctl --no-pager -o cat -t sudo")


@pytest.fixture(scope="module")
def marks(site: Site, watched: Watch) -> dict[str, bytes]:
    """Every secret of this cluster that clusterctl had to do with, by what it is."""
    found = {
        "sudo's password": site.password.encode().partition(b"'")[0],
        "sudo's password in base64": base64.b64encode(site.password.encode()),
        "the registry's password": site.registry_file.read_bytes().strip(),
        "the registry's header": base64.b64encode(b"puller:" + site.registry_file.read_bytes().strip()),
        **{f"token {number}": token for number, token in enumerate(sorted(watched.learnt))},
    }
    key = site.lab.run("cp1", "sudo sed -n 's/.*secret: //p' /etc/kubernetes/encryption/config.yaml").strip()
    admin = yaml.safe_load(site.lab.run("cp1", "sudo cat /etc/kubernetes/admin.conf"))
    found["the encryption key"] = key.encode()
    found["the administrator's key"] = admin["users"][0]["user"]["client-key-data"].encode()
    return found


def test_the_search_finds_what_is_there(site: Site, marks: dict[str, bytes], watched: Watch) -> None:
    """All kinds of secrets were learnt, and one that is planted in each kind of place is found."""
    planted = {"planted": b"planted-mark"}
    site.on("w1", "echo planted-mark >/run/planted; echo planted-mark | systemd-cat; rm -f /tmp/none")
    with watch(site) as watching:
        subprocess.run(["sh", "-c", "sleep 0.5; : planted-mark"], check=True)
    journal = site.lab.run("w1", "sudo journalctl --no-pager -o export").encode()
    site.on("w1", "rm /run/planted")

    assert len(watched.learnt) >= 2  # kubeadm init's own, and the worker's.
    assert all(len(mark) >= 16 for mark in marks.values())
    hosts_toml = site.lab.run("w1", f"sudo cat /etc/containerd/certs.d/{REGISTRY}/hosts.toml").encode()
    assert marks["the registry's header"] in hosts_toml
    assert held(iter([("processes", b"\n".join(watching.seen))]), planted)
    assert held(iter([("journal", journal)]), planted)
    assert any(b"kubeadm\0init" in line for line in watched.seen)


def test_no_process_showed_a_secret(marks: dict[str, bytes], watched: Watch) -> None:
    """Neither in its arguments nor in its environment, on the operator's computer or on a host."""
    assert held((("a process", line) for line in watched.seen), marks) == []


def test_nothing_that_the_operator_keeps_holds_a_secret(site: Site, marks: dict[str, bytes]) -> None:
    """Console, errors, --log, --json, the saved plan, the audit trail, the inventory."""
    given = {str(site.password_file), str(site.registry_file)}
    texts = [(place, text) for place, text in read(site.folder) if place not in given]

    assert any("runs/" in place and place.endswith(".ndjson") for place, _ in texts)
    assert any(place.endswith("log.ndjson") and b"step-changed" in text for place, text in texts)
    assert any(place.endswith("plan.json") for place, _ in texts)
    assert held(iter(texts), marks) == []


@pytest.mark.parametrize("name", [*HOSTS, BASTION])
def test_nothing_that_a_machine_wrote_holds_a_secret(site: Site, marks: dict[str, bytes], name: str) -> None:
    """Neither its journal nor what is below /run, /tmp, /var/log, /var/tmp and the homes; nothing of a join is left."""
    root = root_of(site.lab, name)
    journal = site.lab.run(name, "sudo journalctl --no-pager -o export").encode(errors="replace")
    texts = [("the journal", journal), *read(*(root / folder for folder in WRITTEN_TO))]

    assert len(texts) > 5
    assert held(iter(texts), marks) == []
    assert not (root / DISCOVERY.lstrip("/")).exists()


def test_the_password_was_never_refused_again(site: Site, watched: Watch) -> None:
    """The one wrong attempt is all that PAM saw in the whole story."""
    assert watched.looks
    assert len(site.attempts()) == 1
