"""Packages and images: locks, a full disk, wrong keys, a mirror with an authority and a password, a proxy; for real.

The tests of this file build on each other, in their order: two machines get packages and images once, and no cluster.
"""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from clusterctl.lab.lab import Lab
from tests.e2e.conftest import LabFactory
from tests.e2e.servers import Proxy, guarded_registry
from tests.e2e.test_preflight import firewall, on

pytestmark = pytest.mark.e2e

PASSWORD = "correct-horse-battery"
PAIR = base64.b64encode(f"puller:{PASSWORD}".encode()).decode()
REPOSITORIES = ("preflight/packages", "runtime/repository", "runtime/containerd", "packages/repository")
IMAGES = ("runtime/config", "runtime/images")
LOCK = "/var/lib/apt/lists/lock"
# Holds a lock that apt itself would not wait for, as a program that comes at night does.
HOLDER = f"""systemd-run --quiet --collect perl -e '
  use Fcntl; $0 = "unattended-upgr"; open my $lock, ">>", "{LOCK}" or die;
  my $whole = pack "s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0; fcntl $lock, F_SETLK, $whole or die; sleep 14'"""


@dataclass
class Site:
    """Two machines, and how an operator runs steps on them."""

    lab: Lab
    folder: Path
    registry: str

    def inventory(self, *, proxy: str = "", registry: dict[str, object] | None = None, **sources: object) -> Path:
        """The lab's inventory; images come from our mirror, of which ``registry`` says something else."""
        data = yaml.safe_load(self.lab.inventory.read_text())
        cluster = data["cluster"]
        settings: dict[str, object] = {
            "ca_file": str(self.folder / "ca.crt"),
            "username": "puller",
            "password": {"env": "MIRROR_PASSWORD"},
            **(registry or {}),
        }
        mirrored = {name: {"mirrors": [f"https://{self.registry}"]} for name in ("registry.k8s.io", "ghcr.io")}
        own = {key: value for key, value in settings.items() if value is not None}
        cluster["sources"] = {**cluster["sources"], "registries": {**mirrored, self.registry: own}, **sources}
        if proxy:
            cluster["proxy"] = {"http": proxy, "https": proxy}
        path = self.folder / "inventory.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    def containerd(self, **changes: str) -> dict[str, str]:
        """The lab's repository as one of our own."""
        sources = yaml.safe_load(self.lab.inventory.read_text())["cluster"]["sources"]
        own = {
            "packages": "repository",
            "url": f"{sources['packages']}/containerd",
            "key_fingerprint": sources["packages_key_fingerprint"],
            "package": "containerd",
        }
        return {**own, **changes}

    def call(self, *words: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        """Run clusterctl as an operator would."""
        return subprocess.run(
            [sys.executable, "-m", "clusterctl", "-i", str(self.folder / "inventory.yaml"), *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MIRROR_PASSWORD": password, "XDG_STATE_HOME": str(self.folder / "state")},
        )

    def run(self, *steps: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        """Run these steps on both machines."""
        playbook = self.folder / "sources.yaml"
        playbook.write_text(yaml.safe_dump({"plays": [{"name": "Sources", "hosts": "all", "run": list(steps)}]}))
        return self.call("run", str(playbook), "--yes", password=password)


def failed(done: subprocess.CompletedProcess[str], *texts: str, code: int = 6) -> None:
    """The run ended with an error that names all of this and a next step."""
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    for text in (*texts, "Next: "):
        assert text in said, said
    assert "Traceback" not in said
    assert PASSWORD not in said
    assert PAIR not in said


def good(done: subprocess.CompletedProcess[str]) -> str:
    """What a run said that came to its end."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(lab: LabFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One control plane and one worker, which know no repository but Debian's and what we tell them."""
    made = lab(control_planes=1, workers=1, name="e2e-src")
    folder = tmp_path_factory.mktemp("site")
    for name in ("cp1", "w1"):
        on(made, name, "rm /etc/apt/sources.list.d/clusterctl-lab.list")
    with guarded_registry(folder, made.registry.host, "puller", PASSWORD) as registry:
        yield Site(made, folder, registry)


def test_a_repository_with_another_key_is_refused(site: Site) -> None:
    """Both fingerprints are told, and apt gets neither key nor list."""
    site.inventory(containerd=site.containerd(key_fingerprint="A" * 40))

    done = site.run("runtime/repository")

    failed(done, "A" * 40, str(site.containerd()["key_fingerprint"]), "Next: compare the key")
    assert site.lab.run("w1", "ls /etc/apt/sources.list.d /etc/apt/keyrings").find("clusterctl-containerd") == -1


def test_a_repository_that_does_not_answer_is_told(site: Site) -> None:
    """curl says why, and we what to do."""
    site.inventory(containerd=site.containerd(), packages=f"http://{site.lab.registry.host}:9")

    failed(site.run("packages/repository"), "curl: (7)", "cluster.sources names other sources")


@pytest.mark.timeout(300)
def test_a_package_lock_is_waited_for_in_sight(site: Site) -> None:
    """The process that holds it is named while we wait; the other host does not wait for it."""
    site.inventory(containerd=site.containerd())
    on(site.lab, "cp1", HOLDER)

    said = good(site.run(*REPOSITORIES))

    waiting = [line for line in said.splitlines() if "unattended-upgr (process " in line]
    assert any(" cp1 " in line and f"holds the lock {LOCK}" in line for line in waiting), said
    assert not [line for line in waiting if " w1 " in line], said
    for name in ("cp1", "w1"):
        assert "clusterctl-containerd" in site.lab.run(name, "apt-cache policy containerd; ls /etc/apt/keyrings")
        assert site.lab.run(name, "containerd --version").split()[2].startswith("v2.")


def test_a_version_that_the_repository_lacks_is_told(site: Site) -> None:
    """By apt, for a repository that lost it after the checks."""
    path = site.inventory(containerd=site.containerd())
    path.write_text(path.read_text().replace("kubernetes: 1.36.3", "kubernetes: 1.36.99"))

    failed(site.run("packages/kubernetes"), "Version '1.36.99-*' for 'kubeadm' was not found", "apt-cache policy")


@pytest.mark.timeout(300)
def test_a_full_disk_stops_one_host_and_the_same_command_goes_on(site: Site) -> None:
    """Nothing half installed stays; the other host got its packages meanwhile."""
    site.inventory(containerd=site.containerd())
    archives = "/var/cache/apt/archives"
    on(site.lab, "cp1", f"mount -t tmpfs -o size=1m none {archives}", f"mkdir {archives}/partial")

    done = site.run("packages/kubernetes")
    on(site.lab, "cp1", f"umount {archives}")

    failed(done, "cp1: packages/kubernetes failed", "enough free space", "Next: make room on cp1")
    assert "ok installed" in site.lab.run("w1", "dpkg-query -W -f '${Status}' kubelet")
    good(site.run("packages/kubernetes"))


def test_an_interrupted_installation_blocks_until_it_is_finished(site: Site) -> None:
    """Really half done: unpacked and not configured. The command that we give mends it."""
    on(
        site.lab,
        "w1",
        "apt-get -q download runc && mv runc_*.deb /var/tmp/ && dpkg --unpack /var/tmp/runc_*.deb",
    )

    done = site.run("preflight/packages")
    on(site.lab, "w1", "dpkg --configure -a")

    failed(done, "w1", "runc is unpacked", "sudo dpkg --configure -a", code=3)
    good(site.run("preflight/packages"))


@pytest.mark.parametrize(
    ("registry", "password", "texts"),
    [
        ({"ca_file": None}, PASSWORD, ("x509", "Next: name the certificate of the registry's authority")),
        (
            {"ca_file": None, "skip_verify": True},
            "another-password",
            ("authorization failed", "Next: correct username and password"),
        ),
    ],
)
def test_an_image_that_cannot_be_pulled_is_told(
    site: Site, registry: dict[str, object], password: str, texts: tuple[str, ...]
) -> None:
    """An unknown authority, a wrong password: what the registry said, and what to correct."""
    site.inventory(containerd=site.containerd(), registry=registry)

    failed(site.run(*IMAGES, password=password), *texts)


def test_a_password_that_is_not_there_is_bad_input(site: Site) -> None:
    """Before any host is touched; the error says how to give it."""
    site.inventory(containerd=site.containerd(), registry={"password": {"env": "NOT_SET_ANYWHERE"}})

    failed(site.run(*IMAGES), "the password of puller", "NOT_SET_ANYWHERE is not set", code=2)


@pytest.mark.timeout(300)
def test_images_come_through_the_mirror_and_a_host_in_trouble_stops_alone(site: Site) -> None:
    """Of two hosts one does not reach the mirror, then its disk is full; then it gets its images as well."""
    site.inventory(containerd=site.containerd())
    port = site.registry.rpartition(":")[2]
    reject = ("-p", "tcp", "--dport", port, "-j", "REJECT", "--reject-with", "tcp-reset")
    content = "/var/lib/containerd/io.containerd.content.v1.content"

    firewall(site.lab, "cp1", "-A", "OUTPUT", *reject)
    unreachable = site.run(*IMAGES)
    firewall(site.lab, "cp1", "-F", "OUTPUT")
    on(site.lab, "cp1", f"mkdir -p {content}/ingest && mount -t tmpfs -o size=1m none {content}")
    on(site.lab, "cp1", f"mkdir {content}/ingest")
    full = site.run(*IMAGES)
    on(site.lab, "cp1", f"umount {content}")

    failed(unreachable, "cp1: runtime/images failed", "connection refused", "Next: try that address from cp1")
    assert "kube-proxy" in site.lab.run("w1", "sudo ctr -n k8s.io images ls -q")
    failed(full, "cp1: runtime/images failed", "no space left on device", "Next: make room on cp1")
    good(site.run(*IMAGES))
    pulled = site.lab.run("cp1", "sudo ctr -n k8s.io images ls -q")
    for name in ("pause", "etcd", "coredns", "kube-apiserver", "kube-proxy"):
        assert f"registry.k8s.io/{name}" in pulled
    assert "Nothing to do" in good(site.run(*REPOSITORIES, "packages/kubernetes", *IMAGES))


def test_the_kubelets_way_is_open_as_well(site: Site) -> None:
    """kubeadm pulls by the CRI, as the kubelet does: it reads authority and password from the same folder."""
    on(site.lab, "cp1", "ctr -n k8s.io images rm $(ctr -n k8s.io images ls -q | grep coredns)")

    on(site.lab, "cp1", "kubeadm config images pull --kubernetes-version 1.36.3")

    assert "coredns" in site.lab.run("cp1", "sudo ctr -n k8s.io images ls -q")


def _found(command: list[str], secrets: str) -> list[str]:
    """What a search says that is given what it looks for through its standard input."""
    return subprocess.run(command, input=secrets, capture_output=True, text=True, check=False).stdout.split()


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_the_password_is_in_files_of_root_and_nowhere_else(site: Site, name: str) -> None:
    """Not in what we wrote on the host or here, nor in its journal."""
    folder = "/etc/containerd/certs.d"
    files = " ".join(f"{folder}/{host}/hosts.toml" for host in ("registry.k8s.io", "ghcr.io", site.registry))
    assert site.lab.run(name, f"sudo stat -c '%a %U' {files}").split() == ["600", "root"] * 3
    assert site.lab.run(name, f"sudo cat {files}").count(f'Authorization = "Basic {PAIR}"') == 3

    secrets = f"{PASSWORD}\n{PAIR}\n"
    there = site.lab.ssh_command(name, "sudo grep -rlFf - /run /tmp /etc /home /root /var/log || true")
    assert set(_found(there, secrets)) == set(files.split())
    journal = site.lab.ssh_command(
        name, "sudo sh -c 'journalctl --no-pager >/run/journal'; sudo grep -cFf - /run/journal"
    )
    assert _found(journal, secrets) == ["0"]
    assert _found(["grep", "-rlFf", "-", str(site.folder)], secrets) == []
    assert "Authorization" not in good(site.call("facts", name, "--json"))


@pytest.mark.timeout(300)
def test_everything_comes_through_the_proxy_where_it_is_the_only_way(site: Site) -> None:
    """Packages, keys, images and the checks before; without it nothing is reached, and it can be taken back."""
    gateway = site.lab.registry.host
    proxy = Proxy(gateway)
    port = proxy.address.rpartition(":")[2]
    for name in ("cp1", "w1"):
        firewall(site.lab, name, "-A", "OUTPUT", "-p", "tcp", "-d", gateway, "--dport", port, "-j", "ACCEPT")
        firewall(site.lab, name, "-A", "OUTPUT", "-p", "tcp", "-d", gateway, "--syn", "-j", "REJECT")
    on(site.lab, "w1", "ctr -n k8s.io images rm $(ctr -n k8s.io images ls -q | grep pause)", "rm /etc/apt/keyrings/k*")
    steps = ("preflight/source", "preflight/registries", "os/proxy", *REPOSITORIES, *IMAGES)

    site.inventory(containerd=site.containerd())
    failed(site.run(*steps), f"https://{site.registry}: curl: (7)", "registry.k8s.io does not answer", code=3)
    site.inventory(containerd=site.containerd(), proxy=proxy.address)
    good(site.run(*steps))
    on(site.lab, "w1", "apt-get -q update", "systemctl show -p Environment containerd | grep -q HTTPS_PROXY=")

    assert site.registry in proxy.asked
    assert any(path.endswith("/Release.key") for path in proxy.asked)
    assert any("/containerd/" in path and path.endswith("InRelease") for path in proxy.asked)
    for name in ("cp1", "w1"):
        firewall(site.lab, name, "-F", "OUTPUT")
    site.inventory(containerd=site.containerd())
    good(site.run("os/proxy", "runtime/config"))
    on(site.lab, "w1", "! systemctl show -p Environment containerd | grep PROXY", "! ls /etc/apt/apt.conf.d/*proxy*")
    proxy.shutdown()
    proxy.server_close()
