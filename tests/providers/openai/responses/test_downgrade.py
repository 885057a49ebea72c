"""What is taken out of a request when a server refuses a part of it."""

from typing import Any

import msgspec
import pytest

from tina.domain.failures import ProviderFailure
from tina.providers.errors import failure_for_response
from tina.providers.openai.responses.downgrade import without_unknown

RAW = msgspec.Raw(b'{"type":"message","id":"msg_1","content":[]}')
THOUGHT = msgspec.Raw(b'{"type":"reasoning","id":"rs_1","encrypted_content":"gA"}')
PROMPT: dict[str, Any] = {"type": "message", "role": "user", "content": []}
BODY: dict[str, Any] = {
    "model": "gpt-9",
    "input": [PROMPT, THOUGHT, RAW, {"type": "function_call", "id": "fc_1"}],
    "reasoning": {"effort": "xhigh", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "temperature": 0.5,
    "top_p": 0.9,
    "prompt_cache_key": "talk-1",
    "parallel_tool_calls": False,
    "stream_options": {"include_obfuscation": False},
    "tools": [{"type": "function", "name": "look", "strict": False}, "odd"],
    "text": {"format": {"type": "json_schema", "strict": True}},
}


def refusal(
    message: str, status: int = 400, code: str | None = None, param: str | None = None
) -> ProviderFailure:
    error = {"message": message, "code": code, "param": param}
    body = msgspec.json.encode({"error": error})
    return failure_for_response(status, body, {}, model="gpt-9")


def lost(message: str, **fields: Any) -> set[str]:
    """Names of the fields that are taken out or changed."""
    lesser = without_unknown(BODY, refusal(message, **fields))
    if lesser is None:
        return set()
    return {name for name in BODY if lesser.get(name) != BODY[name]}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.",
         {"temperature", "top_p"}),
        ("Unknown parameter: 'prompt_cache_key'.", {"prompt_cache_key"}),
        ("Unrecognized request argument: stream_options", {"stream_options"}),
        ("Unknown parameter: 'include_obfuscation'.", {"stream_options"}),
        ("Unknown parameter: 'parallel_tool_calls'.", {"parallel_tool_calls"}),
        ("Encrypted content is not supported with this model.", {"include"}),
        ("Unknown parameter: 'include'.", {"include"}),
        ("Unsupported parameter: 'reasoning' is not supported.",
         {"reasoning", "include"}),
        ("Unknown parameter: 'tools[0].strict'.", {"tools", "text"}),
        ("json: unknown field \"strict\"", {"tools", "text"}),
    ],
)  # fmt: skip
def test_what_is_unknown_is_taken_out(message: str, fields: set[str]) -> None:
    assert lost(message) == fields


def test_a_summary_that_needs_verification_is_not_asked_for() -> None:
    lesser = without_unknown(
        BODY,
        refusal(
            "Your organization must be verified to generate reasoning summaries.",
            param="reasoning.summary",
            code="unsupported_value",
        ),
    )

    assert lesser == {**BODY, "reasoning": {"effort": "xhigh"}}


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported value: 'reasoning.effort' does not support 'xhigh'.",
        "Invalid value: 'xhigh'. Supported values are: 'low', 'high'.",
    ],
)
def test_an_effort_that_the_model_does_not_know_is_left_to_it(message: str) -> None:
    lesser = without_unknown(BODY, refusal(message))

    assert lesser == {**BODY, "reasoning": {"summary": "auto"}}


def test_a_field_is_taken_out_whole_when_nothing_is_left_in_it() -> None:
    body: dict[str, object] = {"model": "gpt-9", "reasoning": {"effort": "none"}}

    lesser = without_unknown(body, refusal("Invalid value: 'none'."))

    assert lesser == {"model": "gpt-9"}


def test_the_name_of_the_parameter_is_enough() -> None:
    assert lost("No.", param="top_p", code="unsupported_parameter") == {
        "temperature",
        "top_p",
    }


@pytest.mark.parametrize(
    "message",
    [
        "The encrypted content gAAA... could not be verified.",
        "Item 'msg_1' of type 'message' was provided without its required "
        "'reasoning' item: 'rs_1'.",
    ],
)
def test_reasoning_that_cannot_be_verified_is_left_out_with_its_ids(
    message: str,
) -> None:
    lesser = without_unknown(BODY, refusal(message))

    sent = msgspec.json.decode(msgspec.json.encode(lesser))
    assert sent == {
        **BODY,
        "input": [
            PROMPT,
            {"type": "message", "content": []},
            {"type": "function_call"},
        ],
    }


def test_reasoning_goes_once_the_server_cannot_be_asked_for_it() -> None:
    body: dict[str, object] = {"input": ["odd", THOUGHT]}

    lesser = without_unknown(body, refusal("encrypted_content is not supported"))

    assert lesser == {"input": ["odd"]}


@pytest.mark.parametrize(
    "failure",
    [
        refusal("Something is wrong with 'temperature'."),
        refusal("Unsupported parameter: 'tools'."),
        refusal("Invalid value: 'maximal'."),
        refusal("Unsupported: 'temperature'.", status=429),
        refusal("Unsupported: 'temperature'.", status=401),
    ],
)
def test_other_refusals_change_nothing(failure: ProviderFailure) -> None:
    assert without_unknown(BODY, failure) is None


@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'strict'.",
        "Unknown parameter: 'reasoning.summary'.",
        "The encrypted content could not be verified.",
        "Unknown parameter: 'prompt_cache_key'.",
    ],
)
def test_what_was_not_sent_cannot_be_taken_out(message: str) -> None:
    assert without_unknown({"model": "gpt-9", "input": "Hi."}, refusal(message)) is None


def test_the_body_that_was_refused_stays_as_it_is() -> None:
    before = msgspec.json.encode(BODY)

    without_unknown(BODY, refusal("Unknown parameter: 'strict'."))
    without_unknown(BODY, refusal("Unknown parameter: 'reasoning.summary'."))

    assert msgspec.json.encode(BODY) == before
