"""Which addresses a token may be sent to.

Owns the comparison, by the same rules as tokend's own: scheme, host and port as they are, the path in whole parts, and ``*.`` before a
host for every host below it. Whatever is not plain belongs to nobody. A line that only a newer release can read covers nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Iterable, NamedTuple, Optional
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}
_PART = re.compile(r"[A-Za-z0-9_-]{1,63}\Z")
_URL = re.compile(r"[\x21-\x7e]+\Z")
_CODES = (("%2e", "."), ("%2f", "/"), ("%5c", "\\"), ("%25", "%"))


class Target(NamedTuple):
    """Where a request goes, as the program that sends it has taken the URL apart."""

    scheme: str
    host: str
    port: int
    path: str


def target(url: str) -> Optional[Target]:
    """The parts of a URL, unless programs may disagree about them."""
    if not _URL.match(url) or any(letter in url for letter in '\\"<>^`{|}'):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or port is None:
        return None
    return Target(parts.scheme, parts.hostname, port, parts.path or "/")


def covered(urls: Iterable[str], wanted: Optional[Target]) -> bool:
    """Whether one of these addresses covers the target."""
    return wanted is not None and any(_covers(url, wanted) for url in urls)


def _covers(url: str, wanted: Target) -> bool:
    allowed = target(url)
    if allowed is None or (allowed.scheme == "http" and not _is_loopback(allowed.host)):
        return False
    same = (allowed.scheme, allowed.port) == (wanted.scheme, wanted.port)
    return same and _covers_host(allowed.host, wanted.host.lower()) and _covers_path(allowed.path, wanted.path)


def _covers_host(allowed: str, host: str) -> bool:
    host = host.strip("[]")
    if not allowed.startswith("*."):
        return host == allowed
    below = host[: -len(allowed) + 1] if host.endswith(allowed[1:]) else ""
    return bool(below) and all(_PART.match(part) for part in below.split("."))


def _covers_path(allowed: str, path: str) -> bool:
    prefix = allowed.rstrip("/")
    if not prefix:
        return path.startswith("/")
    if not path.startswith(prefix) or _leads_out(path):
        return False
    rest = path[len(prefix) :]
    return rest.startswith("/") if rest else not allowed.endswith("/")


def _leads_out(path: str) -> bool:
    """Whether a part of the path is ``..`` once it is decoded, however its slashes are written."""
    decoded = path.lower()
    # Twice, for servers behind a proxy that decodes as well.
    for _ in range(2):
        for code, letter in _CODES:
            decoded = decoded.replace(code, letter)
    return any(part.split(";")[0] == ".." for part in re.split(r"[/\\]", decoded))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
