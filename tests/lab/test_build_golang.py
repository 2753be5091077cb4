"""Go modules: what is written and how it is compiled."""

import json

import pytest

from clusterctl.lab.build.golang import GoBuild, new_enough, not_found

BUILD = GoBuild(
    requires={"example.org/b": "v2.0.0", "example.org/a": "v1.0.0"},
    replaces={"example.org/c": "example.org/c v0.1.0"},
    packages=("example.org/a/cmd/x",),
    tags=("one", "two"),
    sets={"example.org/a.Version": "v1.0.0"},
)


def test_the_module_requires_what_is_asked_for() -> None:
    """One small module of ours pins every version."""
    assert BUILD.go_mod() == (
        "module lab\ngo 1.26\n"
        "require (\n\texample.org/a v1.0.0\n\texample.org/b v2.0.0\n)\n"
        "replace (\n\texample.org/c => example.org/c v0.1.0\n)\n"
    )


def test_programs_are_stripped_and_say_their_version() -> None:
    """No path of this machine is in them, and the link flags set the versions."""
    assert BUILD.flags() == [
        "-mod=mod",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags=-s -w -X example.org/a.Version=v1.0.0",
        "-tags=one,two",
    ]


def test_a_static_program_with_c_in_it_links_the_c_library() -> None:
    """It runs on any base image."""
    flags = GoBuild(requires={}, static=True).flags()

    assert "-ldflags=-s -w -linkmode external -extldflags -static" in flags
    assert "-tags=netgo,osusergo" in flags


def test_a_recipe_tells_everything() -> None:
    """Whatever changes the result changes the recipe."""
    assert json.loads(BUILD.recipe())["tags"] == ["one", "two"]
    assert BUILD.recipe() != GoBuild(requires=BUILD.requires).recipe()


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.27rc1 linux/amd64", True),
        ("go version go2.0 linux/amd64", True),
        ("go version go1.25.9 linux/amd64", False),
        ("", False),
    ],
)
def test_an_old_go_is_not_used(version: str, *, enough: bool) -> None:
    """The machine's own Go counts when it is new enough."""
    assert new_enough(version) is enough


@pytest.mark.parametrize(
    ("error", "absent"),
    [
        ("reading …/v3.6.99.info: 404 Not Found", True),
        ("reading …/v3.6.99.info: 410 Gone", True),
        ("403 Forbidden\n\tserver response: This module version is not available.", True),
        ("invalid version: unknown revision server/v3.6.99", True),
        ("dial tcp 192.0.2.1:443: connect: connection refused", False),
        ("502 Bad Gateway", False),
    ],
)
def test_no_answer_is_not_the_same_as_no_such_version(error: str, *, absent: bool) -> None:
    """A proxy that does not answer must not make the lab take another version."""
    assert not_found(json.dumps({"Error": error})) is absent


def test_an_answer_that_is_no_json_says_nothing() -> None:
    """A killed tool leaves half an answer."""
    assert not not_found('{"Err')
