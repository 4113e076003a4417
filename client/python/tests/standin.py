"""Stand-ins: a daemon that keeps to ``proto/openapi.json``, and an API that takes the newest token only. Both count."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socketserver
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

#: A failure is known by then; nothing waits so long that works.
PATIENCE = 20.0


def eventually(what: str, holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        threading.Event().wait(0.005)
    raise AssertionError(f"it was waited for in vain: {what}")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    daemon: Daemon

    def handle_error(self, *_: Any) -> None:
        """A client may hang up at any time."""


class Daemon:
    """A daemon with one account, ``ads``."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tokend-")
        self.socket = os.path.join(self.folder, "http.sock")
        self.lock = threading.Condition()
        self.number = 1
        self.life: Optional[float] = 3600.0
        self.urls: List[str] = []
        self.extra: Dict[str, Any] = {}
        self.problem: Optional[Dict[str, Any]] = None
        self.refused_below_400 = False
        self.refusals: Tuple[int, ...] = (401,)
        self.requests: List[str] = []
        self.queries: List[Dict[str, List[str]]] = []
        self.events: List[Dict[str, Any]] = []
        self.watchers = 0
        self.has_token = True
        self.delay = threading.Event()
        self.delay.set()
        self.start()

    def start(self) -> None:
        self.stopped = False
        self.server = _Server(self.socket, _Tokend)
        self.server.daemon = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """As a stop of the daemon: streams end."""
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.socket)
        with self.lock:
            self.stopped = True
            self.lock.notify_all()
            assert self.lock.wait_for(lambda: self.watchers == 0, PATIENCE), "a stream goes on"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stop()
        shutil.rmtree(self.folder)

    @property
    def token(self) -> str:
        return f"secret-{self.number}"

    def named(self, event: str) -> Dict[str, Any]:
        return {"event": event, "account": "ads"}

    def tell(self, **event: Any) -> None:
        """Tells all who watch."""
        with self.lock:
            self.events.append({"account": "ads", **event})
            self.lock.notify_all()

    def renew(self) -> str:
        with self.lock:
            self.number += 1
        self.tell(event="token", **self.object())
        return self.token

    def object(self) -> Dict[str, Any]:
        expires = None if self.life is None else int(time.time() + self.life)
        text = None if expires is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        life = None if self.life is None else int(self.life)
        return {"access_token": self.token, "token_type": "bearer", "expires_at": text, "expires_in": life, "scope": None, **self.extra}

    def asked(self, what: str) -> int:
        return sum(1 for line in self.requests if line.endswith(what))


