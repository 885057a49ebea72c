"""The Responses API as a dialect."""

import pytest

from tina.domain.chat import ChatOptions, ChatRequest, ModelInfo, StopReason
from tina.domain.events import Finish
from tina.domain.failures import InvalidRequestFailure, ProtocolFailure
from tina.providers.dialect import Call, Dialect, Framing
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.openai.responses.dialect import ResponsesDialect

REQUEST = ChatRequest(model="m", messages=(), options=ChatOptions(max_tokens=4))


def dialect(base_url: str = "https://api.openai.com/v1") -> ResponsesDialect:
    entry = ProviderEntry(protocol=Protocol.RESPONSES, base_url=base_url)
    return ResponsesDialect("openai", entry)


OPENAI = dialect()
LOCAL = dialect("http://127.0.0.1:8080/v1")


def test_it_is_a_dialect_over_server_sent_events() -> None:
    fulfilled: Dialect = OPENAI

    assert fulfilled.framing is Framing.SSE


def test_a_question_goes_to_its_path() -> None:
    call = OPENAI.ask(REQUEST, None)

    assert (call.method, call.path) == ("POST", "responses")
    assert call.body is not None
    assert call.body["model"] == "m"


@pytest.mark.parametrize(
    ("base_url", "is_openai"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com./v1", True),
        ("https://api.openai.com.example.org/v1", False),
        ("https://api.x.ai/v1", False),
        ("no address", False),
    ],
)
def test_only_openai_counts_tokens(base_url: str, *, is_openai: bool) -> None:
    counting = dialect(base_url).count_tokens(REQUEST)

    assert (counting is not None) == is_openai


def test_a_count_is_asked_for_and_read() -> None:
    counting = OPENAI.count_tokens(REQUEST)

    assert counting is not None
    assert counting.call.path == "responses/input_tokens"
    assert counting.read(b'{"object":"response.input_tokens","input_tokens":11}') == 11


@pytest.mark.parametrize("body", [b"{}", b"no JSON", b'{"input_tokens":"11"}'])
def test_an_answer_without_a_count_is_a_failure(body: bytes) -> None:
    counting = OPENAI.count_tokens(REQUEST)

    assert counting is not None
    with pytest.raises(ProtocolFailure):
        counting.read(body)


def test_the_models_are_listed_in_one_part() -> None:
    page = OPENAI.read_models(b'{"data":[{"id":"gpt-9"}]}')

    assert OPENAI.list_models(None) == Call(path="models", method="GET")
    assert (page.models, page.after) == (
        (ModelInfo(provider="openai", model="gpt-9"),),
        None,
    )


def test_servers_on_this_machine_have_no_tools_of_their_own() -> None:
    assert [tool.name for tool in OPENAI.hosted_tools] == [
        "web_search",
        "code_interpreter",
    ]
    assert LOCAL.hosted_tools == ()


@pytest.mark.parametrize(
    ("spoken", "reason"), [(OPENAI, StopReason.STOP), (LOCAL, StopReason.LENGTH)]
)
def test_only_openai_is_believed_that_an_answer_of_the_allowed_length_is_complete(
    spoken: ResponsesDialect, reason: StopReason
) -> None:
    decoder = spoken.decoder(REQUEST, request_id="req_1")
    decoder.feed(
        '{"type":"response.completed","response":{"usage":{"output_tokens":4}}}'
    )

    finish = decoder.finish()[-1]

    assert isinstance(finish, Finish)
    assert finish.reason is reason


def test_an_unknown_parameter_is_taken_out() -> None:
    failure = InvalidRequestFailure("No. It said: Unknown parameter: 'temperature'.")

    assert OPENAI.without({"temperature": 1.0}, failure) == {}
