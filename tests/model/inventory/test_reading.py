"""The inventory is strict: every mistake at once, with its line and a suggestion."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from clusterctl.errors import InputError
from clusterctl.model.inventory import CalicoNetwork, Cluster, Inventory, load_inventory, parse_inventory
from clusterctl.model.inventory.sources import Sources
from tests.builders import make_inventory

GOOD = """\
cluster:
  name: demo
  kubernetes: 1.36.3
  endpoint: k8s.example.internal:6443
hosts:
  - {name: cp1, address: 192.0.2.11, role: control-plane}
  - {name: w1, address: w1.example.internal, role: worker}
"""


@pytest.mark.parametrize("model", [Inventory, Cluster, Sources, CalicoNetwork])
def test_a_default_is_what_an_empty_mapping_gives(model: type[BaseModel]) -> None:
    """Models that are defaults are made without their validator."""
    defaults = [field.default for field in model.model_fields.values() if isinstance(field.default, BaseModel)]

    assert defaults
    assert [type(default).model_validate({}) for default in defaults] == defaults


def test_a_small_inventory_has_the_official_defaults() -> None:
    """What is not said comes from the official sources."""
    inventory = parse_inventory(GOOD)

    assert inventory.cluster.sources.packages == "https://pkgs.k8s.io"
    assert inventory.cluster.sources.images == "registry.k8s.io"
    assert inventory.cluster.minor == "1.36"
    assert inventory.first_control_plane.name == "cp1"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: demo", "name: demo\n  kubernets: 1", "inventory.yaml:3: cluster.kubernets: unknown key; did you mean"),
        ("1.36.3", '"1.36"', "inventory.yaml:3: cluster.kubernetes: must be a full version"),
        ("1.36.3", "1.36", "cluster.kubernetes: must be text, not 1.36; put it in quotes"),
        ("1.36.3", "1.30.1", "must be 1.31.0 or newer"),
        (":6443", "", "cluster.endpoint: must be HOST:PORT"),
        (":6443", ":99999", "cluster.endpoint: must be HOST:PORT"),
        (
            "role: worker",
            "role: node",
            "inventory.yaml:7: hosts[1].role: must be 'control-plane', 'worker' or 'spare', not 'node'",
        ),
        *(
            ("endpoint: k8s.example.internal:6443", f"{cluster}\n  virtual_ip: {virtual_ip}", message)
            for cluster, virtual_ip, message in (
                (
                    "endpoint: k8s.example.internal:6443",
                    "192.0.2.9",
                    "cluster.endpoint: with virtual_ip HAProxy",
                ),
                ("endpoint: k8s.example.internal:30443", "192.0.2.9", "30443 is taken by NodePort services there"),
                ("endpoint: 192.0.2.8:8443", "192.0.2.9", "cluster.virtual_ip: the endpoint has to be 192.0.2.9, or"),
                ("endpoint: k8s:8443", "192.0.2.11", "hosts[0].address: 192.0.2.11 is the cluster's virtual_ip"),
                ("endpoint: k8s:8443", "10.96.0.9", "cluster.virtual_ip: 10.96.0.9 is in the service_cidr"),
                ("endpoint: k8s:8443", "vip.example", "cluster.virtual_ip: 'vip.example' does not appear to be"),
            )
        ),
        ("role: control-plane", "role: worker", "hosts: at least one host needs the role control-plane"),
        ("name: w1", "name: CP1", "hosts[1].name: CP1 is used by more than one host"),
        ("w1.example.internal", "192.0.2.11", "hosts[1].address: 192.0.2.11 is used by more than one host"),
        ("role: worker", "role: worker, labels: {a: 1}", "hosts[1].labels.a: must be text, not 1; put it in quotes"),
        ("role: worker", "role: worker, taints: [a]", "hosts[1].taints[0]: must be KEY[=VALUE]:EFFECT"),
        ("role: worker", "role: worker, port: 0", "hosts[1].port: input should be greater than 0"),
        ("name: w1", "name: w_1", "hosts[1].name: must be a DNS name"),
        *(
            ("w1.example.internal", address, f"hosts[1].address: {message}")
            for address, message in (
                ("10.0.0.300", "is neither an IP address nor a DNS name"),
                ("'10.1'", "is neither an IP address nor a DNS name"),
                ("'123'", "is neither an IP address nor a DNS name"),
                ("'fd00::1::2'", "is neither an IP address nor a DNS name"),
                ("'[fd00::1]'", "is neither an IP address nor a DNS name"),
                ("w1:22", "is neither an IP address nor a DNS name"),
                ("w_1", "must be a DNS name"),
            )
        ),
        ("role: worker", "role: worker, user: 'a b'", "hosts[1].user: string should match"),
        ("role: worker", "role: worker, user: -l", "hosts[1].user: string should match"),
        ("role: worker", "role: worker, internal_address: 'fe80::1%eth0'", "not one of a single link"),
        ("role: worker", "role: worker, internal_address: 'fd00::1'", "must be of IPv4, as the service_cidr is"),
        ("name: demo", "name: demo\n  pod_cidr: fd01::/48", "cluster.pod_cidr: must be of IPv4, as the service_cidr"),
        ("k8s.example.internal:6443", "'fd00::11:6443'", "cluster.endpoint: must be HOST:PORT; an IPv6 address"),
        ("k8s.example.internal:6443", "'[k8s.example]:6443'", "cluster.endpoint: must be HOST:PORT; an IPv6 address"),
        ("k8s.example.internal:6443", "'[fd00::11:6443'", "cluster.endpoint: must be HOST:PORT; an IPv6 address"),
        ("hosts:", "ssh: {sudo_password: hunter22}\nhosts:", "ssh.sudo_password: must be {env: NAME} or {file: PATH}"),
        ("hosts:", "ssh: {sudo_password: {evn: A}}\nhosts:", "ssh.sudo_password.evn: unknown key; did you mean 'env'?"),
        ("hosts:", "ssh: {bastion: b}\nhosts:", "ssh.bastion: input should be"),
        ("hosts:", "ssh: {bastion: {user: u}}\nhosts:", "ssh.bastion.address: is missing"),
        ("name: demo", "name: demo\n  name: other", "cluster.name: the key is given more than once"),
        ("name: demo", "name: demo\n  pod_cidr: 10.96.0.0/16", "cluster.pod_cidr: 10.96.0.0/16 overlaps"),
        ("name: demo", "name: demo\n  pod_cidr: 10.10.0.1/16", "cluster.pod_cidr: must be a network"),
        *(
            ("name: demo", f"name: demo\n  network: {network}", message)
            for network, message in (
                (
                    "{plugin: flanel}",
                    "inventory.yaml:3: cluster.network.plugin: must be 'calico', 'flannel', 'manifests'",
                ),
                ("{plugin: flannel, mtu: 1}", "cluster.network.mtu: unknown key; known keys: plugin, version"),
                ("{encapsulaton: VXLAN}", "network.encapsulaton: unknown key; did you mean 'encapsulation'?"),
                ("{encapsulation: IPIP}", "network.encapsulation: must be 'VXLAN' or 'VXLANCrossSubnet'"),
                ("{mtu: big}", "network.mtu: must be auto, or a number"),
                ("{version: '3.32'}", "network.version: must be a full version such as v3.32.1"),
                ("{version: v3.31.0}", "cluster.network: clusterctl knows the digests of Calico v3.32.1; for v3.31.0"),
                ("{manifests: {operator: {url: 'http://a/b'}}}", "network.manifests.operator.sha256: is missing"),
                ("{manifests: {oprator: {}}}", "manifests.oprator: unknown key; did you mean 'operator'?"),
                ("{plugin: manifests}", "cluster.network.manifests: is missing"),
                ("{plugin: manifests, manifests: []}", "cluster.network.manifests: needs at least one"),
                ("{plugin: manifests, manifests: [{fil: a}]}", "manifests[0].fil: unknown key; did you mean 'file'?"),
                (f"{{plugin: manifests, manifests: [{{sha256: '{'0' * 64}'}}]}}", "needs either url or file"),
                (
                    "{installation: {calicoNetwork: {ipPools: [{cidr: 192.168.0.0/16}]}}}",
                    "ipPools[0]: the pool 192.168.0.0/16 is outside the pod_cidr 10.10.0.0/16",
                ),
                ("{installation: {calicoNetwork: {ipPools: [{}]}}}", "ipPools[0]: the pool's cidr '' is not a network"),
            )
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(before: str, after: str, message: str) -> None:
    """File, line, path, and what would be right."""
    assert before in GOOD

    with pytest.raises(InputError) as caught:
        parse_inventory(GOOD.replace(before, after, 1))

    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_come_at_once() -> None:
    """Nobody corrects one line to find the next."""
    with pytest.raises(InputError) as caught:
        parse_inventory(GOOD.replace("1.36.3", "new").replace("worker", "node").replace("cp1", "-"))

    assert len(caught.value.details.splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    ["", "?:", "<x: 1", "<x>: 1", "[]", "cluster: [", "\t", "just text", "{", "cluster: {}\nhosts: []", "hosts: 3"],
)
def test_what_is_no_inventory_is_an_input_error(text: str) -> None:
    """Never a traceback."""
    with pytest.raises(InputError):
        parse_inventory(text)


@settings(deadline=None)  # The machine may be busy.
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is in the file: an inventory or an InputError."""
    with suppress(InputError):
        parse_inventory(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(cluster=_VALUES, hosts=_VALUES, ssh=_VALUES)
def test_any_shape_is_read_or_refused(cluster: object, hosts: object, ssh: object) -> None:
    """Wrong shapes below the right keys are mistakes like others."""
    with suppress(InputError):
        parse_inventory(json.dumps({"cluster": cluster, "hosts": hosts, "ssh": ssh}))


@pytest.mark.parametrize("place", ["hunter22", "{env: hunter-22}", "{value: hunter22}", "[hunter22]"])
def test_a_password_in_the_inventory_is_not_repeated(place: str) -> None:
    """The mistake says what to write there instead."""
    with pytest.raises(InputError) as caught:
        parse_inventory(GOOD.replace("hosts:", f"ssh: {{sudo_password: {place}}}\nhosts:"))

    assert "hunter" not in str(caught.value)


def test_the_same_address_written_in_two_ways_is_one() -> None:
    """IPv6 has many ways; what is kept is the usual one."""
    text = GOOD.replace("192.0.2.11", "'FD00:0::0011'").replace("w1.example.internal", "'fd00::11'")

    with pytest.raises(InputError, match="fd00::11 is used by more than one host"):
        parse_inventory(text)

    assert parse_inventory(text.replace("'fd00::11'", "'fd00::12'")).hosts[0].address == "fd00::11"


@pytest.mark.parametrize("name", ["CP-1", "cp1.Example.COM", "3com", "'123'", "1.2.example", "a" * 63])
def test_odd_but_legal_names_are_names(name: str) -> None:
    """Capital letters, dots, labels of digits; as the host's name and, but for digits alone, as its address."""
    named = parse_inventory(GOOD.replace("name: w1", f"name: {name}")).hosts[1]

    assert named.name == name.strip("'")
    if name != "'123'":
        assert parse_inventory(GOOD.replace("w1.example.internal", name)).hosts[1].address == name


def test_a_missing_file_says_where_to_begin(tmp_path: Path) -> None:
    """The next step names the example."""
    with pytest.raises(InputError, match="there is no inventory") as caught:
        load_inventory(tmp_path / "inventory.yaml")

    assert "inventory.example.yaml" in caught.value.resolution


def test_an_unknown_host_names_those_that_exist() -> None:
    """The error lists them."""
    with pytest.raises(InputError) as caught:
        parse_inventory(GOOD).host("w9")

    assert "cp1, w1" in str(caught.value)


def test_arguments_are_kubeadms_list_however_they_are_written() -> None:
    """A map, whose lists repeat an argument, and a list of name and value mean the same."""
    as_map = make_inventory("  api_server: {extra_args: {v: 4, profiling: false, x: [a, b]}}").cluster
    as_list = make_inventory(
        "  api_server: {extra_args: [{name: v, value: 4}, {name: profiling, value: false}, "
        "{name: x, value: a}, {name: x, value: b}]}"
    ).cluster

    assert as_map.api_server == as_list.api_server
    assert [(each.name, each.value) for each in as_map.api_server.extra_args] == [
        ("v", "4"),
        ("profiling", "false"),
        ("x", "a"),
        ("x", "b"),
    ]


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("  api_server: {extra_args: {--v: 4}}", "extra_args[0].name"),
        ("  api_server: {extra_args: {audit-log-path: /x}}\n  audit: {}", "cluster.audit sets audit-log-path already"),
        ("  audit: {policy: none.yaml}", "cannot read"),
        ("  audit: {policy: /etc/hostname}", "is not an audit policy"),
        ("  patches: /nonexistent", "is not a directory"),
        ("  patches: /etc/ssh", "is not the name of a patch"),
    ],
)
def test_local_files_and_switches_are_checked_with_the_rest(extra: str, text: str) -> None:
    """What cannot be read, or is set twice, is bad input."""
    with pytest.raises(InputError) as caught:
        make_inventory(extra)

    assert text in caught.value.details


def test_files_are_found_beside_the_inventory(tmp_path: Path) -> None:
    """A relative path starts at the inventory's own folder, wherever clusterctl was called."""
    (tmp_path / "audit.yaml").write_text("kind: Policy\nrules: [{level: None}]\n")
    (tmp_path / "i.yaml").write_text(
        "cluster: {name: x, kubernetes: 1.36.3, endpoint: 'x:6443', audit: {policy: audit.yaml}}\n"
        "hosts: [{name: a, address: a, role: control-plane}]\n"
    )

    audit = load_inventory(tmp_path / "i.yaml").cluster.audit

    assert audit is not None
    assert audit.policy.content.startswith("kind: Policy")
