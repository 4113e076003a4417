"""The client for asyncio, at the same stand-in."""

from __future__ import annotations

import asyncio
import gc
import unittest
from typing import Any, Awaitable, Callable
from unittest import mock

import tokend
from tests.standin import PATIENCE, Daemon
from tokend import _exchange


class AsyncClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)

    def run_with(self, test: Callable[[tokend.AsyncClient], Awaitable[None]]) -> None:
        async def run() -> None:
            async with tokend.AsyncClient(self.daemon.socket) as client:
                await asyncio.wait_for(test(client), PATIENCE)

        asyncio.run(run())

    async def followed(self) -> None:
        while self.daemon.watchers != 1:
            await asyncio.sleep(0.005)

    async def comes(self, client: tokend.AsyncClient, value: str) -> None:
        while (await client.token("ads")).value != value:
            await asyncio.sleep(0.005)

    def test_a_held_token_costs_no_request_and_a_renewal_comes_by_the_stream(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.assertEqual((await client.token("ads")).value, "secret-1")
            await self.followed()
            for _ in range(1000):
                await client.token("ads", min_validity=60)
            await self.comes(client, self.daemon.renew())
            expected = ["GET /v1/accounts/ads/token", "GET /v1/accounts/ads/watch"]
            self.assertEqual(self.daemon.requests, expected)

        self.run_with(test)

    def test_many_tasks_ask_once_and_one_that_gives_up_does_not_end_it(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.daemon.delay.clear()
            tasks = [asyncio.ensure_future(client.token("ads")) for _ in range(20)]
            while self.daemon.asked("/token") == 0:
                await asyncio.sleep(0.005)
            tasks[0].cancel()
            self.daemon.delay.set()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            self.assertIsInstance(found[0], asyncio.CancelledError)
            self.assertEqual(len([token for token in found if isinstance(token, tokend.Token)]), 19)
            self.assertEqual(self.daemon.asked("/token"), 1)

        self.run_with(test)

    def test_a_refused_token_is_reported_once_and_the_next_is_held(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            first = await client.token("ads")
            await self.followed()
            self.assertEqual((await client.reject("ads", first)).value, "secret-2")
            await self.comes(client, "secret-2")
            self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/reject")), (1, 1))

        self.run_with(test)

    def test_the_daemon_may_be_away_while_a_token_holds(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            await client.token("ads")
            await self.followed()
            await asyncio.get_running_loop().run_in_executor(None, self.daemon.stop)
            self.assertEqual((await client.token("ads")).value, "secret-1")
            with self.assertRaises(tokend.Unreachable):
                await client.token("ads", min_validity=5000)
            self.daemon.number = 7
            self.daemon.start()
            await self.comes(client, "secret-7")
            self.assertEqual(self.daemon.asked("/token"), 1)

        self.run_with(test)

    def test_when_the_right_ends_nothing_is_held(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            await client.token("ads")
            await self.followed()
            self.daemon.problem = {"code": "not-allowed", "detail": "not for you"}
            self.daemon.tell(event="ended", code="not-allowed", message="not for you")
            with self.assertRaises(tokend.NotAllowed):
                await self.comes(client, "never")

        self.run_with(test)

    def test_failures_have_the_same_classes(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.daemon.problem = {"code": "login-required", "detail": "it failed", "advice": "tokenctl login ads"}
            with self.assertRaises(tokend.LoginRequired) as caught:
                await client.token("ads")
            self.assertEqual((caught.exception.exit_code, str(caught.exception)), (79, "it failed; tokenctl login ads"))

        self.run_with(test)

    def test_the_rest_of_the_contract(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.daemon.urls = ["https://api.example.com/"]
            self.assertEqual([account.name for account in await client.accounts()], ["a", "ads"])
            self.assertEqual((await client.status())[0]["state"], "valid")
            self.assertEqual((await client.status("ads"))[0]["state"], "valid")
            self.assertEqual((await client.health())["status"], "ok")
            self.assertIn("uid", await client.whoami())
            self.assertTrue(await client.refused("ads", 401))
            self.assertEqual((await client.token_for("ads", "https://api.example.com/")).value, "secret-1")
            with self.assertRaises(tokend.WrongUse):
                await client.token_for("ads", "https://evil.test/")

        self.run_with(test)

    def test_a_reload_reaches_who_holds_a_token(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.daemon.urls = ["https://gone.example.com/"]
            await client.token_for("ads", "https://gone.example.com/")
            await self.followed()
            self.daemon.urls = []
            self.daemon.tell(event="token", **self.daemon.object())
            with self.assertRaises(tokend.WrongUse):
                while await client.token_for("ads", "https://gone.example.com/"):
                    await asyncio.sleep(0.005)

        self.run_with(test)

    def test_a_watch_tells_everything_and_outlasts_a_restart(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            watch = client.watch("ads")
            event = await watch.__anext__()
            assert event.token is not None
            self.assertEqual(event.token.value, "secret-1")
            self.daemon.tell(event="retired")
            self.assertEqual((await watch.__anext__()).kind, "retired")
            loop = asyncio.get_running_loop()
            stopped = loop.run_in_executor(None, self.daemon.stop)
            self.assertEqual((await watch.__anext__()).kind, "reconnecting")
            await stopped
            self.daemon.start()
            self.assertEqual((await watch.__anext__()).kind, "token")
            self.daemon.tell(event="ended", code="not-allowed", message="not for you")
            with self.assertRaises(tokend.NotAllowed):
                await watch.__anext__()

        self.run_with(test)

    def test_a_daemon_that_does_not_answer_is_given_up(self) -> None:
        async def test(client: tokend.AsyncClient) -> None:
            self.daemon.delay.clear()
            with mock.patch.object(_exchange, "GRACE", 0.05), self.assertRaises(tokend.TryLater) as caught:
                await client.token("ads", timeout=0)
            self.assertEqual(caught.exception.code, "timeout")
            self.daemon.delay.set()
            with mock.patch.object(_exchange, "SILENCE", 0.05):
                watch = client.watch("ads")
                kinds = [(await watch.__anext__()).kind for _ in range(3)]
                self.assertEqual(kinds, ["token", "reconnecting", "token"])
                await watch.aclose()

        self.run_with(test)

    def test_loops_that_share_a_client_have_one_watch_each(self) -> None:
        client = tokend.AsyncClient(self.daemon.socket)
        loops = [asyncio.new_event_loop() for _ in range(2)]

        def run(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
            return loop.run_until_complete(asyncio.wait_for(task, PATIENCE))

        async def watched(count: int) -> None:
            while self.daemon.watchers != count:
                await asyncio.sleep(0.005)

        for _ in range(5):
            for loop in loops:
                self.assertEqual(run(loop, client.token("ads")).value, "secret-1")
                run(loop, asyncio.sleep(0.02))
        self.assertEqual((self.daemon.asked("/token"), self.daemon.asked("/watch")), (2, 2))
        run(loops[0], client.close())
        # The other loop ends its own when it runs.
        run(loops[1], watched(0))
        for loop in loops:
            loop.close()

    def test_another_loop_begins_anew_and_a_client_that_is_gone_watches_nothing(self) -> None:
        client = tokend.AsyncClient(self.daemon.socket)

        async def ask() -> Any:
            return (await client.token("ads")).value

        self.assertEqual([asyncio.run(ask()), asyncio.run(ask())], ["secret-1"] * 2)

        async def drop() -> None:
            other = tokend.AsyncClient(self.daemon.socket)
            await other.token("ads")
            await self.followed()
            del other
            gc.collect()
            while self.daemon.watchers:
                await asyncio.sleep(0.005)

        asyncio.run(asyncio.wait_for(drop(), PATIENCE))


if __name__ == "__main__":
    unittest.main()
