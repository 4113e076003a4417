"""The adapters for other people's libraries, with these libraries, at an API that takes the newest token only."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import unittest
from typing import Any, Callable, Dict, Iterator
from unittest import mock

import google.auth.credentials
import google.auth.exceptions
import httpx
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import RedirectPolicy
from azure.core.pipeline.transport import HttpRequest, RequestsTransport

import tokend
import tokend.azure
import tokend.google
import tokend.httpx
import tokend.requests
from tests.standin import Api, Daemon

LOGIN = {"code": "login-required", "detail": "ads needs a login", "advice": "tokenctl login ads"}


class AdapterTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.api, self.other = Api(self.daemon), Api(self.daemon)
        self.addCleanup(self.api.close)
        self.addCleanup(self.other.close)
        self.api.away = f"{self.other.url}/v1/me"
        self.daemon.urls = [f"{self.api.url}/"]
        self.client = tokend.Client(self.daemon.socket)
        self.addCleanup(self.client.close)

    def another_client(self) -> tokend.Client:
        client = tokend.Client(self.daemon.socket)
        self.addCleanup(client.close)
        return client

    def lists(self) -> bool:
        """Whether the list of addresses, of two pages, was asked for once, or once more when the watch had begun."""
        return self.daemon.asked("/accounts") in (2, 4)

    def seen(self) -> list[Any]:
        return [(path, presented) for path, presented, _ in self.api.seen]


class RequestsTest(AdapterTest):
    def setUp(self) -> None:
        super().setUp()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = tokend.requests.TokendAuth("ads", self.client)
        self.addCleanup(self.session.close)

    def test_the_token_is_added_and_held(self) -> None:
        for _ in range(50):
            self.assertEqual(self.session.get(f"{self.api.url}/v1/me").json(), {"me": 1})
        self.assertEqual((self.daemon.asked("/token"), self.lists(), self.daemon.asked("/refusal")), (1, True, 0))

    def test_a_refusal_is_reported_and_the_request_repeated_once(self) -> None:
        self.session.get(f"{self.api.url}/v1/me")
        self.api.refuse_current()
        answer = self.session.post(f"{self.api.url}/v1/me", data=b"body")
        self.assertEqual((answer.status_code, [old.status_code for old in answer.history]), (200, [401]))
        self.assertEqual([body for _, _, body in self.api.seen][1:], [b"body", b"body"])
        self.assertEqual(self.daemon.asked("/reject"), 1)
        self.api.good = "never"
        self.assertEqual(self.session.get(f"{self.api.url}/v1/me").status_code, 401)
        self.assertEqual(self.daemon.asked("/reject"), 2)

    def test_the_dialect_says_what_a_refusal_is(self) -> None:
        self.session.get(f"{self.api.url}/old")
        self.api.refuse_current()
        self.assertEqual(self.session.get(f"{self.api.url}/old").status_code, 200)
        self.assertEqual(self.session.get(f"{self.api.url}/missing").status_code, 404)
        self.assertEqual(self.daemon.asked("/reject"), 1)

    def test_the_dialect_is_asked_about_good_answers_only_if_it_has_a_rule_for_them(self) -> None:
        self.session.get(f"{self.api.url}/v1/me")
        self.api.refuse_current()
        self.assertEqual(self.session.get(f"{self.api.url}/soft").text, "Invalid session")
        self.assertEqual(self.daemon.asked("/refusal"), 0)
        self.daemon.refused_below_400 = True
        self.session.auth = tokend.requests.TokendAuth("ads", self.another_client())
        with self.session.get(f"{self.api.url}/soft-stream", stream=True) as answer:
            self.assertEqual(b"".join(answer.iter_content(3)), b"Invalid session")
        self.assertEqual(self.daemon.asked("/refusal"), 0)
        for path in ("/soft", "/soft-stream"):
            self.api.refuse_current()
            self.assertEqual(self.session.get(self.api.url + path).json(), {"me": 1})
        self.assertEqual(self.daemon.asked("/reject"), 2)

    def test_a_body_is_sent_twice_only_if_it_can_be(self) -> None:
        self.api.refuse_current()
        file = io.BytesIO(b"skipped body")
        file.seek(8)
        self.assertEqual(self.session.post(f"{self.api.url}/v1/me", data=file).status_code, 200)
        self.assertEqual([body for _, _, body in self.api.seen], [b"body", b"body"])
        self.api.refuse_current()

        def pieces() -> Iterator[bytes]:
            yield b"once"

        self.assertEqual(self.session.post(f"{self.api.url}/v1/me", data=pieces()).status_code, 401)
        # It is reported all the same.
        self.assertEqual(self.session.post(f"{self.api.url}/v1/me", data=pieces()).status_code, 200)

    def test_a_stream_is_left_to_its_reader(self) -> None:
        self.api.refuse_current()
        with self.session.get(f"{self.api.url}/v1/me", stream=True) as answer:
            self.assertEqual(b"".join(answer.iter_content(3)), b'{"me": 1}')

    def test_no_redirect_carries_the_token(self) -> None:
        for path in ("/moved", "/away"):
            answer = self.session.get(self.api.url + path)
            self.assertEqual((answer.status_code, len(answer.history)), (401, 1))
        self.assertEqual([presented for _, presented, _ in self.other.seen], [None])
        self.assertEqual(self.seen()[:2], [("/moved", "Bearer secret-1"), ("/v1/me", None)])
        self.assertEqual(self.daemon.asked("/reject"), 0)
        self.daemon.extra = {"token_type": "N_A", "present": {"in": "header", "name": "X-Key", "prefix": ""}}
        self.daemon.renew()
        self.session.auth = tokend.requests.TokendAuth("ads", tokend.Client(self.daemon.socket, follow=False))
        self.assertEqual(self.session.get(f"{self.api.url}/v1/me").status_code, 200)
        self.session.get(f"{self.api.url}/away")
        self.assertEqual([presented for _, presented, _ in self.other.seen], [None, None])

    def test_other_addresses_get_nothing(self) -> None:
        for url in (f"{self.other.url}/v1/me", f"http://user:pw@{self.api.url[7:]}/"):
            with self.assertRaises(tokend.WrongUse):
                self.session.get(url)
        self.daemon.urls = [f"{self.api.url}/v1"]
        self.session.auth = tokend.requests.TokendAuth("ads", tokend.Client(self.daemon.socket, follow=False))
        with self.assertRaises(tokend.WrongUse):
            self.session.get(f"{self.api.url}/v2")
        self.assertEqual((self.other.seen, self.api.seen), ([], []))

    def test_a_cookie_stands_beside_others(self) -> None:
        self.daemon.extra = {"token_type": "N_A", "present": {"in": "cookie", "name": "sid", "prefix": ""}}
        self.api.refuse_current()
        answer = self.session.get(f"{self.api.url}/v1/me", headers={"Cookie": "a=b"})
        self.assertEqual(answer.status_code, 200)
        self.assertEqual([presented for _, presented in self.seen()], ["a=b; sid=secret-1", "a=b; sid=secret-2"])
        self.session.get(f"{self.api.url}/moved", headers={"Cookie": "a=b"})
        self.assertNotIn("secret", str(self.seen()[-1]))

    def test_a_token_that_belongs_into_the_url_is_not_put_there(self) -> None:
        self.daemon.extra = {"token_type": "N_A", "present": {"in": "query", "name": "key", "prefix": ""}}
        with self.assertRaises(tokend.WrongUse) as caught:
            self.session.get(f"{self.api.url}/v1/me")
        self.assertIn("tokenctl request", str(caught.exception))

    def test_without_a_token_nothing_is_sent_and_the_user_reads_what_to_do(self) -> None:
        self.daemon.problem = LOGIN
        with self.assertRaises(tokend.LoginRequired) as caught:
            self.session.get(f"{self.api.url}/v1/me")
        self.assertEqual((str(caught.exception), self.api.seen), ("ads needs a login; tokenctl login ads", []))


class HttpxTest(AdapterTest):
    def session(self, **options: Any) -> httpx.Client:
        client = httpx.Client(auth=tokend.httpx.TokendAuth("ads", self.client), trust_env=False, **options)
        self.addCleanup(client.close)
        return client

    def test_the_token_is_added_held_and_replaced_after_a_refusal(self) -> None:
        session = self.session()
        for _ in range(50):
            self.assertEqual(session.get(f"{self.api.url}/v1/me").json(), {"me": 1})
        self.assertEqual((self.daemon.asked("/token"), self.lists()), (1, True))
        for path in ("/v1/me", "/old"):
            self.api.refuse_current()
            answer = session.post(self.api.url + path, content=b"body")
            self.assertEqual(answer.status_code, 200)
            self.assertEqual([body for _, _, body in self.api.seen][-2:], [b"body", b"body"])
        self.assertEqual(self.daemon.asked("/reject"), 2)
        self.api.good = "never"
        self.assertEqual(session.get(f"{self.api.url}/v1/me").status_code, 401)
        self.assertEqual(self.daemon.asked("/reject"), 3)

    def test_the_dialect_is_asked_about_good_answers_only_if_it_has_a_rule_for_them(self) -> None:
        self.api.refuse_current()
        self.assertEqual(self.session().get(f"{self.api.url}/soft").text, "Invalid session")
        self.assertEqual(self.daemon.asked("/refusal"), 0)
        self.daemon.refused_below_400 = True
        auth = tokend.httpx.TokendAuth("ads", self.another_client())
        with httpx.Client(auth=auth, trust_env=False) as session:
            self.assertEqual(session.get(f"{self.api.url}/soft-stream").text, "Invalid session")
            self.assertEqual(self.daemon.asked("/refusal"), 0)
            self.assertEqual(session.get(f"{self.api.url}/soft").json(), {"me": 1})

        async def ask() -> Any:
            async with tokend.AsyncClient(self.daemon.socket) as own:
                auth = tokend.httpx.TokendAuth("ads", async_client=own)
                async with httpx.AsyncClient(auth=auth, trust_env=False) as session:
                    return (await session.get(f"{self.api.url}/soft")).json()

        self.api.refuse_current()
        self.assertEqual(asyncio.run(ask()), {"me": 1})
        self.assertEqual(self.daemon.asked("/reject"), 2)

    def test_a_stream_is_not_sent_twice(self) -> None:
        self.api.refuse_current()
        session = self.session()
        self.assertEqual(session.post(f"{self.api.url}/v1/me", content=iter([b"once"])).status_code, 401)
        self.assertEqual(session.post(f"{self.api.url}/v1/me", content=iter([b"once"])).status_code, 200)

    def test_no_redirect_carries_the_token(self) -> None:
        for extra in ({}, {"token_type": "N_A", "present": {"in": "header", "name": "X-Key", "prefix": ""}}):
            self.daemon.extra = extra
            self.client = tokend.Client(self.daemon.socket, follow=False)
            session = self.session(follow_redirects=True)
            for path in ("/moved", "/away"):
                self.assertEqual(session.get(self.api.url + path).status_code, 401)
            self.assertEqual({presented for _, presented, _ in self.other.seen}, {None})
            self.assertEqual(self.seen()[-2][0], "/v1/me")
            self.assertEqual(self.seen()[-2][1], None)
        self.assertEqual(self.daemon.asked("/reject"), 0)

    def test_other_addresses_get_nothing_and_neither_does_anybody_without_a_login(self) -> None:
        with self.assertRaises(tokend.WrongUse):
            self.session().get(f"{self.other.url}/v1/me")
        self.daemon.problem = LOGIN
        self.client = tokend.Client(self.daemon.socket)
        with self.assertRaises(tokend.LoginRequired):
            self.session().get(f"{self.api.url}/v1/me")
        self.assertEqual((self.other.seen, self.api.seen), ([], []))

    def test_asyncio(self) -> None:
        async def test() -> None:
            async with tokend.AsyncClient(self.daemon.socket) as client:
                auth = tokend.httpx.TokendAuth("ads", async_client=client)
                async with httpx.AsyncClient(auth=auth, trust_env=False, follow_redirects=True) as session:
                    for _ in range(20):
                        self.assertEqual((await session.get(f"{self.api.url}/v1/me")).status_code, 200)
                    self.assertEqual((self.daemon.asked("/token"), self.lists()), (1, True))
                    self.api.refuse_current()
                    self.assertEqual((await session.get(f"{self.api.url}/old")).status_code, 200)
                    self.assertEqual((await session.get(f"{self.api.url}/away")).status_code, 401)
                    with self.assertRaises(tokend.WrongUse):
                        await session.get(f"{self.other.url}/v1/me")
            self.assertEqual([presented for _, presented, _ in self.other.seen], [None])

        asyncio.run(test())


class ProxyTest(AdapterTest):
    """A proxy reads what is sent in clear: no token passes one on its way to loopback."""

    def ways(self) -> Dict[str, Callable[[str], Any]]:
        trusts: Any = httpx.Client(auth=tokend.httpx.TokendAuth("ads", self.client))
        self.addCleanup(trusts.close)
        google: Any = tokend.google.Session(tokend.google.Credentials("ads", self.client))  # type: ignore[no-untyped-call,unused-ignore]
        self.addCleanup(google.close)

        def azure(url: str) -> Any:
            with Pipeline(RequestsTransport(), [tokend.azure.TokendPolicy("ads", self.client)]) as pipeline:
                return pipeline.run(HttpRequest("GET", url))

        auth = tokend.requests.TokendAuth("ads", self.client)
        return {"requests": lambda url: requests.get(url, auth=auth), "httpx": trusts.get, "google": google.get, "azure": azure}

    def test_a_proxy_of_the_environment_gets_no_token(self) -> None:
        with mock.patch.dict(os.environ, {"http_proxy": self.other.url, "no_proxy": ""}):
            for way, get in self.ways().items():
                with self.assertRaisesRegex(Exception, "would pass a proxy in clear, and was not sent", msg=way):
                    get(f"{self.api.url}/v1/me")
        self.assertEqual((self.other.seen, self.api.seen), ([], []))
        # As the advice says.
        with mock.patch.dict(os.environ, {"http_proxy": self.other.url, "no_proxy": "127.0.0.1"}):
            for way, get in self.ways().items():
                get(f"{self.api.url}/v1/me")
        self.assertEqual((self.other.seen, len(self.api.seen)), ([], 4))

    def test_a_proxy_that_the_program_names_is_an_error(self) -> None:
        url = f"{self.api.url}/v1/me"
        auth = tokend.requests.TokendAuth("ads", self.client)
        with self.assertRaises(tokend.WrongUse):
            requests.get(url, auth=auth, proxies={"http": self.other.url})
        with httpx.Client(auth=tokend.httpx.TokendAuth("ads", self.client), proxy=self.other.url) as session:
            with self.assertRaises(tokend.WrongUse):
                session.get(url)


class GoogleTest(AdapterTest):
    def session(self, credentials: tokend.google.Credentials) -> Any:
        session: Any = tokend.google.Session(credentials)  # type: ignore[no-untyped-call,unused-ignore]
        session.trust_env = False
        self.addCleanup(session.close)
        return session

    def test_the_token_is_added_held_and_replaced_after_a_refusal(self) -> None:
        session = self.session(tokend.google.Credentials("ads", self.client))
        for _ in range(20):
            self.assertEqual(session.get(f"{self.api.url}/v1/me").json(), {"me": 1})
        self.assertEqual((self.daemon.asked("/token"), self.lists()), (1, True))
        self.api.refuse_current()
        self.assertEqual(session.get(f"{self.api.url}/v1/me").status_code, 200)
        self.assertEqual((self.daemon.asked("/reject"), self.daemon.asked("/token")), (1, 1))

    def test_a_token_that_ends_soon_causes_no_storm(self) -> None:
        self.daemon.life = 60
        credentials = tokend.google.Credentials("ads", self.client)
        session = self.session(credentials)
        for _ in range(20):
            session.get(f"{self.api.url}/v1/me")
        self.assertFalse(credentials.valid, "google-auth's own margin is longer")
        self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/reject")), (1, 0))

    def test_a_refresh_before_the_first_request_reports_nothing(self) -> None:
        credentials = tokend.google.Credentials("ads", self.client)
        credentials.refresh(None)
        self.assertTrue(credentials.valid and credentials.token == "secret-1")
        self.assertEqual(self.daemon.asked("/reject"), 0)

    def test_threads_that_share_credentials_report_only_what_was_refused(self) -> None:
        credentials = tokend.google.Credentials("ads", self.client)
        headers: Dict[str, str] = {}
        credentials.before_request(None, "GET", f"{self.api.url}/v1/me", headers)

        def another() -> None:
            # Sends the same token, is refused and has the next one.
            credentials.before_request(None, "GET", f"{self.api.url}/v1/me", {})
            credentials.refresh(None)
            credentials.before_request(None, "GET", f"{self.api.url}/v1/me", {})

        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        self.assertEqual((credentials.token, self.daemon.token), ("secret-2", "secret-2"))
        credentials.refresh(None)
        self.assertEqual((headers["Authorization"], credentials.token), ("Bearer secret-1", "secret-2"))
        self.assertEqual(self.daemon.number, 2)

    def test_a_refresh_by_hand_of_a_token_that_works_reports_nothing(self) -> None:
        credentials = tokend.google.Credentials("ads", self.client)
        self.assertEqual(self.session(credentials).get(f"{self.api.url}/v1/me").status_code, 200)
        credentials.refresh(None)
        self.assertEqual((credentials.token, self.daemon.asked("/reject")), ("secret-1", 0))

    def test_a_scope_that_the_token_is_not_for_is_refused(self) -> None:
        scope = "https://www.googleapis.com/auth/drive"
        with_scopes: Any = google.auth.credentials.with_scopes_if_required
        asked = with_scopes(tokend.google.Credentials("ads", self.client), [scope])
        with self.assertRaises(google.auth.exceptions.RefreshError) as caught:
            self.session(asked).get(f"{self.api.url}/v1/me")
        self.assertIn(f"not for the scope {scope}", str(caught.exception))
        with self.assertRaises(google.auth.exceptions.RefreshError):
            asked.refresh(None)
        declared = tokend.google.Credentials("ads", self.client, scopes=[scope]).with_scopes([scope])
        self.assertEqual(self.session(declared).get(f"{self.api.url}/v1/me").status_code, 200)
        self.daemon.extra = {"scope": f"a {scope}"}
        granted = tokend.google.Credentials("ads", tokend.Client(self.daemon.socket, follow=False)).with_scopes([scope])
        self.assertEqual(self.session(granted).get(f"{self.api.url}/v1/me").status_code, 200)
        self.assertEqual(len(self.api.seen), 2)

    def test_redirects_other_addresses_and_missing_logins_get_nothing(self) -> None:
        session = self.session(tokend.google.Credentials("ads", self.client))
        for path in ("/moved", "/away"):
            self.daemon.refusals = ()
            self.assertEqual(session.get(self.api.url + path, max_allowed_time=5).status_code, 401)
        self.assertEqual({presented for _, presented, _ in self.other.seen}, {None})
        with self.assertRaises(google.auth.exceptions.RefreshError):
            session.get(f"{self.other.url}/v1/me")
        self.daemon.problem = LOGIN
        session = self.session(tokend.google.Credentials("ads", tokend.Client(self.daemon.socket)))
        with self.assertRaises(google.auth.exceptions.RefreshError) as caught:
            session.get(f"{self.api.url}/v1/me")
        self.assertIn("tokenctl login ads", str(caught.exception))
        self.assertIsInstance(caught.exception.__cause__, tokend.LoginRequired)


class AzureTest(AdapterTest):
    def send(self, path: str, method: str = "GET", base: str = "") -> Any:
        policy = tokend.azure.TokendPolicy("ads", self.client)
        transport = RequestsTransport(use_env_settings=False)
        with Pipeline(transport, [RedirectPolicy(), policy]) as pipeline:
            return pipeline.run(HttpRequest(method, (base or self.api.url) + path)).http_response

    def test_the_dialect_is_asked_about_good_answers_only_if_it_has_a_rule_for_them(self) -> None:
        self.api.refuse_current()
        self.assertEqual(self.send("/soft").text(), "Invalid session")
        self.assertEqual(self.daemon.asked("/refusal"), 0)
        self.daemon.refused_below_400 = True
        self.client = self.another_client()
        self.assertEqual(self.send("/soft-stream").text(), "Invalid session")
        self.assertEqual(self.daemon.asked("/refusal"), 0)
        self.assertEqual(self.send("/soft").text(), '{"me": 1}')
        self.assertEqual(self.daemon.asked("/reject"), 1)

    def test_a_credential_gives_the_token_and_its_end(self) -> None:
        credential = tokend.azure.TokendCredential("ads", self.client)
        for scope in (f"{self.api.url}/.default", self.api.url, f"{self.api.url}/v1/.default"):
            token = credential.get_token(scope)
            self.assertEqual((token.token, type(token.expires_on)), ("secret-1", int))
        self.assertEqual(self.daemon.asked("/token"), 1)
        # An API that demands other claims has refused the token.
        self.assertEqual(credential.get_token(self.api.url, claims="{}").token, "secret-2")
        self.assertEqual(credential.get_token(self.api.url).token, "secret-2")

    def test_a_scope_that_the_token_is_not_for_is_refused(self) -> None:
        credential = tokend.azure.TokendCredential("ads", self.client, scopes=["declared"])
        for scope in ("https://management.azure.com/.default", "other", f"{self.other.url}/.default"):
            with self.assertRaises(ClientAuthenticationError) as caught:
                credential.get_token(scope)
            self.assertIn(f"not for the scope {scope}", str(caught.exception))
        with self.assertRaises(ClientAuthenticationError):
            credential.get_token("declared", tenant_id="other")
        self.assertEqual(credential.get_token("declared").token, "secret-1")

    def test_one_refused_token_is_reported_once_and_its_successor_later(self) -> None:
        credential = tokend.azure.TokendCredential("ads", self.client)
        credential.get_token(self.api.url)
        for _ in range(3):
            self.assertEqual(credential.get_token(self.api.url, claims="{}").token, "secret-2")
        self.assertEqual(self.daemon.asked("/reject"), 1)
        with mock.patch.object(tokend.azure, "_SETTLES", 0.0):
            self.assertEqual(credential.get_token(self.api.url, claims="{}").token, "secret-3")

    def test_the_policy_adds_the_token_and_replaces_it_after_a_refusal(self) -> None:
        self.assertEqual(self.send("/v1/me").status_code, 200)
        for path in ("/v1/me", "/old"):
            self.api.refuse_current()
            self.assertEqual(self.send(path).status_code, 200)
        self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/reject")), (1, 2))

    def test_redirects_other_addresses_and_missing_logins_get_nothing(self) -> None:
        for path in ("/moved", "/away"):
            self.assertEqual(self.send(path).status_code, 401)
        self.assertEqual([presented for _, presented, _ in self.other.seen], [None])
        self.assertEqual(self.daemon.asked("/reject"), 0)
        with self.assertRaises(ClientAuthenticationError):
            self.send("/v1/me", base=self.other.url)
        self.daemon.problem, self.client = LOGIN, tokend.Client(self.daemon.socket)
        with self.assertRaises(ClientAuthenticationError) as caught:
            self.send("/v1/me")
        self.assertIn("tokenctl login ads", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
