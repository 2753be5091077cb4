"""Sources of packages and images: what a host is told of them, and what it is never told."""

import base64
import fcntl
import os
import subprocess
import tomllib
from pathlib import Path
from typing import cast

import pytest

from clusterctl.model import places
from clusterctl.model.facts import Link, Route
from clusterctl.model.secret import Secret
from clusterctl.render import Script
from clusterctl.rules import proxy, trouble
from clusterctl.steps.os.proxy import Proxy
from clusterctl.steps.runtime import containerd_config, registries
from clusterctl.steps.runtime.config import Config
from clusterctl.steps.runtime.containerd import Containerd
from clusterctl.steps.runtime.repository import Repository
from clusterctl.steps.step import Archive, ClusterApi, Tools
from tests.builders import PASSWORD, PAUSE, SOURCES, make_situation

SOURCED = make_situation(extra=SOURCES, containerd_version="2.3.7", images=(PAUSE,))


@pytest.mark.parametrize("version", ["1.7.33", "2.3.7"])
def test_containerd_reads_registries_one_way_in_all_versions(version: str) -> None:
    """The folder certs.d, which both formats name."""
    assert 'config_path = "/etc/containerd/certs.d"' in containerd_config.containerd_config(
        version, PAUSE, runtime={}, images={}
    )


def test_a_host_has_its_settings_wherever_it_is_named() -> None:
    """As a mirror and as itself: authority, password, and the path of an API that is given whole."""
    sources = SOURCED.cluster.sources
    pair = base64.b64encode(f"puller:{PASSWORD}".encode()).decode()
    own = {"ca": "/etc/containerd/certs.d/mirror.example:5000/ca.crt", "header": {"Authorization": f"Basic {pair}"}}

    mirrored = tomllib.loads(registries.hosts_toml("registry.k8s.io", sources))
    itself = tomllib.loads(registries.hosts_toml("mirror.example:5000", sources))
    loose = tomllib.loads(registries.hosts_toml("loose.example", sources))

    assert mirrored == {
        "server": "https://registry.k8s.io",
        "host": {
            "https://mirror.example:5000/v2/k8s": {
                "capabilities": ["pull", "resolve"],
                "override_path": True,
                **own,
            },
            "http://plain.example": {"capabilities": ["pull", "resolve"]},
        },
    }
    assert itself == {"server": "https://mirror.example:5000", **own}
    assert loose == {"server": "https://loose.example", "skip_verify": True}


def test_passwords_reach_a_host_through_standard_input_alone() -> None:
    """What is previewed, planned and sent as a script holds none of them, in no form."""
    step, handed = Config(), dict[str, str]()
    pair = base64.b64encode(f"puller:{PASSWORD}".encode()).decode()

    class Recorder:
        def run(self, script: Script) -> str:
            handed["script"] = script.text
            return ""

        def put_secret(self, path: str, content: Secret) -> None:
            handed[path] = content.reveal()

        def fetch(self, path: str) -> Secret:
            raise AssertionError("nothing is read")

        def copy(self, path: str, to: Path, *, sha256: str) -> None:
            raise AssertionError("nothing is copied")

    tools = Tools(
        Recorder(),
        _never,
        lambda text: None,
        lambda source: "",
        lambda name: Recorder(),
        lambda: False,
        "ada@desk",
        archive=cast(Archive, None),
    )
    step.apply(SOURCED, tools)

    assert {path for path, text in handed.items() if pair in text} == {
        "/run/clusterctl/registries/registry.k8s.io",
        "/run/clusterctl/registries/mirror.example:5000",
    }
    shown = step.preview(SOURCED) + "".join(file.content for file in step.files(SOURCED))
    assert PASSWORD not in shown
    assert pair not in shown


def _never() -> ClusterApi:
    raise AssertionError("this step does not ask the API")


def test_a_proxy_is_passed_by_for_what_is_inside() -> None:
    """Containers' traffic, the cluster's names, and what the inventory adds; apt's file names hosts alone."""
    variables = proxy.environment(SOURCED.cluster)

    assert variables["no_proxy"] == (
        "localhost,127.0.0.1,::1,.svc,.cluster.local,10.10.0.0/16,10.96.0.0/12,"
        "mirror.example,.internal.example,10.0.0.0/8"
    )
    assert variables["HTTP_PROXY"] == variables["http_proxy"] == "http://proxy.example:3128"
    assert "https_proxy" not in variables
    assert proxy.environment(make_situation().cluster) == {}
    assert Proxy().files(SOURCED)[0].content.splitlines()[1:] == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::http::Proxy::mirror.example "DIRECT";',
        'Acquire::https::Proxy "DIRECT";',
        'Acquire::https::Proxy::mirror.example "DIRECT";',
    ]


