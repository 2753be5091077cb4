"""The mechanical agreements of this repository, so that reviews can be about the rest."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import clusterctl
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE

ROOT = Path(clusterctl.__file__).parent
_BELOW = {"errors", "model", "rules", "render"}
# Who may import whom inside the package (docs/architecture.md: arrows point one way).
ALLOWED = {
    "errors": set[str](),
    "version": set[str](),
    "resources": set[str](),
    "model": {"errors"},
    "render": {"model", "resources", "errors"},
    "rules": {"model", "errors"},
    "steps": _BELOW,
    "engine": {"model", "rules", "steps", "errors"},
    "remote": _BELOW,
    "kube": _BELOW,
    "report": {"model", "rules", "engine", "errors"},
    "lab": {"errors", "resources"},
    "session": {*_BELOW, "steps", "engine", "remote", "kube", "report"},
    "actions": {*_BELOW, "resources", "steps", "engine", "remote", "kube", "report", "session"},
    "api": {"model", "engine", "remote", "report", "rules", "session", "actions"},
    "cli": {"errors", "model", "resources", "steps", "engine", "remote", "report", "lab", "session", "actions"},
}
LONGEST = 450
FLOORS = 4


def imported(text: str, module: str, *, package: bool = False) -> Iterator[str]:
    """The modules and names below clusterctl that the source of ``module`` imports, in whichever form, once each.

    ``package`` says that the source is that of an ``__init__.py``.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + package]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            yield _beginning(node.args[0])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _beginning(name: ast.expr) -> str:
    """What is written of a module's name that is put together while it runs."""
    first = name.values[0] if isinstance(name, ast.JoinedStr) else name
    return str(first.value).rstrip(".") if isinstance(first, ast.Constant) else ""


def module_of(path: Path) -> str:
    """The name of the module in a file of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """What a file of the package imports of the package."""
    found = imported(path.read_text(), module_of(path), package=path.name == "__init__.py")
    return {name for name in found if name == "clusterctl" or name.startswith("clusterctl.")}


def room(module: str) -> str:
    """The room that a module is in; the package itself is none."""
    return module.partition(".")[2].partition(".")[0]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import clusterctl.kube.drain", {"clusterctl.kube.drain"}),
        ("import clusterctl.kube.drain as drain, os", {"clusterctl.kube.drain", "os"}),
        ("from clusterctl import kube", {"clusterctl.kube"}),
        ("from clusterctl.kube import drain", {"clusterctl.kube.drain"}),
        ("from clusterctl.kube.drain import Drain as D", {"clusterctl.kube.drain.Drain"}),
        ("from . import zram", {"clusterctl.steps.os.zram"}),
        ("from .. import kube", {"clusterctl.steps.kube"}),
        ("from ... import kube", {"clusterctl.kube"}),
        ("from ...kube.drain import Drain", {"clusterctl.kube.drain.Drain"}),
        ("if True:\n    def f():\n        from clusterctl import kube", {"clusterctl.kube"}),
        ("import_module('clusterctl.kube.drain')", {"clusterctl.kube.drain"}),
        ("importlib.import_module(f'clusterctl.kube.{name}')", {"clusterctl.kube"}),
        ("__import__('clusterctl.kube')", {"clusterctl.kube"}),
    ],
)
def test_every_form_of_import_is_seen(line: str, found: set[str]) -> None:
    """An arrow cannot be hidden in another way to write it."""
    assert set(imported(line, "clusterctl.steps.os.swap")) == found


def test_a_packages_own_relative_imports_are_seen() -> None:
    """In ``__init__.py`` one dot is the package itself."""
    assert set(imported("from . import drain\nfrom .. import steps", "clusterctl.kube", package=True)) == {
        "clusterctl.kube.drain",
        "clusterctl.steps",
    }


def test_arrows_point_one_way() -> None:
    """cli → actions → session → engine → steps → rules → model; remote, kube and report come in with the session."""
    wrong = []
    for path in ROOT.rglob("*.py"):
        own = room(module_of(path))
        if own in ("", "__main__"):
            continue
        others = {room(name) for name in imports_of(path)} - {"", "version"}
        wrong += [f"{module_of(path)} imports {other}" for other in sorted(others - {*ALLOWED[own], own})]

    assert not wrong


def test_the_command_line_alone_knows_click() -> None:
    """What an operator can do is callable without it."""
    for path in ROOT.rglob("*.py"):
        names = set(imported(path.read_text(), module_of(path)))
        assert room(module_of(path)) == "cli" or not any(re.match(r"click\b", name) for name in names), path


def test_no_phase_imports_another() -> None:
    """A phase knows the steps' base, which lies beside the phases, and what facts mean."""
    phases = {path.name for path in (ROOT / "steps").iterdir() if path.is_dir() and path.name != "__pycache__"}
    wrong = [
        f"{module_of(path)} imports {name}"
        for phase in phases
        for path in (ROOT / "steps" / phase).glob("*.py")
        for name in imports_of(path)
        if name.startswith("clusterctl.steps.") and name.split(".")[2] in phases - {phase}
    ]

    assert not wrong


