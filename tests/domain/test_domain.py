"""Ids, model names, secrets, text, failures, results."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain import failures
from tina.domain.chat import ModelInfo, ModelRef, parse_model_ref
from tina.domain.failures import (
    Failure,
    InvalidInputFailure,
    RateLimitFailure,
    StorageFailure,
)
from tina.domain.ids import RANDOM_BITS, parse_id, uuid7
from tina.domain.result import Err, Ok, attempt, attempts
from tina.domain.secret import Secret
from tina.domain.text import clean_text

MOMENTS_MS = st.integers(0, 2**48 - 1)
CHANCES = st.integers(0, 2**RANDOM_BITS - 1)


@given(MOMENTS_MS, CHANCES)
def test_an_id_is_a_uuid_of_version_seven(now_ms: int, random_bits: int) -> None:
    """RFC 9562, section 5.7: 48 bits of time, version 7, variant 10."""
    made = uuid7(now_ms=now_ms, random_bits=random_bits)

    number = int(made, 16)
    assert len(made) == 32
    assert number >> 80 == now_ms
    assert (number >> 76) & 0xF == 7
    assert (number >> 62) & 0b11 == 0b10
    assert (number >> 64 & 0xFFF) << 62 | number & (1 << 62) - 1 == random_bits


@given(MOMENTS_MS, MOMENTS_MS, CHANCES, CHANCES)
def test_ids_sort_by_time(first: int, second: int, one: int, other: int) -> None:
    if first < second:
        assert uuid7(now_ms=first, random_bits=one) < uuid7(
            now_ms=second, random_bits=other
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0" * 32, "0" * 32),
        (" 01A20520-15BA-740F-8B24-D1342CF3F469\n", "01a2052015ba740f8b24d1342cf3f469"),
        ("0" * 31, None),
        ("0" * 33, None),
        ("g" * 32, None),
        ("", None),
    ],
)
def test_ids_are_read_as_people_paste_them(text: str, expected: str | None) -> None:
    assert parse_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local:smollm2", ModelRef("local", "smollm2")),
        ("Anthropic/claude", ModelRef("anthropic", "claude")),
        ("openai:org/model:free", ModelRef("openai", "org/model:free")),
        ("openrouter/org/model:free", ModelRef("openrouter", "org/model:free")),
        (" local : a b ", ModelRef("local", "a b")),
    ],
)
def test_a_model_is_named_by_provider_and_name(text: str, expected: ModelRef) -> None:
    assert parse_model_ref(text) == expected


@pytest.mark.parametrize("text", ["", "gpt", ":x", "local:", "/x", " : "])
def test_what_names_no_model_says_how_to(text: str) -> None:
    with pytest.raises(InvalidInputFailure, match="provider:model"):
        parse_model_ref(text)


def test_a_model_prints_as_it_is_typed() -> None:
    info = ModelInfo(provider="local", model="smollm2")

    assert str(info.ref) == "local:smollm2"
    assert parse_model_ref(str(info.ref)) == info.ref


def test_a_secret_shows_itself_only_when_told_to() -> None:
    secret = Secret("sk-123")

    assert secret.reveal() == "sk-123"
    assert "123" not in f"{secret} {secret!r} {[secret]}"
    assert secret.mask("your key sk-123 is wrong") == "your key *** is wrong"
    assert Secret("").mask("nothing to hide") == "nothing to hide"


@given(st.text())
def test_clean_text_can_be_held_and_is_clean_already(text: str) -> None:
    cleaned = clean_text(text)

    assert "\0" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert clean_text(cleaned) == cleaned


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert clean_text("a\ud800b\0c") == "a\ufffdbc"


def all_failures(root: type[Failure]) -> list[type[Failure]]:
    return [
        root,
        *(found for sub in root.__subclasses__() for found in all_failures(sub)),
    ]


def test_every_failure_has_a_word_of_its_own_and_stands_in_the_tree() -> None:
    classes = all_failures(Failure)
    kinds = [found.kind for found in classes]

    assert len(set(kinds)) == len(kinds)
    assert all(found.__name__.endswith("Failure") for found in classes)
    drawn = failures.__doc__ or ""
    assert [found.__name__ for found in classes if found.__name__ not in drawn] == []


def test_a_failure_becomes_a_record() -> None:
    failure = RateLimitFailure(
        "Slow down.", status=429, code="slow", retry_after_s=2.5, request_id="r1"
    )
    failure.provider = "openai"

    record = failure.as_record()

    assert (record.kind, record.message, record.retryable) == (
        "rate_limit",
        "Slow down.",
        True,
    )
    assert (record.provider, record.status, record.code) == ("openai", 429, "slow")
    assert (record.retry_after_s, record.request_id) == (2.5, "r1")
    assert StorageFailure("Full.").as_record().kind == "storage"


async def give(value: int | Exception) -> int:
    if isinstance(value, Exception):
        raise value
    return value


async def count(*items: int | Exception) -> AsyncIterator[int]:
    for item in items:
        yield await give(item)


class Closable:
    """A stream that is no generator, and cannot be closed."""

    def __init__(self) -> None:
        self._left = [1]

    def __aiter__(self) -> "Closable":
        return self

    async def __anext__(self) -> int:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@pytest.mark.anyio
async def test_an_attempt_gives_a_value_or_a_failure() -> None:
    failure = StorageFailure("Full.")

    assert await attempt(give(7)) == Ok(7)
    assert await attempt(give(failure)) == Err(failure)
    with pytest.raises(ZeroDivisionError):
        await attempt(give(ZeroDivisionError()))


@pytest.mark.anyio
async def test_attempts_end_with_the_failure_that_ended_the_stream() -> None:
    failure = StorageFailure("Full.")

    found = [item async for item in attempts(count(1, 2, failure, 3))]

    assert found == [Ok(1), Ok(2), Err(failure)]
    assert [item async for item in attempts(count(1))] == [Ok(1)]
    assert [item async for item in attempts(Closable())] == [Ok(1)]


@pytest.mark.anyio
async def test_leaving_attempts_closes_the_stream() -> None:
    closed: list[str] = []

    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("stream")

    async with aclosing(attempts(stream())) as found:
        async for _ in found:
            break

    assert closed == ["stream"]
