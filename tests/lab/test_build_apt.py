"""How the outer machine's way to Debian's archive is taken over."""

import pytest

from clusterctl.errors import InputError
from clusterctl.lab.build.apt import BOOKWORM, MIRROR_VARIABLE, settings, sources

KEYRING = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
DEFAULT = (
    f"Types: deb\nURIs: http://own.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n{KEYRING}"
    "\n"
    f"Types: deb\nURIs: http://own.example/debian-security\nSuites: bookworm-security\nComponents: main\n{KEYRING}"
)
MIRROR = f"Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n{KEYRING}"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ({}, DEFAULT),
        ({"sources.list": "deb http://mirror.example/debian bookworm main contrib\n"}, MIRROR),
        (
            {"sources.list": "deb [arch=amd64] http://mirror.example/debian bookworm main\n# deb x bookworm main\n"},
            MIRROR,
        ),
        (
            {
                "debian.sources": (
                    "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\n"
                    "Components: main\nSigned-By: /elsewhere.gpg\n"
                )
            },
            MIRROR,
        ),
        ({"off.sources": "Types: deb\nURIs: http://x\nSuites: bookworm\nComponents: main\nEnabled: no\n"}, DEFAULT),
        ({"ubuntu.sources": "Types: deb\nURIs: http://x\nSuites: noble\nComponents: main\n"}, DEFAULT),
        ({"docker.list": "deb https://docker.example/debian bookworm stable\n"}, DEFAULT),
        ({"pg.list": "deb https://pg.example/apt bookworm-pgdg main\n"}, DEFAULT),
    ],
    ids=[
        "none",
        "one-line",
        "options",
        "deb822",
        "switched off",
        "another system",
        "another component",
        "another suite",
    ],
)
def test_a_mirror_is_kept_and_everything_else_is_left_out(
    texts: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outer machine's sources count where they are those of the same distribution."""
    monkeypatch.setenv(MIRROR_VARIABLE, "http://own.example/debian")

    assert sources(BOOKWORM, texts) == found


def test_without_any_source_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another distribution the archive has to be named."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)

    with pytest.raises(InputError, match="do not name debian bookworm") as caught:
        sources(BOOKWORM, {})

    assert MIRROR_VARIABLE in caught.value.resolution


def test_the_settings_that_decide_how_an_archive_is_reached_are_kept() -> None:
    """A proxy is, languages and index formats are not."""
    dump = (
        'Acquire "";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https "";\n'
        'Acquire::Check-Date "false";\n'
        'Acquire::Languages:: "none";\n'
        'DPkg::Post-Invoke:: "rm -f /x";\n'
    )

    assert settings(dump, {}) == 'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Date "false";\n'


@pytest.mark.parametrize(
    ("dump", "found"),
    [
        ("", 'Acquire::http::Proxy "http://env.example:1";\n'),
        ('Acquire::http::Proxy "http://a.example:1";\n', 'Acquire::http::Proxy "http://a.example:1";\n'),
    ],
)
def test_a_proxy_in_the_environment_counts_when_apt_names_none(dump: str, found: str) -> None:
    """Machines do not see the environment of this process, so it becomes a setting."""
    assert settings(dump, {"http_proxy": "http://env.example:1"}) == found
