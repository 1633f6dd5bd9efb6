"""Which addresses rules may reach."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.webhooks.addresses import why_forbidden

FORBIDDEN = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.1.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "224.0.1.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200", "::",
    "::1", "::8.8.8.8", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::a00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:53aa:64c:0:f227:f5f5:f5f5", "2001:db8::1", "2002:808:808::1",
    "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1",
    "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255",
    "172.32.0.1", "192.167.255.255", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e", "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_public_is_forbidden_and_says_so(address):
    assert address in why_forbidden("hooks.test", ip_address(address)).replace(str(ip_address(address)), address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address):
    assert why_forbidden("hooks.test", ip_address(address)) is None


@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_private(address: IPv4Address | IPv6Address):
    if why_forbidden("hooks.test", address) is None:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("allowed", "host", "address"),
    [
        ("10.1.0.0/16", "hooks.test", "10.1.2.3"),
        ("10.1.2.3", "hooks.test", "10.1.2.3"),
        ("fd12::/32", "hooks.test", "fd12::1"),
        ("hooks.test", "Hooks.Test", "10.1.2.3"),
        ("169.254.169.254", "hooks.test", "169.254.169.254"),
        ("fe80::1/128", "hooks.test", "fe80::1"),
        ("64:ff9b::/96", "hooks.test", "64:ff9b::8.8.8.8"),
    ],
)
def test_an_operator_opens_hosts_networks_and_addresses(settings, allowed, host, address):
    settings.WEBHOOK_ALLOW = [allowed]
    assert why_forbidden(host, ip_address(address)) is None


@pytest.mark.parametrize(
    ("allowed", "host", "address"),
    [
        ("10.1.0.0/16", "hooks.test", "10.2.0.1"),
        ("hooks.test", "other.test", "10.1.2.3"),
        ("hooks.test", "a.hooks.test", "10.1.2.3"),
        # An IPv4 network does not mean what is wrapped into IPv6.
        ("127.0.0.0/8", "hooks.test", "::ffff:127.0.0.1"),
    ],
)
def test_and_nothing_else(settings, allowed, host, address):
    settings.WEBHOOK_ALLOW = [allowed]
    assert why_forbidden(host, ip_address(address)) is not None


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    ],
)
def test_no_network_and_no_name_opens_a_clouds_metadata(settings, address):
    settings.WEBHOOK_ALLOW = ["0.0.0.0/0", "::/0", "hooks.test"]
    assert "metadata" in why_forbidden("hooks.test", ip_address(address))
