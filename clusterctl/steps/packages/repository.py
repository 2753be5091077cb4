"""Add the Kubernetes package repository."""

from clusterctl.steps.repository import KubernetesRepository


class Repository(KubernetesRepository):
    """apt knows the repository of the wanted minor version, signed by the expected key."""

    name = "packages/repository"
    title = "Add the Kubernetes package repository"
