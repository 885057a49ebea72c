"""What a person set for good, in `config.toml`. Tina reads it and never writes it.

Tables of providers stay plain here; who knows providers reads them
(`tina.providers.catalog`). A mistake is told with file, line and key.
"""

import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from tina.domain.chat import parse_model_ref
from tina.domain.failures import InvalidInputFailure
from tina.domain.money import MICROS_PER_DOLLAR
from tina.domain.tables import Table, Where, read_table

MAX_CONFIG_BYTES = 1024 * 1024
MAX_FALLBACKS = 8

Dollars: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=3600)]
PerMinute: TypeAlias = Annotated[float, msgspec.Meta(ge=0.01, le=1_000_000)]

_PART = r"""(?:"[^"\\]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_HEADER = re.compile(rf"\s*\[\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_SYNTAX_PLACE = re.compile(r" \(at (line \d+, column \d+|end of document)\)$")


class ModelSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What holds for one model; None where nothing was set."""

    fallback: tuple[str, ...] | None = None
    """The models to ask if it says nothing."""
    context_tokens: Tokens | None = None
    """Its window."""
    headers_timeout_s: Seconds | None = None
    requests_per_minute: PerMinute | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be spent; None is no limit."""

    usd_per_day: Dollars | None = None
    usd_per_conversation: Dollars | None = None

    @property
    def day_micros(self) -> int | None:
        return _micros(self.usd_per_day)

    @property
    def conversation_micros(self) -> int | None:
        return _micros(self.usd_per_conversation)


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As it is written."""

    model: str | None = None
    fallback: tuple[str, ...] = ()
    limits: Limits = Limits()
    models: Mapping[str, dict[str, object]] = {}
    providers: Mapping[str, dict[str, object]] = {}


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. Models are `provider:model`, however they were written."""

    model: str | None = None
    """Who is asked if nobody is named."""
    fallback: tuple[str, ...] = ()
    """The models to ask if one says nothing that has no `fallback` of its own."""
    limits: Limits = Limits()
    models: Mapping[str, ModelSettings] = {}
    providers: Mapping[str, Table] = {}

    @property
    def fallbacks(self) -> Mapping[str, tuple[str, ...]]:
        """For each model that has them its own, as in `Rules`."""
        return {
            name: model.fallback
            for name, model in self.models.items()
            if model.fallback is not None
        }

    @property
    def windows(self) -> Mapping[str, int]:
        """For each model whose window was set, its size in tokens."""
        return {
            name: model.context_tokens
            for name, model in self.models.items()
            if model.context_tokens is not None
        }


class Place:
    """Fulfils `Where` for one file: its path, the line if it can be found, the key."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def __call__(self, keys: Sequence[str]) -> str:
        line = find_line(self._text, keys)
        at = f", line {line}" if line else ""
        return f"{str(self._path)!r}{at}, {'.'.join(keys)}"


def read_configuration(path: Path) -> tuple[Configuration, Where]:
    """What the file says, and how to name a place in it; no file says nothing.

    Raises:
        InvalidInputFailure: it cannot be read, or something in it cannot be used.
    """
    text = _read_text(path)
    where = Place(path, text)
    written = read_table(_parse(path, text), _File, where=where, keys=())
    configuration = Configuration(
        model=None if written.model is None else _ref(written.model, where, ("model",)),
        fallback=_refs(written.fallback, where, ("fallback",)),
        limits=written.limits,
        models=_models(written.models, where),
        providers=written.providers,
    )
    return configuration, where


def find_line(text: str, keys: Sequence[str]) -> int | None:
    """The line (from 1) where these keys are written, or the first part of them.

    A hint for people: in a text of several lines it may find what only looks like it.
    """
    table: tuple[str, ...] = ()
    best: tuple[int, int | None] = (0, None)
    for number, line in enumerate(text.split("\n"), start=1):
        header = _HEADER.fullmatch(line.rstrip("\r"))
        if header is not None:
            found = table = _parts(header[1])
        elif (key := _KEY.match(line)) is not None:
            found = (*table, *_parts(key[1]))
        else:
            continue
        if found == tuple(keys[: len(found)]) and len(found) > best[0]:
            best = (len(found), number)
    return best[1]


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _read_text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInputFailure(
                f"{str(path)!r} is not a file. Put your settings into a plain file."
            )
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ""  # that a folder is a file is told where one is needed
    except OSError as error:
        raise InvalidInputFailure(
            f"{str(path)!r} cannot be read: {error.strerror}. Look at its permissions."
        ) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidInputFailure(
            f"{str(path)!r} is larger than {MAX_CONFIG_BYTES // 1024} kB, which is no "
            "configuration. Take out what does not belong there."
        )
    try:
        # Some editors begin a file with a mark of its encoding.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInputFailure(
            f"{str(path)!r}, line {line}: this is not UTF-8 text. "
            "Save the file as UTF-8."
        ) from error


def _parse(path: Path, text: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_PLACE.search(str(error))
        place = found[1] if found else "somewhere"
        if place == "end of document":
            place = f"line {text.count(chr(10)) + 1}, at the end"
        what = _SYNTAX_PLACE.sub("", str(error))
        raise InvalidInputFailure(
            f"{str(path)!r}, {place}: this is not TOML ({what}). "
            'Tables look like [limits], values like usd_per_day = 5.0 or model = "…".'
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep; an endless number
        raise InvalidInputFailure(
            f"{str(path)!r}: a value is nested too deeply, or a number has thousands "
            "of digits. Write it in a simpler way."
        ) from error


def _models(tables: Mapping[str, Table], where: Where) -> Mapping[str, ModelSettings]:
    models: dict[str, ModelSettings] = {}
    for written, table in tables.items():
        keys = ("models", written)
        name = _ref(written, where, keys)
        if name in models:
            raise InvalidInputFailure(
                f"{where(keys)}: {name!r} stands there twice. "
                "Make one table of the two."
            )
        model = read_table(table, ModelSettings, where=where, keys=keys)
        if model.fallback is not None:
            fallback = _refs(model.fallback, where, (*keys, "fallback"))
            model = msgspec.structs.replace(model, fallback=fallback)
        models[name] = model
    return models


def _refs(written: Sequence[str], where: Where, keys: Sequence[str]) -> tuple[str, ...]:
    if len(written) > MAX_FALLBACKS:
        raise InvalidInputFailure(
            f"{where(keys)}: there are {len(written)} models, and at most "
            f"{MAX_FALLBACKS} are asked one after the other. Take some out."
        )
    return tuple(_ref(text, where, keys) for text in written)


def _ref(written: str, where: Where, keys: Sequence[str]) -> str:
    try:
        return str(parse_model_ref(written))
    except InvalidInputFailure as failure:
        raise InvalidInputFailure(f"{where(keys)}: {failure.message}") from failure


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * MICROS_PER_DOLLAR)
