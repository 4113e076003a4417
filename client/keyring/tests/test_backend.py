"""The backend with a stand-in for tokenctl that says what a test wants, and writes down its arguments."""

from __future__ import annotations

import os
import stat
import tempfile
import unittest
from pathlib import Path
from typing import List, Optional
from unittest import mock

import keyring.backend
from keyring.errors import KeyringError, PasswordDeleteError, PasswordSetError

from tokend_keyring import TokendKeyring

ADDRESS = "https://pypi.example.com/simple/"


class Backend(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        patch = mock.patch.dict(os.environ, {"PATH": f"{folder.name}:/usr/bin:/bin"})
        patch.start()
        self.addCleanup(patch.stop)

    def tokenctl(self, code: int, out: str = "", said: str = "") -> TokendKeyring:
        program = self.folder / "tokenctl"
        program.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{self.folder}/words'\n"
            f"printf '{out}'\nprintf '{said}' >&2\nexit {code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return TokendKeyring()

    def words(self) -> Optional[List[str]]:
        path = self.folder / "words"
        return path.read_text().splitlines() if path.exists() else None

    def test_the_token_and_its_user(self) -> None:
        backend = self.tokenctl(0, "oauth2\\nhunter2\\n")
        found = backend.get_credential(ADDRESS, None)
        assert found is not None
        self.assertEqual((found.username, found.password), ("oauth2", "hunter2"))
        self.assertEqual(self.words(), ["helper", "keyring", "--mode", "creds", "get", "--", ADDRESS])

    def test_a_user_that_was_named_stays(self) -> None:
        backend = self.tokenctl(0, "other\\nhunter2\\n")
        found = backend.get_credential(ADDRESS, "me")
        assert found is not None
        self.assertEqual((found.username, found.password), ("me", "hunter2"))
        words = self.words()
        assert words is not None
        self.assertEqual(words[-3:], ["--", ADDRESS, "me"])

    def test_what_is_not_ours_is_left_to_others(self) -> None:
        backend = self.tokenctl(1)
        self.assertIsNone(backend.get_credential(ADDRESS, None))
        self.assertIsNone(backend.get_password("http://127.0.0.1:8080", "me"))
        with self.assertRaises(NotImplementedError):
            backend.set_password(ADDRESS, "me", "hunter3")
        with self.assertRaises(NotImplementedError):
            backend.delete_password(ADDRESS, "me")

    def test_a_service_that_is_no_address_starts_nothing(self) -> None:
        # Not even while the daemon is away.
        for code in [69, 70]:
            backend = self.tokenctl(code)
            for service in [
                "login", "git:https://a.test", "Chrome Safe Storage", "", "-x", "ftp://a.test", "user@mail",
                "com.example.app", "pypi.example.com", "127.0.0.1:8080", "localhost",
            ]:
                self.assertIsNone(backend.get_password(service, "me"), service)
                with self.assertRaises(NotImplementedError):
                    backend.set_password(service, "me", "hunter3")
                self.assertIsNone(self.words(), service)

    def test_a_token_that_cannot_be_had_is_an_error_with_advice(self) -> None:
        for code in [64, 69, 70, 75, 77, 78, 79]:
            backend = self.tokenctl(code, "", "tokenctl: account ads needs a login\\n  tokenctl login ads\\n")
            with self.assertRaisesRegex(KeyringError, "(?s)needs a login.*tokenctl login ads"):
                backend.get_credential(ADDRESS, None)
            with self.assertRaisesRegex(PasswordSetError, "needs a login"):
                backend.set_password(ADDRESS, "me", "hunter3")
            with self.assertRaisesRegex(PasswordDeleteError, "needs a login"):
                backend.delete_password(ADDRESS, "me")
            self.assertNotIn("hunter3", "".join(self.words() or []))

    def test_an_empty_token_is_never_given(self) -> None:
        for out in ["", "\\n", "oauth2\\n", "\\nhunter2\\n"]:
            with self.assertRaises(KeyringError) as raised:
                self.tokenctl(0, out).get_credential(ADDRESS, None)
            self.assertNotIn("hunter2", str(raised.exception))

    def test_without_tokenctl_it_is_said(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            with self.assertRaisesRegex(KeyringError, "no tokenctl in PATH"):
                TokendKeyring().get_password(ADDRESS, "me")

    def test_keyring_finds_it(self) -> None:
        found = [type(it).__name__ for it in keyring.backend.get_all_keyring()]
        self.assertIn("TokendKeyring", found)


if __name__ == "__main__":
    unittest.main()
