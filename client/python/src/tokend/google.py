"""The token of an account for Google's libraries: ``Credentials("ads")`` wherever one of google-auth is taken.

Owns what a scope asked for means, and when a refresh is a refusal. Errors are google-auth's own, with tokend's words.
"""

from __future__ import annotations

import threading
from datetime import timezone
from typing import Any, FrozenSet, Iterable, MutableMapping, Optional, Sequence

import google.auth.credentials
import google.auth.exceptions
from google.auth.transport.requests import AuthorizedSession

from . import _addresses, _proxies
from ._client import Client, shared
from ._errors import TokendError, TryLater, WrongUse
from ._token import Token

__all__ = ["Credentials", "Session"]


class Credentials(google.auth.credentials.Scoped, google.auth.credentials.Credentials):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """Credentials whose token comes from tokend. It is added only to requests to addresses of the account.

    ``scopes`` says what the account's tokens are good for where their provider does not. A scope that is asked for and is in neither is
    refused: tokend has one token for an account.
    """

    def __init__(self, account: str, client: Optional[Client] = None, *, scopes: Iterable[str] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.account = account
        self._tokend = shared() if client is None else client
        self._declared = frozenset(scopes)
        self._scopes = None
        self._wanted: FrozenSet[str] = frozenset()
        #: The token that went out with this thread's last request; a refresh after that means that the API refused it. Other threads
        #: may have sent another meanwhile.
        self._here = threading.local()

    @property
    def requires_scopes(self) -> bool:
        """Only to be told them: a client library then says which it needs."""
        return not self._wanted

    def with_scopes(self, scopes: Optional[Sequence[str]], default_scopes: Optional[Sequence[str]] = None) -> Credentials:
        copy = type(self)(self.account, self._tokend, scopes=self._declared)
        copy._wanted = frozenset(scopes or default_scopes or ())
        copy._scopes = sorted(copy._wanted)
        return copy

    def refresh(self, request: Any) -> None:
        """The token of a request of this thread is refreshed because an API refused it. Where none went out, nothing is reported."""
        refused: Optional[str] = getattr(self._here, "sent", None)
        self._here.sent = None
        try:
            if refused is None:
                self._take(self._tokend.token(self.account))
            else:
                self._take(self._tokend.reject(self.account, refused))
        except TokendError as error:
            raise _google(error) from error

    def before_request(self, request: Any, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        try:
            target = _addresses.target(url)
            token = self._tokend._token_at(self.account, target)
            _proxies.forbid(self.account, target)
            self._take(token)
            name, value = token.header()
            if name != "Authorization":
                what = f"the API of this account wants its token in the header {name}, which google-auth may send after a redirect"
                raise WrongUse(what, code="wrong-use", advice="use tokend.requests or tokend.httpx")
        except TokendError as error:
            raise _google(error) from error
        headers[name] = value
        self._here.sent = token.value

    def _is_accepted(self) -> None:
        """The API has answered this thread's request without a refusal: a refresh by hand is none either."""
        self._here.sent = None

    def _take(self, token: Token) -> None:
        granted = self._declared | frozenset((token.scope or "").split())
        missing = sorted(self._wanted - granted)
        if missing:
            raise WrongUse(
                f"the token of {self.account} is not for the scope {missing[0]}",
                code="invalid-scope",
                advice="configure an account whose token is, or say so where you know better: Credentials(…, scopes=[…])",
            )
        end = token.expires_at
        self.token = token.value
        self.expiry = None if end is None else end.astimezone(timezone.utc).replace(tzinfo=None)


class Session(AuthorizedSession):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """google-auth's own session, which sends no token after a redirect, to the same host neither."""

    def send(self, request: Any, **options: Any) -> Any:
        response = super().send(request, **options)
        if isinstance(self.credentials, Credentials) and response.status_code not in self._refresh_status_codes:
            self.credentials._is_accepted()
        return response

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        prepared_request.headers.pop("Authorization", None)


def _google(error: TokendError) -> Exception:
    failure: Any = google.auth.exceptions.RefreshError
    refresh_error: Exception = failure(str(error), retryable=isinstance(error, TryLater))
    return refresh_error
