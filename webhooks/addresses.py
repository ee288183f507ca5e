"""Where an alert came from, and where this desk can be reached."""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

from algotrendy.supervisor.lock import holder

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

TRADINGVIEW_ADDRESSES = ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks written in `texts` ("10.0.0.0/8", "52.89.214.238"). Raises ValueError."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


@lru_cache(maxsize=256)
def parse_address(text: str) -> Address | None:
    """Return an address without zone, an IPv4 one if it was mapped into IPv6, or None if it is none."""
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_within(address: Address | None, allowed: Iterable[Network]) -> bool:
    """Return whether `address` lies in one of the networks; an unknown address lies in none."""
    return address is not None and any(address in network for network in allowed)


def sender(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Return who sent a request: the nearest address that is not one of our trusted proxies.

    `forwarded_for` are the values of X-Forwarded-For in order. Only what a trusted proxy has appended is believed,
    so it is read from the right, and an entry that is no address ends the search with None.
    """
    address = parse_address(peer or "")
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and is_within(address, trusted):
        address = parse_address(hops.pop())
    return address


def public_url() -> str:
    """Return the address senders use: ALGOTRENDY_URL if it is set, else that of the running desk."""
    if os.environ.get("ALGOTRENDY_URL"):
        return settings.PUBLIC_URL.rstrip("/")
    return local_url()


def local_url() -> str:
    """Return the address at which the running desk listens on this machine, without a trailing slash."""
    running = holder(settings.DATA_DIR / "run")
    return (running[1] if running else settings.PUBLIC_URL).rstrip("/")


def webhook_url(token: str, base: str = "") -> str:
    """Return the address to which alerts of the source with `token` are posted."""
    return f"{base or public_url()}/webhooks/tradingview/{token}"
