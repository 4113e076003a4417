"""Proxies on the way of plain requests.

Owns the rule: a token that goes to ``http://``, which is for loopback only, passes no proxy, which would read it. Libraries take proxies
from the environment on their own, also for loopback.
"""

from __future__ import annotations

from typing import Optional
from urllib.request import getproxies, proxy_bypass

from ._addresses import Target
from ._errors import WrongUse


def forbid(account: str, target: Optional[Target]) -> None:
    """Fails where the environment has a proxy for this target."""
    if target is None or target.scheme != "http":
        return
    proxies = getproxies()
    if (proxies.get("http") or proxies.get("all")) and not proxy_bypass(target.host.strip("[]")):
        raise through(account, "and was not sent", "add the host to the variable no_proxy")


def through(account: str, what: str, advice: str) -> WrongUse:
    message = f"the token of {account} would pass a proxy in clear, {what}: the address is plain http"
    return WrongUse(message, code="wrong-use", advice=advice)
