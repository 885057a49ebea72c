"""`-o KEY VALUE`: options of a request and its deadlines. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from tina.domain.chat import ChatOptions, Deadlines, Effort
from tina.domain.failures import InvalidInputFailure

T = TypeVar("T", bound=msgspec.Struct)

_BOUNDS = {
    "temperature": (0.0, 10.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "top_k": (0, 1_000_000),
    "max_tokens": (1, 10_000_000),
    "frequency_penalty": (-10.0, 10.0),
    "presence_penalty": (-10.0, 10.0),
    "seed": (-(2**63), 2**63 - 1),
}
_GATHERED = frozenset({"stop", "hosted_tools"})
"""Each value adds to those before."""
_FROM_A_FILE = "schema"
_DEADLINE_BOUNDS_S = (0.001, 86_400.0)


class RequestOptions(NamedTuple):
    options: ChatOptions
    deadlines: Deadlines


def parse_options(pairs: Iterable[tuple[str, str]]) -> RequestOptions:
    """Read the pairs; of a name the last value counts, of `stop` and the like all.

    Raises:
        InvalidInputFailure: a name is unknown or a value does not fit it.
    """
    options: dict[str, Any] = {}
    deadlines: dict[str, Any] = {}
    for name, value in pairs:
        if name in _GATHERED:
            options[name] = (*options.get(name, ()), value)
        elif name == _FROM_A_FILE:
            raise InvalidInputFailure("A JSON Schema comes from a file: --schema FILE.")
        elif name in ChatOptions.__struct_fields__:
            options[name] = value
        elif name in Deadlines.__struct_fields__:
            deadlines[name] = value
        else:
            raise _unknown(name)
    return RequestOptions(
        _convert(options, ChatOptions), _convert(deadlines, Deadlines)
    )


def _convert(values: dict[str, Any], struct: type[T]) -> T:
    try:
        converted = msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInputFailure(f"-o {_problem(values, error)}.") from error
    for name in values:
        _check_bounds(name, getattr(converted, name))
    return converted


def _problem(values: dict[str, Any], error: msgspec.ValidationError) -> str:
    name = str(error).rpartition("$.")[2].rstrip("`")
    if name == "effort":
        return f"{name} wants one of {', '.join(Effort)}, not {values.get(name)!r}"
    kind = "a whole number" if "`int" in str(error) else "a number"
    return f"{name} wants {kind}, not {values.get(name)!r}"


def _check_bounds(name: str, value: object) -> None:
    if name in _GATHERED or not isinstance(value, int | float):
        return
    low, high = _BOUNDS.get(name, _DEADLINE_BOUNDS_S)
    if not low <= value <= high:
        raise InvalidInputFailure(
            f"-o {name} wants a number from {low:g} to {high:g}, not {value:g}."
        )


def _unknown(name: str) -> InvalidInputFailure:
    known = sorted(
        {*ChatOptions.__struct_fields__, *Deadlines.__struct_fields__} - {_FROM_A_FILE}
    )
    return InvalidInputFailure(
        f"There is no option {name!r}. -o takes one of: {', '.join(known)}."
    )
