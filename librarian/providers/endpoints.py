"""Where requests may be sent: this machine, and what the operator allows by KJXLKJ_LLM_ALLOW."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address
from urllib.parse import urlsplit

from django.conf import settings

from kjxlkj.errors import Invalid

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Endpoint:
    kind: str
    base_url: str
    """Written in one way: lower case host, no default port, no slash at the end."""
    host: str
    """With the port, unless it is the scheme's."""
    is_local: bool
    """On this machine. Names other than “localhost” are not resolved to find that out."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL that is fit to be a `base_url`."""

    scheme: str
    host: str
    path: str
    is_local: bool

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    def covers(self, other: "Address") -> bool:
        """Whether `other` begins with this, whole segments only."""
        return self.origin == other.origin and (other.path == self.path or other.path.startswith(f"{self.path}/"))


def endpoint_of(kind: str, base_url: str) -> Endpoint:
    """Raises `Invalid` PROVIDER_NOT_ALLOWED: settings may have become stricter since the rule was saved."""
    if fault := base_url_fault(kind, base_url):
        raise Invalid("PROVIDER_NOT_ALLOWED", f"base_url {base_url[:200]!r}: {fault}")
    address = parse_address(base_url)
    return Endpoint(kind, str(address), address.host, address.is_local)


def base_url_fault(kind: str, base_url: str) -> str:
    """What is against it; empty: nothing."""
    if not base_url:
        return f"is missing. Give the address of the {kind} server, up to “/v1”."
    if fault := address_fault(base_url):
        return fault
    address, allowed = parse_address(base_url), _allowed()
    if address.is_local or any(each.covers(address) for each in allowed):
        return ""
    places = ", ".join(["this machine", *map(str, allowed)])
    return f"{address} is not allowed here, only {places}. The server's operator can add it to KJXLKJ_LLM_ALLOW."


def _allowed() -> list[Address]:
    """What cannot be read allows nothing; a system check tells of it."""
    return [parse_address(word) for word in settings.LLM_ALLOW if not address_fault(word)]


def address_fault(url: str) -> str:
    """What keeps it from being a `base_url` anywhere; empty: nothing."""
    try:
        parse_address(url)
    except ValueError as error:
        return str(error)
    return ""


def parse_address(url: str) -> Address:
    """Raises ValueError with what is wrong, for people."""
    if not re.fullmatch(r"[!-\[\]-~]+", url):
        raise ValueError("only ASCII, without spaces and backslashes.")
    if "?" in url or "#" in url:
        raise ValueError("leave out what follows the ? or #: requests go to paths below it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not an address: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("expected http://host/… or https://host/…")
    if "@" in parts.netloc:
        raise ValueError("no user name and no password in it: keys come from the server's environment.")
    if port == 0:
        raise ValueError("the port is to be 1 to 65535.")
    host, is_local = _host(parts.hostname, is_ipv6="[" in parts.netloc)
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return Address(parts.scheme, f"{host}{suffix}", _path(parts.path), is_local)


def _path(path: str) -> str:
    """Without anything that a server may read as another path."""
    bare = path.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", bare) or {".", ".."} & set(bare.split("/")):
        raise ValueError("the path is to be of letters, digits and - . _ ~ between slashes, without “..” and “%”.")
    return bare


def _host(host: str, *, is_ipv6: bool) -> tuple[str, bool]:
    """In its one spelling, and whether it is this machine. `host` is in lower case."""
    try:
        if is_ipv6:
            address = IPv6Address(host)
            if address.scope_id:
                raise ValueError("leave out the zone of the address, from the % on.")
            return f"[{address}]", address == IPv6Address("::1")
        if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", host.rpartition(".")[2]):
            number = IPv4Address(host)
            return str(number), number in _LOOPBACK
    except AddressValueError as error:
        raise ValueError("write the host's address as four decimal numbers such as 127.0.0.1, or as [IPv6].") from error
    if not re.fullmatch(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) or len(host) > 253:
        raise ValueError("the host is not a name: letters, digits, hyphens and dots, and none at the end.")
    return host, host == "localhost"
