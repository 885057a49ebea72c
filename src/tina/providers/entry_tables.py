"""Entries of providers from tables of TOML, checked where a mistake would be dear.

Pure. A key has no place in such a table: it lies in the environment, and `key_env`
names the variable.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from tina.domain.failures import InvalidInputFailure, RefusedOriginFailure
from tina.domain.secret import variable_for
from tina.domain.tables import Table, Where, is_table, read_table
from tina.networking.origin import check_url
from tina.providers.entries import KeyUse, Protocol, ProviderEntry

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
_SECRET_NAME = re.compile(
    r"(?:^|[-_])(?:api-?key|apikey|key|token|secret|password|auth|authorization"
    r"|credentials?|cookie|code|sig|signature)(?:$|[-_])",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"^(?:bearer|basic)\s"
    r"|\b(?:sk|gsk|xai|hf|pplx|nvapi|csk|fw|tgp)[-_][\w-]{12,}|\bAIza[\w-]{20,}"
    r"|\bya29\.[\w-]{8,}|\beyJ[\w-]{10,}\.",
    re.IGNORECASE,
)
_BARE_KEY = re.compile(r"(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9]{24,}")
"""A long word of letters and digits names no variable."""
_OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    }
)


def read_entry(table: Table, *, where: Where, keys: Sequence[str]) -> ProviderEntry:
    """One entry from its whole table; what people write is checked further, below.

    Raises:
        InvalidInputFailure: it cannot be used as it stands; the text names the place,
            but no value that may be a key.
    """
    entry = read_table(_with_lists(table), ProviderEntry, where=where, keys=keys)
    _check_variables(entry, where, keys)
    if entry.websocket and entry.protocol is not Protocol.RESPONSES:
        raise InvalidInputFailure(
            f"{where((*keys, 'websocket'))}: only the protocol "
            f"{Protocol.RESPONSES.value!r} has a WebSocket. Take this line out."
        )
    return entry


def check_address(entry: ProviderEntry, *, where: Where, keys: Sequence[str]) -> None:
    """Refuse an address that could not be asked, or that a key stands in.

    Raises:
        InvalidInputFailure: it is such an address; the text does not repeat it.
    """
    place = where((*keys, "base_url"))
    try:
        check_url(entry.base_url, allow_http=entry.allow_http)
    except RefusedOriginFailure as failure:
        advice = ""
        if not entry.allow_http and _is_readable(entry):
            advice = " Or write allow_http = true, if you trust the network."
        raise InvalidInputFailure(f"{place}: {failure.message}{advice}") from failure
    parts = urlsplit(entry.base_url)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if any(map(_SECRET_NAME.search, names)) or _SECRET_VALUE.search(entry.base_url):
        raise InvalidInputFailure(f"{place}: a key stands in the address. {_ADVICE}")
    if parts.fragment:
        raise InvalidInputFailure(
            f"{place}: an address ends before the '#'. Take out what follows it."
        )


def _is_readable(entry: ProviderEntry) -> bool:
    """Whether it is only plain HTTP that is wrong with its address."""
    with suppress(RefusedOriginFailure):
        check_url(entry.base_url, allow_http=True)
        return True
    return False


def check_headers(entry: ProviderEntry, *, where: Where, keys: Sequence[str]) -> None:
    """Refuse headers that cannot be sent, that are Tina's, or that hold a key.

    Raises:
        InvalidInputFailure: it has one; the text does not repeat its value.
    """
    place = (*keys, "headers")
    for name, value in entry.headers.items():
        if _HEADER.fullmatch(name) is None or _UNSENDABLE.search(value):
            raise InvalidInputFailure(
                f"{where(place)}: a header holds a character that cannot be sent. "
                "Use plain letters, digits and signs."
            )
        at = where((*place, name))
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            raise InvalidInputFailure(f"{at}: this looks like a key. {_ADVICE}")
        if name.lower() in _OWN_HEADERS:
            raise InvalidInputFailure(
                f"{at}: Tina writes this header herself. Take the line out."
            )


def check_key(
    entry: ProviderEntry, *, where: Where, keys: Sequence[str], variable: str
) -> None:
    """Refuse an entry that wants a key and does not say which: none is guessed.

    Args:
        variable: the name to propose.

    Raises:
        InvalidInputFailure: it does not.
    """
    if entry.key is KeyUse.REQUIRED and not entry.key_env:
        raise InvalidInputFailure(
            f"{where(keys)}: a key is only sent to the address that it was made for. "
            f"Name the variable that holds the key of this server, for example "
            f"key_env = [{variable!r}], or write key = 'none' if it wants none."
        )


def check_name(name: str, *, where: Where, keys: Sequence[str]) -> None:
    """Refuse what cannot stand before the colon of `provider:model`.

    Raises:
        InvalidInputFailure: it cannot.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInputFailure(
            f"{where(keys)}: {name!r} cannot name a provider. Use small letters, "
            "digits, '-', '_' and '.', at most 64 of them."
        )
    if name == "local":
        raise InvalidInputFailure(
            f"{where(keys)}: 'local' is the model on this machine. Choose another name."
        )


_ADVICE = (
    "Take it out, put the key into an environment variable, and name that in key_env."
)


def _with_lists(table: Table) -> Table:
    """A single variable may stand without brackets."""
    one = table.get("key_env")
    return {**table, "key_env": [one]} if isinstance(one, str) else table


def _check_variables(entry: ProviderEntry, where: Where, keys: Sequence[str]) -> None:
    """A key that was written where its variable should stand is not repeated."""
    for variable in entry.key_env:
        is_name = _VARIABLE.fullmatch(variable) and not _BARE_KEY.fullmatch(variable)
        if not is_name or _SECRET_VALUE.search(variable):
            raise InvalidInputFailure(
                f"{where((*keys, 'key_env'))}: these are names of environment "
                f"variables, such as {variable_for(keys[-1])!r}, not the key itself."
            )


def text_at(table: Table, name: str) -> str | None:
    """A field that is text, before the table is checked."""
    value = table.get(name)
    return value if isinstance(value, str) else None


def overlaid(below: Table, above: Table) -> Table:
    """The one table with what the other says instead, field by field."""
    merged: dict[str, object] = {**below, **above}
    for name in ("chat",):
        lower, upper = below.get(name), above.get(name)
        if is_table(lower) and is_table(upper):
            merged[name] = {**lower, **upper}
    return cast(Table, merged)