def test_the_steps_are_few_floors_high() -> None:
    """Nobody has to climb far from a step to what it stands on."""
    modules = {module_of(path): imports_of(path) for path in (ROOT / "steps").rglob("*.py")}
    below = {
        module: {
            other for other in modules if other != module and any(f"{name}.".startswith(f"{other}.") for name in names)
        }
        for module, names in modules.items()
    }
    below = {
        module: {other for other in others if not module.startswith(f"{other}.")} for module, others in below.items()
    }

    def height(module: str) -> int:
        return 1 + max(map(height, below[module]), default=0)

    assert {module: height(module) for module in modules if height(module) > FLOORS} == {}


def test_no_module_needs_one_that_needs_it() -> None:
    """There is no circle of imports, those inside functions included."""
    modules = {module_of(path): imports_of(path) for path in ROOT.rglob("*.py")}

    def target(name: str) -> str:
        return name if name in modules or not name else target(name.rpartition(".")[0])

    graph = {module: {target(name) for name in names} - {module} for module, names in modules.items()}

    TopologicalSorter(graph).prepare()  # It names a circle when there is one.


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    """What has grown further holds two ideas."""
    long = {str(path): lines for path in ROOT.rglob("*.py") if (lines := len(path.read_text().splitlines())) > LONGEST}

    assert not long


def test_steps_are_found_by_their_names() -> None:
    """phase/step is the class Step in steps/phase/step.py; its title is an imperative without a full stop."""
    for name, step in CATALOGUE.items():
        phase, _, own = name.partition("/")
        assert step.name == name
        assert type(step).__module__ == f"clusterctl.steps.{phase}.{own}".replace("-", "_")
        assert type(step).__name__ == own.title().replace("-", "")
        assert re.fullmatch(r"[a-z-]+", own)
        assert step.title[0].isupper()
        assert not step.title.endswith(".")


def test_every_step_is_in_the_catalogue() -> None:
    """A file of a phase that defines a step with a name of its own is listed."""
    for path in (ROOT / "steps").glob("*/*.py"):
        named = re.findall(r'^    name = "?([\w/-]+)"?$', path.read_text(), re.MULTILINE)
        assert all(name in CATALOGUE or name.isupper() or name.endswith("_RECORD") for name in named), path


def test_step_names_are_unique() -> None:
    """A name means one step."""
    names = [step.name for step in CATALOGUE.values()]

    assert len(names) == len(set(names))


def test_who_reads_pods_reads_the_api() -> None:
    """Pods come with the API's facts: a step that wants them says both."""
    assert [step.name for step in CATALOGUE.values() if step.reads_pods and not step.reads_api] == []


def test_templates_are_named_after_their_step() -> None:
    """Every script template belongs to a step or is a part of others, and none is left over."""
    templates = list(folder("templates").rglob("*.sh.j2"))
    parts = {part for path in templates for part in re.findall(r'{% include "(_\S+)\.sh\.j2" %}', path.read_text())}
    names = (
        {step.name for step in CATALOGUE.values()}
        | parts
        | {"_script", "facts", "glance", "operator", "survey", "versions"}
    )
    names.add("control-plane/upload-certs")  # The part of control-plane/join that another host runs.
    names.add("upgrade/snapshot-kept")  # The end of upgrade/snapshot.

    for path in templates:
        assert str(path.relative_to(folder("templates"))).removesuffix(".sh.j2") in names


