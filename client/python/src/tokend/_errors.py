"""What can go wrong, with what to do about it.

Owns the classes, and the exit code of each, which is that of ``tokenctl``. Never carries a token.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Type


class TokendError(Exception):
    """Why there is no token, or none for this."""

    #: How ``tokenctl`` ends for the same reason; made for ``sys.exit``.
    exit_code: int = 75

    def __init__(
        self,
        message: str,
        *,
        code: str,
        advice: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message if advice is None else f"{message}; {advice}")
        #: What happened, for people.
        self.message = message
        #: The kind of failure, for programs: ``login-required``.
        self.code = code
        #: What to do about it, for people.
        self.advice = advice
        #: Trying again sooner than this many seconds from then gives the same answer.
        self.retry_after = retry_after

    def __reduce__(self) -> Any:
        state = {"code": self.code, "advice": self.advice, "retry_after": self.retry_after}
        return (_restored, (type(self), self.message, state))


def _restored(kind: Type[TokendError], message: str, state: Dict[str, Any]) -> TokendError:
    return kind(message, **state)


class Unreachable(TokendError):
    """The daemon does not run, or its socket is somewhere else."""

    exit_code = 69


class NotAllowed(TokendError):
    """The policy refuses this program, or the system does not let it come to the socket."""

    exit_code = 77


class Untrusted(TokendError):
    """Another user's program listens at the socket. Nothing was sent."""

    exit_code = 77


class UnknownAccount(TokendError):
    """No account of this name is configured."""

    exit_code = 78


class Misconfigured(TokendError):
    """The account's configuration cannot work as it is, or its tokens do not live as long as was asked."""

    exit_code = 78


class WrongUse(TokendError):
    """The token is not for this address, scope or audience. It was not sent."""

    exit_code = 78


class LoginRequired(TokendError):
    """Only a person can help: ``tokenctl login ACCOUNT``."""

    exit_code = 79


class TryLater(TokendError):
    """It may work later; :attr:`retry_after` says when, if that is known."""

    exit_code = 75


class ProtocolError(TokendError):
    """Something else answers on the socket, or a release that is too old or too new."""

    exit_code = 70


_KINDS: Dict[str, Type[TokendError]] = {
    "not-allowed": NotAllowed,
    "unknown-account": UnknownAccount,
    "misconfigured": Misconfigured,
    "validity-unattainable": Misconfigured,
    "reload-failed": Misconfigured,
    "invalid-scope": WrongUse,
    "invalid-target": WrongUse,
    "login-required": LoginRequired,
    "bad-request": ProtocolError,
    "unsupported-version": ProtocolError,
    "internal": ProtocolError,
    "header-required": ProtocolError,
    "origin-refused": ProtocolError,
    "unknown-path": ProtocolError,
    "method-not-allowed": ProtocolError,
    "unsupported-media-type": ProtocolError,
    "too-large": ProtocolError,
}

#: Ends of a watch after which a new one may work.
_PASSING = frozenset(("draining", "too-busy"))


def fault(problem: Mapping[str, Any]) -> TokendError:
    """The error of a problem (RFC 9457), or of an event that has its members."""
    code = _text(problem.get("code")) or "unknown"
    message = _text(problem.get("detail")) or _text(problem.get("message")) or _text(problem.get("title"))
    after = problem.get("retry_after")
    retry_after = float(after) if isinstance(after, (int, float)) else None
    kind = _KINDS.get(code, TryLater)
    if code == "in-doubt" and retry_after is None:
        # The daemon does not try again by itself: a person has to decide.
        kind = LoginRequired
    return kind(
        message or f"tokend refused the request ({code})",
        code=code,
        advice=_text(problem.get("advice")),
        retry_after=retry_after,
    )


def passes(error: TokendError) -> bool:
    """Whether a restart of the daemon, or a pause, may help."""
    return isinstance(error, Unreachable) or error.code in _PASSING or error.code in ("lost", "timeout")


def protocol(what: str) -> ProtocolError:
    return ProtocolError(
        f"the answer is not one of tokend's: {what}",
        code="protocol",
        advice="check that the path is tokend's HTTP socket, and that both are of the same release",
    )


def lost(what: object) -> TryLater:
    return TryLater(
        f"the connection to tokend was lost: {what}",
        code="lost",
        advice="try again; if it happens again, see: journalctl -u tokend",
    )


def late(seconds: float) -> TryLater:
    return TryLater(
        f"no answer from tokend within {seconds:g} s",
        code="timeout",
        advice="try again or allow more time; an attempt that has begun goes on",
    )


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) and value else None
