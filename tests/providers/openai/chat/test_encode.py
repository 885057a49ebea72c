from datetime import UTC, datetime

import msgspec
import pytest

from tina.domain.chat import (
    Capability,
    ChatOptions,
    ChatRequest,
    Effort,
    ModelInfo,
)
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.providers.lenient import Wire
from tina.providers.openai.chat.encode import (
    encode_body,
    encode_request,
    is_openai,
    quirks_for,
)
from tina.providers.openai.chat.quirks import (
    OPENAI_QUIRKS,
    ChatQuirks,
    ResponseFormat,
)

HI = Message(
    id=MessageId("1"),
    conversation_id=ConversationId("2"),
    parent_id=None,
    role=Role.USER,
    status=MessageStatus.COMPLETE,
    parts=(TextPart(text="Hi"),),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)

OPTIONS = ChatOptions(
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    max_tokens=100,
    seed=7,
    frequency_penalty=0.1,
    presence_penalty=0.2,
    stop=("END",),
)


def body_of(options: ChatOptions, quirks: ChatQuirks) -> Wire:
    request = ChatRequest(model="m", messages=(HI,), system="Be brief", options=options)
    return msgspec.json.decode(encode_request(request, quirks=quirks), type=Wire)


def test_a_request_holds_what_was_asked_for_and_no_more() -> None:
    body = body_of(ChatOptions(), ChatQuirks())

    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_option_is_sent_under_its_name() -> None:
    body = body_of(OPTIONS, ChatQuirks(include_usage=False))

    sent = {
        name: body[name] for name in body if name not in ("model", "messages", "stream")
    }
    assert sent == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "max_tokens": 100,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["END"],
    }


def test_openai_has_its_own_words() -> None:
    body = body_of(OPTIONS, quirks_for("https://api.openai.com/v1"))

    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body
    assert body["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com/v1/", True),
        ("https://API.OpenAI.com", True),
        ("https://api.openai.com.:443/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://127.0.0.1:8080/v1", False),
        ("https://[", False),
    ],
)
def test_openai_is_known_by_its_host(base_url: str, expected: bool) -> None:
    assert is_openai(base_url) is expected
    assert (quirks_for(base_url) is OPENAI_QUIRKS) is expected


def test_what_an_entry_says_goes_before_what_is_known_of_openai() -> None:
    given = ChatQuirks(top_k=False)

    assert quirks_for("https://api.openai.com/v1", given) is given
    assert quirks_for("https://api.openai.com/v1", ChatQuirks()) is OPENAI_QUIRKS


def sent(
    options: ChatOptions,
    quirks: ChatQuirks | None = None,
    *,
    model: str = "m",
    known: ModelInfo | None = None,
    cache_key: str | None = None,
) -> Wire:
    request = ChatRequest(
        model=model, messages=(HI,), options=options, cache_key=cache_key
    )
    body = encode_body(request, quirks=quirks or ChatQuirks(), known=known)
    return msgspec.json.decode(msgspec.json.encode(body), type=Wire)


def test_openai_is_told_of_the_conversation_and_not_to_keep_the_answer() -> None:
    told = sent(ChatOptions(), OPENAI_QUIRKS, cache_key="c\0")
    other = sent(ChatOptions(), cache_key="c")

    assert (told["prompt_cache_key"], told["store"]) == ("c", False)
    assert "prompt_cache_key" not in sent(ChatOptions(), OPENAI_QUIRKS)
    assert other.keys() == {"model", "messages", "stream", "stream_options"}


def test_no_stop_sequence_is_left_out_unsaid() -> None:
    assert sent(ChatOptions(stop=tuple("abcde")))["stop"] == list("abcde")


SAMPLING = {"temperature", "top_p", "frequency_penalty", "presence_penalty"}


def describe(
    *capabilities: Capability, efforts: tuple[Effort, ...] | None = None
) -> ModelInfo:
    return ModelInfo(
        provider="p", model="m", capabilities=capabilities, efforts=efforts
    )


@pytest.mark.parametrize(
    ("model", "known", "effort", "is_sampled"),
    [
        ("gpt-4.1", None, None, True),
        ("gpt-5.4", None, None, False),
        ("gpt-6", None, Effort.NONE, True),
        ("m", describe(), None, False),
        ("m", describe(Capability.SAMPLING), None, True),
        ("m", describe(Capability.SAMPLING, Capability.REASONING), None, False),
    ],
)
def test_sampling_is_left_to_models_that_cannot_be_told(
    model: str, known: ModelInfo | None, effort: Effort | None, is_sampled: bool
) -> None:
    options = msgspec.structs.replace(OPTIONS, effort=effort)

    body = sent(options, OPENAI_QUIRKS, model=model, known=known)

    assert body.keys() & SAMPLING == (SAMPLING if is_sampled else set())
    assert not body.keys() & {"top_k", "min_p"}
    assert body["seed"] == 7


def test_mistral_has_another_word_for_the_seed() -> None:
    body = sent(OPTIONS, ChatQuirks(seed_field="random_seed"))

    assert body["random_seed"] == 7
    assert "seed" not in body


@pytest.mark.parametrize(
    ("effort", "efforts", "expected"),
    [
        (None, None, None),
        (Effort.XHIGH, None, "xhigh"),
        (Effort.XHIGH, (Effort.HIGH, Effort.LOW), "high"),
        (Effort.MEDIUM, (Effort.HIGH, Effort.LOW), "low"),
        (Effort.LOW, (), None),
    ],
)
def test_the_effort_is_the_nearest_that_the_model_knows(
    effort: Effort | None, efforts: tuple[Effort, ...] | None, expected: str | None
) -> None:
    options = ChatOptions(effort=effort)
    known = ModelInfo(provider="p", model="m", efforts=efforts)

    assert sent(options, known=known).get("reasoning_effort") == expected
    assert "reasoning_effort" not in sent(options, ChatQuirks(effort=False))


OPEN = '{"type":"object","properties":{"a":{"maximum":12345678901234567890123}}}'
CLOSED = (
    '{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],'
    '"additionalProperties":false}'
)


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [(OPEN, None), (CLOSED, True)],
)
def test_an_answer_gets_the_shape_that_was_asked_for(
    schema: str, is_strict: bool | None
) -> None:
    options = ChatOptions(schema=schema)

    body = sent(options, ChatQuirks(strict=True))
    loose = sent(options)

    shape = {"name": "answer", "schema": msgspec.json.decode(schema)}
    strict = {} if is_strict is None else {"strict": is_strict}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {**shape, **strict},
    }
    assert loose["response_format"] == {"type": "json_schema", "json_schema": shape}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (ResponseFormat.JSON_OBJECT, {"type": "json_object"}),
        (ResponseFormat.NONE, None),
    ],
)
def test_a_server_without_schemas_has_the_model_told(
    form: ResponseFormat, expected: object
) -> None:
    body = sent(ChatOptions(schema=CLOSED), ChatQuirks(response_format=form))

    assert body.get("response_format") == expected
    assert CLOSED in str(body["messages"])
    assert CLOSED not in str(sent(ChatOptions(schema=CLOSED))["messages"])


@pytest.mark.parametrize("schema", ["", "[]", "{", "[" * 99_999])
def test_a_schema_that_is_none_is_refused_before_it_is_sent(schema: str) -> None:
    with pytest.raises(InvalidInputFailure, match="no JSON object"):
        sent(ChatOptions(schema=schema))
