"""A backend of keyring: the password of an address is the access token of the account that is for it.

It asks tokenctl, which goes by the ``urls`` of the accounts, and keeps nothing. About an address that no account is for, and about
services that are no addresses, it says nothing, so that keyring asks its next backend. A token that cannot be had is an error in
tokenctl's words: another backend's entry for that address would be another credential.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import List, Optional, Tuple

from keyring.backend import KeyringBackend
from keyring.credentials import Credential, SimpleCredential
from keyring.errors import KeyringError, PasswordDeleteError, PasswordSetError

__all__ = ["TokendKeyring"]

_PROGRAM = "tokenctl"
#: How tokenctl ends when no account is for the address.
_NOTHING = 1
#: A URL. A bare host may be a program's own name for what it stores, and does not say whether it is reached by plain http.
_ADDRESS = re.compile(r"https?://")


class TokendKeyring(KeyringBackend):
    """Access tokens of tokend, by address."""

    # Before the stores of the desktop, which are asked about everything else.
    priority = 9

    def get_credential(self, service: str, username: Optional[str]) -> Optional[Credential]:
        """The user name to send and the token; None for what is not ours."""
        found = _ask(["--mode", "creds", "get"], service, username)
        if found is None:
            return None
        user, _, token = found.rstrip("\n").partition("\n")
        if not user or not token:
            raise KeyringError(f"{_PROGRAM} answered something else than a user name and a token; "
                               "install it from the same release")
        return SimpleCredential(username or user, token)

    def get_password(self, service: str, username: str) -> Optional[str]:
        """The token; None for what is not ours."""
        found = self.get_credential(service, username)
        return None if found is None else found.password

    def set_password(self, service: str, username: str, password: str) -> None:
        """Refused for an address of ours, whose tokens tokend obtains itself; left to the next backend for any other."""
        try:
            ours = self._is_ours("set", service, username)
        except KeyringError as error:
            raise PasswordSetError(str(error)) from None
        if not ours:
            raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        """As with :meth:`set_password`."""
        try:
            ours = self._is_ours("del", service, username)
        except KeyringError as error:
            raise PasswordDeleteError(str(error)) from None
        if not ours:
            raise NotImplementedError

    @staticmethod
    def _is_ours(operation: str, service: str, username: str) -> bool:
        return _ask([operation], service, username) is not None


def _ask(words: List[str], service: str, username: Optional[str]) -> Optional[str]:
    """What tokenctl prints; None if nothing is ours."""
    if not _ADDRESS.match(service):
        return None
    about = [service] if not username else [service, username]
    code, out, said = _run([*words, "--", *about])
    if code == 0:
        return out
    if code == _NOTHING:
        return None
    raise KeyringError(said.strip() or f"{_PROGRAM} ended with {code}")


def _run(words: List[str]) -> Tuple[int, str, str]:
    program = shutil.which(_PROGRAM)
    if program is None:
        raise KeyringError(f"there is no {_PROGRAM} in PATH; install tokend, or remove tokend-keyring")
    # The token is in a pipe only: never in an argument, a variable or a file.
    ended = subprocess.run(
        [program, "helper", "keyring", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr
