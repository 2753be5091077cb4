"""Packages and repositories: laid out and signed as the official ones."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterctl.errors import CommandFailed
from clusterctl.lab.build import deb, repository
from clusterctl.lab.build.cache import Cache
from clusterctl.lab.build.items import FILES, Item, Workshop
from clusterctl.lab.build.kubernetes import debs, go_build, staging


def make_shop(root: Path, name: str = "test") -> Workshop:
    """Return a workshop in a cache of its own."""
    return Workshop(Cache(root), name, lambda: None, lambda text: None)


def test_the_control_file_of_the_kubelet_is_that_of_the_official_package() -> None:
    """Its name, version and dependencies are what apt sees."""
    kubelet = next(package for package in debs("1.36.3", Path("bin")) if package.package == "kubelet")

    assert kubelet.control("amd64", 85000) == (
        "Package: kubelet\n"
        "Version: 1.36.3-1.1\n"
        "Architecture: amd64\n"
        "Maintainer: clusterctl lab <lab@clusterctl.invalid>\n"
        "Installed-Size: 85000\n"
        "Depends: kubernetes-cni (>= 1.2.0), iptables (>= 1.4.21), mount, util-linux\n"
        "Section: net\n"
        "Priority: optional\n"
        "Homepage: https://kubernetes.io\n"
        "Description: Node agent for Kubernetes clusters\n"
    )


@pytest.mark.parametrize(
    ("package", "paths"),
    [
        (
            "kubeadm",
            {"usr/bin/kubeadm", "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"},
        ),
        (
            "kubelet",
            {
                "usr/bin/kubelet",
                "usr/lib/systemd/system/kubelet.service",
                "etc/default/kubelet",
                "etc/kubernetes/manifests/.kubelet-keep",
                "var/lib/kubelet/.kubelet-keep",
            },
        ),
        ("kubectl", {"usr/bin/kubectl"}),
    ],
)
def test_each_package_has_the_files_of_the_official_one(package: str, paths: set[str]) -> None:
    """The kubelet's drop-in belongs to kubeadm, as upstream."""
    found = {each.package: each for each in debs("1.36.3", Path("bin"))}

    assert set(found) == {"kubeadm", "kubelet", "kubectl"}
    assert set(found[package].files) == paths
    assert found[package].file_name("amd64") == f"{package}_1.36.3-1.1_amd64.deb"


def test_only_the_kubelet_depends_on_anything() -> None:
    """kubeadm and kubectl install alone."""
    assert {each.package for each in debs("1.36.3", Path("bin")) if each.depends} == {"kubelet"}


@pytest.mark.parametrize("script", sorted(FILES.rglob("p*inst")) + sorted(FILES.rglob("p*rm")))
def test_maintainer_scripts_are_valid_shell(script: Path) -> None:
    """A script with a typing error would break every installation."""
    subprocess.run(["sh", "-n", script], check=True)


def test_staging_modules_come_from_kubernetes_own_go_mod() -> None:
    """No table of them is kept here."""
    go_mod = (
        "module k8s.io/kubernetes\n"
        "require k8s.io/api v0.0.0\n"
        "replace (\n"
        "\tk8s.io/sample-cli-plugin => ./staging/src/k8s.io/sample-cli-plugin\n"
        "\tk8s.io/api => ./staging/src/k8s.io/api\n"
        "\texample.org/x => example.org/y v1\n"
        ")\n"
        "replace k8s.io/kms => ./staging/src/k8s.io/kms\n"
    )

    assert staging(go_mod) == ("k8s.io/api", "k8s.io/kms", "k8s.io/sample-cli-plugin")


def test_kubernetes_is_built_with_its_staging_modules_and_knows_its_version() -> None:
    """kubeadm refuses to work without a version."""
    wanted = go_build("1.36.3", ("k8s.io/api", "k8s.io/sample-cli-plugin"))

    assert wanted.replaces == {
        "k8s.io/api": "k8s.io/api v0.36.3",
        "k8s.io/sample-cli-plugin": "k8s.io/sample-cli-plugin v0.35.4",
    }
    assert wanted.sets["k8s.io/component-base/version.gitVersion"] == "v1.36.3"
    assert wanted.sets["k8s.io/client-go/pkg/version.gitMinor"] == "36"


