"""How long a second run with nothing to do takes, beside the fastest that OpenSSH's own client can do.

    python benchmarks/second_run.py [--hosts 10] [--rounds 9] [--empty]

Every "host" is an sshd of its own on 127.0.1.N, so host and operator share the processors: what the hosts do
weighs in equally on both sides. Three commands run in turn, in a new order each round, all with the same probe:

- ssh: one OpenSSH client per host, all at once, curve25519 and AES-GCM; no Python at all.
- transport: a fresh Python process that connects to all hosts and runs the probe.
- clusterctl: a whole process of COMMAND, from its start to its end.

With --empty, ssh and transport run a script that does nothing: what is left is the way there and back. "cpu" is
what the operator's side spent, without the hosts; it varies less than the time when the machine has other work.
The goal is a ratio of at most 2 between clusterctl and ssh at 10 hosts.
"""

import argparse
import getpass
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clusterctl import render
from clusterctl.model.inventory import load_inventory
from clusterctl.steps.catalogue import probe_values

COMMAND = ("plan", str(Path(__file__).with_name("prepared.yaml")))
GOAL = 2.0
PORT = 2222
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

_TRANSPORT = """
import sys
from pathlib import Path
from clusterctl.model.inventory import load_inventory
from clusterctl.remote.fleet import Fleet
from clusterctl.render import Script
from concurrent.futures import ThreadPoolExecutor

script = Script("facts", Path(sys.argv[2]).read_text())
with Fleet(load_inventory(Path(sys.argv[1]))) as fleet:
    hosts = fleet.inventory.hosts
    with ThreadPoolExecutor(len(hosts)) as pool:
        answers = list(pool.map(lambda host: fleet.connection(host).read(script), hosts))
assert all(answer.endswith("@@ end\\n") for answer in answers)
"""


def addresses(count: int) -> list[str]:
    """One loopback address for each host."""
    return [f"127.0.1.{number}" for number in range(1, count + 1)]


@contextmanager
def servers(folder: Path, count: int) -> Iterator[None]:
    """Run the hosts."""
    for name in ("host", "login"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "home").mkdir()
    public = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text("".join(f"[{address}]:{PORT} {public}\n" for address in addresses(count)))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    assert SSHD, "needs sshd: apt-get install openssh-server"
    with ExitStack() as stack:
        for address in addresses(count):
            config = folder / f"sshd-{address}"
            config.write_text(
                f"ListenAddress {address}\nPort {PORT}\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel ERROR\n"
                f"PermitRootLogin yes\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/login.pub\n"
                f"SetEnv HOME={folder}/home\n"
            )
            process = subprocess.Popen([SSHD, "-D", "-e", "-f", config])
            stack.callback(process.wait)
            stack.callback(process.terminate)
        time.sleep(1.0)
        yield


def write_inventory(folder: Path, count: int) -> Path:
    """An inventory of the hosts. Packages come from a port that refuses, so that no network is measured."""
    path = folder / "inventory.yaml"
    hosts = [
        f"  - {{name: h{number}, address: {address}, role: {'worker' if number else 'control-plane'}}}"
        for number, address in enumerate(addresses(count))
    ]
    path.write_text(
        "cluster:\n  name: bench\n  kubernetes: 1.36.3\n  endpoint: 127.0.1.1:6443\n"
        "  sources: {packages: 'http://127.0.0.1:9'}\n"
        f"ssh: {{user: {getpass.getuser()}, key: {folder}/login, known_hosts: {folder}/known_hosts, port: {PORT}}}\n"
        "hosts:\n" + "\n".join(hosts) + "\n"
    )
    return path


def run_ssh(folder: Path, count: int) -> None:
    """One client per host, all at once."""
    options = {
        "KexAlgorithms": "curve25519-sha256",
        "Ciphers": "aes128-gcm@openssh.com",
        "UserKnownHostsFile": folder / "known_hosts",
        "StrictHostKeyChecking": "yes",
        "IdentityFile": folder / "login",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    clients = []
    for address in addresses(count):
        with (folder / "probe.sh").open("rb") as script, (folder / f"answer-{address}").open("wb") as answer:
            command = ["ssh", "-F", "/dev/null", *flags, "-p", str(PORT), address, "/bin/bash -s"]
            clients.append(subprocess.Popen(command, stdin=script, stdout=answer, stderr=subprocess.DEVNULL))
    assert [client.wait() for client in clients] == [0] * count
    for address in addresses(count):
        assert (folder / f"answer-{address}").read_text().endswith("@@ end\n")


def run_transport(folder: Path, inventory: Path) -> None:
    """A fresh process that connects and reads."""
    command = [sys.executable, "-c", _TRANSPORT, str(inventory), str(folder / "probe.sh")]
    subprocess.run(command, check=True, env={**os.environ, "SSH_AUTH_SOCK": ""})


def run_clusterctl(inventory: Path) -> None:
    """A whole clusterctl; without a cluster there are changes to plan, and nothing is changed."""
    command = [str(Path(sys.executable).with_name("clusterctl")), "-i", str(inventory), *COMMAND]
    done = subprocess.run(command, env={**os.environ, "SSH_AUTH_SOCK": ""}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr  # 3: this machine does not suit the playbook.


def processor_time() -> float:
    """Seconds of processor time of all processes that we have started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description="Time a second run with nothing to do.")
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--empty", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), arguments.hosts
        inventory = write_inventory(folder, count)
        probe = render.probe(**probe_values(load_inventory(inventory))).text
        (folder / "probe.sh").write_text("echo '@@ end'\n" if arguments.empty else probe)
        commands: dict[str, Callable[[], None]] = {
            "ssh": lambda: run_ssh(folder, count),
            "transport": lambda: run_transport(folder, inventory),
            "clusterctl": lambda: run_clusterctl(inventory),
        }
        if arguments.empty:
            del commands["clusterctl"]
        times: dict[str, list[float]] = {name: [] for name in commands}
        spent: dict[str, list[float]] = {name: [] for name in commands}
        with servers(folder, count):
            for run in commands.values():
                run()  # Bytecode and page cache.
            for _ in range(arguments.rounds):
                for name in random.sample(list(commands), len(commands)):
                    began, cpu = time.perf_counter(), processor_time()
                    commands[name]()
                    times[name].append(time.perf_counter() - began)
                    spent[name].append(processor_time() - cpu)
    base = statistics.median(times["ssh"])
    print(f"{count} hosts, {arguments.rounds} rounds, {os.cpu_count()} processors; seconds")
    print(f"{'':12}{'median':>8}{'min':>8}{'max':>8}{'ratio':>8}{'cpu':>8}")
    for name, values in times.items():
        row = [statistics.median(values), min(values), max(values), statistics.median(values) / base]
        print(f"{name:12}" + "".join(f"{value:8.3f}" for value in [*row, statistics.median(spent[name])]))
    if "clusterctl" in times:
        print(f"goal: clusterctl at most {GOAL:.1f} times ssh at 10 hosts")


if __name__ == "__main__":
    main()
