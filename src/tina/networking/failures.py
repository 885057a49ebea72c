"""What the HTTP library raises, in Tina's words.

The texts name the host and nothing else of the request: no header, no body, no path.
"""

from tina.domain.failures import (
    ConnectionFailure,
    ProtocolFailure,
    ProviderFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)

_TOO_LARGE = ("Got more than", "Too many headers")


def failure_to_open(error: Exception, host: str) -> ProviderFailure:
    """What went wrong before the headers of the answer were there."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorError():
            return ConnectionFailure(_why_unreachable(error, host))
        # aiohttp has one class for all of these, and hides the narrower one.
        case aiohttp.ClientResponseError() if error.message.startswith(_TOO_LARGE):
            return TooLargeFailure(
                f"The headers of the answer of {host!r} are too large. "
                "Check the base URL."
            )
        case aiohttp.ClientResponseError():
            return _no_http(host)
        case _:
            return ConnectionFailure(
                f"{host!r} closed the connection before it answered. Try again."
            )


def _why_unreachable(error: Exception, host: str) -> str:
    import aiohttp

    match error:
        case aiohttp.ClientConnectorDNSError():
            return (
                f"There is no machine named {host!r}, or no network. "
                "Check the base URL and the connection."
            )
        case aiohttp.ClientSSLError():
            return (
                f"No safe connection to {host!r}: its certificate or its TLS is not "
                "accepted. Check the base URL and this machine's clock."
            )
        case _:
            return (
                f"Nothing answers at {host!r}. Check that the server runs, "
                "and the base URL."
            )


def harmless_cause(error: Exception) -> OSError | None:
    """The error, if it may be shown as the cause.

    What the library raises by itself carries the request, or repeats what the server
    sent: the key may be in both. What the system raises knows nothing of them.
    """
    return error if isinstance(error, OSError) else None


def failure_to_read(error: Exception, host: str) -> ProviderFailure:
    """What went wrong in the middle of the answer's body."""
    from aiohttp import http_exceptions

    cause = error.__cause__ or error
    is_short = isinstance(cause, http_exceptions.ContentLengthError) or (
        isinstance(cause, http_exceptions.TransferEncodingError)
        and "Not enough data" in cause.message
    )
    is_bad = isinstance(
        cause, http_exceptions.HttpProcessingError | http_exceptions.BadHttpMessage
    )
    if is_bad and not is_short:
        return _no_http(host)
    return TruncatedFailure(
        f"The connection to {host!r} was lost in the middle of the answer. Try again."
    )


def timeout_failure(what: str, option: str, limit_s: float) -> TimeoutFailure:
    """Say which wait was too long, how long it was, and how to allow more."""
    longer_s = max(1, round(2 * limit_s))
    return TimeoutFailure(
        f"{what} within {limit_s:g} s. Try again, "
        f"or allow more time: -o {option} {longer_s}"
    )


def _no_http(host: str) -> ProtocolFailure:
    return ProtocolFailure(
        f"{host!r} answered with something that is no HTTP. Check the base URL."
    )
