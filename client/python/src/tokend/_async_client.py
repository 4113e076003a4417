"""The client for asyncio.

Owns its connections and the tasks that follow an account's tokens. Each loop it is used in has its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from types import TracebackType
from typing import Any, AsyncGenerator, AsyncIterator, Dict, List, Optional, Tuple, Type, Union

from . import _addresses, _exchange, _socket
from ._client import wrong_address
from ._errors import TokendError, late, lost, passes, protocol
from ._exchange import Ask, Number
from ._ledger import Ledger
from ._token import Account, Event, Token, accounts_of, boot_seconds, listed

#: How much of an answer stands before its body.
_HEAD = 64 * 1024


class AsyncClient:
    """As :class:`tokend.Client`, for asyncio: ``async with AsyncClient() as client``."""

    def __init__(self, socket: Optional[str] = None, *, follow: bool = True, daemon_uid: Optional[int] = None) -> None:
        self._link = _Link(socket, daemon_uid)
        self._follow = follow
        #: By loop: a task belongs to one.
        self._accounts: _Accounts = {}
        self._end = weakref.finalize(self, _end_all, self._accounts)

    async def token(
        self,
        account: str,
        *,
        min_validity: Optional[Number] = None,
        wait: Number = 0,
        timeout: Optional[Number] = None,
    ) -> Token:
        """As :meth:`tokend.Client.token`."""
        if not self._follow:
            return Token(await self._link.ask(_exchange.token(account, min_validity, wait, timeout)))
        return await self._followed(account).token(min_validity, wait, timeout)

    async def reject(
        self,
        account: str,
        token: Union[Token, str],
        *,
        wait: Number = 0,
        timeout: Optional[Number] = None,
    ) -> Token:
        """As :meth:`tokend.Client.reject`."""
        value = token if isinstance(token, str) else token.value
        ask = _exchange.reject(account, value, wait, timeout)
        if not self._follow:
            return Token(await self._link.ask(ask))
        return await self._followed(account).replaced(value, ask)

    async def refused(self, account: str, status: int, body: bytes = b"") -> bool:
        """As :meth:`tokend.Client.refused`."""
        return (await self._link.ask(_exchange.refusal(account, status, body))).get("refused") is True

    async def token_for(self, account: str, url: str) -> Token:
        """As :meth:`tokend.Client.token_for`."""
        return await self._token_at(account, _addresses.target(url))

    async def _token_at(self, account: str, target: Optional[_addresses.Target]) -> Token:
        token = await self.token(account)
        if not await self._followed(account).covers(target):
            raise wrong_address(account)
        return token

    def _may_refuse(self, account: str, status: int) -> bool:
        """As that of :class:`tokend.Client`."""
        return status >= 400 or self._followed(account).refused_below_400()

    async def accounts(self) -> List[Account]:
        """As :meth:`tokend.Client.accounts`."""
        return [account async for page in self._link.pages("/v1/accounts") for account in accounts_of(page)]

    async def status(self, account: Optional[str] = None) -> List[Dict[str, Any]]:
        """As :meth:`tokend.Client.status`."""
        if account is not None:
            return [await self._link.ask(_exchange.status(account))]
        return [line async for page in self._link.pages("/v1/status") for line in listed(page)]

    async def whoami(self) -> Dict[str, Any]:
        """As :meth:`tokend.Client.whoami`."""
        return await self._link.ask(_exchange.page("/v1/whoami", None))

    async def health(self) -> Dict[str, Any]:
        """As :meth:`tokend.Client.health`."""
        return await self._link.ask(_exchange.page("/v1/health", None))

    def watch(self, account: str, *, min_validity: Optional[Number] = None) -> AsyncGenerator[Event, None]:
        """As :meth:`tokend.Client.watch`."""
        return _watch(self._link, account, min_validity)

    async def close(self) -> None:
        """Ends all tasks. A client that is asked again starts them again."""
        here = self._accounts.pop(asyncio.get_running_loop(), {})
        _end_all(self._accounts)
        self._accounts.clear()
        for account in here.values():
            await account.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    def _followed(self, account: str) -> _Followed:
        loop = asyncio.get_running_loop()
        here = self._accounts.get(loop)
        if here is None:
            # The tasks of a loop that is closed ended with it.
            for other in list(self._accounts):
                if other.is_closed():
                    self._accounts.pop(other, None)
            here = self._accounts.setdefault(loop, {})
        followed = here.get(account)
        if followed is None:
            followed = here[account] = _Followed(self._link, account)
        return followed


class _Answer:
    """One answer, as it comes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.status = 0
        self._left: Optional[int] = None
        self._chunked = False

    async def head(self) -> None:
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise protocol("it is no HTTP")
        self.status = int(words[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "")
        self._left = int(length) if length.isdigit() and not self._chunked else None
        if self.status == 204:
            self._left = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        if self._left is not None:
            if self._left > _exchange.LONGEST:
                raise protocol("it is too long")
            yield await self._reader.readexactly(self._left)
            return
        while self._chunked:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size > _exchange.LONGEST:
                raise protocol("it is too long")
            piece = (await self._reader.readexactly(size + 2))[:size]
            if not piece:
                return
            yield piece
        while not self._chunked:
            piece = await self._reader.read(_HEAD)
            if not piece:
                return
            yield piece

    async def body(self) -> bytes:
        found = b""
        async for piece in self.pieces():
            found += piece
            if len(found) > _exchange.LONGEST:
                raise protocol("it is too long")
        return found

    async def lines(self) -> AsyncIterator[bytes]:
        pending = b""
        async for piece in self.pieces():
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                yield line
            if len(pending) > _exchange.LONGEST:
                raise protocol("a line is too long")


class _Link:
    """Makes connections to a daemon that is trusted."""

    def __init__(self, named: Optional[str], daemon_uid: Optional[int]) -> None:
        self._named = named
        self._daemon_uid = daemon_uid

    async def connect(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = _socket.find(self._named)
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.setblocking(False)
        end = boot_seconds() + _exchange.CONNECT
        try:
            # At once, or not at all while the daemon's queue is full.
            while _socket.is_queue_full(stream, path) and boot_seconds() < end:
                await asyncio.sleep(_exchange.FIRST_PAUSE)
            _socket.demand_trust(stream, path, self._daemon_uid)
            return await asyncio.open_unix_connection(sock=stream, limit=_HEAD)
        except OSError as error:
            stream.close()
            raise _socket.unreachable(path, error) from error
        except BaseException:
            stream.close()
            raise

    async def ask(self, ask: Ask) -> Dict[str, Any]:
        reader, writer = await self.connect()
        with _Limit(writer, ask.limit) as limit:
            try:
                answer = await self.send(reader, writer, ask)
                return _exchange.answer(answer.status, await answer.body())
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                raise (late(ask.limit) if limit.is_over else lost(error or type(error).__name__)) from error

    async def send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask) -> _Answer:
        headers = dict(_exchange.HEADERS)
        if ask.body is not None:
            headers.update({"Content-Type": "application/json", "Content-Length": str(len(ask.body))})
        lines = [f"{ask.method} {ask.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (ask.body or b""))
        await writer.drain()
        answer = _Answer(reader)
        await answer.head()
        return answer

    async def pages(self, path: str) -> AsyncIterator[Dict[str, Any]]:
        after: Optional[str] = None
        while True:
            page = await self.ask(_exchange.page(path, after))
            yield page
            after = _exchange.next_page(page)
            if after is None:
                return


async def _watch(link: _Link, account: str, min_validity: Optional[Number]) -> AsyncGenerator[Event, None]:
    pause, away = _exchange.FIRST_PAUSE, False
    while True:
        try:
            async for event in _connection(link, account, min_validity):
                pause, away = _exchange.FIRST_PAUSE, False
                yield event
        except TokendError as error:
            if not passes(error):
                raise
            if not away:
                yield Event("reconnecting", error=error)
            away = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _exchange.LONGEST_PAUSE)


async def _connection(link: _Link, account: str, min_validity: Optional[Number]) -> AsyncIterator[Event]:
    """The events of one connection; ends in an error."""
    reader, writer = await link.connect()
    begins = True
    with _Limit(writer, _exchange.ANSWER) as limit:
        try:
            answer = await link.send(reader, writer, _exchange.watch(account, min_validity))
            if answer.status != 200:
                _exchange.answer(answer.status, await answer.body())
            async for line in answer.lines():
                limit.begin(_exchange.SILENCE)
                event = _exchange.event(line)
                if event is None:
                    continue
                if begins and event.kind == "unavailable" and min_validity is None:
                    # It serves none, so one of an earlier connection is over, although nobody was there to hear it.
                    yield Event("retired")
                begins = False
                yield event
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise lost("it says nothing any more" if limit.is_over else error) from error
    raise lost("it ended")


class _Limit:
    """Closes a connection in the end, and at a time limit before. Not `wait_for`, which can lose a cancellation before Python 3.12."""

    def __init__(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._writer = writer
        self._timer: Optional[asyncio.TimerHandle] = None
        self.is_over = False
        self.begin(seconds)

    def begin(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        self.is_over = True
        self._writer.transport.abort()

    def __enter__(self) -> _Limit:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._writer.close()


class _Followed:
    """An account whose token is kept, with the task that follows it."""

    def __init__(self, link: _Link, name: str) -> None:
        self._link = link
        self._name = name
        self._ledger = Ledger()
        self._flights: Dict[Tuple[Optional[Number], Number, Optional[Number]], asyncio.Task[Token]] = {}
        self._task: Optional[asyncio.Task[None]] = None

    async def token(self, min_validity: Optional[Number], wait: Number, timeout: Optional[Number]) -> Token:
        held = self._ledger.held(min_validity)
        if held is not None:
            return held
        key = (min_validity, wait, timeout)
        flight = self._flights.get(key)
        if flight is None:
            asking = self._asked(_exchange.token(self._name, min_validity, wait, timeout))
            flight = self._flights[key] = asyncio.get_running_loop().create_task(asking)
            flight.add_done_callback(lambda done: self._landed(key, done))
        # Who gives up does not end it for the others.
        return await asyncio.shield(flight)

    def _landed(self, key: Tuple[Optional[Number], Number, Optional[Number]], done: asyncio.Task[Token]) -> None:
        self._flights.pop(key, None)
        if not done.cancelled():
            # It counts as seen, also when everybody gave up.
            done.exception()

    async def replaced(self, value: str, ask: Ask) -> Token:
        self._ledger.refused(value)
        return await self._asked(ask)

    async def _asked(self, ask: Ask) -> Token:
        changes = self._ledger.changes
        token = Token(await self._link.ask(ask))
        self._ledger.answered(token, changes)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return token

    async def covers(self, target: Optional[_addresses.Target]) -> bool:
        urls = self._ledger.urls(enough=True)
        if urls is not None and _addresses.covered(urls, target):
            return True
        urls, changes = self._ledger.urls(enough=False), self._ledger.changes
        if urls is None:
            own = Account(self._name, ())
            async for page in self._link.pages("/v1/accounts"):
                found = [line for line in accounts_of(page) if line.name == self._name]
                if found:
                    own = found[0]
                    break
            urls = own.urls
            self._ledger.told_account(own, changes)
        return _addresses.covered(urls, target)

    def refused_below_400(self) -> bool:
        return self._ledger.refused_below_400

    async def _run(self) -> None:
        try:
            async for event in _watch(self._link, self._name, None):
                self._ledger.heard(event)
        except TokendError:
            # The right to the token has ended, or something else that who asks next is told.
            pass
        finally:
            self._ledger.clear()
            self._task = None

    def end(self) -> None:
        """Ends it from anywhere, if its loop still runs."""
        task = self._task
        if task is not None:
            with contextlib.suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)

    async def close(self) -> None:
        task, self._task = self._task, None
        self._ledger.clear()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


_Accounts = Dict[asyncio.AbstractEventLoop, Dict[str, _Followed]]


def _end_all(accounts: _Accounts) -> None:
    for here in list(accounts.values()):
        for account in list(here.values()):
            account.end()
