"""Every example of the README runs, at the stand-ins."""

from __future__ import annotations

import contextlib
import io
import os
import re
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

import tokend
from tests.standin import Api, Daemon
from tokend import _client

TEXT = (Path(__file__).parent.parent / "README.md").read_text()


class Enough(Exception):
    """An example without end has shown what it does."""


class ReadmeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.api = Api(self.daemon)
        self.addCleanup(self.api.close)
        self.daemon.urls = [f"{self.api.url}/"]
        variables = {"TOKEND_HTTP_SOCKET": self.daemon.socket, "NO_PROXY": "127.0.0.1"}
        patch = mock.patch.dict(os.environ, variables)
        patch.start()
        self.addCleanup(patch.stop)

    def run_example(self, code: str) -> str:
        with mock.patch.object(_client, "_shared", None), contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(code.replace("https://api.example.com", self.api.url), "README.md", "exec"), {})
        return said.getvalue()

    def test_every_example_runs(self) -> None:
        examples: List[str] = re.findall(r"```python\n(.*?)```", TEXT, re.S)
        said: Dict[str, str] = {}
        for code in examples:
            with self.subTest(code):
                if ".watch(" in code:
                    said["watch"] = self.watch(code)
                else:
                    said[code] = self.run_example(code)
                self.assertNotIn("secret", "".join(said.values()))
        self.assertEqual(len(said), len(examples))
        self.assertEqual(sum(text == "200\n" for text in said.values()), 3)
        self.assertRegex(said["watch"], r"a token for 3\d\d\d\.\d+ seconds\ndo not use .*\nunavailable no credential\n\Z")

    def watch(self, code: str) -> str:
        own = tokend.Client.watch

        def watch(client: tokend.Client, account: str) -> Any:
            events = own(client, account)
            yield next(events)
            self.daemon.tell(event="retired")
            yield next(events)
            self.daemon.tell(event="unavailable", code="login-required", message="no credential")
            yield next(events)

        with mock.patch.object(tokend.Client, "watch", watch):
            return self.run_example(code)

    def test_the_example_of_a_failure_ends_with_its_code(self) -> None:
        self.daemon.problem = {"code": "login-required", "detail": "no credential", "advice": "tokenctl login ads"}
        code = next(code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "sys.exit" in code)
        with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()) as said:
            self.run_example(code)
        self.assertEqual((ended.exception.code, said.getvalue()), (79, "no credential; tokenctl login ads\n"))

    def test_the_table_of_failures_is_right(self) -> None:
        rows = re.findall(r"^\| (`.+?) \| (\d+) \|", TEXT, re.M)
        table = {name.strip("`"): int(code) for names, code in rows for name in names.split(", ")}
        kinds = [kind for kind in vars(tokend).values() if isinstance(kind, type) and issubclass(kind, tokend.TokendError)]
        self.assertEqual(table, {kind.__name__: kind.exit_code for kind in kinds if kind is not tokend.TokendError})

    def test_the_version_is_that_of_the_package(self) -> None:
        project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
        self.assertIn(f'\nversion = "{tokend.__version__}"\n', project)


if __name__ == "__main__":
    unittest.main()
