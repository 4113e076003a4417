"""The client for threads.

Owns its connections, the thread that follows an account's tokens, and what happens to both in a fork. A question has a connection of its
own: it is made only while no token is held.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import socket
import threading
import time
import weakref
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from types import TracebackType
from typing import Any, Callable, Dict, Generator, Iterator, List, Optional, Tuple, Type, Union

from . import _addresses, _exchange, _socket
from ._errors import TokendError, WrongUse, late, lost, passes, protocol
from ._exchange import Ask, Number
from ._ledger import Ledger
from ._token import Account, Event, Token, accounts_of, boot_seconds, listed


class Client:
    """Asks tokend for tokens, and keeps each until it is over.

    Threads may share it. After a fork the child asks anew. ``follow=False`` asks each time and starts no thread.
    """

    def __init__(self, socket: Optional[str] = None, *, follow: bool = True, daemon_uid: Optional[int] = None) -> None:
        self._link = _Link(socket, daemon_uid)
        self._follow = follow
        self._accounts: Dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _close_all, self._accounts)
        _clients.add(self)

    def token(
        self,
        account: str,
        *,
        min_validity: Optional[Number] = None,
        wait: Number = 0,
        timeout: Optional[Number] = None,
    ) -> Token:
        """The account's token. No request is made while one is held that lives long enough.

        ``min_validity``: how many seconds it must still live. ``wait``: how many the daemon may wait for the rate limit. ``timeout``:
        how many it may take altogether; 30 by default, and ``wait``.
        """
        if not self._follow:
            return Token(self._link.ask(_exchange.token(account, min_validity, wait, timeout)))
        return self._followed(account).token(min_validity, wait, timeout)

    def reject(
        self,
        account: str,
        token: Union[Token, str],
        *,
        wait: Number = 0,
        timeout: Optional[Number] = None,
    ) -> Token:
        """Reports that an API refused this token, and returns the next one."""
        value = token if isinstance(token, str) else token.value
        ask = _exchange.reject(account, value, wait, timeout)
        if not self._follow:
            return Token(self._link.ask(ask))
        return self._followed(account).replaced(value, ask)

    def refused(self, account: str, status: int, body: bytes = b"") -> bool:
        """Whether an API's answer refuses the account's token, by the rules of its dialect. Changes nothing."""
        return self._link.ask(_exchange.refusal(account, status, body)).get("refused") is True

    def token_for(self, account: str, url: str) -> Token:
        """The account's token for this URL; :class:`WrongUse` where it is not for that."""
        return self._token_at(account, _addresses.target(url))

    def _token_at(self, account: str, target: Optional[_addresses.Target]) -> Token:
        # First the token: addresses are asked for again with each new one.
        token = self.token(account)
        if not self._followed(account).covers(target):
            raise wrong_address(account)
        return token

    def _may_refuse(self, account: str, status: int) -> bool:
        """Whether an answer with this status may refuse the account's token, which was sent."""
        return status >= 400 or self._followed(account).refused_below_400()

    def accounts(self) -> List[Account]:
        """The accounts whose token this program may have, with the addresses it is for."""
        return [account for page in self._link.pages("/v1/accounts") for account in accounts_of(page)]

    def status(self, account: Optional[str] = None) -> List[Dict[str, Any]]:
        """The state of all accounts, or of one, as ``tokenctl status --json`` has it."""
        if account is not None:
            return [self._link.ask(_exchange.status(account))]
        return [line for page in self._link.pages("/v1/status") for line in listed(page)]

    def whoami(self) -> Dict[str, Any]:
        """What the daemon sees of this program, as ``tokenctl whoami --json`` has it."""
        return self._link.ask(_exchange.page("/v1/whoami", None))

    def health(self) -> Dict[str, Any]:
        """That the daemon serves, and its release."""
        return self._link.ask(_exchange.page("/v1/health", None))

    def watch(self, account: str, *, min_validity: Optional[Number] = None) -> Generator[Event, None, None]:
        """The account's token now, and whatever happens to it. A restart of the daemon does not end it; its error does."""
        return _Watch(self._link, account, min_validity).events()

    def close(self) -> None:
        """Ends all threads. A client that is asked again starts them again."""
        with self._lock:
            accounts = list(self._accounts.values())
            self._accounts.clear()
        for account in accounts:
            account.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def _followed(self, account: str) -> _Followed:
        with self._lock:
            return self._accounts.setdefault(account, _Followed(self._link, account))

    def _forked(self) -> None:
        # Whoever held a lock does not exist here, and the connections are the parent's.
        self._lock = threading.Lock()
        for account in self._accounts.values():
            account.abandon()
        self._accounts.clear()
        self._link.forked()


