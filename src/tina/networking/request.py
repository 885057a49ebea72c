"""What is sent, and to whom a key may be shown. Pure."""

import re
from collections.abc import Mapping

import msgspec

from tina.domain.failures import InvalidRequestFailure, RefusedOriginFailure
from tina.domain.secret import Secret
from tina.networking.origin import Origin, check_url
from tina.networking.proxies import Proxies, Proxy

_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key, the header that carries it, and the one origin that may see it."""

    secret: Secret
    origin: Origin
    header: str = "Authorization"
    prefix: str = "Bearer "


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`allow_http` permits plain http to another machine, for this request only."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    credential: Credential | None = None
    body: bytes | None = None
    allow_http: bool = False

    def __repr__(self) -> str:
        # Headers hold keys and bodies hold conversations.
        return f"HttpRequest({self.method})"


class CheckedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may leave, as it will; `headers` hold the key."""

    method: str
    url: str
    host: str
    headers: Mapping[str, str]
    body: bytes | None
    proxy: Proxy | None

    def __repr__(self) -> str:
        return f"CheckedRequest({self.method})"


def check_request(request: HttpRequest, proxies: Proxies) -> CheckedRequest:
    """Say how a request leaves, if it may.

    Raises:
        RefusedOriginFailure: it may not go there, or its key may not.
        InvalidRequestFailure: a header cannot be sent, or the proxy cannot be used.
    """
    origin = check_url(request.url, allow_http=request.allow_http)
    return CheckedRequest(
        method=request.method,
        url=request.url,
        host=origin.host,
        headers=_headers_of(request, origin),
        body=request.body,
        proxy=proxies.find(origin),
    )


def _headers_of(request: HttpRequest, origin: Origin) -> dict[str, str]:
    """The headers to send, the key among them."""
    headers = dict(request.headers)
    key = request.credential
    if key is not None:
        if key.origin != origin:
            raise RefusedOriginFailure(
                f"The key belongs to {_name(key.origin)} and is not sent to "
                f"{_name(origin)}. Give a key for that address."
            )
        headers[key.header] = f"{key.prefix}{key.secret.reveal()}"
    _check_headers(headers)
    return headers


def _name(origin: Origin) -> str:
    """Whole, since two origins may differ in nothing but the port."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{origin.scheme}://{host}:{origin.port}"


def _check_headers(headers: Mapping[str, str]) -> None:
    """Stop what would end a header early; the text does not repeat it."""
    for name, value in headers.items():
        if _UNSENDABLE.search(value):
            raise InvalidRequestFailure(
                f"The header {name} holds a character that cannot be sent. "
                "If it carries a key, enter the key again."
            )
