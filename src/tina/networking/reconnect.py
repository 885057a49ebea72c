"""What the end of a WebSocket means, and whether to open it again.

Pure. Who holds the socket applies the policy: only they know whether what was asked
may be asked again.

Source: RFC 6455, sections 7.1.5 to 7.4.2; IANA, "WebSocket Close Code Number
Registry".
"""

import msgspec

from tina.domain.failures import (
    AuthenticationFailure,
    ConnectionFailure,
    OverloadFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.backoff import full_jitter_s

NORMAL = 1000
ABNORMAL = 1006
"""No close frame came; no server can send this one."""
NO_CODE = 1005
"""A close frame came, and said nothing."""
TOO_LARGE = 1009

_PASSING = frozenset({1001, NO_CODE, ABNORMAL, 1011, 1012, 1013, 1015})
_REFUSALS: dict[int, tuple[type[ProviderFailure], str]] = {
    1002: (ProtocolFailure, "does not understand this connection"),
    1003: (ProtocolFailure, "does not take what was sent"),
    1007: (ProtocolFailure, "found what was sent not readable"),
    1008: (PermissionFailure, "does not allow what was asked"),
    TOO_LARGE: (TooLargeFailure, "found a message too large"),
    1010: (ProtocolFailure, "wants an extension that Tina does not have"),
    1011: (ServerFailure, "had an error"),
    1013: (OverloadFailure, "has too much to do"),
    3000: (AuthenticationFailure, "does not accept the key"),
    3003: (PermissionFailure, "does not allow what was asked"),
    3008: (TimeoutFailure, "waited too long"),
}


class ReconnectPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a lost WebSocket is opened again."""

    attempts: int = 5
    base_s: float = 0.5
    cap_s: float = 8.0

    def delay_s(self, attempt: int, close_code: int, draw: float) -> float | None:
        """Seconds to wait before opening it again; None means to give up.

        Args:
            attempt: the number of the attempt to come; the first is 1.
            close_code: how the last one ended.
            draw: chance, from 0 to below 1.
        """
        if attempt > self.attempts or close_code not in _PASSING:
            return None
        return full_jitter_s(attempt, base_s=self.base_s, cap_s=self.cap_s, draw=draw)


def failure_for_close(
    close_code: int, host: str, *, is_answering: bool
) -> ProviderFailure:
    """What an end that nobody here asked for means; its `code` is the close code.

    Args:
        close_code: of the server, or 1006.
        host: to name.
        is_answering: whether a part of an answer was here already.
    """
    kind, what = _REFUSALS.get(close_code, (ConnectionFailure, "hung up"))
    if kind is ConnectionFailure and is_answering:
        kind, what = TruncatedFailure, "hung up in the middle of the answer"
    return kind(
        f"{host!r} {what} and ended the connection. {_advice(kind)}",
        code=str(close_code),
    )


def _advice(kind: type[ProviderFailure]) -> str:
    if kind is AuthenticationFailure:
        return "Enter the key again."
    if kind is TooLargeFailure:
        return "Ask for less at once, or send less."
    return "Try again." if kind.retryable else "Check the base URL and the model."
