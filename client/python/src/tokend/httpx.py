"""The token of an account for ``httpx``: ``httpx.Client(auth=TokendAuth("ads"))``, and the same for ``AsyncClient``.

Owns when a token is added to a request. It goes only to addresses of its account, and with no redirect.
"""

from __future__ import annotations

from typing import Any, AsyncGenerator, Generator, List, Optional, Tuple, Union

import httpx

from . import _proxies
from ._addresses import Target
from ._async_client import AsyncClient
from ._client import Client, shared
from ._errors import ProtocolError, TokendError, WrongUse
from ._exchange import DECIDING
from ._token import Token

__all__ = ["TokendAuth"]


class _Once(httpx.Headers):
    """Headers with a token that belongs to one request: ``httpx`` makes those of a redirect from a copy, which has none."""

    _token: Optional[Tuple[bytes, bytes]] = None

    @classmethod
    def of(cls, headers: httpx.Headers, token: Token) -> _Once:
        name, value = token.header()
        once = cls(headers)
        if name == "Cookie" and "Cookie" in once:
            value = f"{once['Cookie']}; {value}"
        once.pop(name, None)
        once._token = (name.encode(), value.encode())
        if value in httpx.Headers(once).values():
            raise WrongUse("this release of httpx would send the token after a redirect", code="wrong-use", advice="install httpx 0.28")
        return once

    @property
    def raw(self) -> List[Tuple[bytes, bytes]]:
        return super().raw + ([] if self._token is None else [self._token])


class TokendAuth(httpx.Auth):
    """Adds the account's token. If the API refuses it, that is reported, and the request is repeated once with the new one."""

    def __init__(self, account: str, client: Optional[Client] = None, async_client: Optional[AsyncClient] = None) -> None:
        self.account = account
        self._client = client
        self._async_client = async_client

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._client is None:
            self._client = shared()
        client, headers = self._client, request.headers
        target = _target(request)
        token = client._token_at(self.account, target)
        _proxies.forbid(self.account, target)
        request.headers = _Once.of(headers, token)
        response = yield request
        _forbid_others(self.account, request, response)
        if not _may_refuse(client, self.account, response, request):
            return
        body = response.read() if _is_short(response) else b""
        try:
            refused = client.refused(self.account, response.status_code, body)
        except ProtocolError:
            raise
        except TokendError:
            # Nobody can say. The API's own answer says more than that the daemon is away.
            return
        if refused:
            newer = client.reject(self.account, token)
            if _repeatable(request):
                request.headers = _Once.of(headers, newer)
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if self._async_client is None:
            self._async_client = AsyncClient()
        client, headers = self._async_client, request.headers
        target = _target(request)
        token = await client._token_at(self.account, target)
        _proxies.forbid(self.account, target)
        request.headers = _Once.of(headers, token)
        response = yield request
        _forbid_others(self.account, request, response)
        if not _may_refuse(client, self.account, response, request):
            return
        body = await response.aread() if _is_short(response) else b""
        try:
            refused = await client.refused(self.account, response.status_code, body)
        except ProtocolError:
            raise
        except TokendError:
            return
        if refused:
            newer = await client.reject(self.account, token)
            if _repeatable(request):
                request.headers = _Once.of(headers, newer)
                yield request


def _target(request: httpx.Request) -> Optional[Target]:
    """As httpx has taken the URL apart, which sends the request."""
    url = request.url
    port = url.port or {"https": 443, "http": 80}.get(url.scheme)
    if not url.host or port is None or url.userinfo:
        return None
    return Target(url.scheme, url.raw_host.decode("ascii"), port, url.raw_path.decode("ascii").partition("?")[0])


def _forbid_others(account: str, request: httpx.Request, response: httpx.Response) -> None:
    """Fails where a proxy that the program itself has named has read the token: only the connection shows it."""
    stream = response.extensions.get("network_stream")
    if stream is None or request.url.scheme != "http" or response.request is not request:
        return
    there = stream.get_extra_info("server_addr")
    if there and there[1] != (request.url.port or 80):
        raise _proxies.through(account, "and has just been read there", "name no proxy for this address")


def _may_refuse(client: Union[Client, AsyncClient], account: str, response: httpx.Response, request: httpx.Request) -> bool:
    if response.request is not request:
        # Another request was sent without the token, after a redirect.
        return False
    if response.status_code < 400 and not response.headers.get("Content-Length", "").isdigit():
        # It may be a stream without an end.
        return False
    return client._may_refuse(account, response.status_code)


def _is_short(response: httpx.Response) -> bool:
    """One that says it is long is left to its reader, who may want it piece by piece: its status decides."""
    length = response.headers.get("Content-Length", "")
    return not length.isdigit() or int(length) <= DECIDING


def _repeatable(request: httpx.Request) -> bool:
    """A stream of the caller's is spent."""
    stream: Any = request.stream
    return isinstance(stream, httpx.ByteStream)
