"""Playbooks are read strictly."""

from pathlib import Path

import pytest

from clusterctl.engine.playbook import load_playbook
from clusterctl.errors import InputError
from clusterctl.resources import folder
from clusterctl.steps.catalogue import CATALOGUE


@pytest.mark.parametrize("path", sorted(folder("playbooks").glob("*.yaml")), ids=lambda path: path.name)
def test_our_playbooks_load(path: Path) -> None:
    """Every playbook in the folder is whole."""
    assert load_playbook(path, CATALOGUE).plays


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Unknown keys and steps come with a suggestion."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "plays:\n"
        "  - {name: a, hosts: everywhere, run: [os/swap-of]}\n"
        "  - {name: b, hosts: all, run: [os/swap-off], batches: 2}\n"
        "  - {name: c, hosts: all, run: [os/swap-off], batch: -1}\n"
        "  - {name: d, hosts: all, run: [os/swap-off], batch: 0%, max_failures: 10%}\n"
        "  - {name: e, hosts: all, run: [os/swap-off], batch: 101%, undivided: 1}\n"
    )

    with pytest.raises(InputError) as caught:
        load_playbook(path, CATALOGUE)

    text = str(caught.value)
    assert "plays[0]: hosts: must be one of" in text
    assert "did you mean 'os/swap-off'?" in text
    assert "did you mean 'batch'?" in text
    assert "plays[2]: batch: must be a number" in text
    assert "plays[3]: batch: must be a number" in text
    assert "plays[3]: max_failures: must be a number" in text
    assert "plays[4]: batch: must be a number" in text
    assert "plays[4]: undivided: must be true or false" in text


@pytest.mark.parametrize("text", ["", "[]", "plays: []", "plays: 3", "a: b"])
def test_a_file_that_is_no_playbook_is_refused(tmp_path: Path, text: str) -> None:
    """The error says what a playbook is."""
    path = tmp_path / "own.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match="a playbook is a mapping"):
        load_playbook(path, CATALOGUE)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """No traceback for a misspelt path."""
    with pytest.raises(InputError, match="cannot read"):
        load_playbook(tmp_path / "absent.yaml", CATALOGUE)
