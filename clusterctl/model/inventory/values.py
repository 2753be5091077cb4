"""Names, addresses and networks, as several sections of the inventory have them."""

import ipaddress
import re
from typing import Annotated

from pydantic import Field

# RFC 1123: what Kubernetes accepts as the name of a node, in either case; the node's name is lower case.
DNS_NAME = re.compile(r"(?i)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def dns_name(value: str) -> str:
    """A name as RFC 1123 allows it."""
    if len(value) > 253 or not DNS_NAME.fullmatch(value):
        raise ValueError("must be a DNS name: letters, digits, '-' and '.', at most 253 characters")
    return value


def cidr(value: str) -> str:
    """A network, in its usual form."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a network such as 10.10.0.0/16 ({error})") from error


def address(value: str) -> str:
    """An IP address in its usual form, or a DNS name."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if re.fullmatch(r"[\d.]+|.*:.*", value):  # Resolvers take 10.1 and 123 for IPv4 addresses written short.
        raise ValueError("is neither an IP address nor a DNS name")
    return dns_name(value)


def ip(value: str) -> str:
    """An address that every node can reach, in its usual form."""
    if "%" in value:
        raise ValueError("must be an address that all nodes can reach, not one of a single link")
    return str(ipaddress.ip_address(value))


User = Annotated[str, Field(pattern=r"^[^\s-]\S*$")]
Port = Annotated[int, Field(gt=0, lt=65536)]
