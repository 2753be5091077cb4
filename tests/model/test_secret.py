"""A secret is read where the inventory says, and shows itself nowhere."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from clusterctl.errors import InputError
from clusterctl.model.inventory.strict import FOLDER, SecretSource
from clusterctl.model.secret import Secret, redact


def private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is there."""
    monkeypatch.setenv("SUDO_PASSWORD", " p@ss \u00e4")

    assert SecretSource(env="SUDO_PASSWORD").read("the password").reveal() == " p@ss \u00e4"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_secret_comes_from_a_file(tmp_path: Path, end: bytes) -> None:
    """Without the end of its line, which editors write; a relative path starts at the inventory's folder."""
    private(tmp_path / "password", b"hunter22 " + end)

    source = SecretSource.model_validate({"file": "password"}, context={FOLDER: tmp_path})

    assert source.read("the password").reveal() == "hunter22 "


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Whatever they may do with it."""
    path = private(tmp_path / "password", b"hunter22")
    path.chmod(mode)

    with pytest.raises(InputError, match=rf"the password: others may read .*{mode:04o}") as caught:
        SecretSource.model_validate({"file": str(path)}).read("the password")

    assert caught.value.resolution == f"chmod 600 {path}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter22\nmore\n", "is more than one line"),
        (b"hunter22\0", "is more than one line"),
        (b"hunter22\xff", "is not text in UTF-8"),
        (None, "cannot read .*No such file"),
    ],
)
def test_what_is_no_line_of_text_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """The error names the file and shows nothing of it."""
    path = tmp_path / "password"
    if content is not None:
        private(path, content)

    with pytest.raises(InputError, match=problem) as caught:
        SecretSource.model_validate({"file": str(path)}).read("the password")

    assert str(path) in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_a_variable_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a way to set it that leaves nothing in the shell's history."""
    monkeypatch.delenv("SUDO_PASSWORD", raising=False)

    with pytest.raises(InputError, match="the environment variable SUDO_PASSWORD is not set") as caught:
        SecretSource(env="SUDO_PASSWORD").read("the password")

    assert "read -rs SUDO_PASSWORD" in caught.value.resolution


@pytest.mark.parametrize(
    "value",
    [
        "hunter22",
        12345678,
        ["hunter22"],
        {},
        {"env": "hunter-22"},
        {"env": 12345678},
        {"file": 12345678},
        {"env": "A", "file": "b"},
        {"env": None},
    ],
)
def test_a_secret_itself_is_not_a_place(value: object) -> None:
    """Whoever wrote it into the inventory reads what to write there, and not the secret once more."""
    with pytest.raises(ValidationError) as caught:
        SecretSource.model_validate(value)

    messages = json.dumps([error["msg"] for error in caught.value.errors()])
    assert "must be" in messages
    assert "hunter" not in messages
    assert "12345678" not in messages


def test_a_place_is_written_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inventory as JSON names the place alone."""
    monkeypatch.setenv("SUDO_PASSWORD", "hunter22")
    source = SecretSource(env="SUDO_PASSWORD")
    source.read("the password")

    assert source.model_dump(mode="json", exclude_none=True) == {"env": "SUDO_PASSWORD"}
    assert "hunter22" not in f"{source} {source!r}"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("kubeadm join --token abcdef.0123456789abcdef x", "kubeadm join --token *** x"),
        (f"--certificate-key {'0a' * 32} x", "--certificate-key *** x"),
        (f"certificateKey: {'0a' * 32}", "certificateKey: ***"),
        (f"sha256:{'0a' * 32}", f"sha256:{'0a' * 32}"),
        ("containerd.service", "containerd.service"),
    ],
)
def test_what_looks_like_a_token_of_kubeadm_is_hidden(text: str, hidden: str) -> None:
    """Programs print them unasked; digests and names stay."""
    assert redact(text) == hidden


@pytest.mark.parametrize(
    ("secret", "text", "hidden"),
    [
        ("hunter22", "xhunter22x: hunter22", "x***x: ***"),
        ("abc", "abc is no part of abcd", "*** is no part of abcd"),
        ("a.*b", "a.*b, axxb", "***, axxb"),
        ("a whole\nfile of it\n", "it said: a whole\nfile of it", "it said: ***"),
        ("", "nothing", "nothing"),
    ],
)
def test_a_revealed_secret_is_hidden_in_what_others_say(secret: str, text: str, hidden: str) -> None:
    """A short one only where it stands alone: it may be a part of ordinary words."""
    value = Secret(secret)
    assert redact(text) == text

    value.reveal()

    assert redact(text) == hidden


def test_the_longer_of_two_secrets_is_hidden_first() -> None:
    """So that nothing of it is left behind a shorter one."""
    for value in ("hunter", "hunter22"):
        Secret(value).reveal()

    assert redact("hunter22 and hunter") == "*** and ***"
