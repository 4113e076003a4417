"""The token of one account that a client holds.

Owns which token that is, when answers and events cross. Has no lock and does no I/O: both clients share it.
"""

from __future__ import annotations

from typing import Optional, Tuple

from ._token import Account, Event, Token, boot_seconds

#: How old the addresses may be when one is missing from them: a reload may have added it.
_OLD = 5.0


class Ledger:
    """What a client knows of one account."""

    def __init__(self) -> None:
        self._token: Optional[Token] = None
        #: Counts what has changed it. An answer to a question that was asked before the last change is older than what is held.
        self.changes = 0
        #: The token that came last on the watch, which is the one that it retires.
        self._told: Optional[str] = None
        self._urls: Optional[Tuple[str, ...]] = None
        self._urls_since = 0.0
        #: Whether the API may refuse the token in an answer with a status below 400.
        self.refused_below_400 = False

    def held(self, min_validity: Optional[float]) -> Optional[Token]:
        token = self._token
        return token if token is not None and token.holds(min_validity) else None

    def answered(self, token: Token, asked_at: int) -> None:
        """Takes the answer to a question that was asked at that count of changes."""
        if asked_at == self.changes:
            self._set(token)

    def heard(self, event: Event) -> None:
        if event.token is not None:
            self._told = event.token.value
            self._set(event.token)
        elif event.kind == "retired" and self._told is None:
            self.clear()
        elif event.kind == "retired" and self._told is not None:
            # An answer may have brought a newer one already.
            self.refused(self._told)

    def refused(self, value: str) -> None:
        """An API refused this token."""
        if self._token is not None and self._token.value == value:
            self.clear()

    def clear(self) -> None:
        self._set(None)

    def _set(self, token: Optional[Token]) -> None:
        # Also for an equal one: it comes again when what it is for has changed.
        self._token = token
        self._urls = None
        self.changes += 1

    def urls(self, enough: bool) -> Optional[Tuple[str, ...]]:
        """What its token is for; nothing if that has to be asked. Addresses that are not enough may have been added to, and who holds no
        token is not told when they change."""
        fresh = (enough and self._token is not None) or boot_seconds() - self._urls_since < _OLD
        return self._urls if fresh else None

    def told_account(self, account: Account, asked_at: int) -> None:
        """Takes the answer to a question that was asked at that count of changes."""
        self.refused_below_400 = account.refused_below_400
        if asked_at == self.changes:
            self._urls = account.urls
            self._urls_since = boot_seconds()
