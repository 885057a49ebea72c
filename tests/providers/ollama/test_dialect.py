from datetime import UTC, datetime

import msgspec
import pytest

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.events import BlockStart, Start
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    Message,
    MessageStatus,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.dialect import Call, Dialect, Framing, ModelPage
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.errors import failure_for_response
from tina.providers.ollama.dialect import WINDOW_TOKENS, OllamaDialect, is_cloud

HERE = "http://127.0.0.1:11434"
CLOUD = "https://ollama.com"


def dialect(base_url: str = HERE, context_tokens: int | None = None) -> Dialect:
    entry = ProviderEntry(
        protocol=Protocol.OLLAMA, base_url=base_url, context_tokens=context_tokens
    )
    return OllamaDialect("box", entry)


def message(role: Role, *parts: TextPart | ToolCallPart | ToolResultPart) -> Message:
    return Message(
        id=MessageId("1"),
        conversation_id=ConversationId("2"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def ask(model: str = "m", *history: Message) -> ChatRequest:
    prompt = message(Role.USER, TextPart(text="Hi"))
    return ChatRequest(model=model, messages=(*history, prompt))


def known(context_tokens: int | None) -> ModelInfo:
    return ModelInfo(provider="box", model="m", context_tokens=context_tokens)


def window_of(call: Call) -> object:
    options = (call.body or {}).get("options")
    return None if options is None else msgspec.convert(options, dict[str, int])


def test_a_question_goes_to_the_protocols_own_path() -> None:
    call = dialect().ask(ask(), None)

    assert (call.method, call.path) == ("POST", "api/chat")
    assert call.body is not None
    assert call.body["model"] == "m"
    assert dialect().framing is Framing.NDJSON
    assert dialect().hosted_tools == ()


WINDOWS = [
    (None, None, WINDOW_TOKENS),
    (None, known(None), WINDOW_TOKENS),
    (None, known(8192), 8192),
    (None, known(262_144), WINDOW_TOKENS),
    (65_536, known(262_144), 65_536),
    (4096, None, 4096),
]


@pytest.mark.parametrize(("wanted", "model", "window_tokens"), WINDOWS)
def test_the_window_is_always_named(
    wanted: int | None, model: ModelInfo | None, window_tokens: int
) -> None:
    call = dialect(context_tokens=wanted).ask(ask(), model)

    assert window_of(call) == {"num_ctx": window_tokens}


@pytest.mark.parametrize(
    ("base_url", "model"),
    [(CLOUD, "gpt-oss:120b"), (HERE, "gpt-oss:120b-cloud"), (HERE, "glm-4.6:cloud")],
)
def test_in_the_cloud_the_window_is_not_ours_to_name(base_url: str, model: str) -> None:
    assert window_of(dialect(base_url).ask(ask(model), None)) is None


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (CLOUD, True),
        ("https://api.ollama.com./x", True),
        (HERE, False),
        ("https://notollama.com", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_the_cloud_is_known_by_its_host(base_url: str, *, expected: bool) -> None:
    assert is_cloud(base_url) is expected


def test_the_list_names_the_window_that_will_be_asked_for() -> None:
    body = b'{"models":[{"model":"m","details":{"context_length":131072}}]}'

    here, cloud = dialect().read_models(body), dialect(CLOUD).read_models(body)

    assert dialect().list_models(None) == Call(path="api/tags", method="GET")
    assert here == ModelPage((known(WINDOW_TOKENS),))
    assert cloud == ModelPage((known(131_072),))


def test_nobody_can_be_asked_for_the_size_of_a_request() -> None:
    assert dialect().count_tokens(ask()) is None


def test_ids_of_calls_are_new_in_the_conversation() -> None:
    call_id = ToolCallId("call_0")
    asked = ask(
        "m",
        message(
            Role.ASSISTANT, ToolCallPart(call_id=call_id, tool="a", arguments="{}")
        ),
        message(Role.TOOL, ToolResultPart(call_id=call_id, content="b")),
    )
    decoder = dialect().decoder(asked, request_id="req_1")

    start, block, *_ = decoder.feed(
        b'{"message":{"tool_calls":[{"function":{"name":"a","arguments":{}}}]}}'
    )

    assert start == Start("m", request_id="req_1")
    assert isinstance(block, BlockStart)
    assert block.call_id == "call_1"


def test_what_the_server_does_not_know_is_asked_without() -> None:
    failure = failure_for_response(
        400, b'{"error":"m does not support thinking"}', {}, model="m"
    )

    assert dialect().without({"model": "m", "think": True}, failure) == {"model": "m"}
