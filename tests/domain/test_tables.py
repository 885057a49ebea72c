from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
import pytest

from tina.domain.failures import InvalidInputFailure
from tina.domain.tables import is_table, nearest, read_table


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    depth: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    store: bool | None = None


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    color: Color = Color.RED
    speed: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    words: tuple[str, ...] = ()
    texts: dict[str, str] = {}
    tables: dict[str, dict[str, object]] = {}
    inner: Inner = Inner()


def where(keys: Sequence[str]) -> str:
    return f"<{'.'.join(keys)}>"


def told(table: dict[str, object]) -> str:
    with pytest.raises(InvalidInputFailure) as refused:
        read_table(table, Shape, where=where, keys=("top",))
    return str(refused.value)


def test_a_table_becomes_a_struct() -> None:
    table = {"name": "a", "color": "blue", "words": ["b"], "inner": {"depth": 7}}

    shape = read_table(table, Shape, where=where, keys=())

    assert shape == Shape("a", Color.BLUE, words=("b",), inner=Inner(7))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", 3, "<top.name>: must be text in quotes."),
        ("color", "green", "<top.color>: must be one of 'red', 'blue'."),
        ("color", 1, "<top.color>: must be one of 'red', 'blue'."),
        ("speed", 0, "<top.speed>: must be a number above 0."),
        ("speed", float("nan"), "<top.speed>: must be a number above 0."),
        ("words", "one", '<top.words>: must be a list of texts, like ["one", "two"].'),
        ("words", [1], '<top.words>: must be a list of texts, like ["one", "two"].'),
        ("texts", {"a": 1}, "<top.texts>: must be a table."),
        ("tables", {"a": 1}, "<top.tables>: must be a table."),
        ("inner", 1, "<top.inner>: must be a table."),
        (
            "inner",
            {"depth": 0},
            "<top.inner.depth>: must be a whole number from 1, at most 1,000.",
        ),
        (
            "inner",
            {"depth": 1.5},
            "<top.inner.depth>: must be a whole number from 1, at most 1,000.",
        ),
        ("inner", {"store": "yes"}, "<top.inner.store>: must be true or false."),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(
    field: str, value: object, words: str
) -> None:
    assert told({"name": "a", field: value}) == words


def test_a_value_is_not_repeated() -> None:
    assert "sk-secret" not in told({"name": "a", "color": "sk-secret"})


def test_a_field_that_is_missing_is_named() -> None:
    assert told({}) == "<top>: 'name' is missing; it must be text in quotes."


def test_an_unknown_field_is_told_with_the_nearest_one() -> None:
    assert told({"name": "a", "colour": "red"}) == (
        "<top.colour>: there is no field 'colour' here. Did you mean 'color'?"
    )
    assert told({"name": "a", "inner": {"stor": True}}) == (
        "<top.inner.stor>: there is no field 'stor' here. Did you mean 'store'?"
    )


def test_an_unknown_field_that_resembles_none_is_told_with_all() -> None:
    assert told({"name": "a", "inner": {"x": 1}}) == (
        "<top.inner.x>: there is no field 'x' here. There are: depth, store."
    )


def test_the_nearest_name_is_found_if_there_is_one() -> None:
    assert nearest("opneai", ["openai", "ollama"]) == "openai"
    assert nearest("xyz", ["openai", "ollama"]) is None


@pytest.mark.parametrize(("value", "expected"), [({}, True), ([], False), ("a", False)])
def test_a_table_is_told_from_other_values(value: object, *, expected: bool) -> None:
    assert is_table(value) is expected