class _Tokend(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        daemon, url = self.server.daemon, urlsplit(self.path)
        with daemon.lock:
            daemon.requests.append(f"GET {url.path}")
            daemon.queries.append(parse_qs(url.query))
        if self.headers["X-Tokend"] != "1" or self.headers["Host"] != "tokend":
            return self.problem({"code": "header-required", "detail": "the header is missing"}, 403)
        path = url.path
        if path == "/v1/health":
            return self.say({"status": "ok", "version": "0.1.0"})
        if path == "/v1/whoami":
            return self.say({"uid": os.geteuid()})
        if path == "/v1/accounts":
            page = {"accounts": [{"account": "a", "urls": []}], "next": "a"}
            ads = {"account": "ads", "urls": daemon.urls, "refused_below_400": daemon.refused_below_400}
            return self.say({"accounts": [ads], "next": None} if url.query else page)
        if path == "/v1/status":
            return self.say({"accounts": [{"account": "ads", "state": "valid"}], "next": None})
        if path == "/v1/accounts/ads/status":
            return self.say({"account": "ads", "state": "valid"})
        if path == "/v1/accounts/ads/token":
            daemon.delay.wait(PATIENCE)
            return self.problem(daemon.problem) if daemon.problem else self.say(daemon.object())
        if path == "/v1/accounts/ads/watch":
            return self.problem(daemon.problem) if daemon.problem else self.watch()
        return self.problem({"code": "unknown-account", "detail": "there is no such account"}, 404)

    def do_POST(self) -> None:
        daemon = self.server.daemon
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with daemon.lock:
            daemon.requests.append(f"POST {urlsplit(self.path).path}")
        if self.path.endswith("/refusal"):
            return self.say({"refused": body["status"] in daemon.refusals or body.get("body") == "Invalid session"})
        if daemon.problem:
            return self.problem(daemon.problem)
        with daemon.lock:
            current = body["token"] == daemon.token
        if current:
            daemon.tell(event="retired")
            daemon.renew()
        self.say(daemon.object())

    def watch(self) -> None:
        daemon = self.server.daemon
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with daemon.lock:
            told = len(daemon.events)
            daemon.watchers += 1
            first = {"event": "token", "account": "ads", **daemon.object()}
        if not daemon.has_token:
            first = {"event": "unavailable", "account": "ads", "code": "login-required", "message": "no credential"}
        try:
            self.piece(b"\n")
            self.line(first)
            while True:
                with daemon.lock:
                    daemon.lock.wait_for(lambda: len(daemon.events) > told or daemon.stopped, 0.2)
                    if daemon.stopped:
                        break
                    events, told = daemon.events[told:], len(daemon.events)
                if not events:
                    self.piece(b"\n")
                for event in events:
                    self.line(event)
                    if event["event"] == "ended":
                        self.wfile.write(b"0\r\n\r\n")
                        return
        except OSError:
            pass
        finally:
            with daemon.lock:
                daemon.watchers -= 1
                daemon.lock.notify_all()
            self.close_connection = True

    def line(self, event: Dict[str, Any]) -> None:
        event = {key: value for key, value in event.items() if key not in ("expires_in", "scope")}
        text = json.dumps(event).encode() + b"\n"
        # In two pieces, as a stream may be cut anywhere.
        self.piece(text[:7])
        self.piece(text[7:])

    def piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def problem(self, problem: Dict[str, Any], status: int = 0) -> None:
        codes = {"login-required": 409, "not-allowed": 403, "paced": 429, "in-doubt": 409, "too-busy": 503}
        self.say({"type": "urn:tokend:problem:x", "title": "t", **problem}, status or codes.get(problem["code"], 500))

    def say(self, answer: Dict[str, Any], status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Api:
    """An API on loopback. ``/moved`` leads to ``/v1/me``, ``/away`` to another port, ``/old`` answers 400 without a newer token,
    ``/soft`` 200, and ``/soft-stream`` the same without a length."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.good: Optional[str] = None
        self.seen: List[Tuple[str, Optional[str], bytes]] = []
        self.away = ""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        _Handler.apis[self.server.server_address[1]] = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def refuse_current(self) -> None:
        """The API ends the token before its time."""
        self.good = f"secret-{self.daemon.number + 1}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    apis: Dict[int, Api] = {}
    protocol_version = "HTTP/1.1"
    #: An answer in one piece: in two, the second would wait for the client's system to confirm the first.
    wbufsize = 65536

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        api = self.apis[self.server.server_address[1]]  # type: ignore[index]
        length = self.headers.get("Content-Length")
        if length is not None:
            body = self.rfile.read(int(length))
        else:
            body = b"".join(self.chunks()) if self.headers.get("Transfer-Encoding") == "chunked" else b""
        presented = self.headers.get("Authorization") or self.headers.get("X-Key") or self.headers.get("Cookie")
        api.seen.append((self.path, presented, body))
        good = api.good or api.daemon.token
        if self.path == "/moved":
            return self.answer(302, b"", {"Location": "/v1/me"})
        if self.path == "/away":
            return self.answer(302, b"", {"Location": api.away})
        accepted = presented in (f"Bearer {good}", good, f"a=b; sid={good}", f"sid={good}")
        if self.path == "/soft" and not accepted:
            return self.answer(200, b"Invalid session", {})
        if self.path in ("/old", "/soft-stream") and not accepted:
            # In pieces, and without a length.
            self.send_response(400 if self.path == "/old" else 200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"7\r\nInvalid\r\n8\r\n session\r\n0\r\n\r\n")
            return None
        if self.path == "/missing":
            return self.answer(404, b"nothing here", {})
        return self.answer(200, b'{"me": 1}', {}) if accepted else self.answer(401, b"refused", {"WWW-Authenticate": "Bearer"})

    do_POST = do_GET

    def chunks(self) -> Iterator[bytes]:
        while True:
            size = int(self.rfile.readline(), 16)
            piece = self.rfile.read(size + 2)[:size]
            if not piece:
                return
            yield piece

    def answer(self, status: int, body: bytes, headers: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
