"""Which addresses of the network a rule may reach: public ones, and those that the operator allows.

The tables are IANA's registries of special addresses, written out: what `ipaddress` holds for public differs between
versions of Python.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

Address = IPv4Address | IPv6Address

_NOT_PUBLIC = [
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # IETF protocols (Teredo among them), documentation, 6to4, documentation.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
]
# Of IPv6, all that has been given out to the public lies here; what only looks like it is listed above.
_PUBLIC_IPV6 = ip_network("2000::/3")
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
# Where clouds hand a machine its credentials, as far as it is not link-local: OCI, Alibaba, Azure, AWS, Google.
_METADATA = frozenset(
    ip_address(address)
    for address in ("192.0.0.192", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)


def why_forbidden(host: str, address: Address) -> str | None:
    """What is against a connection to `address`, which `host` was resolved to. None: nothing.

    Link-local addresses and those of a cloud's metadata are open only to whom the setting names one by one: who allows
    a network, or a name that somebody else may point elsewhere, means neither.
    """
    networks = [ip_network(word) for word in settings.WEBHOOK_ALLOW if is_network(word)]
    reached = {address, *_embedded(address)}
    if any(each.is_link_local or each in _METADATA for each in reached):
        named = any(network.num_addresses == 1 and address in network for network in networks)
        return None if named else f"{address} is link-local, or a cloud's metadata service"
    if _is_public(address) or any(address in network for network in networks):
        return None
    return None if host.lower() in settings.WEBHOOK_ALLOW else f"{address} is not a public address"


def is_network(word: str) -> bool:
    try:
        ip_network(word)
    except ValueError:
        return False
    return True


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return isinstance(address, IPv4Address) or address in _PUBLIC_IPV6


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses that packets to this IPv6 address may be sent on to."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield address.teredo[1]
    if any(address in network for network in _NAT64):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
