"""The probe's answer becomes facts, or an error that says so."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.errors import ClusterctlError
from clusterctl.model.facts import Disk, EtcdMember, FileFact, Link, Package, Route, Service, parse_host_facts

MEMBERS = (
    '{"header":{"member_id":"1"}, "members":[{"ID":"255", "name":"cp2", "peerURLs":["https://192.0.2.12:2380"]}, '
    '{"ID":"10", "peerURLs":["https://[2001:db8::13]:2380"], "isLearner":true}]}'
)
WHOLE = f"""\
@@ hostname
Work1
@@ machine-id
abc
@@ boot-id
def
@@ os-id
debian
@@ os-version
12
@@ os-name
Debian GNU/Linux 12 (bookworm)
@@ architecture
x86_64
@@ kernel
6.1.0
@@ cgroup
v2
@@ cpus
4
@@ memory-kib
4194304
@@ init
systemd
@@ addresses
192.0.2.21
2001:db8::21
@@ swaps
/swap file
@@ modules
overlay
overlay
@@ sysctls
net.ipv4.ip_forward\t1
net.ipv4.tcp_rmem\t4096\t131072 6291456
@@ files
/etc/fstab\t644\t{base64.b64encode(b"# none").decode()}
/etc/empty\t600\t
@@ paths
/etc/kubernetes/admin.conf
@@ static-pods
etcd\tregistry.k8s.io/etcd:3.6.8-0
@@ packages
kubelet\t1.36.3-1.1\thold\tok installed
kubeadm\t1.36.3-1.1\tinstall\tok half-configured
@@ dpkg-problem
@@ services
containerd.service\tactive\tenabled
swap.target\tinactive\tmasked
@@ listeners
6443\tkube-apiserver
@@ containerd-version
v2.3.7
@@ containerd-config
loaded
@@ images
registry.k8s.io/pause:3.10.2
@@ links
192.0.2.21\teth0\t52:54:00:00:00:21\t1500
2001:db8::21\teth0\t52:54:00:00:00:21\t1500
@@ routes
192.0.2.0/24\teth0
10.9.0.0/16\t
@@ nameservers
192.0.2.1
@@ product-uuid
4C4C-0021
@@ host-keys
ssh-ed25519 AAAA
@@ disks
/var/lib/etcd\t2097152\t4194304\t/
@@ etcd-members
{MEMBERS}
@@ haproxy-unused
cp2
@@ busy
@@ end
"""


def test_a_whole_answer() -> None:
    """Every section arrives in its field."""
    facts = parse_host_facts(WHOLE)

    assert facts.hostname == "Work1"
    assert facts.memory_mib == 4096
    assert facts.addresses == ("192.0.2.21", "2001:db8::21")
    assert facts.swaps == ("/swap file",)
    assert facts.files == {"/etc/fstab": FileFact("# none", "644"), "/etc/empty": FileFact("", "600")}
    assert facts.static_pods == {"etcd": "registry.k8s.io/etcd:3.6.8-0"}
    assert facts.packages["kubelet"] == Package("1.36.3-1.1", held=True, intact=True)
    assert facts.packages["kubeadm"] == Package("1.36.3-1.1", held=False, intact=False)
    assert facts.services["swap.target"] == Service("inactive", "masked")
    assert facts.listeners == {6443: "kube-apiserver"}
    assert facts.containerd_version == "2.3.7"
    assert facts.available is None
    assert facts.links["2001:db8::21"] == Link("eth0", "52:54:00:00:00:21", 1500)
    assert facts.routes == (Route("192.0.2.0/24", "eth0"), Route("10.9.0.0/16", ""))
    assert facts.nameservers == ("192.0.2.1",)
    assert facts.product_uuid == "4c4c-0021"
    assert facts.host_keys == {"ssh-ed25519 AAAA"}
    assert facts.disks == {"/var/lib/etcd": Disk(2048, 4096, "/")}
    assert facts.busy == ""
    assert facts.haproxy_unused == frozenset({"cp2"})
    assert facts.etcd_members == (
        EtcdMember("ff", "cp2", ("192.0.2.12",)),
        EtcdMember("a", "", ("2001:db8::13",), learner=True),
    )


@pytest.mark.parametrize("answer", ["", '{"error":"etcdserver: rpc not supported for learner"}', "curl: (7)"])
def test_an_etcd_that_gives_no_members(answer: str) -> None:
    """A learner, a server that starts, and no server at all are the same: nothing is known."""
    text = WHOLE[: WHOLE.index("@@ etcd-members")] + f"@@ etcd-members\n{answer}\n@@ end\n"

    assert parse_host_facts(text).etcd_members is None


@pytest.mark.parametrize("end", range(0, len(WHOLE) - 1, 11))
def test_a_cut_answer_is_an_error(end: int) -> None:
    """Half an answer is never taken for facts."""
    with pytest.raises(ClusterctlError):
        parse_host_facts(WHOLE[:end])


@given(st.text())
def test_any_other_text_is_an_error(text: str) -> None:
    """A login banner or nonsense is told as such."""
    with pytest.raises(ClusterctlError):
        parse_host_facts(text + "\n@@ end\n")