def wrong_address(account: str) -> WrongUse:
    return WrongUse(
        f"the token of {account} is not for this URL, and was not sent there",
        code="wrong-use",
        advice="see what it is for with Client.accounts(); add the address to `urls` in [api] of the account, or correct the URL",
    )


class _Link:
    """Makes connections to a daemon that is trusted."""

    def __init__(self, named: Optional[str], daemon_uid: Optional[int]) -> None:
        self._named = named
        self._daemon_uid = daemon_uid
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def connect(self, limit: float) -> http.client.HTTPConnection:
        path = _socket.find(self._named)
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end = boot_seconds() + _exchange.CONNECT
        try:
            stream.settimeout(limit)
            while _socket.is_queue_full(stream, path) and boot_seconds() < end:
                time.sleep(_exchange.FIRST_PAUSE)
            _socket.demand_trust(stream, path, self._daemon_uid)
        except OSError as error:
            stream.close()
            raise _socket.unreachable(path, error) from error
        except BaseException:
            stream.close()
            raise
        self._open.add(stream)
        connection = http.client.HTTPConnection("tokend", timeout=limit)
        connection.sock = stream
        return connection

    def ask(self, ask: Ask) -> Dict[str, Any]:
        with contextlib.closing(self.connect(ask.limit)) as connection:
            response = self.send(connection, ask)
            try:
                body = response.read(_exchange.LONGEST + 1)
            except (OSError, http.client.HTTPException) as error:
                raise _exchange.broken(error, ask.limit) from error
        if len(body) > _exchange.LONGEST:
            raise protocol("it is too long")
        if response.length:
            raise lost("it ended within an answer")
        return _exchange.answer(response.status, body)

    def send(self, connection: http.client.HTTPConnection, ask: Ask) -> http.client.HTTPResponse:
        headers = dict(_exchange.HEADERS)
        if ask.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(ask.method, ask.path, ask.body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _exchange.broken(error, ask.limit) from error

    def pages(self, path: str) -> Iterator[Dict[str, Any]]:
        after: Optional[str] = None
        while True:
            page = self.ask(_exchange.page(path, after))
            yield page
            after = _exchange.next_page(page)
            if after is None:
                return

    def forked(self) -> None:
        for stream in list(self._open):
            with contextlib.suppress(OSError):
                # Not `close`, which waits for readers that do not exist here.
                os.close(stream.detach())
        self._open = weakref.WeakSet()


class _Watch:
    """A watch that outlasts restarts of the daemon."""

    def __init__(self, link: _Link, account: str, min_validity: Optional[Number]) -> None:
        self._link = link
        self._ask = _exchange.watch(account, min_validity)
        self._least = min_validity
        self._stream: Optional[socket.socket] = None
        self._stopped = threading.Event()

    def events(self) -> Generator[Event, None, None]:
        pause, away = _exchange.FIRST_PAUSE, False
        while not self._stopped.is_set():
            try:
                for event in self._connection():
                    pause, away = _exchange.FIRST_PAUSE, False
                    yield event
            except TokendError as error:
                if self._stopped.is_set():
                    return
                if not passes(error):
                    raise
                if not away:
                    yield Event("reconnecting", error=error)
                away = True
            self._stopped.wait(pause)
            pause = min(pause * 2, _exchange.LONGEST_PAUSE)

    def _connection(self) -> Iterator[Event]:
        """The events of one connection; ends in an error."""
        with contextlib.closing(self._link.connect(_exchange.ANSWER)) as connection:
            self._stream = connection.sock
            if self._stopped.is_set():
                return
            response = self._link.send(connection, self._ask)
            if response.status != 200:
                _exchange.answer(response.status, response.read(_exchange.LONGEST))
            # The response may have taken the socket over.
            self._stream.settimeout(_exchange.SILENCE)
            begins = True
            while True:
                event = _exchange.event(self._line(response))
                if event is None:
                    continue
                if begins and event.kind == "unavailable" and self._least is None:
                    # It serves none, so one of an earlier connection is over, although nobody was there to hear it.
                    yield Event("retired")
                begins = False
                yield event

    def _line(self, response: http.client.HTTPResponse) -> bytes:
        try:
            line = response.readline(_exchange.LONGEST)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise lost(error) from error
        if not line.endswith(b"\n"):
            raise lost("it ended")
        return line

    def stop(self) -> None:
        """Ends it from another thread."""
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)


