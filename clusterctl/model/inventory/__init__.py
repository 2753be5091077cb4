"""The desired state: one strict YAML file, read into frozen values. One module a section of the file."""

from clusterctl.model.inventory.cluster import Cluster
from clusterctl.model.inventory.document import Inventory, with_drain, with_roles
from clusterctl.model.inventory.drain import DrainOptions
from clusterctl.model.inventory.hosts import Host, Role
from clusterctl.model.inventory.network import CalicoNetwork, FlannelNetwork, ManifestsNetwork, Network, Source
from clusterctl.model.inventory.reading import load_inventory, parse_inventory
from clusterctl.model.inventory.ssh import Bastion, Ssh

__all__ = [
    "Bastion",
    "CalicoNetwork",
    "Cluster",
    "DrainOptions",
    "FlannelNetwork",
    "Host",
    "Inventory",
    "ManifestsNetwork",
    "Network",
    "Role",
    "Source",
    "Ssh",
    "load_inventory",
    "parse_inventory",
    "with_drain",
    "with_roles",
]
