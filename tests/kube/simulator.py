"""Plays the controllers and kubelets of a cluster whose API server is real, as far as a verification sees them."""

import contextlib
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from clusterctl.errors import ClusterctlError
from clusterctl.kube.connect.client import APPLY_PATCH, Kube
from clusterctl.kube.verify.verify import LABEL

Log = Callable[[str, dict[str, str]], str]
"""What the client on a node logs: from the node's name and the web pods, names by address."""

_CONTAINERS = {"client": ("client", "load")}


def good_log(node: str, replicas: dict[str, str]) -> str:
    """Everything is reached."""
    names = list(replicas.values())
    lines = [f"1 direct {address} = {name} " for address, name in replicas.items()]
    lines += [f"1 service 10.96.0.50 = {name} " for name in names * 5]
    lines += [f"1 affinity 10.96.0.51 = {names[0]} "] * 5
    lines += [
        f"1 node-port 127.0.0.1 = {names[1]} ",
        f"1 headless headless.x.svc = {' '.join(replicas)} ",
        "1 namespace other.y.svc = other ",
    ]
    return "\n".join([*lines, f"1 dns web.x.svc = {names[0]} ", "1 end", "2 direct 10.10.0.1 = cut", ""])


def good_load(node: str, number: int) -> str:
    """One line of constant requests of which none is lost."""
    return f"{number} load 5 0 {number % 40} \n"


