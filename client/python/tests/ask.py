"""One request to an API with the token of an account, by each adapter: ``python -m tests.ask ADAPTER ACCOUNT URL``.

Ends as a program should that has no token: with the words and the exit code of the error.
"""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from typing import Any, Callable, Dict
from urllib.error import HTTPError

import tokend


def core(account: str, url: str) -> int:
    client = tokend.Client()

    def ask(token: tokend.Token) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, headers=dict([token.header()]))) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    token = client.token_for(account, url)
    status = ask(token)
    return ask(client.reject(account, token)) if client.refused(account, status) else status


def asynchronous(account: str, url: str) -> int:
    import httpx
    from tokend.httpx import TokendAuth

    async def run() -> int:
        async with tokend.AsyncClient() as client:
            auth = TokendAuth(account, async_client=client)
            async with httpx.AsyncClient(auth=auth, trust_env=False) as session:
                return (await session.get(url)).status_code

    return asyncio.run(run())


def by_requests(account: str, url: str) -> int:
    import requests
    from tokend.requests import TokendAuth

    return requests.get(url, auth=TokendAuth(account), proxies={"http": "", "https": ""}).status_code


def by_httpx(account: str, url: str) -> int:
    import httpx
    from tokend.httpx import TokendAuth

    with httpx.Client(auth=TokendAuth(account), trust_env=False) as session:
        return session.get(url).status_code


def google(account: str, url: str) -> int:
    from tokend.google import Credentials, Session

    session: Any = Session(Credentials(account))  # type: ignore[no-untyped-call,unused-ignore]
    session.trust_env = False
    return int(session.get(url).status_code)


def azure(account: str, url: str) -> int:
    from azure.core.pipeline import Pipeline
    from azure.core.pipeline.transport import HttpRequest, RequestsTransport
    from tokend.azure import TokendPolicy

    transport = RequestsTransport(use_env_settings=False)
    with Pipeline(transport, [TokendPolicy(account)]) as pipeline:
        return int(pipeline.run(HttpRequest("GET", url)).http_response.status_code)


ADAPTERS: Dict[str, Callable[[str, str], int]] = {
    "core": core,
    "requests": by_requests,
    "httpx": by_httpx,
    "asyncio": asynchronous,
    "google": google,
    "azure": azure,
}


def main() -> None:
    _, adapter, account, url = sys.argv
    try:
        print(ADAPTERS[adapter](account, url))
    except Exception as error:
        cause = error if isinstance(error, tokend.TokendError) else error.__cause__
        if not isinstance(cause, tokend.TokendError):
            raise
        print(error, file=sys.stderr)
        sys.exit(cause.exit_code)


if __name__ == "__main__":
    main()
