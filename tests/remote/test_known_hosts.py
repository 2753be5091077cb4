"""known_hosts: what OpenSSH writes is what we read."""

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterctl.errors import InputError
from clusterctl.remote.known_hosts import HostKey, Known, KnownHosts, key_order


def make_key(seed: str = "a", kind: str = "ssh-ed25519") -> HostKey:
    """A key that looks like one on the wire; nobody holds it."""
    return HostKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + seed.encode())


def line(names: str, key: HostKey, marker: str = "") -> str:
    """One line of a file."""
    return f"{marker} {names} {key.type} {key.base64} comment\n".lstrip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is, or will be."""
    return tmp_path / "ssh" / "known_hosts"


def write(path: Path, text: str) -> KnownHosts:
    """A file with ``text``."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return KnownHosts(path)


# A busy machine is no mistake of ours.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
A, B, RSA = make_key("a"), make_key("b"), make_key("r", "ssh-rsa")
TABLE = [
    ("192.0.2.11", "192.0.2.11", 22, True),
    ("192.0.2.11", "192.0.2.11", 2222, False),
    ("192.0.2.11", "192.0.2.111", 22, False),
    ("h1,192.0.2.11", "192.0.2.11", 22, True),
    ("H1.Example", "h1.example", 22, True),
    ("h1.example", "H1.EXAMPLE", 22, True),
    ("[h1]:2222", "h1", 2222, True),
    ("[h1]:2222", "h1", 22, False),
    ("[2001:db8::1]:2222", "2001:db8::1", 2222, True),
    ("2001:db8::1", "2001:db8::1", 22, True),
    ("*.example", "h1.example", 22, True),
    ("*.example", "example", 22, False),
    ("h?.example", "h1.example", 22, True),
    ("h?.example", "h11.example", 22, False),
    ("[*.example]:2222", "h1.example", 2222, True),
    ("[*.example]:2222", "h1.example", 22, False),
    ("*.example,!h1.example", "h1.example", 22, False),
    ("!h1.example,*.example", "h2.example", 22, True),
    ("!h1.example", "h2.example", 22, False),
    ("*", "anything", 22, True),
]


@pytest.mark.parametrize(("names", "address", "port", "found"), TABLE)
def test_names_mean_what_openssh_means(path: Path, names: str, address: str, port: int, found: bool) -> None:
    """Plain names, ports, IPv6, wildcards and exceptions."""
    known = write(path, line(names, A)).lookup(address, port)

    assert known.keys == ((A,) if found else ())


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen: apt-get install openssh-client")
@pytest.mark.parametrize(("address", "port"), [("192.0.2.11", 22), ("h1.example", 2222), ("2001:db8::1", 2222)])
def test_hashed_names_are_found(tmp_path: Path, path: Path, address: str, port: int) -> None:
    """As ssh-keygen -H writes them."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    public = (tmp_path / "key.pub").read_text()
    name = address if port == 22 else f"[{address}]:{port}"
    write(path, f"{name} {public}other {public}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    hosts = KnownHosts(path)

    assert "|1|" in path.read_text()
    assert address not in path.read_text()
    assert len(hosts.lookup(address, port).keys) == 1
    assert not hosts.lookup("192.0.2.12", port).keys
    assert not hosts.problems


def test_several_types_and_several_keys_of_one_host(path: Path) -> None:
    """All of them count; the order of the file stays."""
    hosts = write(path, line("h1", RSA) + line("h1,h2", A) + line("h*", B))

    assert hosts.lookup("h1").keys == (RSA, A, B)
    assert hosts.lookup("h1").algorithms == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519")


JUDGEMENTS = [
    (Known(), A, "unknown"),
    (Known((A,)), A, "known"),
    (Known((A,)), B, "changed"),
    (Known((A, B)), B, "known"),
    (Known((RSA,)), A, "changed"),
    (Known((A,), revoked=(A,)), A, "revoked"),
    (Known(revoked=(A,)), A, "revoked"),
    (Known(revoked=(A,)), B, "unknown"),
]


@pytest.mark.parametrize(("known", "key", "verdict"), JUDGEMENTS)
def test_judging_a_key(known: Known, key: HostKey, verdict: str) -> None:
    """A revoked key is never known, and a key of another type is no known key."""
    assert known.judge(key) == verdict


def test_revoked_keys_are_found_by_pattern(path: Path) -> None:
    """@revoked usually names all hosts."""
    hosts = write(path, line("h1", A) + line("*", A, "@revoked"))

    assert hosts.lookup("h1").judge(A) == "revoked"


BROKEN = {
    "a word": "hello",
    "two fields": "h1 ssh-ed25519",
    "no base64": "h1 ssh-ed25519 AAAA!",
    "another type inside": f"h1 ssh-rsa {A.base64}",
    "SSH 1": "h1 1024 35 1234567890",
    "an unknown marker": f"@nobody h1 ssh-ed25519 {A.base64}",
    "an unknown hash": f"|2|c2FsdA==|aGFzaA== ssh-ed25519 {A.base64}",
    "half a hash": f"|1|c2FsdA== ssh-ed25519 {A.base64}",
    "a marker alone": "@revoked",
    "an authority": f"@cert-authority *.example ssh-ed25519 {A.base64}",
}


@pytest.mark.parametrize("case", BROKEN)
def test_lines_that_cannot_be_used_are_told_and_the_others_are_read(path: Path, case: str) -> None:
    """With file and line, so that they can be looked at."""
    hosts = write(path, f"# comment\n\n{line('h1', A)}{BROKEN[case]}\n{line('h2', B)}")

    assert hosts.lookup("h1").keys == (A,)
    assert hosts.lookup("h2").keys == (B,)
    assert len(hosts.problems) == 1
    assert f"{path}:4 " in hosts.problems[0]


@unhurried
@given(st.lists(st.text(alphabet="h1[]:2,*!|@# \t=AÄssh-ed25519/+\x00\x85", max_size=60), max_size=5))
def test_no_file_is_too_broken_to_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Whatever it holds, hosts can be looked up."""
    path = tmp_path_factory.mktemp("known") / "known_hosts"
    path.write_text("\n".join(lines))

    KnownHosts(path).lookup("h1")


