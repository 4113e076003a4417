"""Where the daemon's HTTP socket is, and whether it is tokend's.

Owns the search order, and the rule of whom to trust. It never passes over a socket that is there and keeps the caller out: the next one
would be another daemon's.
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
from typing import FrozenSet, List, Mapping, Optional

from ._errors import NotAllowed, TokendError, Unreachable, Untrusted

_SYSTEM = "/run/tokend/http.sock"
_BELOW = "tokend/http.sock"

#: How many symbolic links the kernel follows in one path.
_LINKS = 40


def find(
    named: Optional[str] = None,
    environment: Optional[Mapping[str, str]] = None,
    system: str = _SYSTEM,
    users: str = "/run/user",
) -> str:
    """The socket's path: the one that is named, by argument or variable, as it is; else the first that exists."""
    environment = os.environ if environment is None else environment
    named = named or environment.get("TOKEND_HTTP_SOCKET")
    if named:
        return named
    runtime = environment.get("XDG_RUNTIME_DIR")
    places: List[str] = [os.path.join(runtime, _BELOW)] if runtime else []
    places += [os.path.join(users, str(os.geteuid()), _BELOW), system]
    places = list(dict.fromkeys(places))
    for place in places:
        try:
            os.stat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise NotAllowed(
                f"cannot look at {place}, where a daemon's socket may be: {error.strerror}",
                code="kept-out",
                advice="say which daemon is meant with TOKEND_HTTP_SOCKET",
            ) from error
        return place
    raise Unreachable(
        f"no HTTP socket of tokend found; looked at {' and '.join(places)}",
        code="no-socket",
        advice="switch it on (systemctl enable --now tokend-http.socket), or name it with TOKEND_HTTP_SOCKET",
    )


def is_queue_full(stream: socket.socket, path: str) -> bool:
    """Connects, unless the daemon accepts too slowly: then it is worth trying again in a moment."""
    try:
        stream.connect(path)
    except BlockingIOError:
        return True
    return False


def unreachable(path: str, error: OSError) -> TokendError:
    what = f"cannot reach tokend at {path}: {error.strerror or error}"
    if isinstance(error, PermissionError):
        advice = "the socket's mode, or a directory that leads to it, keeps you out: ask its owner"
        return NotAllowed(what, code="kept-out", advice=advice)
    advice = "start the daemon and its HTTP socket (systemctl start tokend-http.socket), or check TOKEND_HTTP_SOCKET"
    return Unreachable(what, code="not-reachable", advice=advice)


def trusted(daemon_uid: Optional[int]) -> FrozenSet[int]:
    """The users whose program is taken for tokend."""
    found = {0, os.geteuid()} if daemon_uid is None else {0, os.geteuid(), daemon_uid}
    try:
        found.add(pwd.getpwnam("tokend").pw_uid)
    except KeyError:
        pass
    return frozenset(found)


def _is_connected(stream: socket.socket) -> bool:
    try:
        stream.getpeername()
    except OSError:
        return False
    return True


def demand_trust(connection: socket.socket, path: str, daemon_uid: Optional[int]) -> None:
    """Fails unless the other end belongs to somebody who may have the tokens, or only they could have put the socket there."""
    ours = trusted(daemon_uid)
    if not _is_connected(connection):
        raise Unreachable(
            f"cannot reach tokend at {path}: its queue of connections stays full",
            code="not-reachable",
            advice="see whether it hangs: systemctl status tokend",
        )
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    # The peer of a socket that systemd made is root, whichever user the daemon runs as.
    if uid in ours or _placed_by(path, ours):
        return
    raise Untrusted(
        f"the program that listens at {path} belongs to user {uid}, and not to root, tokend or you",
        code="untrusted",
        advice=f"name tokend's own socket; if this is the daemon that is meant, say so: daemon_uid={uid}",
    )


def _placed_by(path: str, ours: FrozenSet[int]) -> bool:
    """Whether only these users can have put the socket there: in its directory, or by replacing one on the way to it."""
    try:
        found = os.lstat(path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in ours:
            return False
        return _held(os.path.dirname(os.path.join(os.getcwd(), path)), ours)
    except OSError:
        return False


def _held(folder: str, ours: FrozenSet[int]) -> bool:
    """Goes to a directory as the kernel would; false where others can change an entry on the way, links included."""
    ahead = [name for name in folder.split("/") if name not in ("", ".")][::-1]
    here, links = "/", 0
    shared = _shared(os.lstat(here), ours)
    if shared is None:
        return False
    while ahead:
        name = ahead.pop()
        here = os.path.dirname(here) if name == ".." else os.path.join(here, name)
        found = os.lstat(here)
        if not stat.S_ISLNK(found.st_mode):
            shared = _shared(found, ours)
            if shared is None:
                return False
            continue
        links += 1
        # Where others can add names, a link of ours may be a second name that they gave it.
        if shared is not False or found.st_uid not in ours or links > _LINKS:
            return False
        to = os.readlink(here)
        here = "/" if to.startswith("/") else os.path.dirname(here)
        ahead += [name for name in to.split("/") if name not in ("", ".")][::-1]
        shared = _shared(os.lstat(here), ours)
    return shared is False


def _shared(found: os.stat_result, ours: FrozenSet[int]) -> Optional[bool]:
    """Whether others can add names to a directory; ``None`` if they can replace those that are there."""
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
        return None
    if not found.st_mode & 0o022:
        return False
    return True if found.st_mode & 0o1000 else None
