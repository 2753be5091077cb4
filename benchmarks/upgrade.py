"""``clusterctl upgrade`` of 1 + 2 beside a script with the same commands and the same waits. Goal: at most 1.10 times.

    python benchmarks/upgrade.py [PAIRS]

Each run upgrades a fresh cluster from one minor version to the next. Both ways save etcd and the certificates first,
empty every node before its kubelet is replaced, see nodes and control plane ready three times in a row before the next
one, two seconds apart, and end when every node is Ready at the new version and in use.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from pairs import KUBECTL, clusterctl, compare, on

from clusterctl.lab.lab import Lab
from clusterctl.lab.shape import Shape
from clusterctl.model.inventory import load_inventory

OLD, NEW = "1.35.4", "1.36.3"
MINOR = NEW.rpartition(".")[0]

SAVE = """
etcd=$(sudo ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd' | tail -n 1)
pki=/etc/kubernetes/pki/etcd
sudo ctr -n k8s.io tasks exec --exec-id save "$etcd" etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt \
  --cert $pki/server.crt --key $pki/server.key snapshot save /var/lib/etcd/by-hand.db >&2
sudo ctr -n k8s.io tasks exec --exec-id look "$etcd" etcdutl snapshot status /var/lib/etcd/by-hand.db >&2
sudo tar -cf - /var/lib/etcd/by-hand.db /etc/kubernetes/pki | base64
sudo rm /var/lib/etcd/by-hand.db
"""
KUBEADM = f"""
echo 'deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] {{repository}}/ /' |
  sudo tee /etc/apt/sources.list.d/kubernetes.list
sudo apt-get -q update
sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends --allow-change-held-packages \
  'kubeadm={NEW}-*'
"""
APPLY = f"sudo kubeadm upgrade apply v{NEW} -y --ignore-preflight-errors={{ignore}}\n"
NODE = "sudo kubeadm upgrade node --ignore-preflight-errors={ignore}\n"
# The API server restarts twice, and does not answer meanwhile.
AGAIN = 'again() { until "$@"; do sleep 0.5; done; }\n'
STATIC_PODS = f"""
for pod in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  again {KUBECTL} -n kube-system wait --for=condition=Ready pod/$pod-cp1 --timeout=300s
done
"""
DRAIN = f"again {KUBECTL} drain {{name}} --ignore-daemonsets --timeout=900s\n"
KUBELET = f"""
sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends --allow-change-held-packages \
  'kubelet={NEW}-*' 'kubectl={NEW}-*'
sudo apt-mark hold kubeadm kubelet kubectl
sudo systemctl daemon-reload
sudo systemctl restart kubelet
"""
READY = f"""
kubelet={{{{.status.nodeInfo.kubeletVersion}}}}
until {KUBECTL} get node {{name}} -o "jsonpath=$kubelet" | grep -qx v{NEW}; do sleep 0.5; done
again {KUBECTL} wait --for=condition=Ready node/{{name}} --timeout=300s
again {KUBECTL} uncordon {{name}}
for pause in 0 2 2; do
  sleep $pause
  again {KUBECTL} wait --for=condition=Ready node --all --timeout=300s
  again {KUBECTL} -n kube-system wait --for=condition=Ready pod -l tier=control-plane --timeout=300s
done
"""
END = f"""
again {KUBECTL} -n kube-system rollout status daemonset/kube-proxy --timeout=300s
again {KUBECTL} -n kube-system rollout status deployment/coredns --timeout=300s
"""


def by_hand(lab: Lab) -> None:
    """What an administrator's script does who knows every command beforehand."""
    cluster = load_inventory(lab.inventory).cluster
    values = {
        "repository": f"{cluster.sources.packages}/core:/stable:/v{MINOR}/deb",
        "ignore": ",".join(cluster.ignore_preflight_errors),
    }
    with TemporaryDirectory() as folder:
        Path(folder, "backup").write_text(on(lab, "cp1", SAVE))
    for machine in lab.machines:
        name = machine.name
        plane = machine.role == "control-plane"
        on(lab, name, (KUBEADM + (APPLY if plane else NODE)).format(**values))
        ask(lab, (STATIC_PODS if plane else "") + DRAIN.format(name=name))
        on(lab, name, KUBELET)
        ask(lab, READY.format(name=name))
    ask(lab, END)


def ask(lab: Lab, script: str) -> None:
    """Run a script that asks the API, on the control plane."""
    on(lab, "cp1", AGAIN + script)


if __name__ == "__main__":
    compare(
        {
            "by hand": by_hand,
            "clusterctl": lambda lab: clusterctl(lab, "upgrade", "--to", NEW, "--yes", "--no-verify"),
        },
        Shape(name="bench", control_planes=1, workers=2, kubernetes=OLD),
        goal=1.10,
        before=lambda lab: clusterctl(lab, "bootstrap", "--yes"),
    )
