"""The mechanical agreements of this repository, so that reviews can be about the rest."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import clusterctl
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE

ROOT = Path(clusterctl.__file__).parent
# Who may import whom inside the package (DESIGN: arrows point one way).
ALLOWED = {
    "model": {"errors"},
    "resources": set[str](),
    "errors": set[str](),
    "render": {"model", "resources", "errors"},
    "steps": {"model", "render", "errors"},
    "engine": {"model", "steps", "errors"},
    "remote": {"model", "render", "errors"},
    "kube": {"model", "render", "errors"},
    "report": {"model", "engine", "errors"},
    "lab": {"errors", "resources"},
    "cli": {"model", "render", "resources", "steps", "engine", "remote", "kube", "report", "lab", "errors"},
}


def imports(path: Path) -> Iterator[str]:
    """The top names below clusterctl that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.startswith("clusterctl."):
                yield name.split(".")[1]


def test_arrows_point_one_way() -> None:
    """cli → engine → steps → model; remote, kube and report are handed over at the top."""
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        wrong += [
            f"{path.name} in {room} imports {other}" for other in imports(path) if other not in {*ALLOWED[room], room}
        ]

    assert not wrong


def test_steps_are_named_after_their_file() -> None:
    """phase/step lives in steps/phase.py or steps/phase_….py; its title is an imperative without a full stop."""
    for step in CATALOGUE.values():
        phase, _, name = step.name.partition("/")
        module = type(step).__module__.rpartition(".")[2]
        assert module == phase.replace("-", "_") or module.startswith(f"{phase}_")
        assert re.fullmatch(r"[a-z-]+", name)
        assert step.title[0].isupper()
        assert not step.title.endswith(".")


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


def test_scripts_are_not_traced() -> None:
    """A trace would show what a script handles."""
    for path in folder("templates").rglob("*.sh.j2"):
        assert not re.search(r"set -\w*x", path.read_text())


def test_only_the_reporter_prints() -> None:
    """print and echo belong to report and cli; the lab's own server processes write to their log."""
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] in ("cli", "report"):
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


def test_every_test_says_what_it_tests() -> None:
    """Each test function has a docstring."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
