"""The token of an account for ``requests``: ``requests.get(url, auth=TokendAuth("ads"))``.

Owns when a token is added to a request and taken off again. It goes only to addresses of its account, and with no redirect.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Optional

import requests
from requests.auth import AuthBase
from requests.utils import select_proxy
from urllib3.util import parse_url

from . import _proxies
from ._addresses import Target
from ._client import Client, shared
from ._errors import ProtocolError, TokendError
from ._exchange import DECIDING
from ._token import Token

__all__ = ["TokendAuth"]


class TokendAuth(AuthBase):
    """Adds the account's token. If the API refuses it, that is reported, and the request is repeated once with the new one."""

    def __init__(self, account: str, client: Optional[Client] = None) -> None:
        self.account = account
        self.client = shared() if client is None else client

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        target = _target(request.url)
        token = self.client._token_at(self.account, target)
        _proxies.forbid(self.account, target)
        before = {name: request.headers.get(name) for name in ("Authorization", "Cookie")}
        _present(request, token, before.get(token.header()[0]))
        register: Any = request.register_hook
        register("response", partial(self._answered, token, before, _position(request.body)))
        return request

    def _answered(
        self, token: Token, before: Any, position: Any, response: requests.Response, **options: Any
    ) -> requests.Response:
        request = response.request
        name, _ = token.header()
        if request.headers.get(name) != _value(token, before.get(name)):
            # This one went without the token, after a redirect.
            return response
        if str(request.url).startswith("http:") and select_proxy(str(request.url), options.get("proxies")):
            # Only now is it known that the program itself has named one.
            raise _proxies.through(self.account, "and has just been read there", "name no proxy for this address")
        if response.is_redirect:
            _remove(request, name, before.get(name))
            return response
        if not self._is_refusal(response, bool(options.get("stream"))):
            return response
        newer = self.client.reject(self.account, token)
        if not _rewound(request.body, position):
            return response
        # Both: the first answer may be a stream that nobody reads now.
        response.content
        response.close()
        _remove(request, name, before.get(name))
        again = request.copy()
        _present(again, newer, before.get(newer.header()[0]))
        connection: Any = getattr(response, "connection")
        answer: requests.Response = connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer

    def _is_refusal(self, response: requests.Response, stream: bool) -> bool:
        if not self.client._may_refuse(self.account, response.status_code):
            return False
        length = response.headers.get("Content-Length", "")
        if stream and response.status_code < 400 and not length.isdigit():
            # It may be a stream without an end.
            return False
        # One that says it is long, and that its reader wants piece by piece, is not read here: its status decides.
        body = b"" if stream and length.isdigit() and int(length) > DECIDING else response.content
        try:
            return self.client.refused(self.account, response.status_code, body)
        except ProtocolError:
            raise
        except TokendError:
            # Nobody can say. The API's own answer says more than that the daemon is away.
            return False


def _target(url: Optional[str]) -> Optional[Target]:
    """As urllib3 takes the URL apart, which sends the request."""
    parts = parse_url(url or "")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme or "")
    if parts.scheme is None or parts.host is None or port is None or parts.auth is not None:
        return None
    return Target(parts.scheme, parts.host, port, parts.path or "/")


def _value(token: Token, before: Optional[str]) -> str:
    name, value = token.header()
    return f"{before}; {value}" if name == "Cookie" and before else value


def _present(request: requests.PreparedRequest, token: Token, before: Optional[str]) -> None:
    request.headers[token.header()[0]] = _value(token, before)


def _remove(request: requests.PreparedRequest, name: str, before: Optional[str]) -> None:
    """``requests`` copies the headers of this request for the next one."""
    request.headers.pop(name, None)
    if name == "Cookie" and before:
        request.headers[name] = before


def _position(body: Any) -> Any:
    try:
        return None if body is None or isinstance(body, (bytes, str)) else body.tell()
    except (AttributeError, OSError):
        return None


def _rewound(body: Any, position: Any) -> bool:
    """Whether the body can be sent a second time."""
    if body is None or isinstance(body, (bytes, str)):
        return True
    try:
        body.seek(position)
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    return True
