"""``clusterctl bootstrap`` of 1 + 2 beside the same commands typed by hand. Goal: at most 1.10 times.

    python benchmarks/bootstrap.py [PAIRS]

Both ways end when every node, the add-ons and the control plane's own pods are Ready.
"""

from pairs import KUBECTL, clusterctl, compare, everywhere, on

from clusterctl.lab.lab import Lab
from clusterctl.lab.shape import Shape
from clusterctl.model.inventory import FlannelNetwork, load_inventory
from clusterctl.render import document
from clusterctl.steps.runtime.containerd_config import containerd_config
from clusterctl.steps.runtime.registries import hosts_toml

PREPARE = r"""
set -eu
sudo swapoff -a
sudo systemctl mask swap.target
printf 'overlay\nbr_netfilter\n' | sudo tee /etc/modules-load.d/kubernetes.conf
printf 'net.bridge.bridge-nf-call-ip6tables = 1\nnet.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n' |
  sudo tee /etc/sysctl.d/99-kubernetes.conf
sudo sysctl --quiet --load /etc/sysctl.d/99-kubernetes.conf
sudo apt-get -q update
sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends containerd
curl -fsSL {repository}/Release.key | sudo tee /etc/apt/keyrings/kubernetes-apt-keyring.asc >/dev/null
echo 'deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] {repository}/ /' |
  sudo tee /etc/apt/sources.list.d/kubernetes.list
sudo apt-get -q update
sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends kubeadm kubelet kubectl
sudo apt-mark hold kubeadm kubelet kubectl
pause=$(kubeadm config images list --kubernetes-version {version} | grep /pause:)
sudo mkdir -p /etc/containerd
sed "s,@pause@,$pause," <<'CONFIG' | sudo tee /etc/containerd/config.toml >/dev/null
{config}
CONFIG
{registries}
sudo systemctl restart containerd
"""
REGISTRY = """sudo mkdir -p /etc/containerd/certs.d/{name}
sudo tee /etc/containerd/certs.d/{name}/hosts.toml >/dev/null <<'HOSTS'
{text}
HOSTS"""


def by_hand(lab: Lab) -> None:
    """What an administrator types who knows every command beforehand."""
    from clusterctl.model.facts import HostFacts
    from clusterctl.model.situation import Situation
    from clusterctl.steps.kubeadm_config import init_config

    inventory = load_inventory(lab.inventory)
    cluster = inventory.cluster
    registries = "\n".join(
        REGISTRY.format(name=name, text=hosts_toml(name, cluster.sources)) for name in cluster.sources.registries
    )
    prepare = PREPARE.format(
        repository=f"{cluster.sources.packages}/core:/stable:/v{cluster.minor}/deb",
        version=cluster.kubernetes,
        config=containerd_config(
            "2.3.7", "@pause@", runtime=cluster.containerd.runtime, images=cluster.containerd.images
        ),
        registries=registries,
    )
    everywhere(lab, [machine.name for machine in lab.machines], lambda name: prepare)

    first, *others = inventory.hosts
    facts = HostFacts(first.name, "", "", "", "", "", "", "", "", 2, 4000, "", addresses=(first.address,))
    config = init_config(Situation(inventory, first, {first.name: facts}))
    assert isinstance(cluster.network, FlannelNetwork)
    flannel = document("network/flannel.yaml.j2", pod_cidr=cluster.pod_cidr, version=cluster.network.version)
    on(
        lab,
        first.name,
        f"cat >init.yaml <<'END'\n{config}\nEND\nsudo kubeadm init --config init.yaml\n"
        f"{KUBECTL} apply -f - <<'END'\n{flannel}\nEND\n",
    )
    join = on(lab, first.name, "sudo kubeadm token create --print-join-command").strip()
    ignore = ",".join(cluster.ignore_preflight_errors)
    everywhere(lab, [host.name for host in others], lambda name: f"sudo {join} --ignore-preflight-errors={ignore}")
    on(
        lab,
        first.name,
        f"{KUBECTL} wait --for=condition=Ready nodes --all --timeout=300s\n"
        f"{KUBECTL} -n kube-flannel rollout status daemonset/kube-flannel-ds --timeout=300s\n"
        f"{KUBECTL} -n kube-system rollout status daemonset/kube-proxy --timeout=300s\n"
        f"{KUBECTL} -n kube-system rollout status deployment/coredns --timeout=300s\n"
        f"{KUBECTL} -n kube-system wait --for=condition=Ready pods -l tier=control-plane --timeout=300s\n",
    )


if __name__ == "__main__":
    compare(
        {"by hand": by_hand, "clusterctl": lambda lab: clusterctl(lab, "bootstrap", "--yes")},
        Shape(name="bench", control_planes=1, workers=2),
        goal=1.10,
    )