def traces(script: str) -> bool:
    """Whether a script lets a shell print the commands that it runs, with their arguments."""
    plain = re.sub(r"(?m)^\s*#(?!!).*$", "", script)
    # Options before the one that traces, then that one, alone or among others.
    option = (
        r"(?:\s+[-+]\w[\w-]*(?:\s+(?!-)[a-z]+)?)*"
        r"\s+-(?:\w*x\w*|o\s+(?:xtrace|verbose)|\w*o\s+(?:xtrace|verbose))"
    )
    shell = r"(?:/\S*/)?(?:env\s+)?(?:ba|da|z|k|a)?sh"
    return bool(
        re.search(rf"\bset{option}(?![\w-])", plain)
        or re.search(rf"(?:^|[\s;&|!(]){shell}{option}(?![\w-])", plain)
        or re.search(r"\bxtrace\b|\bBASH_XTRACEFD\b|\bSHELLOPTS=|\btrap\b[^\n]*\bDEBUG\b", plain)
    )


@pytest.mark.parametrize(
    "line",
    [
        "set -x",
        "set -eux",
        "set -xe",
        "set -e -x",
        "set -o xtrace",
        "set -eu -o pipefail -o xtrace",
        "set -euxo pipefail",
        "set -euo xtrace",
        "  set -x  # for now",
        "bash -x /run/script",
        "bash -ex -c 'echo'",
        "/bin/bash -x",
        "sudo /bin/sh -eux <<EOF",
        "#!/bin/bash -x",
        "#!/usr/bin/env bash -x",
        "exec bash -o xtrace",
        "BASH_XTRACEFD=3",
        "SHELLOPTS=xtrace bash x",
        "trap 'echo $BASH_COMMAND' DEBUG",
    ],
)
def test_every_way_to_trace_is_seen(line: str) -> None:
    """Tracing cannot be hidden in another way to write it."""
    assert traces(f"#!/bin/bash\nset -euo pipefail\n{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "set -euo pipefail",
        "set -- -x",
        "tar -x -f a",
        "bash -s",
        "/bin/bash -c 'tar -x'",
        "# never set -x",
        "test -x /bin/sh",
    ],
)
def test_what_is_no_trace_is_none(line: str) -> None:
    """Other programs have an option -x, and comments may speak of it."""
    assert not traces(f"#!/bin/bash\n{line}\n")


def test_scripts_are_not_traced() -> None:
    """A trace would show what a script handles."""
    for path in [*folder("templates").rglob("*.sh.j2"), *(Path(__file__).parent / "golden").rglob("*.sh")]:
        assert not traces(path.read_text()), path


def test_only_the_reporter_prints() -> None:
    """print and echo belong to report and cli; the lab's own server processes write to their log."""
    for path in ROOT.rglob("*.py"):
        if room(module_of(path)) in ("cli", "report"):
            continue
        assert not re.search(r"^\s*(print|click\.echo)\(", path.read_text(), re.MULTILINE), path


def test_every_command_that_logs_in_asks_for_sudos_password() -> None:
    """Where a session is opened, -K is understood."""
    for path in (ROOT / "cli").glob("*.py"):
        text = path.read_text()
        if "import open_session" in text:
            assert re.search(r"^(@|        )sudo_option,?$", text, re.MULTILINE), path.name


def test_there_is_no_dry_run() -> None:
    """A plan is a check without the tools, not a flag inside a change."""
    for path in ROOT.rglob("*.py"):
        assert "dry_run" not in path.read_text(), path


def test_the_map_names_what_is_there() -> None:
    """A path in the page of the rooms, or in the guide for changes, is one."""
    top = ROOT.parent
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        for name in re.findall(r"`((?:[\w-]+/)+(?:[\w-]+(?:\.\w+)*)?)`", (top / page).read_text()):
            places = [top / name, ROOT / name, top / "docs" / name, *ROOT.glob(f"*/{name}")]
            in_steps = name in (*CATALOGUE, "phase/step") or name.rstrip("/") in {
                step.partition("/")[0] for step in CATALOGUE
            }
            assert in_steps or any(place.exists() for place in places), f"{page}: {name}"


def test_every_test_says_what_it_tests() -> None:
    """Each test function has a docstring."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
