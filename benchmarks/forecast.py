"""How long the forecast of draining every node takes: 1,000 pods on 50 nodes, on a real etcd and kube-apiserver.

    python benchmarks/forecast.py [--nodes 50] [--pods 1000] [--rounds 5] [--profile]

The programs are those that the lab has built, or those in $CLUSTERCTL_TEST_BIN. There are no controllers: the
benchmark writes nodes, pods and the counts of budgets, as large as they are on a cluster in use. Client, API server
and etcd share the processors. Each round is a whole look on new connections: reads, an eviction asked for every pod
that would move (none is meant), and the judgement of every node.
"""

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.cluster import observe
from clusterctl.kube.observe.evictions import look_around, try_evictions
from clusterctl.kube.observe.pods import read_pods
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Pods
from clusterctl.rules.forecast import Forecast, forecast, moving
from tests.kube.server import ApiServer, running

sys.path.insert(0, str(Path(__file__).parents[1]))

GOAL = 5.0
NAMESPACES, REPLICAS = 10, 5
HOST = "kubernetes.io/hostname"


def node(number: int) -> dict[str, Any]:
    """A node with room for more pods than it has."""
    name = f"node-{number:02}"
    room = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "metadata": {"name": name, "labels": {HOST: name, "zone": f"z{number % 3}", "kubernetes.io/os": "linux"}},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.35.4"},
            "addresses": [{"type": "InternalIP", "address": f"10.0.0.{number + 1}"}],
        },
    }


def pod(number: int, nodes: int) -> tuple[str, dict[str, Any]]:
    """A pod of a Deployment of five: some have to be spread, some avoid each other, some want a zone."""
    app, namespace = number // REPLICAS, f"space-{number // REPLICAS % NAMESPACES}"
    labels = {"app": f"app-{app}", "pod-template-hash": "5d4f8b9c7"}
    terms = [{"labelSelector": {"matchLabels": {"app": f"app-{app}"}}, "topologyKey": HOST}]
    spec: dict[str, Any] = {
        "nodeName": f"node-{number % nodes:02}",
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": name,
                "image": f"registry.example/team/{name}:1.2.3",
                "env": [{"name": f"SETTING_{each}", "value": f"value {each}"} for each in range(20)],
                "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}],
            }
            for name in ("app", "sidecar")
        ],
        "volumes": [{"name": "config", "configMap": {"name": f"app-{app}"}}],
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
    }
    if app % 4 == 0:
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    elif app % 4 == 1:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "whenUnsatisfiable": "DoNotSchedule",
                "topologyKey": "zone",
                **{"labelSelector": terms[0]["labelSelector"]},
            }
        ]
    elif app % 4 == 2:
        spec["nodeSelector"] = {"zone": f"z{number % nodes % 3}"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"app-{app}-5d4f8b9c7", "uid": f"rs-{app}"}
    metadata = {
        "name": f"app-{app}-{number % REPLICAS}",
        "labels": labels,
        "ownerReferences": [{**owner, "controller": True}],
    }
    return namespace, {"metadata": metadata, "spec": spec}


