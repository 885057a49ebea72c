import msgspec
import pytest

from tina.domain.chat import ChatOptions, ChatRequest, ModelInfo
from tina.domain.events import BlockKind, BlockStart, Start, TextDelta
from tina.domain.failures import InvalidInputFailure, InvalidRequestFailure
from tina.domain.tools import ToolDefinition
from tina.providers.dialect import Call, Dialect, Framing
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.openai.chat.dialect import ChatDialect
from tina.providers.openai.chat.quirks import ChatQuirks, ThinkTags, WebSearch

REQUEST = ChatRequest(
    model="gpt-5",
    messages=(),
    system="Be brief",
    tools=(ToolDefinition(name="look", description="Look."),),
)


def dialect(
    base_url: str = "https://example.org/v1", quirks: ChatQuirks | None = None
) -> Dialect:
    entry = ProviderEntry(
        protocol=Protocol.CHAT, base_url=base_url, chat=quirks or ChatQuirks()
    )
    return ChatDialect("house", entry)


def test_a_question_is_posted_to_chat_completions() -> None:
    call = dialect().ask(REQUEST, None)

    assert (call.method, call.path, call.headers) == ("POST", "chat/completions", {})
    assert call.body is not None
    assert (call.body["model"], call.body["stream"]) == ("gpt-5", True)
    assert call.body["messages"] == [{"role": "system", "content": "Be brief"}]
    assert msgspec.json.encode(call.body)


def test_openai_is_spoken_to_in_its_own_words() -> None:
    body = dialect("https://api.openai.com/v1").ask(REQUEST, None).body

    assert body is not None
    assert body["messages"] == [{"role": "developer", "content": "Be brief"}]
    assert body["store"] is False


def test_what_is_known_of_a_model_is_heeded() -> None:
    options = ChatOptions(temperature=0.5)
    request = msgspec.structs.replace(REQUEST, options=options)
    known = ModelInfo(provider="house", model="gpt-5", capabilities=())

    told, left_out = (dialect().ask(request, each).body for each in (None, known))

    assert told is not None
    assert left_out is not None
    assert told["temperature"] == 0.5
    assert "temperature" not in left_out


def test_what_no_server_understands_is_refused() -> None:
    request = msgspec.structs.replace(REQUEST, options=ChatOptions(schema="{"))

    with pytest.raises(InvalidInputFailure):
        dialect().ask(request, None)


def test_answers_are_read_as_the_entry_says() -> None:
    decoder = dialect(quirks=ChatQuirks(think_tags=ThinkTags.BOTH)).decoder(
        REQUEST, request_id="req_1"
    )

    events = decoder.feed(b'{"choices":[{"delta":{"content":"<think>hm"}}]}')

    assert events == [
        Start("gpt-5", request_id="req_1"),
        BlockStart("reasoning", BlockKind.REASONING),
        TextDelta("reasoning", "hm"),
    ]
    assert dialect().framing is Framing.SSE


def test_one_field_less_is_asked_for_if_the_server_says_so() -> None:
    failure = InvalidRequestFailure("No. It said: Unknown parameter: 'store'.")

    assert dialect().without({"model": "m", "store": False}, failure) == {"model": "m"}
    assert dialect().without({"model": "m"}, failure) is None


def test_the_list_of_models_is_one_page() -> None:
    page = dialect().read_models(b'{"data":[{"id":"a"}]}')

    assert dialect().list_models(None) == Call(path="models", method="GET")
    assert page.models == (ModelInfo(provider="house", model="a"),)
    assert page.after is None


def test_nobody_counts_tokens() -> None:
    assert dialect().count_tokens(REQUEST) is None


def test_hosted_tools_are_what_the_entry_has() -> None:
    searching = dialect(quirks=ChatQuirks(web_search=WebSearch.PLUGINS))

    assert [tool.name for tool in searching.hosted_tools] == ["web_search"]
    assert dialect().hosted_tools == ()
