"""Access tokens from tokend, the local token broker.

>>> import tokend
>>> token = tokend.Client().token("ads")  # doctest: +SKIP
"""

from __future__ import annotations

from ._async_client import AsyncClient
from ._client import Client
from ._errors import (
    LoginRequired,
    Misconfigured,
    NotAllowed,
    ProtocolError,
    TokendError,
    TryLater,
    UnknownAccount,
    Unreachable,
    Untrusted,
    WrongUse,
)
from ._token import Account, Event, Token

__version__ = "0.1.0"

__all__ = [
    "Account",
    "AsyncClient",
    "Client",
    "Event",
    "LoginRequired",
    "Misconfigured",
    "NotAllowed",
    "ProtocolError",
    "Token",
    "TokendError",
    "TryLater",
    "UnknownAccount",
    "Unreachable",
    "Untrusted",
    "WrongUse",
]