def test_an_index_entry_says_where_the_package_is_and_what_it_must_be() -> None:
    """apt finds it by its path, and refuses it when the digest differs."""
    entry = repository.index_stanza("Package: x\nVersion: 1\n", "x_1_amd64.deb", b"deb")

    assert entry == (
        "Package: x\nVersion: 1\nFilename: ./x_1_amd64.deb\nSize: 3\n"
        "SHA256: 9cfa1468c93fc18652e34a000f0c6614b0fa18f6f4887477ad9b0d36ca6a7eaa\n"
    )


def test_the_release_file_names_each_index_with_size_and_digest() -> None:
    """It is what the signature covers."""
    now = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)

    assert repository.release_text("v1.36", "amd64", {"Packages": b""}, now) == (
        "Origin: clusterctl lab\nLabel: v1.36\nArchitectures: amd64\nDate: Sat, 21 Nov 2026 03:04:05 UTC\nSHA256:\n"
        " e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 Packages\n"
    )


def test_the_fingerprint_is_that_of_the_first_key() -> None:
    """Subkeys have fingerprints of their own."""
    listing = "tru::1:\npub:u:255:22:ABC:1:::u:::scSC\nfpr:::::::::0123ABCD:\nuid:u::::x\nfpr:::::::::9999:\n"

    assert repository.fingerprint(listing) == "0123ABCD"


def test_a_key_that_was_not_made_is_an_error() -> None:
    """An empty listing is no fingerprint."""
    with pytest.raises(CommandFailed, match="made no key"):
        repository.fingerprint("tru::1:\n")


def test_the_served_paths_point_to_the_newest_repositories(tmp_path: Path) -> None:
    """A path changes in one step when its repository is built anew, and others stay."""
    cache = Cache(tmp_path)

    def make_repository(recipe: str) -> Item:
        return Item("repository-v1.36", (recipe,), lambda shop, target: None)

    def publish(item: Item) -> bool:
        published = repository.published({"core:/stable:/v1.36/deb": item})
        before = published.complete(cache)
        with cache.lock(), cache.fill(item.key), cache.scratch("links") as target:
            published.make(make_shop(tmp_path), target)
        assert published.complete(cache)
        return before

    assert publish(make_repository("1")) is False
    assert publish(make_repository("2")) is False
    served = tmp_path / "repository/core:/stable:/v1.36/deb"
    assert served.resolve() == cache.path(make_repository("2").key)


@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("dpkg-deb", "gpg", "gpgv", "setpriv")),
    reason="needs dpkg-deb, gpg, gpgv and setpriv",
)
def test_a_repository_of_a_real_package_is_signed_by_the_labs_own_key(tmp_path: Path) -> None:
    """What apt checks holds: the signature, the index, the package."""
    cache = Cache(tmp_path)
    text = tmp_path / "text"
    text.write_text("x\n")

    def make_packages(shop: Workshop, target: Path) -> None:
        (target / "debs").mkdir()
        package = deb.Deb("tiny", "1-1", "A package", {"etc/tiny": text}, conffiles=("etc/tiny",))
        deb.write(shop, package, "all", target / "debs")

    packages = Item("tiny", (), make_packages)
    key = repository.signing_key()
    wanted = repository.repository("test", [packages], key)
    with cache.lock():
        for item in (key, packages, wanted):
            with cache.fill(item.key) as directory:
                item.make(make_shop(tmp_path, item.name), directory)

    served, keyring = cache.path(wanted.key), tmp_path / "keyring.gpg"
    subprocess.run(
        ["gpg", "--homedir", tmp_path, "--dearmor", "--output", keyring, served / "Release.key"],
        check=True,
        capture_output=True,
    )
    for signed in (["InRelease"], ["Release.gpg", "Release"]):
        checked = subprocess.run(
            ["gpgv", "--status-fd", "1", "--keyring", keyring, *signed], cwd=served, check=True, capture_output=True
        )
        assert (cache.path(key.key) / "fingerprint").read_text().strip() in checked.stdout.decode()
    assert "Filename: ./tiny_1-1_all.deb\n" in (served / "Packages").read_text()
    listed = subprocess.run(["dpkg-deb", "-c", served / "tiny_1-1_all.deb"], check=True, capture_output=True)
    assert "root/root" in listed.stdout.decode()
    assert (cache.path(key.key) / "gnupg").stat().st_mode & 0o777 == 0o700
