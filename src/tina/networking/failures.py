"""What the HTTP library raises, in Tina's words.

The texts name the host and nothing else of the request: no header, no body, no path.
Of a proxy they name the variable that holds it, since its address may hold a password.
"""

from tina.domain.failures import (
    ConnectionFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    RefusedOriginFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.origin import check_url
from tina.networking.proxies import Proxy

_TOO_LARGE = ("Got more than", "Too many headers")
_PROXY_WANTS_PASSWORD = 407
# Source: OpenSSL, X509_STORE_CTX_get_error.
_CERTIFICATE_FAULTS = {
    10: "has expired",
    18: "was signed by the server itself",
    19: "was signed by somebody this machine does not know",
    20: "was signed by somebody this machine does not know",
    62: "belongs to another name",
    64: "belongs to another address",
}


def failure_to_open(
    error: Exception, host: str, proxy: Proxy | None = None
) -> ProviderFailure:
    """What went wrong before the headers of the answer were there."""
    import aiohttp

    match error:
        case aiohttp.ClientHttpProxyError() if proxy is not None:
            return proxy_refusal(error.status, host, proxy)
        case aiohttp.ClientConnectorError():
            return _why_unreachable(error, host, proxy)
        # aiohttp has one class for all of these, and hides the narrower one.
        case aiohttp.ClientResponseError() if error.message.startswith(_TOO_LARGE):
            return headers_too_large(host)
        case aiohttp.ClientResponseError():
            return _no_http(host)
        case _:
            return _hung_up(host)


def _why_unreachable(
    error: Exception, host: str, proxy: Proxy | None
) -> ConnectionFailure:
    import aiohttp

    match error:
        # Behind a proxy, its name is the only one that is looked up here.
        case (
            aiohttp.ClientProxyConnectionError() | aiohttp.ClientConnectorDNSError()
        ) if proxy is not None:
            return _no_proxy(proxy)
        case aiohttp.ClientSSLError():
            return _no_tls(error, host)
        case aiohttp.ClientConnectorDNSError():
            return ConnectionFailure(
                f"There is no machine named {host!r}, or no network. "
                "Check the base URL and the connection."
            )
        case aiohttp.ClientConnectorError(
            os_error=ConnectionResetError() | BrokenPipeError()
        ):
            return _hung_up(host)
        case _:
            return ConnectionFailure(
                f"Nothing answers at {host!r}. Check that the server runs, "
                "and the base URL."
            )


def _no_tls(error: Exception, host: str) -> ConnectionFailure:
    import aiohttp

    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ConnectionFailure(
            f"No safe connection to {host!r}: its TLS is not accepted. "
            "Check the base URL: perhaps nothing but http is spoken there."
        )
    number = getattr(error.certificate_error, "verify_code", 0)
    fault = _CERTIFICATE_FAULTS.get(number, "is not accepted")
    failure = ConnectionFailure(
        f"No safe connection to {host!r}: its certificate {fault}. Nothing was sent. "
        "Check the base URL, this machine's clock, and whether the network wants "
        "you to log in."
    )
    failure.should_retry = False  # the next attempt would be shown the same one
    return failure


def _hung_up(host: str) -> ConnectionFailure:
    return ConnectionFailure(
        f"{host!r} closed the connection before it answered. Try again."
    )


def _no_proxy(proxy: Proxy) -> ConnectionFailure:
    return ConnectionFailure(
        f"The proxy {proxy.host!r} does not answer. Check the environment variable "
        f"{proxy.variable}, or unset it to go without a proxy."
    )


def proxy_refusal(status: int, host: str, proxy: Proxy) -> ProviderFailure:
    """What a proxy means that does not let a request pass."""
    if status == _PROXY_WANTS_PASSWORD:
        return PermissionFailure(
            f"The proxy {proxy.host!r} wants a user and a password, or other ones. "
            f"Write them into the environment variable {proxy.variable}: "
            "http://user:password@host:port",
            status=status,
        )
    kind = ConnectionFailure if status >= 500 else PermissionFailure
    return kind(
        f"The proxy {proxy.host!r} does not connect to {host!r} (status {status}). "
        "Ask whoever runs it, or name the host in the environment variable NO_PROXY.",
        status=status,
    )


def harmless_cause(error: Exception) -> OSError | None:
    """What may be shown as the cause of a failure.

    What the library raises by itself carries the request, the proxy's password, or
    repeats what the server sent: the key may be in each. What the system raises knows
    nothing of them.
    """
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    # A few of the library's own are of the system's class, too.
    is_its_own = isinstance(error, aiohttp.ClientError)
    return error if isinstance(error, OSError) and not is_its_own else None


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


def redirect_failure(location: str, host: str) -> RefusedOriginFailure:
    """Say where a server wanted the request to go; of that, only the origin."""
    try:
        origin = check_url(location, allow_http=True)
        target = origin.host
        if target == host:
            target = f"{origin.scheme}://{target}:{origin.port}"
    except RefusedOriginFailure:
        target = host  # a relative address, or none that can be named
    return RefusedOriginFailure(
        f"{host!r} sends the request on to {target!r}, and Tina does not follow. "
        "If that is the right place, make it the base URL."
    )


def timeout_failure(what: str, option: str, limit_s: float) -> TimeoutFailure:
    """Say which wait was too long, how long it was, and how to allow more."""
    longer_s = max(1, round(2 * limit_s))
    return TimeoutFailure(
        f"{what} within {limit_s:g} s. Try again, "
        f"or allow more time: -o {option} {longer_s}"
    )


def headers_too_large(host: str) -> TooLargeFailure:
    return TooLargeFailure(
        f"The headers of the answer of {host!r} are too large. Check the base URL."
    )


def _no_http(host: str) -> ProtocolFailure:
    return ProtocolFailure(
        f"{host!r} answered with something that is no HTTP. Check the base URL."
    )
