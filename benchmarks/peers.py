"""The seven steps of prepared.yaml in the words of pyinfra and Ansible, as dry runs on the same hosts.

Both get what makes them fast: as many hosts at once as there are, pipelining, no facts that nobody asks for, a
connection that is kept, curve25519. Their versions are pinned, and live in the user's cache.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

import platformdirs

from clusterctl.model.inventory import Inventory
from clusterctl.remote.way import Ways

PINS = ("ansible-core==2.19.14", "pyinfra==3.10.0")
NAMES = ("pyinfra", "ansible")

_MODULES = "overlay\nbr_netfilter\n"
_SYSCTLS = ("net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-iptables", "net.ipv4.ip_forward")
_SOURCE = "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] http://127.0.0.1:9/core:/stable:/v1.36/deb/ /\n"
_KUBERNETES = ("kubeadm", "kubectl", "kubelet")
_CONFIG = "version = 3\n"

_DEPLOY = f"""
from io import StringIO

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server

host.get_fact(Command, command="swapon --show=NAME --noheadings; systemctl is-enabled swap.target 2>&1 || true")
files.line(path="/etc/fstab", line=r"^[^#].*\\sswap\\s.*$", present=False)
files.put(src=StringIO({_MODULES!r}), dest="/etc/modules-load.d/kubernetes.conf")
server.modprobe(module={_MODULES.split()!r})
for key in {_SYSCTLS!r}:
    server.sysctl(key=key, value=1, persist=True, persist_file="/etc/sysctl.d/99-kubernetes.conf")
apt.packages(packages=["containerd"])
host.get_fact(File, path="/etc/apt/keyrings/kubernetes-apt-keyring.asc")
files.put(src=StringIO({_SOURCE!r}), dest="/etc/apt/sources.list.d/kubernetes.list")
apt.packages(packages=[f"{{name}}=1.36.3-1.1" for name in {_KUBERNETES!r}])
host.get_fact(Command, command="apt-mark showhold")
files.put(src=StringIO({_CONFIG!r}), dest="/etc/containerd/config.toml")
host.get_fact(Command, command="systemctl show -p ActiveState,UnitFileState containerd kubelet 2>&1 || true")
"""


def _look(name: str, command: str) -> dict[str, object]:
    """A command that only reads."""
    return {"name": name, "shell": command, "check_mode": False, "changed_when": False, "failed_when": False}


def _file(path: str, content: str) -> dict[str, object]:
    return {"name": path, "copy": {"dest": path, "content": content}}


_PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            _look("swap", "swapon --show=NAME --noheadings; systemctl is-enabled swap.target"),
            {"name": "fstab", "replace": {"path": "/etc/fstab", "regexp": r"^([^#].*\sswap\s.*)$", "replace": r"# \1"}},
            _look("modules", "test -e /sys/module/overlay && test -e /sys/module/br_netfilter"),
            _file("/etc/modules-load.d/kubernetes.conf", _MODULES),
            _look("kernel parameters", f"sysctl {' '.join(_SYSCTLS)}"),
            _file("/etc/sysctl.d/99-kubernetes.conf", "".join(f"{key} = 1\n" for key in _SYSCTLS)),
            _look("containerd", "containerd --version"),
            {"name": "key", "stat": {"path": "/etc/apt/keyrings/kubernetes-apt-keyring.asc"}},
            _file("/etc/apt/sources.list.d/kubernetes.list", _SOURCE),
            _look("packages", f"dpkg-query -W {' '.join(_KUBERNETES)}"),
            _look("held", "apt-mark showhold"),
            # The folder is not there on a host that nobody prepared, and in a dry run nobody makes it.
            _file("/etc/containerd-config.toml", _CONFIG),
            _look("services", "systemctl show -p ActiveState,UnitFileState containerd kubelet"),
        ],
    }
]


def install() -> Path:
    """Make the virtual environment with both, unless it is there; return its folder of programs."""
    folder = platformdirs.user_cache_path("clusterctl") / "benchmarks" / "-".join(PINS).replace("==", "-")
    if not (folder / "ready").exists():
        print(f"installing {' and '.join(PINS)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PINS], check=True)
        (folder / "ready").touch()
    return folder / "bin"


def commands(programs: Path, folder: Path, inventory: Inventory) -> dict[str, Callable[[], None]]:
    """How each of them is run on the hosts of ``inventory``; their files go to ``folder``."""
    (folder / "deploy.py").write_text(_DEPLOY)
    (folder / "hosts.py").write_text(f"hosts = {_pyinfra_hosts(inventory)!r}\n")
    (folder / "play.json").write_text(json.dumps(_PLAY))
    (folder / "hosts.json").write_text(json.dumps(_ansible_hosts(inventory)))
    return {
        "pyinfra": lambda: _run_pyinfra(programs, folder, len(inventory.hosts)),
        "ansible": lambda: _run_ansible(programs, folder, len(inventory.hosts)),
    }


def _run_pyinfra(programs: Path, folder: Path, count: int) -> None:
    command = [str(programs / "pyinfra"), "--dry", "--parallel", str(count), "hosts.py", "deploy.py"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "SSH_AUTH_SOCK": ""}, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Detected changes" in said, said
    assert said.count(" Connected\n") == count, said


def _run_ansible(programs: Path, folder: Path, count: int) -> None:
    """With a new place for its kept connections each time, so that no run finds those of another."""
    with tempfile.TemporaryDirectory(dir="/tmp") as kept:
        settings = {
            "SSH_AUTH_SOCK": "",
            "ANSIBLE_FORKS": str(count),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": kept,
            "ANSIBLE_LOCAL_TEMP": f"{folder}/ansible",
            "ANSIBLE_HOME": f"{folder}/ansible",
        }
        command = [str(programs / "ansible-playbook"), "--check", "-i", "hosts.json", "play.json"]
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("unreachable=0    failed=0") == count, done.stdout


def _pyinfra_hosts(inventory: Inventory) -> list[tuple[str, dict[str, object]]]:
    return [
        (
            way.address,
            {
                "ssh_user": way.user,
                "ssh_port": way.port,
                "ssh_key": str(way.key.expanduser()),
                "ssh_known_hosts_file": str(inventory.ssh.known_hosts.expanduser()),
                "ssh_strict_host_key_checking": "yes",
                "ssh_allow_agent": False,
                "ssh_look_for_keys": False,
                "_sudo": way.user != "root",
            },
        )
        for way in map(Ways(inventory.ssh).to, inventory.hosts)
    ]


def _ansible_hosts(inventory: Inventory) -> dict[str, object]:
    known_hosts = inventory.ssh.known_hosts.expanduser()
    options = (
        f"-F /dev/null -o KexAlgorithms=curve25519-sha256 -o UserKnownHostsFile={known_hosts} "
        "-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o IdentityAgent=none"
    )
    hosts = {
        way.name: {
            "ansible_host": way.address,
            "ansible_port": way.port,
            "ansible_user": way.user,
            "ansible_become": way.user != "root",
            "ansible_ssh_private_key_file": str(way.key.expanduser()),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        for way in map(Ways(inventory.ssh).to, inventory.hosts)
    }
    return {"all": {"hosts": hosts}}
