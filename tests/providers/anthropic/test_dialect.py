import msgspec
import pytest

from tests.providers.anthropic.histories import ADAPTIVE, note, plain, request, user
from tests.providers.anthropic.streams import RECORDINGS, encoded, start, stop
from tina.domain.chat import ChatOptions, Effort
from tina.domain.events import Start
from tina.domain.failures import InvalidRequestFailure, ProtocolFailure
from tina.domain.tools import ToolDefinition
from tina.providers.anthropic.dialect import AnthropicDialect, is_anthropic
from tina.providers.dialect import Dialect, Framing
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.errors import failure_for_response

VERSION = {"anthropic-version": "2023-06-01"}


def dialect(base_url: str = "https://api.anthropic.com") -> Dialect:
    entry = ProviderEntry(protocol=Protocol.ANTHROPIC, base_url=base_url)
    return AnthropicDialect("anthropic", entry)


def test_a_question_is_a_post_with_the_version_and_without_a_key() -> None:
    call = dialect().ask(request(user("Hi")), ADAPTIVE)

    assert (call.method, call.path, call.headers) == ("POST", "v1/messages", VERSION)
    assert call.body is not None
    assert call.body["stream"] is True
    assert call.body["max_tokens"] == 32_000
    assert dialect().framing is Framing.SSE


def test_an_answer_is_decoded_with_the_id_of_its_request() -> None:
    decoder = dialect().decoder(request(), request_id="req_1")

    assert decoder.feed(encoded(start()))[0] == Start("claude", "msg_1", "req_1")
    for event in stop():
        decoder.feed(encoded(event))
    assert len(decoder.finish()) == 1


def test_a_refused_option_is_left_out() -> None:
    asked = request(options=ChatOptions(temperature=0.5))
    body = dialect().ask(asked, None).body
    failure = failure_for_response(400, b"temperature: not supported", {}, model="m")
    assert body is not None

    lesser = dialect().without(body, failure)

    assert lesser is not None
    assert "temperature" not in lesser
    assert dialect().without(body, InvalidRequestFailure("x")) is None


def test_models_are_asked_for_page_by_page() -> None:
    first, second = dialect().list_models(None), dialect().list_models("a")

    assert (first.method, first.path, first.body) == (
        "GET",
        "v1/models?limit=1000",
        None,
    )
    assert second.path == "v1/models?limit=1000&after_id=a"
    assert second.headers == VERSION
    page = dialect().read_models(b'{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}')
    assert ([model.model for model in page.models], page.after) == (["a"], "a")


def test_what_is_counted_is_the_prompt() -> None:
    asked = request(
        note("Be kind."),
        user("Hi"),
        tools=(ToolDefinition(name="look", description="Looks."),),
        options=ChatOptions(temperature=0.5, effort=Effort.HIGH, max_tokens=5),
    )

    counting = dialect().count_tokens(asked)

    assert counting is not None
    assert counting.call.path == "v1/messages/count_tokens"
    assert counting.call.headers == VERSION
    assert counting.call.body is not None
    assert plain(counting.call.body).keys() == {"model", "messages", "system", "tools"}
    assert counting.read((RECORDINGS / "msg_count_tokens.json").read_bytes()) == 459
    for body in (b"", b"{}", b'{"input_tokens":-1}', b'{"input_tokens":"9"}'):
        with pytest.raises(ProtocolFailure, match="how many tokens"):
            counting.read(body)


HOSTS = [
    ("https://api.anthropic.com", True),
    ("https://API.Anthropic.com.:443/proxy", True),
    ("https://eu.api.anthropic.com", True),
    ("https://anthropic.com.evil.org", False),
    ("https://notanthropic.com", False),
    ("http://127.0.0.1:8080/api.anthropic.com", False),
    ("https://[", False),
    ("", False),
]


@pytest.mark.parametrize(("base_url", "expected"), HOSTS)
def test_anthropic_is_known_by_its_host(base_url: str, *, expected: bool) -> None:
    assert is_anthropic(base_url) is expected


def test_hosted_tools_are_anthropics_own() -> None:
    names = [tool.name for tool in dialect().hosted_tools]

    assert names == ["web_search", "web_fetch", "code_execution"]
    assert dialect("http://127.0.0.1:8080").hosted_tools == ()


def test_a_question_is_json() -> None:
    body = dialect().ask(request(user("Hi\u2028")), None).body

    assert msgspec.json.decode(msgspec.json.encode(body)) == plain(body)