class Simulator:
    """Starts and replaces pods on nodes that exist as objects alone, and ends namespaces."""

    def __init__(self, kube: Kube, folder: Path) -> None:
        self.log: Log = good_log
        self.load: Callable[[str, int], str] = good_load
        self.starts_web_pods = True
        self.pulls_images = True
        self.keeps_old_pods = True
        self._kube = kube
        self._done = threading.Event()
        self._replicas: dict[str, str] = {}
        self._began = time.monotonic()
        self._started = 0
        self._kubelet = self._serve(folder)
        self._threads = [
            threading.Thread(target=self._kubelet.serve_forever, args=(0.05,)),
            threading.Thread(target=self._control),
        ]

    @property
    def kubelet_port(self) -> int:
        """Where the API server asks for logs."""
        return int(self._kubelet.server_address[1])

    @contextlib.contextmanager
    def running(self) -> Iterator["Simulator"]:
        """Run, and stop at the end."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            self._kubelet.shutdown()
            self._kubelet.server_close()
            for thread in self._threads:
                thread.join()

    def _serve(self, folder: Path) -> ThreadingHTTPServer:
        simulator = self

        class Kubelet(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = re.match(r"/containerLogs/[^/]+/client-([^/]+)/(client|load)", self.path)
                text = simulator._said(found[1], found[2]) if found else ""
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class.
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "client-ca.crt", folder / "client-ca.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server

    def _said(self, node: str, container: str) -> str:
        if container == "client":
            return self.log(node, dict(self._replicas))
        lines = int((time.monotonic() - self._began) * 10)
        return "".join(self.load(node, number) for number in range(1, lines + 1))

    def _control(self) -> None:
        while not self._done.wait(0.05):
            for item in self._kube.items("/api/v1/namespaces", {"labelSelector": LABEL}):
                with contextlib.suppress(ClusterctlError):  # What is not there yet is there at the next turn.
                    if item["metadata"].get("deletionTimestamp"):
                        self._end(item)
                    else:
                        self._start(item["metadata"]["name"])

    def _end(self, namespace: dict[str, Any]) -> None:
        name = namespace["metadata"]["name"]
        base = f"/api/v1/namespaces/{name}"
        for pod in self._kube.items(f"{base}/pods"):
            self._kube.delete(f"{base}/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
        namespace["spec"]["finalizers"] = []
        self._kube._change("PUT", f"{base}/finalize", body=namespace)

    def _start(self, namespace: str) -> None:
        base, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
        nodes = [item["metadata"]["name"] for item in self._kube.items("/api/v1/nodes")]
        pods = {item["metadata"]["name"]: item for item in self._kube.items(f"{base}/pods")}
        if "other" in pods and pods["other"].get("status", {}).get("phase") != "Running":
            self._become_ready(namespace, "other", "10.10.2.1")
        deployment = self._kube.find(f"{apps}/deployments/web")
        if deployment and self.starts_web_pods:
            self._roll_out(namespace, deployment, nodes, list(pods.values()))
        daemons = self._kube.find(f"{apps}/daemonsets/client")
        if daemons and f"client-{nodes[0]}" not in pods:
            for number, node in enumerate(nodes):
                self._run_pod(namespace, f"client-{node}", "client", node, f"10.10.1.{number + 1}")
            counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady")
            status = {"observedGeneration": daemons["metadata"]["generation"], "numberMisscheduled": 0}
            self._kube.patch(
                f"{apps}/daemonsets/client/status",
                {"metadata": {}, "status": {**status, **dict.fromkeys(counts, len(nodes))}},
            )

    def _roll_out(
        self, namespace: str, deployment: dict[str, Any], nodes: list[str], pods: list[dict[str, Any]]
    ) -> None:
        """One turn of the Deployment's controller, its nodes and its endpoints."""
        base = f"/api/v1/namespaces/{namespace}"
        template = deployment["spec"]["template"]
        revision = template["metadata"]["labels"]["revision"]
        image = template["spec"]["containers"][0]["image"]
        web = {pod["metadata"]["name"]: pod for pod in pods if pod["metadata"]["labels"].get("app") == "web"}
        for name, pod in list(web.items()):
            if pod["metadata"].get("deletionTimestamp"):
                self._kube.delete(f"{base}/pods/{name}", {"gracePeriodSeconds": 0})
                del web[name]
        current = {name for name, pod in web.items() if pod["metadata"]["labels"]["revision"] == revision}
        starts = self.pulls_images and not image.startswith("localhost:1/")
        for _ in range((2 if starts else 1) - len(current)):
            name = f"web-{self._started}"
            node, address = nodes[self._started % len(nodes)], f"10.10.0.{self._started + 1}"
            self._started += 1
            self._run_pod(namespace, name, "web", node, address if starts else "", revision=revision, image=image)
            current.add(name)
        if starts or not self.keeps_old_pods:
            for name in web.keys() - current:
                self._kube.delete(f"{base}/pods/{name}", {"gracePeriodSeconds": 0})
        self._tell_endpoints(namespace)
        status = {"observedGeneration": deployment["metadata"]["generation"], "replicas": 2, "updatedReplicas": 2}
        self._kube.patch(
            f"/apis/apps/v1/namespaces/{namespace}/deployments/web/status",
            {"metadata": {}, "status": {**status, "readyReplicas": 2, "availableReplicas": 2 if starts else 0}},
        )

    def _tell_endpoints(self, namespace: str) -> None:
        found = self._kube.items(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": "app=web"})
        ready = [pod for pod in found if pod.get("status", {}).get("podIP")]
        self._replicas = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in ready}
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [address],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": name, "namespace": namespace},
                }
                for address, name in self._replicas.items()
            ],
        }
        self._kube.patch(
            f"{slices}/web-1", body, kind=APPLY_PATCH, query={"fieldManager": "simulator", "force": "true"}
        )

    def _run_pod(
        self,
        namespace: str,
        name: str,
        app: str,
        node: str,
        address: str,
        *,
        revision: str = "",
        image: str = "nginx:1.22",
    ) -> None:
        """A pod on a node; without an address it cannot pull its image."""
        base = f"/api/v1/namespaces/{namespace}/pods"
        containers = [{"name": container, "image": image} for container in _CONTAINERS.get(app, (app,))]
        self._kube.create(
            base,
            {
                "metadata": {"name": name, "labels": {"app": app, "revision": revision}},
                "spec": {"nodeName": node, "containers": containers, "automountServiceAccountToken": False},
            },
        )
        if address:
            self._become_ready(namespace, name, address)
            return
        waiting = {"reason": "ErrImagePull", "message": f"{image}: not found"}
        described = {"name": app, "ready": False, "restartCount": 0, "image": image, "imageID": ""}
        self._kube.patch(
            f"{base}/{name}/status",
            {
                "metadata": {},
                "status": {
                    "phase": "Pending",
                    "conditions": [{"type": "Ready", "status": "False"}],
                    "containerStatuses": [{**described, "state": {"waiting": waiting}}],
                },
            },
        )

    def _become_ready(self, namespace: str, name: str, address: str) -> None:
        base = f"/api/v1/namespaces/{namespace}/pods"
        self._kube.patch(
            f"{base}/{name}/status",
            {
                "metadata": {},
                "status": {
                    "phase": "Running",
                    "podIP": address,
                    "podIPs": [{"ip": address}],
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            },
        )
