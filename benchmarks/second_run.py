"""How long a second run with nothing to do takes, beside the fastest that OpenSSH's own client can do.

    python benchmarks/second_run.py [--hosts 10 50] [--rounds 9] [--peers] [--empty] [--inventory FILE] [--before FILE]

Every "host" is an sshd of its own on 127.0.1.N, so host and operator share the processors: what the hosts do
weighs in equally on all sides. The commands run in turn, in a new order each round:

- ssh: one OpenSSH client per host, all at once, curve25519 and AES-GCM, with clusterctl's probe; no Python at all.
- paramiko: a script of a dozen lines that connects to all hosts with paramiko's own client, its keys checked, and runs
  the same probe: what somebody writes who wants nothing else.
- transport: a fresh Python process that does the same with clusterctl's connections.
- clusterctl: a whole process of ``plan``, from its start to its end.
- before, with --before: the same by the clusterctl of another checkout.
- pyinfra and ansible, with --peers: a dry run of their own words for the same seven steps (benchmarks/peers.py).
  They are installed into the user's cache. Ansible takes minutes, so they run in the first --peer-rounds only.

With --empty, ssh and transport run a script that does nothing: what is left is the way there and back. With
--inventory the hosts are those of an inventory, real nodes for example, and clusterctl plans a whole bootstrap, for
which it asks the API as well.
"cpu" is what the operator's side spent, without the hosts; it varies less than the time when the machine has other
work. "MiB" is the most memory that all processes of the operator's side had at once, in a round that is not timed.
"""

import argparse
import getpass
import os
import random
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import peers

from clusterctl import render
from clusterctl.model.inventory import Inventory, load_inventory
from clusterctl.remote.sudo import prefix
from clusterctl.remote.way import Ways
from clusterctl.rules.probed import probe_values

PREPARED = ("plan", str(Path(__file__).with_name("prepared.yaml")))
FEW = 10
# Of a bare paramiko script with few hosts, of OpenSSH with many, where the hosts' own work is most of the time.
PARAMIKO_RATIO, SSH_RATIO, MILLISECONDS, MEMORY = 1.15, 1.10, 6.0, 150.0
PORT = 2222
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
WITHOUT_AGENT = {**os.environ, "SSH_AUTH_SOCK": ""}

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

_PARAMIKO = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from paramiko import SSHClient

folder, port, user, *addresses = sys.argv[1:]
script = Path(folder, "probe.sh").read_text()

def probe(address):
    with SSHClient() as client:
        client.load_host_keys(f"{folder}/known_hosts")
        client.connect(address, int(port), user, key_filename=f"{folder}/login", allow_agent=False, look_for_keys=False)
        stdin, stdout, _ = client.exec_command("/bin/bash -s")
        stdin.write(script)
        stdin.channel.shutdown_write()
        return stdout.read()

with ThreadPoolExecutor(len(addresses)) as pool:
    answers = list(pool.map(probe, addresses))
assert all(answer.endswith(b"@@ end\\n") for answer in answers)
"""

Commands = Mapping[str, Callable[[], None]]


@dataclass
class Measured:
    """What the runs of one command took: seconds, seconds of processor time, MiB."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def cpu(self) -> float:
        """The median of the processor time."""
        return statistics.median(self.processor)


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
        f"ssh: {{user: {getpass.getuser()}, key: {folder}/login, known_hosts: {folder}/known_hosts, port: {PORT}, "
        "config: /dev/null}\n"
        "hosts:\n" + "\n".join(hosts) + "\n"
    )
    return path


