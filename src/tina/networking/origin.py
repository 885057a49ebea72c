"""Where requests may go: https, or plain http to this machine.

Pure. Spellings of loopback that only some resolvers understand (`127.1`, decimal or
octal numbers) are no loopback here, nor are names under `localhost`: some resolvers
ask the network for them.

Source: RFC 3986, section 3; RFC 6761, section 6.3.
"""

import re
from ipaddress import IPv4Network, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from tina.domain.failures import RefusedOriginFailure

_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")
_HTTP_FORMS = {"ws": "http", "wss": "https"}
# Parsers disagree about these, so that a check by one says nothing about another.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")


class Origin(NamedTuple):
    """`host` is lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int


def check_url(url: str, *, allow_http: bool = False) -> Origin:
    """Say where a request to `url` would go, if it may.

    Raises:
        RefusedOriginFailure: it may not, or it is no absolute http(s) URL.
    """
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedOriginFailure(
            "The address is no web address. Write it whole, "
            "for example https://api.openai.com/v1 or http://127.0.0.1:8080/v1."
        )
    host = parts.hostname.lower()
    if parts.username is not None or parts.password is not None:
        raise RefusedOriginFailure(
            f"The address of {host!r} has a user or password in it. Take them out, "
            "and give the key as a key."
        )
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise RefusedOriginFailure(
            f"Plain http to {host!r} would show the key and the conversation to the "
            "network. Write https, or reach the server through 127.0.0.1, "
            "for example with an ssh tunnel."
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Origin(parts.scheme, host, port)


def is_loopback(host: str) -> bool:
    """Whether a host, as in a URL, is certainly this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return address == _LOOPBACK_V6
    return address in _LOOPBACK_V4


def join_url(base: str, path: str) -> str:
    """`path` below `base`; the paths and the queries of both are kept."""
    parts = _split(base)
    path, _, query = path.partition("?")
    joined = f"{parts.path.rstrip('/')}/{path.lstrip('/')}"
    queries = "&".join(each for each in (parts.query, query) if each)
    return urlunsplit((parts.scheme, parts.netloc, joined, queries, ""))


def http_form(url: str) -> str:
    """A `ws` address as the `http` address where its handshake goes.

    Source: RFC 6455, section 3: both have the same origin rules.
    """
    scheme, colon, rest = url.partition(":")
    scheme = _HTTP_FORMS.get(scheme.lower(), scheme)
    return f"{scheme}{colon}{rest}"


def _split(url: str) -> SplitResult:
    """Split a URL of which all parsers think the same.

    Raises:
        RefusedOriginFailure: it is not such a URL; the text does not repeat it,
            since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError as error:
        raise RefusedOriginFailure(
            "The address cannot be read. Check the host, the brackets and the port."
        ) from error
    if _AMBIGUOUS.search(url):
        raise RefusedOriginFailure(
            "The address holds a space, a backslash or a control character. "
            "Take it out."
        )
    return parts
