"""Tables that a person wrote: read into structs, or told in words what is wrong. Pure.

A message names the place, what stands there wrong, and what would be right. It repeats
names, never values: a value may be a key that was pasted into the wrong place.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeGuard, TypeVar, cast

import msgspec
from msgspec import inspect

from tina.domain.failures import InvalidInputFailure

T = TypeVar("T", bound=msgspec.Struct)

Table: TypeAlias = Mapping[str, object]
"""A table of TOML."""

Where: TypeAlias = Callable[[Sequence[str]], str]
"""Says where something stands, from the names that lead there: file, line, key."""

_FAULT = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DictType: "a table",
    inspect.StrType: "text in quotes",
    inspect.StructType: "a table",
    inspect.VarTupleType: 'a list of texts, like ["one", "two"]',
}


def read_table(table: Table, shape: type[T], *, where: Where, keys: Sequence[str]) -> T:
    """A struct from a table.

    Args:
        table: as it was written.
        shape: a struct that forbids unknown fields, as do those inside it.
        where: names the place in messages.
        keys: the names that lead to this table.

    Raises:
        InvalidInputFailure: a field is unknown, missing, or of the wrong kind.
    """
    try:
        return msgspec.convert(table, shape)
    except msgspec.ValidationError as error:
        _check_names(table, shape, where, tuple(keys))
        path = _path_of(str(error))
        missing = _MISSING.search(str(error))
        if missing is not None:
            place = where((*keys, *path))
            wanted = _wanted_at(shape, (*path, missing[1]))
            text = f"{place}: {missing[1]!r} is missing; it must be {wanted}."
        else:
            text = f"{where((*keys, *path))}: must be {_wanted_at(shape, path)}."
        raise InvalidInputFailure(text) from error


def is_table(value: object) -> TypeGuard[Table]:
    return isinstance(value, dict)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of these names that somebody may have meant."""
    # Imported here: only a mistake pays for it.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def _check_names(
    table: Table, shape: type[msgspec.Struct], where: Where, keys: tuple[str, ...]
) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    for name, value in table.items():
        if name not in fields:
            raise InvalidInputFailure(
                f"{where((*keys, name))}: there is no field {name!r} here. "
                f"{_advice(name, fields)}"
            )
        inner = _bare(inspect.type_info(fields[name]))
        if isinstance(inner, inspect.StructType) and is_table(value):
            _check_names(value, inner.cls, where, (*keys, name))


def _advice(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    if meant is not None:
        return f"Did you mean {meant!r}?"
    return f"There are: {', '.join(sorted(known))}."


def _path_of(fault: str) -> tuple[str, ...]:
    """The names in `$.chat.seed_field` or `$.fallback[0]`."""
    found = _FAULT.search(fault)
    if found is None:
        return ()
    return tuple(_NAME.findall(found[1].partition("[")[0]))


def _wanted_at(shape: type[msgspec.Struct], path: Sequence[str]) -> str:
    wanted = inspect.type_info(shape)
    for name in path:
        fields = cast(inspect.StructType, wanted).fields
        wanted = _bare(next(f.type for f in fields if f.encode_name == name))
    return _words(wanted)


def _bare(wanted: inspect.Type) -> inspect.Type:
    """Without the `None` that stands for a field that is left out."""
    if isinstance(wanted, inspect.UnionType):
        return next(t for t in wanted.types if not isinstance(t, inspect.NoneType))
    return wanted


def _words(wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.EnumType):
        return f"one of {', '.join(repr(choice.value) for choice in wanted.cls)}"
    if isinstance(wanted, inspect.IntType | inspect.FloatType):
        return _number_words(wanted)
    return _WORDS[type(wanted)]


def _number_words(wanted: inspect.IntType | inspect.FloatType) -> str:
    kind = "a whole number" if isinstance(wanted, inspect.IntType) else "a number"
    low = f" above {wanted.gt:g}" if wanted.gt is not None else ""
    low = f" from {wanted.ge:g}" if wanted.ge is not None else low
    high = f", at most {wanted.le:,.0f}" if wanted.le is not None else ""
    return f"{kind}{low}{high}"
