"""Values are quoted by construction, and secrets cannot be rendered."""

import shlex
import subprocess

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterctl.model.secret import Secret
from clusterctl.render import document, script, text
from clusterctl.steps.step import File

ODD = 'it\'s; $(touch /tmp/never) `id` "x" \\ \n end'


def test_shell_values_are_quoted() -> None:
    """A value with everything the shell treats specially arrives as it is."""
    text = script("os/sysctl", file=File("/etc/a b", ODD)).text

    assert shlex.quote(ODD) in text
    assert "'/etc/a b'" in text


@settings(deadline=None)  # The machine may be busy.
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40))
def test_any_text_reaches_the_shell_unchanged(value: str) -> None:
    """Whatever the inventory says, bash sees the same."""
    text = script("os/sysctl", file=File("/x", value)).text
    line = text[text.index("  put_file /x") : text.index("  sysctl --quiet")]

    result = subprocess.run(
        ["bash", "-c", f"put_file() {{ printf '%s' \"$3\"; }}\n{line}"], capture_output=True, check=True
    )

    assert result.stdout.decode() == value


@pytest.mark.parametrize("value", ["eth0 }", "a\nb", "", Secret("token"), None])
def test_a_plain_file_takes_plain_words_alone(value: object) -> None:
    """A language without quotes cannot be misled."""
    values = {"name": "cp1", "address": "192.0.2.1", "peers": [], "priority": 1, "virtual_ip": "192.0.2.9/32"}

    with pytest.raises(TypeError):
        text("endpoint/keepalived.conf.j2", device=value, **values)
    assert "interface eth0.7\n" in text("endpoint/keepalived.conf.j2", device="eth0.7", **values)


@pytest.mark.parametrize("value", [Secret("token"), (Secret("token"),)])
def test_a_secret_cannot_be_rendered(value: object) -> None:
    """The renderer refuses it, and the error does not show it."""
    with pytest.raises(TypeError) as caught:
        script("packages/kubernetes", packages=value, hold=())

    assert "token" not in str(caught.value).replace("secret", "")


def test_a_secret_cannot_be_rendered_into_yaml() -> None:
    """Nor into a document."""
    with pytest.raises(TypeError):
        document(
            "kubeadm/join.yaml.j2", node_name=Secret("x"), node_address="", ignore_preflight_errors=[], discovery=""
        )


def test_a_secret_does_not_show_itself() -> None:
    """Neither in print nor in a format nor in a repr."""
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {secret:>20}"
    assert secret.reveal() == "hunter2"


def test_an_undefined_name_is_an_error() -> None:
    """A template never writes nothing for something."""
    with pytest.raises(jinja2.UndefinedError):
        script("os/sysctl")
