"""What an upgrade has to know of a host: read from what etcd, the API server and certificates say."""

import base64
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clusterctl.model.outlook import DeprecatedApi, EtcdStatus, Outlook, expiry, parse_outlook
from clusterctl.render import probe
from clusterctl.rules.probed import probe_values
from tests.builders import make_inventory

STATUS = (
    '{"header":{"cluster_id":"1","member_id":"2","revision":"900","raft_term":"2"},"version":"3.6.8",'
    '"dbSize":"2744320","leader":"10276657743932975437","raftIndex":"1011","dbSizeInUse":"2732032"}'
)
ALARMS = '{"header":{"cluster_id":"1","member_id":"2","revision":"900","raft_term":"2"}}'
METRICS = [
    'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",'
    'subresource="",version="v1"} 1',
    'apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",'
    'resource="flowschemas",subresource="",version="v1beta3"} 1',
    'apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",'
    'resource="flowschemas",subresource="status",version="v1beta3"} 1',
    'kubernetes_feature_enabled{name="KubeletCgroupDriverFromCRI",stage=""} 1',
    'kubernetes_feature_enabled{name="MemoryQoS",stage="ALPHA"} 0',
]
END = datetime(2027, 1, 15, 8, tzinfo=UTC)


def certificate(end: datetime = END) -> x509.Certificate:
    """A certificate that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=365), end)
    return builder.sign(key, hashes.SHA256())


def pem(made: x509.Certificate) -> bytes:
    """As it stands in a file."""
    return made.public_bytes(serialization.Encoding.PEM)


def test_etcd_says_version_size_and_leader() -> None:
    """The answers of its HTTP side, a line each."""
    outlook = parse_outlook([], [STATUS, ALARMS], [])

    assert outlook.etcd == EtcdStatus("3.6.8", 2744320, "10276657743932975437")


def test_etcds_troubles_are_told_once() -> None:
    """An alarm stands in both answers."""
    status = STATUS.replace('"version"', '"errors":["NOSPACE"],"version"')
    alarms = '{"alarms":[{"memberID":"2","alarm":"NOSPACE"},{"memberID":"3","alarm":"CORRUPT"}]}'

    outlook = parse_outlook([], [status, alarms], [])

    assert outlook.etcd is not None
    assert outlook.etcd.problems == ("NOSPACE", "CORRUPT")


def test_no_leader_is_none() -> None:
    """etcd writes a zero, or nothing."""
    for status in (
        STATUS.replace('"10276657743932975437"', '"0"'),
        STATUS.replace('"leader":"10276657743932975437",', ""),
    ):
        outlook = parse_outlook([], [status, ALARMS], [])
        assert outlook.etcd is not None
        assert outlook.etcd.leader == ""


@pytest.mark.parametrize("lines", [[], [""], ["", ""], [STATUS], ["[]", "[]"], ["{}", "{}"], ["not JSON", ALARMS]])
def test_an_etcd_that_does_not_answer_is_none(lines: list[str]) -> None:
    """Whatever curl printed."""
    assert parse_outlook([], lines, []).etcd is None


def test_deprecated_apis_are_those_with_an_end() -> None:
    """Once each, by group, version and resource."""
    outlook = parse_outlook([], [], METRICS)

    assert outlook.deprecated == (DeprecatedApi("flowcontrol.apiserver.k8s.io/v1beta3/flowschemas", "1.32"),)
    assert outlook.gates == {"KubeletCgroupDriverFromCRI": "GA", "MemoryQoS": "ALPHA"}


def test_an_api_server_that_does_not_answer_says_nothing() -> None:
    """That is another thing than having seen nothing."""
    assert parse_outlook([], [], []) == Outlook()
    assert parse_outlook([], [], METRICS[3:]).deprecated == ()


def test_the_end_of_a_certificate() -> None:
    """From DER, and from the PEM of a kubeconfig."""
    made = certificate()
    der = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()

    assert expiry(der) == END.timestamp()
    assert expiry(base64.b64encode(pem(made)).decode()) == END.timestamp()


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"no certificate").decode()])
def test_what_is_no_certificate_has_no_end(text: str) -> None:
    """It is somebody else's trouble."""
    assert expiry(text) is None


def test_the_probe_reads_certificates_and_no_keys(tmp_path: Path) -> None:
    """Its own program on such files: the first certificate of each, whatever else is in them."""
    key = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"
    first, second = certificate(), certificate(END + timedelta(days=1))
    data = base64.b64encode(pem(first)).decode()
    contents = {
        "ca.crt": pem(first).decode(),
        "chain.crt": pem(first).decode() + pem(second).decode(),
        "kubelet-client-current.pem": pem(first).decode() + key,
        "turned.pem": key + pem(first).decode(),
        "admin.conf": f"users:\n- user:\n    client-certificate-data: {data}\n    client-key-data: c2VjcmV0\n",
        "empty.crt": "",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    script = probe(**probe_values(make_inventory())).text
    program = re.search(r"awk '(FNR == 1 {on = .*?)' \"\${found", script, re.DOTALL)
    assert program

    done = subprocess.run(
        ["awk", program[1], *(tmp_path / name for name in contents)], capture_output=True, text=True, check=True
    )

    found = dict(line.split("\t") for line in done.stdout.splitlines())
    assert {Path(path).name for path in found} == contents.keys() - {"empty.crt"}
    assert {expiry(text) for text in found.values()} == {END.timestamp()}
    assert "c2VjcmV0" not in done.stdout
