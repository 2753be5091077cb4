"""clusterctl: turn machines that answer SSH into a kubeadm Kubernetes cluster, and run it for years."""

__version__ = "0.1.0"
