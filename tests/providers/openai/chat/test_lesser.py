import msgspec
import pytest

from tina.domain.failures import ProviderFailure
from tina.providers.errors import failure_for_response
from tina.providers.lenient import Wire
from tina.providers.openai.chat.lesser import without

SHAPE = {"name": "answer", "schema": {"type": "object"}, "strict": True}
BODY: Wire = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": "Hi"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "strict": True}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_tokens": 9,
    "reasoning_effort": "low",
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 7,
    "stop": ["END"],
    "response_format": {"type": "json_schema", "json_schema": SHAPE},
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "store": False,
    "prompt_cache_key": "c",
    "plugins": [{"id": "web"}],
    "web_search_options": {},
}
SAMPLING = ("temperature", "top_p", "top_k", "min_p")
PENALTIES = ("frequency_penalty", "presence_penalty")


def refusal(error: object, status: int = 400) -> ProviderFailure:
    body = msgspec.json.encode(error)
    return failure_for_response(status, body, {}, model="m", provider="house")


def said(message: str, **rest: object) -> ProviderFailure:
    return refusal({"error": {"message": message, **rest}})


def minus(*names: str) -> Wire:
    return {name: value for name, value in BODY.items() if name not in names}


WITHOUT = [
    pytest.param(
        said(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            code="unsupported_parameter",
            param="max_tokens",
        ),
        {**minus("max_tokens"), "max_completion_tokens": 9},
        id="limit",
    ),
    pytest.param(
        said("messages[0].role: unknown variant `developer`, expected one of `system`"),
        {
            **BODY,
            "messages": [
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": "Hi"},
            ],
        },
        id="developer",
    ),
    pytest.param(
        said("Extra inputs are not permitted, field: 'stream_options'"),
        minus("stream_options"),
        id="stream-options",
    ),
    pytest.param(
        said("Unknown parameter: 'stream_options.include_obfuscation'."),
        {**BODY, "stream_options": {"include_usage": True}},
        id="padding",
    ),
    pytest.param(
        refusal(
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "parallel_tool_calls"],
                        "msg": "Extra inputs are not permitted",
                    }
                ]
            },
            422,
        ),
        minus("parallel_tool_calls"),
        id="path",
    ),
    pytest.param(
        said("Thinking mode does not support this tool_choice"),
        minus("tool_choice"),
        id="choice",
    ),
    pytest.param(
        said(
            'Invalid JSON payload received. Unknown name "strict": Cannot find field.'
        ),
        {
            **BODY,
            "tools": [{"type": "function", "function": {"name": "look"}}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}},
            },
        },
        id="strict",
    ),
    pytest.param(
        said(
            "Unsupported value: 'reasoning_effort' does not support 'low' here.",
            param="reasoning_effort",
        ),
        minus("reasoning_effort"),
        id="effort",
    ),
    pytest.param(
        said("Model grok-4 does not support parameter reasoningEffort."),
        minus("reasoning_effort"),
        id="effort-in-camel-case",
    ),
    pytest.param(
        said(
            "Function tools with reasoning_effort are not supported for gpt-5.4 in "
            "/v1/chat/completions. Please use /v1/responses instead."
        ),
        {**BODY, "reasoning_effort": "none"},
        id="tools-and-effort",
    ),
    pytest.param(
        said(
            "Unsupported value: 'temperature' does not support 0.5 with this model. "
            "Only the default (1) value is supported.",
            code="unsupported_value",
            param="temperature",
        ),
        minus(*SAMPLING, *PENALTIES),
        id="temperature",
    ),
    pytest.param(
        said("Argument not supported on this model: presencePenalty"),
        minus(*SAMPLING, *PENALTIES),
        id="penalty",
    ),
    pytest.param(
        said("property 'top_k' is unsupported"), minus("top_k", "min_p"), id="top-k"
    ),
    pytest.param(said("Unknown argument: seed"), minus("seed"), id="seed"),
    pytest.param(
        said("'stop' is not supported with this model."), minus("stop"), id="stop"
    ),
    pytest.param(
        said("This response_format type is unavailable now"),
        {
            **BODY,
            "response_format": {"type": "json_object"},
            "messages": [
                {
                    "role": "system",
                    "content": "Answer with JSON alone, without any text around it. "
                    'It has to match this JSON Schema: {"type":"object"}',
                },
                *msgspec.convert(BODY["messages"], list[Wire]),
            ],
        },
        id="schema",
    ),
    pytest.param(
        said(
            "body.store: property 'body.store' is unsupported",
            param="validation_error",
            code="wrong_api_format",
        ),
        minus("store", "prompt_cache_key"),
        id="store",
    ),
    pytest.param(
        said("Unknown parameter: 'web_search_options'."),
        minus("web_search_options"),
        id="search",
    ),
    pytest.param(said("plugins: not allowed here"), minus("plugins"), id="plugins"),
]


@pytest.mark.parametrize(("failure", "body"), WITHOUT)
def test_what_the_server_does_not_know_is_left_out(
    failure: ProviderFailure, body: Wire
) -> None:
    assert without(BODY, failure) == body


def test_the_body_that_was_sent_stays_as_it_is() -> None:
    before = msgspec.json.encode(BODY)

    for case in WITHOUT:
        failure = case.values[0]
        assert isinstance(failure, ProviderFailure)
        without(BODY, failure)

    assert msgspec.json.encode(BODY) == before


def test_the_limit_is_renamed_both_ways() -> None:
    failure = said("Unknown parameter: 'max_completion_tokens'")

    assert without({"max_completion_tokens": 9}, failure) == {"max_tokens": 9}
    assert without({"max_tokens": 9}, failure) == {"max_completion_tokens": 9}


NOTHING_TO_LEAVE_OUT = [
    pytest.param(said("max_tokens is too large: 99999 > 4096"), id="a-wrong-value"),
    pytest.param(said("The image is not supported"), id="something-else"),
    pytest.param(said("", code="unsupported_parameter"), id="no-name"),
    pytest.param(refusal({"error": "store is unsupported"}, 401), id="another-kind"),
    pytest.param(refusal({"error": "store is unsupported"}, 503), id="not-ready"),
    pytest.param(refusal({}), id="silence"),
]


@pytest.mark.parametrize("failure", NOTHING_TO_LEAVE_OUT)
def test_what_would_be_refused_again_is_not_asked_again(
    failure: ProviderFailure,
) -> None:
    assert without(BODY, failure) is None


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "developer",
        "include_obfuscation",
        "stream_options",
        "parallel_tool_calls",
        "strict",
        "reasoning_effort",
        "temperature",
        "response_format",
    ],
)
def test_a_field_that_was_not_sent_is_not_what_was_wrong(name: str) -> None:
    failure = said(f"{name} is not supported")

    assert without({"model": "m", "messages": []}, failure) is None


def test_a_body_of_another_shape_harms_nobody() -> None:
    odd: Wire = {"messages": [3], "tools": [3], "response_format": 3}

    assert without(odd, said("developer and strict: not supported")) is None
    assert without(odd, said("unknown response_format")) == {
        "messages": [3],
        "tools": [3],
    }
    shapeless: Wire = {"response_format": {"json_schema": {"name": "a"}}}
    assert without(shapeless, said("unknown response_format")) is not None
