"""Which proxy a request goes through, as the environment says.

Pure. The small name wins over the large one, the scheme's own over `ALL_PROXY`; an
empty value means none. This machine is always reached without one.

Source: there is no standard. curl's manual, "ENVIRONMENT"; GitLab, "We need to talk:
Can we standardize NO_PROXY?".
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from tina.domain.failures import InvalidRequestFailure
from tina.domain.secret import Secret
from tina.networking.origin import Origin, is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}
_BEYOND_LATIN = re.compile(r"[^\x00-\xff]")
_SEPARATOR = re.compile(r"[\s,]+")
_HOST = re.compile(r"[\w.:%-]{1,253}")
_PORT = re.compile(r"(?P<host>.*[^:]|\[.*\]):(?P<port>[0-9]{1,5})")


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """`variable` is where it was found, as a person would write it."""

    scheme: str
    host: str
    port: int
    variable: str
    user: str | None = None
    password: Secret = Secret("")


class Proxies:
    """The proxies of one environment; each is read when it is needed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find(self, origin: Origin) -> Proxy | None:
        """The proxy for a request to `origin`; None to go there directly.

        Raises:
            InvalidRequestFailure: there is one that Tina cannot use. Going around it
                would show the request to a network that was not meant to see it.
        """
        if is_loopback(origin.host) or self._is_excepted(origin):
            return None
        for variable in (f"{origin.scheme.upper()}_PROXY", "ALL_PROXY"):
            value = self._value(variable)
            if value is not None:
                return _parse(value, variable) if value else None
        return None

    def _value(self, variable: str) -> str | None:
        for name in (variable.lower(), variable):
            value = self._environment.get(name)
            if value is not None:
                return value.strip()
        return None

    def _is_excepted(self, origin: Origin) -> bool:
        rules = _SEPARATOR.split(self._value("NO_PROXY") or "")
        return any(_covers(rule.lower(), origin) for rule in rules if rule)


def _parse(value: str, variable: str) -> Proxy:
    # Without a scheme, `user:password@host` would be one.
    url = _split(value if "://" in value else f"http://{value}", variable)
    user, password = unquote(url.username or ""), unquote(url.password or "")
    # What basic authentication cannot carry: RFC 7617, section 2.
    is_host = _HOST.fullmatch(url.hostname or "") is not None
    if not is_host or ":" in user or _BEYOND_LATIN.search(user + password):
        raise _unusable(variable)
    return Proxy(
        scheme=url.scheme,
        host=url.hostname or "",
        port=url.port or _DEFAULT_PORTS[url.scheme],
        variable=variable,
        user=user or None,
        password=Secret(password),
    )


def _split(value: str, variable: str) -> SplitResult:
    try:
        url = urlsplit(value)
        _ = url.port  # reading it checks it
    except ValueError:
        url = None
    if url is None or url.scheme not in _DEFAULT_PORTS:
        # Outside of the handler: the error repeats the value, and it has a password.
        raise _unusable(variable)
    return url


def _unusable(variable: str) -> InvalidRequestFailure:
    return InvalidRequestFailure(
        f"The environment variable {variable} names a proxy that Tina cannot use. "
        "Write it as http://host:port, or unset it; there is no support for SOCKS."
    )


def _covers(rule: str, origin: Origin) -> bool:
    """Whether one entry of `NO_PROXY`, in lower case, is about this origin."""
    if rule == "*":
        return True
    with_port = _PORT.fullmatch(rule)
    if with_port is not None:
        if int(with_port["port"]) != origin.port:
            return False
        rule = with_port["host"]
    host = origin.host.rstrip(".")
    return _covers_address(rule.strip("[]"), host) or _covers_name(rule, host)


def _covers_name(rule: str, host: str) -> bool:
    name = rule.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _covers_address(rule: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        return False
