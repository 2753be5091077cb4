"""Whether anybody could see a secret: processes are watched while something runs, and texts are searched afterwards."""

import base64
import json
import os
import re
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from clusterctl.lab.lab import Lab
from clusterctl.lab.machine import identifier

TOKEN = re.compile(rb"[a-z0-9]{6}\.[a-z0-9]{16}")
# Below a machine's root: where a secret may have been left.
WRITTEN_TO = ("run", "tmp", "var/log", "var/tmp", "root", "home")
_LIST = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get secret -o json"


class Watch:
    """Looks at the arguments and the environment of every process, many times a second, while something runs.

    This computer sees the processes of all machines, as ``ps auxww`` on each of them would show them. Secrets that are
    made meanwhile are ``learnt`` from where they are: in the files of ``learn``, which says what they look like, on the
    machines ``names``; and tokens in Secrets of the cluster. One that is ``gentle`` looks less often, and does not ask
    the cluster: it slows nobody down. ``cost`` is how many seconds of processor time the looks took.
    """

    def __init__(
        self,
        lab: Lab,
        names: Sequence[str],
        learn: Mapping[str, re.Pattern[bytes]],
        *,
        gentle: bool = False,
    ) -> None:
        self.seen: set[bytes] = set()
        self.looks = 0
        self.cost = 0.0
        self.learnt: set[bytes] = set()
        self._lab = lab
        self._every = 0.1 if gentle else 0.02
        self._files = [(root_of(lab, name) / path.lstrip("/"), look) for name in names for path, look in learn.items()]
        self._over = threading.Event()
        work = (self._watch,) if gentle else (self._watch, self._ask)
        self._threads = [threading.Thread(target=each) for each in work]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        known: set[tuple[str, bytes]] = set()
        while not self._over.wait(self._every):
            self.looks += 1
            for process in filter(str.isdigit, (entry.name for entry in os.scandir("/proc"))):
                with suppress(OSError):
                    words = content(f"/proc/{process}/cmdline")
                    # A process gets other arguments, and another environment, when it becomes another program.
                    if (process, words) not in known:
                        self.seen |= {words, content(f"/proc/{process}/environ")}
                        known.add((process, words))
            for file, look in self._files:
                with suppress(OSError):
                    self.learnt |= set(look.findall(file.read_bytes()))
            self.cost = time.thread_time()

    def _ask(self) -> None:
        while not self._over.wait(1.0):
            done = subprocess.run(self._lab.ssh_command("cp1", _LIST), capture_output=True, check=False)
            for secret in json.loads(done.stdout)["items"] if done.returncode == 0 else ():
                data = {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}
                if "token-id" in data:
                    self.learnt.add(data["token-id"] + b"." + data["token-secret"])


def content(path: str) -> bytes:
    """What a small file holds; Path takes three times as long, and this is done for each process."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1 << 21)
    finally:
        os.close(file)


def root_of(lab: Lab, name: str) -> Path:
    """A machine's root directory, as this computer sees it."""
    listed = subprocess.run(
        ["ip", "netns", "pids", identifier(lab.name, name)], capture_output=True, text=True, check=True
    )
    return Path("/proc") / str(min(map(int, listed.stdout.split()))) / "root"


def held(texts: Iterator[tuple[str, bytes]], marks: Mapping[str, bytes]) -> list[str]:
    """Where a mark was found, and which."""
    return [f"{place}: {name}" for place, text in texts for name, mark in marks.items() if mark in text]


def read(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """The files below some folders, with their content; what vanishes meanwhile is not there."""
    for folder in folders:
        for path in written(folder):
            with suppress(OSError):
                yield str(path), path.read_bytes()


def written(folder: Path) -> Iterator[Path]:
    """The files below a folder; not those of containers' images."""
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "rootfs"]
        for name in files:
            with suppress(OSError):
                if stat.S_ISREG(os.lstat(Path(path, name)).st_mode):
                    yield Path(path, name)
