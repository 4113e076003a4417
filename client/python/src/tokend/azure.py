"""The token of an account for Azure's libraries: ``TokendCredential("ads")`` wherever a ``TokenCredential`` is taken.

Owns what a scope asked for means, and a policy that reports refusals. Errors are azure-core's own, with tokend's words.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Iterable, NoReturn, Optional, Tuple

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy

from . import _addresses, _proxies
from ._client import Client, shared
from ._errors import ProtocolError, TokendError, WrongUse
from ._exchange import DECIDING
from ._token import Token, boot_seconds

__all__ = ["TokendCredential", "TokendPolicy"]

#: What follows the address of an API in a scope of Microsoft's.
_DEFAULT = "/.default"

#: How long a token is taken to live whose provider does not say: azure-core asks again then, which costs no request.
_UNKNOWN = 3600

#: For so many seconds a token that has followed a refused one is not reported in its turn: requests that went out at the same time with
#: that one are refused one after the other, and nobody says which token a refusal is about.
_SETTLES = 30.0


class TokendCredential:
    """A ``TokenCredential`` whose token comes from tokend.

    A scope that is asked for has to be one of the token's own, of ``scopes`` (where the provider does not say them), or the address of an
    API of the account, with or without ``/.default``. Any other is refused: tokend has one token for an account.

    The libraries decide which requests the token goes out with, and report no refusal; :class:`TokendPolicy` does both by the account's
    addresses and rules.
    """

    def __init__(self, account: str, client: Optional[Client] = None, *, scopes: Iterable[str] = ()) -> None:
        self.account = account
        self._tokend = shared() if client is None else client
        self._declared = frozenset(scopes)
        self._lock = threading.Lock()
        self._given: Optional[str] = None
        #: The token that followed a refused one, and since when.
        self._successor: Tuple[Optional[str], float] = (None, 0.0)

    def get_token(self, *scopes: str, claims: Optional[str] = None, tenant_id: Optional[str] = None, **_: Any) -> AccessToken:
        """The token. ``claims`` come from an API that refused the last one: it is reported, and the next one returned."""
        try:
            if tenant_id is not None:
                raise _wrong_scope(self.account, f"tenant {tenant_id}")
            token = self._tokend.token(self.account)
            for scope in scopes:
                self._demand(scope, token)
            if claims and self._is_refused(token):
                token = self._tokend.reject(self.account, token)
        except TokendError as error:
            _raise(error)
        with self._lock:
            self._given = token.value
            if claims and self._successor[0] != token.value:
                self._successor = (token.value, boot_seconds())
        end = token.expires_at
        return AccessToken(token.value, int(time.time() + _UNKNOWN if end is None else end.timestamp()))

    def _is_refused(self, token: Token) -> bool:
        """Whether claims that are demanded are about this token: it was given, and follows none that was just refused."""
        with self._lock:
            value, since = self._successor
            follows = value == token.value and boot_seconds() - since < _SETTLES
            return self._given == token.value and not follows

    def _demand(self, scope: str, token: Token) -> None:
        if scope in self._declared or scope in (token.scope or "").split():
            return
        address = scope[: -len(_DEFAULT)] if scope.endswith(_DEFAULT) else scope
        target = _addresses.target(address)
        if target is None or not self._tokend._followed(self.account).covers(target):
            raise _wrong_scope(self.account, f"scope {scope}")

    def close(self) -> None:
        """Nothing: the client is shared."""

    def __enter__(self) -> TokendCredential:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class TokendPolicy(HTTPPolicy[Any, Any]):
    """In place of ``BearerTokenCredentialPolicy``: adds the token only at addresses of the account, reports a refusal and repeats once."""

    def __init__(self, account: str, client: Optional[Client] = None) -> None:
        super().__init__()
        self.account = account
        self._tokend = shared() if client is None else client

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        message = request.http_request
        # Retries come here with the same URL, redirects with another.
        if request.context.setdefault("tokend.url", message.url) != message.url:
            return self.next.send(request)
        try:
            target = _addresses.target(message.url)
            token = self._tokend._token_at(self.account, target)
            _proxies.forbid(self.account, target)
            position = _position(message)
            response = self._sent(request, token)
            if not self._is_refusal(response.http_response):
                return response
            newer = self._tokend.reject(self.account, token)
        except TokendError as error:
            _raise(error)
        return self._sent(request, newer) if _rewound(message, position) else response

    def _sent(self, request: PipelineRequest[Any], token: Token) -> PipelineResponse[Any, Any]:
        """With the token only on its way: what retries or follows redirects makes its requests from this one."""
        headers = request.http_request.headers
        name, value = token.header()
        before = headers.get(name)
        headers[name] = f"{before}; {value}" if name == "Cookie" and before else value
        try:
            return self.next.send(request)
        finally:
            headers.pop(name, None)
            if before is not None:
                headers[name] = before

    def _is_refusal(self, response: Any) -> bool:
        if not self._tokend._may_refuse(self.account, response.status_code):
            return False
        length = response.headers.get("Content-Length", "")
        if response.status_code < 400 and not length.isdigit():
            # It may be a stream without an end.
            return False
        body = b""
        # One that says it is long is left to its reader: its status decides.
        if not length.isdigit() or int(length) <= DECIDING:
            read = getattr(response, "read", None) or response.body
            body = read()
        try:
            return self._tokend.refused(self.account, response.status_code, body)
        except ProtocolError:
            raise
        except TokendError:
            # Nobody can say. The API's own answer says more than that the daemon is away.
            return False


def _position(message: Any) -> Any:
    body = getattr(message, "body", None)
    try:
        return None if body is None or isinstance(body, (bytes, str)) else body.tell()
    except (AttributeError, OSError):
        return None


def _rewound(message: Any, position: Any) -> bool:
    body = getattr(message, "body", None)
    if body is None or isinstance(body, (bytes, str)):
        return True
    try:
        body.seek(position)
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    return True


def _wrong_scope(account: str, what: str) -> WrongUse:
    return WrongUse(
        f"the token of {account} is not for the {what}",
        code="invalid-scope",
        advice="configure an account whose token is, or say so where you know better: TokendCredential(…, scopes=[…])",
    )


def _raise(error: TokendError) -> NoReturn:
    raise ClientAuthenticationError(message=str(error)) from error