#: How long a token must still live, how long the rate limit may be waited for, and how long it may take altogether.
_Demand = Tuple[Optional[Number], Number, Optional[Number]]


class _Followed:
    """An account whose token is kept, with the thread that follows it. Knows nothing of the client, which it must not keep alive."""

    def __init__(self, link: _Link, name: str) -> None:
        self._link = link
        self._name = name
        # A client that is gone is closed by whichever thread notices, perhaps this one's own in the middle of its work.
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._flights: Dict[_Demand, Future[Token]] = {}
        self._watch: Optional[_Watch] = None
        self._thread: Optional[threading.Thread] = None

    def token(self, min_validity: Optional[Number], wait: Number, timeout: Optional[Number]) -> Token:
        key = (min_validity, wait, timeout)
        with self._lock:
            held = self._ledger.held(min_validity)
            if held is not None:
                return held
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not first:
            # Somebody asks already, and all get the same answer.
            limit = _exchange.patience(wait, timeout) + _exchange.GRACE
            try:
                return flight.result(limit)
            except Late as error:
                raise late(limit) from error
        try:
            token = self._asked(lambda: _exchange.token(self._name, min_validity, wait, timeout))
        except BaseException as error:
            self._landed(key)
            shared = error if isinstance(error, TokendError) else late(0)
            flight.set_exception(shared)
            raise
        self._landed(key)
        flight.set_result(token)
        return token

    def replaced(self, value: str, ask: Ask) -> Token:
        with self._lock:
            self._ledger.refused(value)
        return self._asked(lambda: ask)

    def _asked(self, ask: Callable[[], Ask]) -> Token:
        with self._lock:
            changes = self._ledger.changes
        token = Token(self._link.ask(ask()))
        with self._lock:
            self._ledger.answered(token, changes)
            self._start()
        return token

    def _landed(self, key: _Demand) -> None:
        with self._lock:
            self._flights.pop(key, None)

    def covers(self, target: Optional[_addresses.Target]) -> bool:
        with self._lock:
            urls = self._ledger.urls(enough=True)
            if urls is not None and _addresses.covered(urls, target):
                return True
            urls, changes = self._ledger.urls(enough=False), self._ledger.changes
        if urls is None:
            # A generator: pages behind the account's own are not asked for.
            pages = self._link.pages("/v1/accounts")
            lines = (line for page in pages for line in accounts_of(page))
            own = next((line for line in lines if line.name == self._name), Account(self._name, ()))
            urls = own.urls
            with self._lock:
                self._ledger.told_account(own, changes)
        return _addresses.covered(urls, target)

    def refused_below_400(self) -> bool:
        with self._lock:
            return self._ledger.refused_below_400

    def _start(self) -> None:
        """Follows the account, if no thread does. Under the lock."""
        if self._thread is not None:
            return
        watch = self._watch = _Watch(self._link, self._name, None)
        self._thread = threading.Thread(target=self._run, args=(watch,), name=f"tokend {self._name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter ends, or there may be no more threads: without one a token is asked for each time.
            self._watch = self._thread = None
            self._ledger.clear()
            return
        _followed.add(self)

    def _run(self, watch: _Watch) -> None:
        try:
            for event in watch.events():
                with self._lock:
                    if self._watch is not watch:
                        return
                    self._ledger.heard(event)
        except TokendError:
            # The right to the token has ended, or something else that who asks next is told.
            pass
        finally:
            with self._lock:
                if self._watch is watch:
                    self._ledger.clear()
                    self._watch = self._thread = None

    def close(self) -> None:
        with self._lock:
            watch, thread = self._watch, self._thread
            self._watch = self._thread = None
            self._ledger.clear()
        if watch is not None:
            watch.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def abandon(self) -> None:
        """After a fork: nobody follows it here, and nobody waits."""
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._flights = {}
        self._watch = self._thread = None


def _close_all(accounts: Dict[str, _Followed]) -> None:
    for account in list(accounts.values()):
        account.close()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()
_followed: weakref.WeakSet[_Followed] = weakref.WeakSet()
_shared: Optional[Client] = None
_shared_lock = threading.Lock()


def shared() -> Client:
    """The client of everything in this process that names none."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Client()
        return _shared


def _at_exit() -> None:
    for account in list(_followed):
        account.close()


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for client in list(_clients):
        client._forked()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