def run_ssh(folder: Path, inventory: Inventory) -> None:
    """One client per host, all at once."""
    ways = [Ways(inventory.ssh).to(host) for host in inventory.hosts]
    options = {
        "KexAlgorithms": "curve25519-sha256",
        "Ciphers": "aes128-gcm@openssh.com",
        "UserKnownHostsFile": inventory.ssh.known_hosts.expanduser(),
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    clients = []
    for way in ways:
        with (folder / "probe.sh").open("rb") as script, (folder / f"answer-{way.name}").open("wb") as answer:
            where = ["-i", str(way.key.expanduser()), "-p", str(way.port), "-l", way.user, way.address]
            command = ["ssh", "-F", "/dev/null", *flags, *where, f"{prefix(way.user)}/bin/bash -s"]
            clients.append(subprocess.Popen(command, stdin=script, stdout=answer, stderr=subprocess.DEVNULL))
    assert [client.wait() for client in clients] == [0] * len(clients)
    for way in ways:
        assert (folder / f"answer-{way.name}").read_text().endswith("@@ end\n")


def run_transport(folder: Path, path: Path) -> None:
    """A fresh process that connects and reads."""
    command = [sys.executable, "-c", _TRANSPORT, str(path), str(folder / "probe.sh")]
    subprocess.run(command, check=True, env=WITHOUT_AGENT)


def run_paramiko(folder: Path, count: int) -> None:
    """The bare script."""
    command = [sys.executable, "-c", _PARAMIKO, str(folder), str(PORT), getpass.getuser(), *addresses(count)]
    subprocess.run(command, check=True, env=WITHOUT_AGENT)


def run_clusterctl(program: Path, path: Path, words: Sequence[str]) -> None:
    """A whole clusterctl; on hosts of our own there are changes to plan, and nothing is changed."""
    command = [str(program), "-i", str(path), *words]
    done = subprocess.run(command, env=WITHOUT_AGENT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr  # 3: this machine does not suit the playbook.


def processor_time() -> float:
    """Seconds of processor time of all processes that we have started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_memory(run: Callable[[], None]) -> float:
    """The most MiB that the processes that ``run`` starts had at once, pages that they share counted once."""
    before = _descendants(set())
    most, over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.02):
            most = max(most, sum(_kib(process) for process in _descendants(before)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        over.set()
        watcher.join()
    return most / 1024


def _descendants(without: set[int]) -> set[int]:
    """The processes below this one, except those in ``without`` and what is below them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It has ended.
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    rest = list(children.get(os.getpid(), []))
    while rest:
        process = rest.pop()
        if process not in without:
            found.add(process)
            rest += children.get(process, [])
    return found


def _kib(process: int) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def measure(commands: Commands, rounds: int, peer_rounds: int) -> dict[str, Measured]:
    """Run all commands in turn, and then once more for their memory."""
    found = {name: Measured() for name in commands}
    for name, run in commands.items():
        if name not in peers.NAMES:
            run()  # Bytecode and page cache.
    for number in range(rounds):
        names = [name for name in commands if number < peer_rounds or name not in peers.NAMES]
        for name in random.sample(names, len(names)):
            began, cpu = time.perf_counter(), processor_time()
            commands[name]()
            found[name].seconds.append(time.perf_counter() - began)
            found[name].processor.append(processor_time() - cpu)
    for name, run in commands.items():
        found[name].memory = peak_memory(run)
    return found


def commands_for(
    folder: Path, path: Path, words: Sequence[str], *, own: bool, empty: bool, before: Path | None, beside: Path | None
) -> Commands:
    """What is measured on the hosts of an inventory, ``own`` ones or others.

    ``before`` is the program of another checkout, ``beside`` is where the peers are installed.
    """
    inventory = load_inventory(path)
    probe = render.probe(**probe_values(inventory)).text
    (folder / "probe.sh").write_text("echo '@@ end'\n" if empty else probe)
    commands = {"ssh": lambda: run_ssh(folder, inventory), "transport": lambda: run_transport(folder, path)}
    if own:
        commands["paramiko"] = lambda: run_paramiko(folder, len(inventory.hosts))
    if before and not empty:
        commands["before"] = lambda: run_clusterctl(before, path, words)
    if not empty:
        program = Path(sys.executable).with_name("clusterctl")
        commands["clusterctl"] = lambda: run_clusterctl(program, path, words)
    if beside:
        commands |= peers.commands(beside, folder, inventory)
    return commands


def table(results: Mapping[int, Mapping[str, Measured]]) -> Iterator[str]:
    """All figures, a line for each number of hosts and command."""
    yield f"{'hosts':>5}  {'':11}{'runs':>5}{'median':>8}{'min':>8}{'max':>8}{'ratio':>8}{'cpu':>8}{'MiB':>7}"
    for count, measured in results.items():
        base = statistics.median(measured["ssh"].seconds)
        for name, each in measured.items():
            median = statistics.median(each.seconds)
            row = [median, min(each.seconds), max(each.seconds), median / base, each.cpu]
            cells = "".join(f"{value:8.2f}" for value in row)
            yield f"{count:5}  {name:11}{len(each.seconds):5}{cells}{each.memory:7.0f}"


def verdicts(results: Mapping[int, Mapping[str, Measured]]) -> Iterator[str]:
    """The goals, and whether they are reached."""
    for count, measured in results.items():
        base, goal = ("paramiko", PARAMIKO_RATIO) if count <= FEW else ("ssh", SSH_RATIO)
        ratio = statistics.median(measured["clusterctl"].seconds) / statistics.median(measured[base].seconds)
        yield _verdict(f"clusterctl : {base} at {count} hosts", ratio, goal, "times")
    few, many = min(results), max(results)
    if few != many:
        more = results[many]["clusterctl"].cpu - results[few]["clusterctl"].cpu
        yield _verdict("processor time for each further host", 1000 * more / (many - few), MILLISECONDS, "ms")
    yield _verdict(f"memory at {many} hosts", results[many]["clusterctl"].memory, MEMORY, "MiB")


def _verdict(what: str, value: float, goal: float, unit: str) -> str:
    word = "reached" if value <= goal else "MISSED"
    return f"{what}: {value:.2f} {unit}, goal {goal:g}: {word}"


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description="Time a second run with nothing to do.")
    parser.add_argument("--hosts", type=int, nargs="+", default=[10])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--peer-rounds", type=int, default=1)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--before", type=Path)
    asked = parser.parse_args()
    # Whoever is terminated ends its servers as well.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    beside = peers.install() if asked.peers else None
    results: dict[int, Mapping[str, Measured]] = {}
    for count in [len(load_inventory(asked.inventory).hosts)] if asked.inventory else asked.hosts:
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            folder = Path(name)
            path, words = asked.inventory, ("plan", "bootstrap")
            if path is None:
                stack.enter_context(servers(folder, count))
                path, words = write_inventory(folder, count), PREPARED
            own, before = asked.inventory is None, asked.before
            commands = commands_for(folder, path, words, own=own, empty=asked.empty, before=before, beside=beside)
            results[count] = measure(commands, asked.rounds, asked.peer_rounds)
    print(f"{shlex.join(sys.argv)}: {os.cpu_count()} processors; seconds")
    print(*table(results), *(() if asked.empty or asked.inventory else verdicts(results)), sep="\n")


if __name__ == "__main__":
    main()
