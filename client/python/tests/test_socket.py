"""Where the socket is looked for, and who is taken for tokend."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

import tokend
from tests.standin import Daemon
from tokend import _addresses, _exchange, _socket


class FindTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()

    def find(self, **environment: str) -> str:
        return _socket.find(None, environment, f"{self.folder}/system.sock", f"{self.folder}/users")

    def test_what_is_named_is_used_even_if_it_is_missing(self) -> None:
        self.assertEqual(_socket.find("/nowhere/a", {"TOKEND_HTTP_SOCKET": "/nowhere/b"}), "/nowhere/a")
        self.assertEqual(self.find(TOKEND_HTTP_SOCKET="/nowhere/b"), "/nowhere/b")

    def test_the_first_that_exists_is_used(self) -> None:
        with self.assertRaises(tokend.Unreachable) as caught:
            self.find(XDG_RUNTIME_DIR=f"{self.folder}/run")
        self.assertIn(f"{self.folder}/run/tokend/http.sock and ", str(caught.exception))
        self.assertEqual(caught.exception.exit_code, 69)
        for name in ("system.sock", f"users/{os.geteuid()}/tokend/http.sock", "run/tokend/http.sock"):
            path = f"{self.folder}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w").close()
            self.assertEqual(self.find(XDG_RUNTIME_DIR=f"{self.folder}/run"), path)

    def test_nothing_listens(self) -> None:
        path = f"{self.folder}/http.sock"
        for exists in (False, True):
            if exists:
                open(path, "w").close()
            with self.assertRaises(tokend.Unreachable) as caught:
                tokend.Client(path).token("ads")
            self.assertIn(f"cannot reach tokend at {path}", str(caught.exception))

    def test_a_queue_that_stays_full_is_told(self) -> None:
        path = f"{self.folder}/full.sock"
        listener, waiting = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        self.addCleanup(waiting.close)
        listener.bind(path)
        listener.listen(0)
        waiting.connect(path)
        with mock.patch.object(_exchange, "CONNECT", 0.01):
            with self.assertRaises(tokend.Unreachable) as caught:
                tokend.Client(path).token("ads")
            self.assertIn("queue", str(caught.exception))
            with self.assertRaises(tokend.Unreachable):
                asyncio.run(tokend.AsyncClient(path).token("ads"))

    def test_what_answers_something_else_is_told(self) -> None:
        path = f"{self.folder}/http.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)
        for answer, kind in [
            (b"", tokend.TryLater),
            (b"garbage\r\n\r\n", tokend.TryLater),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", tokend.ProtocolError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tokend.ProtocolError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", tokend.TryLater),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", tokend.ProtocolError),
            (b"HTTP/1.1 204 No Content\r\n\r\n", tokend.NotAllowed),
        ]:
            client = tokend.Client(path)
            def serve() -> None:
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

            thread = threading.Thread(target=serve)
            thread.start()
            with self.assertRaises(kind, msg=answer):
                client.token("ads")
            thread.join()


class TrustTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.me = frozenset((0, os.geteuid()))

    def listener(self, name: str) -> str:
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = f"{self.folder}/{name}"
        listener.bind(path)
        return path

    def test_a_socket_is_trusted_only_where_nobody_else_can_put_one(self) -> None:
        path = self.listener("s")
        for mode, trusted in [(0o700, True), (0o755, True), (0o777, False), (0o1777, False), (0o770, False), (0o722, False)]:
            os.chmod(self.folder, mode)
            self.assertEqual(_socket._placed_by(path, self.me), trusted, oct(mode))
        os.chmod(self.folder, 0o700)
        os.symlink(path, f"{self.folder}/link")
        open(f"{self.folder}/file", "w").close()
        for other in ("link", "file", "missing"):
            self.assertFalse(_socket._placed_by(f"{self.folder}/{other}", self.me), other)

    def test_every_directory_on_the_way_is_one_that_others_cannot_replace(self) -> None:
        os.makedirs(f"{self.folder}/a/b")
        self.listener("a/b/s")
        os.symlink("a/b", f"{self.folder}/near")
        os.symlink(f"{self.folder}/a/../near", f"{self.folder}/far")
        os.symlink("round", f"{self.folder}/round")
        names = ["a/b/s", "a/../a/b/s", "near/s", "far/s"]

        def trusted() -> list[bool]:
            return [_socket._placed_by(f"{self.folder}/{name}", self.me) for name in names]

        self.assertEqual(trusted(), [True] * 4)
        self.assertFalse(_socket._placed_by(f"{self.folder}/round/s", self.me))
        for mode in (0o777, 0o775, 0o722):
            os.chmod(f"{self.folder}/a", mode)
            self.assertEqual(trusted(), [False] * 4)
        os.chmod(f"{self.folder}/a", 0o1777)
        self.assertEqual(trusted(), [True] * 4)
        os.chmod(f"{self.folder}/a", 0o755)
        os.chmod(self.folder, 0o1777)
        self.assertEqual(trusted(), [True, True, False, False])

    @unittest.skipUnless(os.geteuid() == 0, "only root can be others")
    def test_the_program_of_another_user_gets_nothing(self) -> None:
        daemon = Daemon()
        self.addCleanup(daemon.close)
        os.chmod(daemon.folder, 0o777)
        os.chmod(daemon.socket, 0o666)
        child = os.fork()
        if child == 0:
            os.setresuid(4001, 4001, 4001)
            try:
                # root's is trusted by everybody.
                tokend.Client(daemon.socket, follow=False).token("ads")
                os._exit(0)
            except BaseException:
                os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        path = f"{self.folder}/foreign"
        os.chmod(self.folder, 0o777)
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setresuid(4001, 4001, 4001)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            os.write(told, b"1")
            connection, _ = listener.accept()
            os._exit(len(connection.recv(100)))
        os.read(ready, 1)
        with self.assertRaises(tokend.Untrusted) as caught:
            tokend.Client(path).reject("ads", "secret-1")
        self.assertIn("daemon_uid=4001", str(caught.exception))
        self.assertNotIn("secret", str(caught.exception))
        self.assertEqual(os.waitpid(child, 0)[1], 0, "nothing was sent")


class AddressesTest(unittest.TestCase):
    def covered(self, allowed: str, url: str) -> bool:
        return _addresses.covered([allowed], _addresses.target(url))

    def test_a_path_counts_in_whole_parts(self) -> None:
        for allowed, path, covered in [
            ("https://api.example.com", "/", True),
            ("https://api.example.com", "", True),
            ("https://api.example.com", "/v1/users?q#f", True),
            ("https://api.example.com/v1", "/v1", True),
            ("https://api.example.com/v1", "/v1/users", True),
            ("https://api.example.com/v1", "/v10", False),
            ("https://api.example.com/v1", "/V1/users", False),
            ("https://api.example.com/v1", "/", False),
            ("https://api.example.com/v1/", "/v1", False),
            ("https://api.example.com/v1/", "/v1/users", True),
            ("https://api.example.com/v1", "/v1/../admin", False),
            ("https://api.example.com/v1", "/v1/%2e%2E/admin", False),
            ("https://api.example.com/v1", "/v1/..%2fadmin", False),
            ("https://api.example.com/v1", "/v1/%252e%252e/admin", False),
            ("https://api.example.com/v1", "/v1/..;/admin", False),
            ("https://api.example.com/v1", "/v1/a..b", True),
        ]:
            self.assertEqual(self.covered(allowed, f"https://api.example.com{path}"), covered, (allowed, path))

    def test_only_the_very_host_scheme_and_port_are_covered(self) -> None:
        for allowed, url, covered in [
            ("https://api.example.com/", "https://API.Example.com:443/a", True),
            ("https://api.example.com/", "https://example.com/", False),
            ("https://api.example.com/", "https://xapi.example.com/", False),
            ("https://api.example.com/", "https://api.example.com.evil.test/", False),
            ("https://api.example.com/", "https://api.example.com./", False),
            ("https://api.example.com/", "https://api.example.com:444/", False),
            ("https://api.example.com/", "http://api.example.com:443/", False),
            ("https://api.example.com/", "https://api.example.com@evil.test/", False),
            ("https://api.example.com/", "https://user@api.example.com/", False),
            ("https://api.example.com/", "https://evil.test\\@api.example.com/", False),
            ("https://api.example.com/", "https://api.example.com/\n", False),
            ("https://*.example.com/", "https://a.example.com/", True),
            ("https://*.example.com/", "https://a.b.example.com/", True),
            ("https://*.example.com/", "https://example.com/", False),
            ("https://*.example.com/", "https://.example.com/", False),
            ("https://*.example.com/", "https://evil.test#.example.com/", False),
            ("https://*.example.com/", "https://a..example.com/", False),
            ("https://*.example.com/", "https://aexample.com/", False),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]/", True),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/a", True),
            ("http://api.example.com/", "http://api.example.com/", False),
            ("gopher:whatever", "https://api.example.com/", False),
            ("https://api.example.com:70000/", "https://api.example.com/", False),
        ]:
            self.assertEqual(self.covered(allowed, url), covered, (allowed, url))


if __name__ == "__main__":
    unittest.main()
