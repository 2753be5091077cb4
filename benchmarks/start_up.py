"""How long ``clusterctl --help`` takes, beside a bare interpreter. Goal: below 150 ms.

python benchmarks/start_up.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time

CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "clusterctl --help": [sys.executable, "-m", "clusterctl", "--help"],
    "clusterctl bootstrap --help": [sys.executable, "-m", "clusterctl", "bootstrap", "--help"],
}


def once(command: list[str]) -> float:
    """Run a command; return its milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Interleave the cases, so that a noisy moment meets all of them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, command in CASES.items():
            times[name].append(once(command))
    for name, values in times.items():
        print(f"{name:30} median {statistics.median(values):6.0f} ms   min {min(values):6.0f}   max {max(values):6.0f}")


main()
