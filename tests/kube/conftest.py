"""A real etcd and a real kube-apiserver without machines: the tests write what controllers and kubelets would."""

from collections.abc import Callable, Iterator

import pytest

from clusterctl.kube.connect.client import Kube
from tests.kube.server import ApiServer, MissingPrograms, running


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Start etcd and kube-apiserver once for all tests, and stop them."""
    try:
        with running(tmp_path_factory.mktemp("api")) as server:
            yield server
    except MissingPrograms as missing:
        pytest.skip(str(missing))


@pytest.fixture
def kube(api_server: ApiServer) -> Iterator[Kube]:
    """A connection with every right."""
    with Kube(api_server.kubeconfig()) as connection:
        yield connection


@pytest.fixture
def make_node(kube: Kube) -> Iterator[Callable[..., str]]:
    """Write nodes as a kubelet would, and remove them at the end."""
    made: list[str] = []

    def make(
        name: str,
        *,
        labels: dict[str, str] | None = None,
        taints: list[dict[str, str]] | None = None,
        ready: bool = True,
        version: str = "v1.36.3",
    ) -> str:
        kube.create(
            "/api/v1/nodes",
            {"metadata": {"name": name, "labels": labels or {}}, "spec": {"taints": taints or []}},
        )
        made.append(name)
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if ready else "cni plugin not initialized",
        }
        kube.patch(
            f"/api/v1/nodes/{name}/status",
            {
                "metadata": {},
                "status": {
                    "conditions": [condition],
                    "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": "10.0.0.7"}],
                    "nodeInfo": {
                        "kubeletVersion": version,
                        "osImage": "Ubuntu 24.04.3 LTS",
                        "containerRuntimeVersion": "containerd://2.3.7",
                    },
                },
            },
        )
        return name

    yield make
    for name in made:
        kube.delete(f"/api/v1/nodes/{name}")
