"""What is sent where the server remembers the answer before."""

import json
from typing import Any

import msgspec
import pytest

from tina.domain.messages import Replay
from tina.providers.openai.responses.continuing import (
    Creation,
    Remembered,
    begins_answer,
    remember,
)

PROMPT: dict[str, Any] = {
    "type": "message",
    "role": "user",
    "content": [{"text": "Hi."}],
}
ANSWER: dict[str, Any] = {"type": "message", "id": "msg_1", "content": []}
NEXT: dict[str, Any] = {"type": "message", "role": "user", "content": "So?"}


def creation(*items: object, **fields: object) -> Creation:
    return Creation({"model": "m", "input": list(items), **fields})


def remembered(*output: object, response_id: str | None = "resp_1") -> Remembered:
    payload = msgspec.json.encode({"output": output}).decode()
    replay = Replay(provider="openai", payload=payload)
    found = remember(creation(PROMPT), response_id, replay)
    assert found is not None
    return found


def sent(asked: Creation, known: Remembered | None = None) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(asked.message(known))
    return message


def test_everything_is_sent_at_first() -> None:
    asked = creation(PROMPT, stream=True, background=False, store=False)

    assert sent(asked) == {
        "type": "response.create",
        "model": "m",
        "input": [PROMPT],
        "store": False,
    }


def test_only_what_is_new_is_sent_after_an_answer() -> None:
    message = sent(creation(PROMPT, ANSWER, NEXT), remembered(ANSWER))

    assert message["previous_response_id"] == "resp_1"
    assert message["input"] == [NEXT]


@pytest.mark.parametrize(
    "items",
    [
        (PROMPT, {**ANSWER, "content": [{"text": "edited"}]}, NEXT),
        (NEXT, ANSWER, NEXT),
        (PROMPT, ANSWER),
        (PROMPT, NEXT),
        (),
    ],
)
def test_another_conversation_is_sent_whole(items: tuple[object, ...]) -> None:
    message = sent(creation(*items), remembered(ANSWER))

    assert "previous_response_id" not in message
    assert message["input"] == list(items)


@pytest.mark.parametrize(
    ("response_id", "replay"),
    [
        ("resp_1", None),
        ("resp_1", Replay(provider="openai", payload="{}")),
        (None, Replay(provider="openai", payload='{"output":[]}')),
        ("", Replay(provider="openai", payload='{"output":[]}')),
    ],
)
def test_an_answer_that_cannot_go_back_is_not_relied_on(
    response_id: str | None, replay: Replay | None
) -> None:
    assert remember(creation(PROMPT), response_id, replay) is None


def test_a_request_without_items_has_none() -> None:
    assert sent(Creation({"model": "m"}))["input"] == []


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ('{"type":"response.created"}', True),
        ('{"type":"error"}', True),
        ("no JSON", True),
        ('{"type":5}', True),
        ('{"type":"response.output_text.delta"}', False),
        ("{}", False),
    ],
)
def test_the_beginning_of_an_answer_is_known(text: str, *, begins: bool) -> None:
    assert begins_answer(text) is begins