def test_the_control_plane_reaches_nodes_and_endpoint_without_the_proxy() -> None:
    """Also a node that joins later in the same network, since the network counts."""
    link = {"192.0.2.11": Link("eth0", "", 1500)}
    routes = (Route("192.0.2.0/24", "eth0"), Route("198.51.100.0/24", "eth1"))

    variables = proxy.control_plane_environment(make_situation(extra=SOURCES, links=link, routes=routes))

    assert variables["NO_PROXY"].split(",")[7:-3] == ["192.0.2.11", "192.0.2.0/24", "192.0.2.21", "192.0.2.22"]


@pytest.mark.parametrize(
    ("source", "line", "key", "package"),
    [
        (
            "{packages: docker}",
            "https://download.docker.com/linux/debian bookworm stable",
            "https://download.docker.com/linux/debian/gpg",
            "containerd.io",
        ),
        (
            "{packages: docker, url: 'http://m.example/docker', suite: trixie}",
            "http://m.example/docker/debian trixie stable",
            "http://m.example/docker/debian/gpg",
            "containerd.io",
        ),
        (
            f"{{packages: repository, url: 'http://m/c', key_fingerprint: {'A' * 40}}}",
            "http://m/c /",
            "http://m/c/Release.key",
            "containerd.io",
        ),
        (
            "{packages: repository, url: 'http://m', suite: s, components: [a, b], key: 'http://k/k', "
            f"key_fingerprint: {'A' * 40}, package: containerd-stable}}",
            "http://m s a b",
            "http://k/k",
            "containerd-stable",
        ),
    ],
)
def test_containerd_comes_from_where_the_inventory_says(source: str, line: str, key: str, package: str) -> None:
    """Docker's repository by the host's system, or one's own, flat or with a suite."""
    situation = make_situation(extra=f"  sources: {{containerd: {source}}}")

    (file,) = Repository().files(situation)

    assert file.content == f"deb [signed-by={places.CONTAINERD_KEYRING}] {line}\n"
    assert f' -o "$work/key" {key}\n' in Repository().script(situation).text
    assert f"--no-upgrade {package}\n" in Containerd().script(situation).text


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "make room on w1"),
        ("ctr: failed to copy: write /var/lib/containerd/x: no space left on device", "make room on w1"),
        ("E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a'", "ssh 192.0.2.21 sudo dpkg"),
        ("waited 600 s in vain: unattended-upgr (process 7) holds the lock /x", "ps -fp"),
        ("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)", "ps -fp"),
        ("the key at http://m is not AA, which the inventory expects, but:", "compare the key"),
        ("E: Version '1.36.9-*' for 'kubeadm' was not found", "apt-cache policy"),
        ('ctr: failed to do request: Head "https://m/v2/pause/manifests/1": tls: x509: unknown authority', "ca_file"),
        ("ctr: failed to resolve image: unexpected status from HEAD request to x: 401 Unauthorized", "password"),
        ('Head "https://m/v2/a/manifests/1": http: server gave HTTP response to HTTPS client', "speaks no TLS"),
        ("curl: (7) Failed to connect to m port 80", "try that address from w1"),
        ('[ERROR CreateJob]: Job "upgrade-health-check-1" in the namespace "kube-system" did not', "get events"),
        ("error execution phase preflight: couldn't validate the identity: x509: unknown authority", ""),
        ("dial tcp 192.0.2.11:6443: connect: connection refused", ""),
    ],
)
def test_a_known_trouble_has_its_next_step(said: str, advice: str) -> None:
    """By what the host's programs say; what is not known gets no guess."""
    found = trouble.next_step(make_situation("w1"), said)

    assert advice in found
    assert bool(found) == bool(advice)


def test_who_holds_a_package_lock_is_named(tmp_path: Path) -> None:
    """Run for real: nothing while the lock is free, then the process that holds it."""
    lock = tmp_path / "lock"
    lock.touch()
    text = Containerd().preview(SOURCED)
    function = text[text.index("  package_lock() {") : text.index("  # apt by itself")]
    ask = ["bash", "-ec", function.replace("/var/lib/apt/lists/lock", str(lock)) + "package_lock"]

    free = subprocess.run(ask, capture_output=True, text=True, check=True)
    with lock.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        taken = subprocess.run(ask, capture_output=True, text=True, check=True)

    assert (free.stdout, free.stderr) == ("", "")
    name = Path("/proc/self/comm").read_text().strip()
    assert taken.stdout == f"{name} (process {os.getpid()}) holds the lock {lock}\n"
