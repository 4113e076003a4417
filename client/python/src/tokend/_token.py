"""Access tokens, accounts and events, as the daemon's JSON has them.

Owns what is shown of a token: never its value.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Tuple

from ._errors import TokendError, WrongUse, protocol

#: RFC 3339. The fraction may have any length.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))\Z")

#: What the name of a header or cookie is made of, and what its value must not have.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(r"[\x20-\x7e]*\Z")


def boot_seconds() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Token:
    """An access token. ``value`` is the secret; nothing else shows it."""

    __slots__ = ("value", "type", "expires_at", "scope", "_present", "_end", "_life")

    #: The secret.
    value: str
    #: What goes before it in ``Authorization``; ``N_A`` where it does not belong there.
    type: str
    #: When it expires, where known.
    expires_at: Optional[datetime]
    #: What it is good for, where the provider said so.
    scope: Optional[str]

    def __init__(self, answer: Mapping[str, Any]) -> None:
        value, kind = answer.get("access_token"), answer.get("token_type")
        if not isinstance(value, str) or not value or not isinstance(kind, str):
            raise protocol("it has no token")
        scope = answer.get("scope")
        self.value = value
        self.type = kind
        self.expires_at = _instant(answer.get("expires_at"))
        self.scope = scope if isinstance(scope, str) else None
        self._present = _present(kind, answer.get("present"))
        self._life = _life(self.expires_at, answer.get("expires_in"))
        self._end = None if self._life is None else boot_seconds() + self._life

    @property
    def expires_in(self) -> Optional[float]:
        """How many seconds it still lives, where known. A wrong clock does not matter if the daemon's answer said so."""
        return None if self._end is None else max(0.0, self._end - boot_seconds())

    def header(self) -> Tuple[str, str]:
        """The name and value of the header that presents it to its API."""
        place, name, prefix = self._present
        if place == "query":
            raise WrongUse(
                f"the API of this account wants its token in the parameter {name} of the URL, where programs log it",
                code="wrong-use",
                advice="make this request with: tokenctl request",
            )
        if place == "cookie":
            return ("Cookie", _plain(f"{name}={self.value}"))
        return (name, _plain(f"{prefix}{self.value}"))

    def holds(self, min_validity: Optional[float]) -> bool:
        """Whether it lives so long still. Without a demand it is given up as early as the daemon does, which is asked no sooner: five
        seconds before its end, or a tenth of its life. The daemon's times are up to a second shorter, as they are cut."""
        left = self.expires_in
        if left is None or self._life is None:
            return True
        return left > (max(0.0, min(5.0, self._life / 10) - 1) if min_validity is None else min_validity)

    def __repr__(self) -> str:
        return f"Token(type={self.type!r}, expires_at={self.expires_at!r}, {len(self.value)} characters)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled: ask for it where it is used")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self.value == other.value and self._present == other._present

    def __hash__(self) -> int:
        return hash(self.value)


class Account(NamedTuple):
    """An account, and the addresses its token may be sent to."""

    name: str
    urls: Tuple[str, ...]
    #: Whether its API may refuse the token in an answer with a status below 400: ask :meth:`Client.refused` about those too.
    refused_below_400: bool = False


class Event(NamedTuple):
    """What a watch tells. Programs skip kinds that they do not know."""

    #: ``token``: use this one from now on. ``retired``: the one before must not be used any more. ``unavailable``: there is none
    #: at present. ``reconnecting``: the daemon is away; the token before stays in use until it expires.
    kind: str
    #: Of ``token``.
    token: Optional[Token] = None
    #: Of ``unavailable`` and ``reconnecting``: why.
    error: Optional[TokendError] = None


def accounts_of(page: Mapping[str, Any]) -> List[Account]:
    found = []
    for line in listed(page):
        name, urls = line.get("account"), line.get("urls")
        if not isinstance(name, str) or not isinstance(urls, list):
            raise protocol("an account has no name or no addresses")
        urls = tuple(url for url in urls if isinstance(url, str))
        found.append(Account(name, urls, line.get("refused_below_400") is True))
    return found


def listed(page: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The accounts of a page."""
    lines = page.get("accounts")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise protocol("it has no accounts")
    return lines


def _present(kind: str, present: object) -> Tuple[str, str, str]:
    """Where the API wants the token: place, name, and what goes before it."""
    if isinstance(present, Mapping):
        parts = (present.get("in"), present.get("name"), present.get("prefix"))
        place, name, prefix = (part if isinstance(part, str) else "" for part in parts)
        known = place == "query" or (place in ("header", "cookie") and _NAME.match(name))
        if name and known and _VALUE.match(prefix):
            return (place, name, prefix)
        raise protocol("it does not say how the token is presented")
    if kind == "N_A" or not _VALUE.match(kind):
        raise protocol("it does not say how the token is presented")
    scheme = "Bearer" if kind.lower() in ("", "bearer") else kind
    return ("header", "Authorization", f"{scheme} ")


def _plain(value: str) -> str:
    if _VALUE.match(value):
        return value
    raise protocol("the token has characters that a header cannot have")


def _instant(text: object) -> Optional[datetime]:
    match = _TIME.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    day, clock, fraction, sign, hours, minutes = match.groups()
    moment = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    moment += timedelta(microseconds=int(((fraction or "") + "000000")[:6]))
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return moment + away if sign == "-" else moment - away


def _life(expires_at: Optional[datetime], expires_in: object) -> Optional[float]:
    left = None if expires_at is None else max(0.0, expires_at.timestamp() - time.time())
    if not isinstance(expires_in, (int, float)):
        return left
    # Whole seconds, rounded down; the rest is in the time, unless the clock is wrong.
    return float(expires_in) if left is None else min(max(left, expires_in), expires_in + 1.0)
