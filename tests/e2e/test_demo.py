"""What a newcomer sees first: the demo, and that nothing of it stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_lab import traces

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(900)
def test_the_demo_makes_a_verified_cluster_and_goes_without_a_trace(tmp_path: Path) -> None:
    """`make demo` and `make demo-down` run exactly these commands."""
    program = tmp_path / "clusterctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m clusterctl "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "LAB": "e2e-demo", "CLUSTERCTL": str(program)}
    before = traces()

    try:
        demo = subprocess.run(["sh", ROOT / "docs/demo.sh"], env=env, capture_output=True, text=True, check=False)
    finally:
        down = subprocess.run(
            [program, "lab", "down", "--name", "e2e-demo"], capture_output=True, text=True, check=False
        )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert down.returncode == 0, down.stderr
    for shown in (
        "swap.target is not masked",
        "the API server answers",
        "ok      dns",
        "3 of 3 nodes ready",
        "demo-down",
    ):
        assert shown in demo.stdout
    assert traces() == before
