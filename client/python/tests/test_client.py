"""The client for threads, at a stand-in that counts what reaches its socket."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import unittest
from typing import Any, Dict, List, Tuple
from unittest import mock

import tokend
from tests.standin import PATIENCE, Daemon, eventually
from tokend import _exchange


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.client = tokend.Client(self.daemon.socket)
        self.addCleanup(self.client.close)

    def followed(self) -> None:
        eventually("somebody to watch", lambda: self.daemon.watchers == 1)

    def comes(self, value: str) -> None:
        eventually(value, lambda: self.client.token("ads").value == value)

    def test_a_held_token_costs_no_request_and_a_renewal_comes_by_the_stream(self) -> None:
        self.assertEqual(self.client.token("ads").value, "secret-1")
        self.followed()
        for _ in range(1000):
            self.client.token("ads", min_validity=60)
        newest = self.daemon.renew()
        self.comes(newest)
        expected = ["GET /v1/accounts/ads/token", "GET /v1/accounts/ads/watch"]
        self.assertEqual(self.daemon.requests, expected)

    def test_a_token_says_what_is_known_of_it_and_never_shows_itself(self) -> None:
        self.daemon.extra = {"scope": "a b"}
        token = self.client.token("ads")
        assert token.expires_at is not None and token.expires_in is not None
        self.assertTrue(3590 < token.expires_in <= 3600)
        self.assertEqual((token.scope, token.header()), ("a b", ("Authorization", "Bearer secret-1")))
        for shown in (repr(token), str(token), f"{token}", "%r" % [token]):
            self.assertNotIn("secret-1", shown)
        with self.assertRaises(TypeError):
            pickle.dumps(token)

    def test_each_way_to_present_a_token(self) -> None:
        ways: List[Tuple[Dict[str, Any], Tuple[str, str]]] = [
            ({"token_type": ""}, ("Authorization", "Bearer secret-1")),
            ({"token_type": "JWT"}, ("Authorization", "JWT secret-1")),
            ({"token_type": "N_A", "present": {"in": "header", "name": "X-Key", "prefix": "k="}}, ("X-Key", "k=secret-1")),
            ({"token_type": "N_A", "present": {"in": "cookie", "name": "sid", "prefix": ""}}, ("Cookie", "sid=secret-1")),
        ]
        for extra, header in ways:
            self.daemon.extra = extra
            self.assertEqual(tokend.Client(self.daemon.socket, follow=False).token("ads").header(), header)
        self.daemon.extra = {"token_type": "N_A", "present": {"in": "query", "name": "key", "prefix": ""}}
        with self.assertRaises(tokend.WrongUse):
            tokend.Client(self.daemon.socket, follow=False).token("ads").header()
        place = {"in": "sky", "name": "x", "prefix": ""}
        wrongs: List[Dict[str, Any]] = [{"token_type": "N_A"}, {"token_type": "a\r\nb"}, {"present": place}]
        for wrong in wrongs:
            self.daemon.extra = wrong
            with self.assertRaises(tokend.ProtocolError):
                tokend.Client(self.daemon.socket, follow=False).token("ads")

    def test_what_is_demanded_reaches_the_daemon(self) -> None:
        self.client.token("ads")
        self.client.token("ads", min_validity=5000.2, wait=60)
        self.client.token("ads", min_validity=5000, timeout=5)
        asked = [query for query in self.daemon.queries if "min_validity" in query]
        self.assertEqual(asked[0], {"min_validity": ["5001"], "wait": ["60"], "timeout": ["90"]})
        self.assertEqual(asked[1], {"min_validity": ["5000"], "timeout": ["5"]})

    def test_a_token_that_expires_is_followed_by_the_next(self) -> None:
        self.daemon.life = 1.0
        self.client.token("ads")
        self.daemon.life, self.daemon.number = 3600, 2
        self.comes("secret-2")

    def test_a_token_without_an_end_is_held(self) -> None:
        self.daemon.life = None
        self.assertIsNone(self.client.token("ads").expires_in)
        self.followed()
        self.client.token("ads", min_validity=9)
        self.assertEqual(self.daemon.asked("/token"), 1)

    def test_a_refused_token_is_reported_once_and_the_next_is_held(self) -> None:
        first = self.client.token("ads")
        self.followed()
        self.assertEqual(self.client.reject("ads", first).value, "secret-2")
        eventually("the stream to be read", lambda: self.client.token("ads").value == "secret-2")
        self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/reject")), (1, 1))
        # An old one changes nothing.
        self.assertEqual(self.client.reject("ads", first.value).value, "secret-2")
        self.assertEqual(self.client.token("ads").value, "secret-2")

    def test_a_token_that_another_program_reported_is_not_used_any_more(self) -> None:
        self.client.token("ads")
        self.followed()
        self.daemon.number = 2
        self.daemon.tell(event="retired")
        self.comes("secret-2")
        self.assertEqual(self.daemon.asked("/token"), 2)

    def test_when_the_right_ends_nothing_is_held(self) -> None:
        self.client.token("ads")
        self.followed()
        self.daemon.problem = {"code": "not-allowed", "detail": "not for you"}
        self.daemon.tell(event="ended", code="not-allowed", message="not for you")

        def is_refused() -> bool:
            try:
                return not self.client.token("ads")
            except tokend.NotAllowed:
                return True

        eventually("the right to end", is_refused)
        # It comes back by itself.
        self.daemon.problem = None
        self.comes("secret-1")
        self.followed()

    def test_the_daemon_may_be_away_while_a_token_holds(self) -> None:
        self.client.token("ads")
        self.followed()
        self.daemon.stop()
        self.assertEqual(self.client.token("ads").value, "secret-1")
        with self.assertRaises(tokend.Unreachable):
            self.client.token("ads", min_validity=5000)
        self.daemon.number = 7
        self.daemon.start()
        self.comes("secret-7")
        self.assertEqual(self.daemon.asked("/token"), 1)

    def test_a_daemon_that_comes_back_without_a_token_has_ended_the_old_one(self) -> None:
        self.client.token("ads")
        self.followed()
        self.daemon.stop()
        self.daemon.has_token = False
        self.daemon.problem = None
        self.daemon.number = 2
        self.daemon.start()
        self.comes("secret-2")

    def test_many_threads_ask_once(self) -> None:
        self.daemon.delay.clear()
        found: List[str] = []
        threads = [threading.Thread(target=lambda: found.append(self.client.token("ads").value)) for _ in range(20)]
        for thread in threads:
            thread.start()
        eventually("the question", lambda: self.daemon.asked("/token") == 1)
        self.daemon.delay.set()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual((found, self.daemon.asked("/token")), (["secret-1"] * 20, 1))

    def test_each_timeout_is_its_callers_own(self) -> None:
        self.daemon.delay.clear()
        found: List[str] = []
        with mock.patch.object(_exchange, "GRACE", 0.05):
            patient = threading.Thread(target=lambda: found.append(self.client.token("ads", timeout=20).value))

            def hurried() -> None:
                with self.assertRaises(tokend.TryLater):
                    self.client.token("ads", timeout=0.2)
                found.append("late")

            thread = threading.Thread(target=hurried)
            thread.start()
            eventually("the first question", lambda: self.daemon.asked("/token") == 1)
            patient.start()
            thread.join(PATIENCE)
        self.daemon.delay.set()
        patient.join(PATIENCE)
        self.assertEqual(found, ["late", "secret-1"])

    def test_a_wait_of_a_month_is_no_error(self) -> None:
        self.assertEqual(self.client.token("ads", wait=2_592_000).value, "secret-1")
        self.assertEqual(self.client.reject("ads", "old", wait=2_592_000).value, "secret-1")

    def test_every_failure_has_its_class_exit_code_and_advice(self) -> None:
        for code, kind, exit_code in [
            ("not-allowed", tokend.NotAllowed, 77),
            ("unknown-account", tokend.UnknownAccount, 78),
            ("login-required", tokend.LoginRequired, 79),
            ("in-doubt", tokend.LoginRequired, 79),
            ("misconfigured", tokend.Misconfigured, 78),
            ("validity-unattainable", tokend.Misconfigured, 78),
            ("invalid-scope", tokend.WrongUse, 78),
            ("paced", tokend.TryLater, 75),
            ("provider-unreachable", tokend.TryLater, 75),
            ("internal", tokend.ProtocolError, 70),
            ("of-tomorrow", tokend.TryLater, 75),
        ]:
            self.daemon.problem = {"code": code, "detail": "it failed", "advice": "tokenctl login ads"}
            with self.assertRaises(kind) as caught:
                self.client.token("ads")
            error = caught.exception
            self.assertEqual((error.code, error.exit_code, error.retry_after), (code, exit_code, None))
            self.assertEqual(str(error), "it failed; tokenctl login ads")
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again), again.code), (kind, str(error), code))
        self.daemon.problem = {"code": "in-doubt", "detail": "it failed", "retry_after": 7}
        with self.assertRaises(tokend.TryLater) as later:
            self.client.token("ads")
        self.assertEqual(later.exception.retry_after, 7)

    def test_the_rest_of_the_contract(self) -> None:
        self.daemon.urls = ["https://api.example.com/"]
        self.assertEqual([account.name for account in self.client.accounts()], ["a", "ads"])
        self.assertEqual(self.client.accounts()[1].urls, ("https://api.example.com/",))
        self.assertEqual(self.client.status()[0]["state"], "valid")
        self.assertEqual(self.client.status("ads")[0]["account"], "ads")
        self.assertEqual(self.client.whoami()["uid"], os.geteuid())
        self.assertEqual(self.client.health()["status"], "ok")
        self.assertTrue(self.client.refused("ads", 401))
        self.assertFalse(self.client.refused("ads", 400, b"no \x00\xff"))
        with self.assertRaises(tokend.UnknownAccount):
            self.client.token("a/../ads")

    def test_a_token_goes_only_where_it_belongs(self) -> None:
        self.daemon.urls = ["https://api.example.com/v1"]
        self.assertEqual(self.client.token_for("ads", "https://api.example.com/v1/me").value, "secret-1")
        for url in ["https://api.example.com/v2", "https://evil.test/", "http://api.example.com/v1", "nonsense"]:
            with self.assertRaises(tokend.WrongUse):
                self.client.token_for("ads", url)
        asked = self.daemon.asked("/accounts")
        for _ in range(100):
            self.client.token_for("ads", "https://api.example.com/v1/me")
        self.assertEqual(self.daemon.asked("/token"), 1)
        # Once more when the watch has begun.
        self.assertLessEqual(self.daemon.asked("/accounts"), asked + 2)

    def test_a_reload_reaches_who_holds_a_token(self) -> None:
        gone, kept = "https://gone.example.com/", "https://kept.example.com/"
        self.daemon.urls = [gone, kept]
        self.client.token_for("ads", gone)
        self.followed()
        self.daemon.urls, self.daemon.extra = [kept], {"present": {"in": "header", "name": "X-Key", "prefix": ""}}
        self.daemon.tell(event="token", **self.daemon.object())

        def is_refused() -> bool:
            try:
                return not self.client.token_for("ads", gone)
            except tokend.WrongUse:
                return True

        eventually("the address to be refused", is_refused)
        eventually("the new header", lambda: self.client.token_for("ads", kept).header() == ("X-Key", "secret-1"))
        self.assertEqual(self.daemon.asked("/token"), 1)

    def test_a_watch_tells_everything_and_outlasts_a_restart(self) -> None:
        watch = self.client.watch("ads")
        first = next(watch)
        assert first.token is not None
        self.assertEqual((first.kind, first.token.value), ("token", "secret-1"))
        self.daemon.tell(event="of-tomorrow")
        self.daemon.tell(event="retired")
        self.assertEqual(next(watch).kind, "retired")
        self.daemon.tell(event="unavailable", code="login-required", message="no credential", advice="tokenctl login ads")
        event = next(watch)
        self.assertIsInstance(event.error, tokend.LoginRequired)
        self.daemon.stop()
        self.assertEqual(next(watch).kind, "reconnecting")
        self.daemon.start()
        self.assertEqual(next(watch).kind, "token")
        self.daemon.tell(event="ended", code="not-allowed", message="not for you")
        with self.assertRaises(tokend.NotAllowed):
            next(watch)

    def test_after_a_fork_the_child_asks_anew_and_the_parent_goes_on(self) -> None:
        self.client.token("ads")
        self.followed()
        code = (
            "import os, sys, threading, tokend\n"
            "client = tokend.Client(sys.argv[1])\n"
            "assert client.token('ads').value == 'secret-1'\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    assert threading.active_count() == 1\n"
            "    os._exit(0 if client.token('ads').value == 'secret-1' else 9)\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
            "assert client.token('ads').value == 'secret-1'\n"
        )
        ended = subprocess.run([sys.executable, "-c", code, self.daemon.socket], capture_output=True, timeout=PATIENCE)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        # One question of this process, one of the parent, one of the child; all of their watches are gone but ours.
        self.assertEqual(self.daemon.asked("/token"), 3)
        self.followed()

    def test_a_program_ends_at_once_and_says_nothing(self) -> None:
        code = "import sys, tokend; print(tokend.Client(sys.argv[1]).token('ads').value)"
        ended = subprocess.run([sys.executable, "-W", "error", "-c", code, self.daemon.socket], capture_output=True, timeout=PATIENCE)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, b"secret-1\n", b""))
        eventually("the watch to end", lambda: self.daemon.watchers == 0)

    def test_a_client_that_is_gone_watches_nothing(self) -> None:
        client = tokend.Client(self.daemon.socket)
        client.token("ads")
        self.followed()
        del client
        gc.collect()
        eventually("the watch to end", lambda: self.daemon.watchers == 0)

    def test_a_daemon_that_does_not_answer_is_given_up(self) -> None:
        self.daemon.delay.clear()
        with mock.patch.object(_exchange, "GRACE", 0.05), self.assertRaises(tokend.TryLater) as caught:
            self.client.token("ads", timeout=0)
        self.assertEqual(caught.exception.code, "timeout")
        self.daemon.delay.set()
        # The stand-in says that it is alive every 0.2 seconds.
        with mock.patch.object(_exchange, "SILENCE", 0.05):
            watch = self.client.watch("ads")
            self.assertEqual([next(watch).kind, next(watch).kind, next(watch).kind], ["token", "reconnecting", "token"])
            watch.close()

    def test_without_following_each_question_is_asked(self) -> None:
        client = tokend.Client(self.daemon.socket, follow=False)
        before = threading.active_count()
        client.token("ads")
        client.token("ads")
        self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/watch")), (2, 0))
        self.assertLessEqual(threading.active_count(), before + 2)


if __name__ == "__main__":
    unittest.main()