@unhurried
@given(
    address=st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True),
    port=st.integers(1, 65535),
    other=st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True),
)
def test_what_is_recorded_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, address: str, port: int, other: str
) -> None:
    """For every name and port; in this object and for the next one."""
    hosts = KnownHosts(tmp_path_factory.mktemp("known") / "known_hosts")

    hosts.record(address, port, [A, RSA])

    assert hosts.lookup(address, port).keys == (A, RSA)
    assert KnownHosts(hosts.path).lookup(address, port).keys == (A, RSA)
    if other != address:
        assert not hosts.lookup(other, port).keys


def test_a_missing_file_knows_nobody(path: Path) -> None:
    """It is the first run."""
    assert KnownHosts(path).lookup("h1") == Known()


def test_a_new_file_is_private(path: Path) -> None:
    """0600 in 0700, as ssh makes them."""
    KnownHosts(path).record("h1", 22, [A])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["known_hosts"]


def test_recording_keeps_what_is_there(path: Path) -> None:
    """Comments, other hosts, bytes that are no UTF-8, the mode, and a link; and adds the missing line end."""
    path.parent.mkdir()
    target = path.parent / "real"
    target.write_bytes(b"# caf\xe9\n" + line("h1", A).rstrip().encode())
    target.chmod(0o644)
    path.symlink_to(target)

    KnownHosts(path).record("h2", 2222, [B])

    assert target.read_bytes() == b"# caf\xe9\n" + line("h1", A).encode() + f"[h2]:2222 {B.type} {B.base64}\n".encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert path.is_symlink()


def test_recording_twice_writes_one_line(path: Path) -> None:
    """A key that is known is not written again."""
    hosts = KnownHosts(path)
    hosts.record("h1", 22, [A])
    hosts.record("h1", 22, [A, B])

    assert path.read_text().count("\n") == 2
    assert hosts.lookup("h1").keys == (A, B)


def test_replacing_forgets_the_old_keys_of_this_host_alone(path: Path) -> None:
    """Lines that name others keep them, patterns get an exception, revocations stay."""
    text = line("h1", A) + line("h1,h2", A) + line("h*", A) + line("h1", RSA, "@revoked") + line("[h1]:2222", A)
    hosts = write(path, text)

    hosts.record("h1", 22, [B], replace=True)

    assert hosts.lookup("h1") == Known((B,), revoked=(RSA,))
    assert hosts.lookup("h2").keys == (A,)
    assert hosts.lookup("h1", 2222).keys == (A,)
    assert path.read_text() == (
        line("h2", A)
        + line("h*,!h1", A)
        + line("h1", RSA, "@revoked")
        + line("[h1]:2222", A)
        + f"h1 {B.type} {B.base64}\n"
    )


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen: apt-get install openssh-client")
def test_ssh_finds_what_we_record(path: Path, tmp_path: Path) -> None:
    """OpenSSH reads the file as we mean it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, encoded = (tmp_path / "key.pub").read_text().split()[:2]
    KnownHosts(path).record("2001:db8::1", 2222, [HostKey(kind, base64.b64decode(encoded))])

    found = subprocess.run(
        ["ssh-keygen", "-F", "[2001:db8::1]:2222", "-f", path], capture_output=True, text=True, check=True
    )
    assert encoded in found.stdout


def test_a_file_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    """With the way out; and no rest of it is left."""
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="cannot"):
        KnownHosts(tmp_path / "file" / "known_hosts").record("h1", 22, [A])


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    """SHA256 and base64 without padding."""
    key = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32))

    assert key.fingerprint == "SHA256:kmYcvdi2GkPeWxB6XLjrZB8JHsy2Hm8luHMFp9GMvqk"
    assert str(key) == f"ssh-ed25519 {key.fingerprint}"


def test_known_types_are_asked_for_first() -> None:
    """And none that the library does not have."""
    usual = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    strange = make_key("x", "ssh-strange")

    assert key_order(Known((RSA, strange)), usual) == (
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
    )