def budget(app: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A budget for every third workload; one in ten can never be met."""
    wanted = REPLICAS if app % 30 == 0 else REPLICAS - 1
    counts = {
        "disruptionsAllowed": REPLICAS - wanted,
        "currentHealthy": REPLICAS,
        "desiredHealthy": wanted,
        "expectedPods": REPLICAS,
    }
    spec = {"minAvailable": wanted, "selector": {"matchLabels": {"app": f"app-{app}"}}}
    return f"space-{app % NAMESPACES}", {"metadata": {"name": f"app-{app}"}, "spec": spec}, counts


def fill(kube: Kube, nodes: int, pods: int) -> None:
    """Write the cluster, as its kubelets and controllers would."""
    for number in range(NAMESPACES):
        kube.create("/api/v1/namespaces", {"metadata": {"name": f"space-{number}"}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_node(kube, number), range(nodes)))
        list(pool.map(lambda number: write_pod(kube, number, nodes), range(pods)))
        list(pool.map(lambda app: write_workload(kube, app), range(pods // REPLICAS)))


def write_node(kube: Kube, number: int) -> None:
    """A node and its status."""
    whole = node(number)
    kube.create("/api/v1/nodes", {"metadata": whole["metadata"]})
    kube.patch(f"/api/v1/nodes/{whole['metadata']['name']}/status", {"metadata": {}, "status": whole["status"]})


def write_pod(kube: Kube, number: int, nodes: int) -> None:
    """A pod that runs and is ready."""
    namespace, whole = pod(number, nodes)
    path = f"/api/v1/namespaces/{namespace}/pods"
    kube.create(path, whole)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    kube.patch(f"{path}/{whole['metadata']['name']}/status", {"metadata": {}, "status": status})


def write_workload(kube: Kube, app: int) -> None:
    """A Deployment, a Service, and for some a budget."""
    namespace, whole, counts = budget(app)
    labels = {"app": f"app-{app}"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
    }
    kube.create(
        f"/apis/apps/v1/namespaces/{namespace}/deployments",
        {
            "metadata": {"name": f"app-{app}"},
            "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template},
        },
    )
    kube.create(
        f"/api/v1/namespaces/{namespace}/services",
        {"metadata": {"name": f"app-{app}"}, "spec": {"selector": labels, "ports": [{"port": 80}]}},
    )
    if app % 3 == 0:
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        kube.create(path, whole)
        kube.patch(f"{path}/app-{app}/status", {"metadata": {}, "status": {**counts, "observedGeneration": 1}})


class Timed:
    """Seconds of each part of a look."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done meanwhile."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


def servers_processor(server: ApiServer) -> float:
    """Seconds of processor time that API server and etcd have used."""
    ticks = 0
    for process in server.processes.values():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def look(server: ApiServer) -> tuple[dict[str, float], list[Forecast]]:
    """A whole look: the seconds of each part, those of the processor on both sides, and what is foreseen."""
    timed, ours, theirs = Timed(), time.process_time(), servers_processor(server)
    with timed.part("whole"), Kube(server.kubeconfig()) as kube:
        with timed.part("read"):
            cluster, pods = observe(kube), read_pods(kube)
            around = look_around(kube, pods.pods)
        with timed.part("ask"):
            asked = [each for name in cluster.nodes for each in moving(pods, name)]
            pods = Pods(pods.pods, pods.budgets, try_evictions(kube, asked), around)
        with timed.part("judge"):
            found = [forecast(pods, name, cluster.nodes, DrainOptions()) for name in cluster.nodes]
    timed.seconds["our processor"] = time.process_time() - ours
    timed.seconds["their processor"] = servers_processor(server) - theirs
    return timed.seconds, found


def main() -> None:
    """Fill a cluster, look at it, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="show where a round's time goes on our side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        with Kube(server.kubeconfig()) as kube:
            began = time.monotonic()
            fill(kube, options.nodes, options.pods)
            print(f"{options.pods} pods on {options.nodes} nodes, written in {time.monotonic() - began:.0f} s")
        rounds = [look(server) for _ in range(options.rounds)]
        found = rounds[0][1]
        print(
            f"{sum(len(each.moving) for each in found)} pods would move, "
            f"{sum(len(block.pods) for each in found for block in each.blocks)} are held, "
            f"{sum(len(each.stranded) for each in found)} have nowhere to go"
        )
        for name in rounds[0][0]:
            every = [seconds[name] for seconds, _ in rounds]
            print(f"{name:<15} {statistics.median(every):5.2f} s  ({min(every):.2f} to {max(every):.2f})")
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(look, server)
            pstats.Stats(profile).sort_stats("cumulative").print_stats(40)
        whole = statistics.median(seconds["whole"] for seconds, _ in rounds)
    print(f"{'met' if whole < GOAL else 'MISSED'}: {whole:.2f} s, the goal is {GOAL:.0f} s")
    sys.exit(whole >= GOAL)


if __name__ == "__main__":
    main()
