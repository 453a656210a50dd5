"""Where a webhook may lead: an address is looked up once, judged, and then connected to as it is.

So a name that answers with a public address now and a private one a moment later (DNS rebinding)
gains nothing, and no redirect is followed. Link-local addresses, which is where clouds keep their
credentials, are refused whatever the settings say.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

from honewheel.errors import InputError, Unreachable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup: TypeAlias = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Special-purpose blocks (IANA registries) that the tables of older Pythons call global.
_SPECIAL = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")
)
_UNICAST6 = ipaddress.ip_network("2000::/3")  # all that is given out for hosts of the internet


def resolve(host: str, port: int, *, private: bool, lookup: Lookup) -> str:
    """The address to connect to for `host`. Every address it has must be allowed.

    Raises:
        InputError: one of them is not; the message names it.
        Unreachable: the name is not known.
    """
    try:
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in lookup(host, port)]
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} is not known: {error}.") from error
    for address in found:
        if problem := refused(address, private=private):
            raise InputError(f"{host} is {address}, {problem}.")
    if not found:
        raise Unreachable(f"{host} has no address.")
    return str(found[0])


def refused(address: Address, *, private: bool) -> str:
    """Why an address must not be called, or ""; `private` ones only where that is allowed."""
    inner = _inner(address)
    if inner is not None:
        return refused(inner, private=private)
    if address.is_link_local:
        return "a link-local address, which is never called"
    reserved = address.is_reserved and not address.is_loopback
    if address.is_multicast or address.is_unspecified or reserved:
        return "no address of a host"
    if private or _public(address):
        return ""
    return (
        "an address of this machine or a private network, which only a webhook with private = true "
        "may call"
    )


def _public(address: Address) -> bool:
    if address.version == 6 and address not in _UNICAST6:
        return False
    return address.is_global and not any(address in block for block in _SPECIAL)


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), if any."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def by_system(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver has for a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
