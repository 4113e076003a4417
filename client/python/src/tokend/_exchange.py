"""Requests and answers, as ``proto/openapi.json`` has them.

Owns paths, limits and the meaning of an answer. Does no I/O, so that both clients share it.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, NamedTuple, Optional, Union
from urllib.parse import quote, urlencode

from ._errors import NotAllowed, TokendError, fault, late, lost, protocol
from ._token import Event, Token

HEADERS: Mapping[str, str] = {"Host": "tokend", "X-Tokend": "1", "Accept": "application/json, application/jsonl"}

#: How long a connection may take, while the daemon's queue is full.
CONNECT = 5.0
#: How long an answer may take that needs no attempt.
ANSWER = 10.0
#: How much longer than the daemon the client waits for an answer that may take an attempt: the daemon's own answer says more.
GRACE = 2.0
#: The longest limit that Python's sockets take, in seconds: they count milliseconds in 31 bits.
LONGEST_LIMIT = float((2**31 - 1) // 1000)
#: Something comes at least every 15 seconds on a stream; after three times that it is given up.
SILENCE = 45.0
#: The longest answer or line that is read: a token has at most 32 KiB, an escaped one six times as many.
LONGEST = 1024 * 1024
#: How much of an API's answer decides whether it refuses the token. The daemon reads no more.
DECIDING = 16 * 1024
#: The pauses between attempts to reach a daemon that is away: doubled up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

Number = Union[int, float]


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Optional[bytes]
    #: How long its answer may take.
    limit: float


def token(account: str, min_validity: Optional[Number], wait: Number, timeout: Optional[Number]) -> Ask:
    limit = patience(wait, timeout)
    query = {"min_validity": min_validity, "wait": wait or None, "timeout": limit}
    return Ask("GET", _path(account, "token", query), None, min(limit + GRACE, LONGEST_LIMIT))


def reject(account: str, value: str, wait: Number, timeout: Optional[Number]) -> Ask:
    limit = patience(wait, timeout)
    return Ask("POST", _path(account, "reject", {"wait": wait or None, "timeout": limit}), _json({"token": value}), min(limit + GRACE, LONGEST_LIMIT))


def refusal(account: str, status: int, body: bytes) -> Ask:
    text = body[:DECIDING].decode("utf-8", "replace")
    # Escaped, others would be six times as long as the daemon reads.
    text = "".join(letter if letter >= " " or letter in "\t\r\n" else "\ufffd" for letter in text)
    return Ask("POST", _path(account, "refusal", {}), _json({"status": status, "body": text}), ANSWER)


def page(path: str, after: Optional[str]) -> Ask:
    query = "" if after is None else "?" + urlencode({"after": after})
    return Ask("GET", path + query, None, ANSWER)


def status(account: str) -> Ask:
    return Ask("GET", _path(account, "status", {}), None, ANSWER)


def watch(account: str, min_validity: Optional[Number]) -> Ask:
    return Ask("GET", _path(account, "watch", {"min_validity": min_validity}), None, ANSWER)


def next_page(answer: Mapping[str, Any]) -> Optional[str]:
    after = answer.get("next")
    return after if isinstance(after, str) else None


def patience(wait: Number, timeout: Optional[Number]) -> float:
    return float(30 + wait if timeout is None else timeout)


def answer(status: int, body: bytes) -> Dict[str, Any]:
    """The object of an answer, or its error."""
    if status == 204:
        raise NotAllowed(
            "the refusal is reported, and the new token is not for you",
            code="not-allowed",
            advice="a rule with `get` in `may` has to match you; see: tokenctl whoami",
        )
    found = _object(body)
    if status == 200 and found is not None:
        return found
    if status >= 400 and found is not None and "code" in found:
        raise fault(found)
    raise protocol(f"HTTP {status}, which no request of this client is answered with")


def event(line: bytes) -> Optional[Event]:
    """What a line of a watch tells; nothing on a line that says the daemon is alive. Raises what ended the watch."""
    if not line.strip():
        return None
    found = _object(line)
    if found is None:
        raise protocol("a line of the watch is no object")
    kind = found.get("event")
    if kind == "token":
        return Event("token", token=Token(found))
    if kind == "retired":
        return Event("retired")
    if kind == "unavailable":
        return Event("unavailable", error=fault(found))
    if kind == "ended":
        raise fault(found)
    return None


def broken(error: Exception, limit: float) -> TokendError:
    """The meaning of an error on a connection that was made."""
    return late(limit) if isinstance(error, TimeoutError) or "timed out" in str(error) else lost(error or type(error).__name__)


def _path(account: str, what: str, query: Mapping[str, Optional[Number]]) -> str:
    # Whole seconds: rounded up, so that a token lives as long as was asked.
    given = {name: -int(-number // 1) for name, number in query.items() if number is not None}
    tail = "?" + urlencode(given) if given else ""
    return f"/v1/accounts/{quote(account, safe='@+')}/{what}{tail}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _object(body: bytes) -> Optional[Dict[str, Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
