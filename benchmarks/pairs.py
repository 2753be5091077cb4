"""Two ways to do the same to fresh machines, timed in pairs."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from clusterctl.lab.lab import Lab
from clusterctl.lab.making import up
from clusterctl.lab.shape import Shape

KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
Way = Callable[[Lab], None]


def clusterctl(lab: Lab, *words: str) -> None:
    """Run the command on the lab's inventory."""
    done = subprocess.run(
        [sys.executable, "-m", "clusterctl", "-i", str(lab.inventory), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def on(lab: Lab, name: str, script: str) -> str:
    """Run a script on a machine through OpenSSH; return what it printed."""
    done = subprocess.run(
        [*lab.ssh_command(name), "bash -s"], input=f"set -eu\n{script}", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def everywhere(lab: Lab, names: Sequence[str], script: Callable[[str], str]) -> None:
    """Run a script on several machines at once."""
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        list(pool.map(lambda name: on(lab, name, script(name)), names))


def compare(ways: Mapping[str, Way], shape: Shape, *, goal: float, before: Way = lambda lab: None) -> None:
    """Time the ways, in as many pairs as the command line says, and print the ratio of the medians.

    Each run gets fresh machines, of a lab that is taken away again; their boot and ``before`` are not counted. The
    order within a pair alternates.
    """
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    times: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(pairs):
        for name in list(ways) if index % 2 == 0 else reversed(list(ways)):
            times[name].append(_once(ways[name], shape, before))
            print(f"{name:12} {times[name][-1]:6.1f} s", flush=True)
    hand, ours = (statistics.median(times[name]) for name in ways)
    first, second = ways
    print(f"medians: {first} {hand:.1f} s, {second} {ours:.1f} s, ratio {ours / hand:.2f} (goal {goal:.2f})")


def _once(way: Way, shape: Shape, before: Way) -> float:
    lab = up(shape)
    try:
        before(lab)
        began = time.perf_counter()
        way(lab)
        return time.perf_counter() - began
    finally:
        lab.down()
