"""Holds the token of an account through its renewals: ``python -m tests.follow ACCOUNT TOKENS``.

Asks for it all the time, until it has had so many, and prints how many connections that took.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
from typing import Set

import tokend

from tests.standin import eventually


class Counter:
    """A socket in front of the daemon's, that counts connections."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.connections = 0
        self.folder = tempfile.mkdtemp(prefix="tokend-")
        self.path = os.path.join(self.folder, "http.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            front, _ = self.listener.accept()
            self.connections += 1
            back = socket.socket(socket.AF_UNIX)
            back.connect(self.behind)
            for source, target in ((front, back), (back, front)):
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main() -> None:
    _, account, wanted = sys.argv
    counter = Counter(os.environ["TOKEND_HTTP_SOCKET"])
    seen: Set[str] = set()
    with tokend.Client(counter.path) as client:

        def has_all() -> bool:
            seen.add(client.token(account).value)
            return len(seen) >= int(wanted)

        eventually("the tokens", has_all)
    print(counter.connections)
    shutil.rmtree(counter.folder)


if __name__ == "__main__":
    main()
