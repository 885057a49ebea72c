"""The dialect of Anthropic's Messages, for Anthropic and for compatible servers.

The version of the API is that of 2023-06-01, which is served on: the later one, of
2026-10-21, changes nothing in what is streamed, but refuses sampling options for all
models, while older models take them under this one. No feature that Tina uses needs a
beta header.

Pure.

Source: Anthropic API reference, "Versions", "Messages", "Count tokens", "List models".
"""

from functools import partial
from urllib.parse import urlsplit

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.failures import ProtocolFailure, ProviderFailure
from tina.domain.tools import HostedTool
from tina.providers.anthropic.decode import MessagesDecoder
from tina.providers.anthropic.downgrade import without
from tina.providers.anthropic.encode import encode_prompt, encode_request
from tina.providers.anthropic.models import list_path, read_models
from tina.providers.anthropic.tools import HOSTED_TOOLS
from tina.providers.dialect import Call, Counting, Framing, ModelPage
from tina.providers.entries import ProviderEntry
from tina.providers.lenient import Wire, count_of, read_json

_HEADERS = {"anthropic-version": "2023-06-01"}
_DOMAIN = "anthropic.com"


class AnthropicDialect:
    """Fulfils `Dialect`. The entry's base URL ends before `/v1`."""

    framing = Framing.SSE

    def __init__(self, name: str, entry: ProviderEntry) -> None:
        self._name = name
        self._is_anthropic = is_anthropic(entry.base_url)

    @property
    def hosted_tools(self) -> tuple[HostedTool, ...]:
        return HOSTED_TOOLS if self._is_anthropic else ()

    def ask(self, request: ChatRequest, known: ModelInfo | None) -> Call:
        body = encode_request(
            request, known, provider=self._name, is_anthropic=self._is_anthropic
        )
        return Call(path="v1/messages", body=body, headers=_HEADERS)

    def decoder(
        self, request: ChatRequest, *, request_id: str | None
    ) -> MessagesDecoder:
        return MessagesDecoder(
            provider=self._name, model=request.model, request_id=request_id
        )

    def without(self, body: Wire, failure: ProviderFailure) -> Wire | None:
        return without(body, failure)

    def list_models(self, after: str | None) -> Call:
        return Call(method="GET", path=list_path(after), headers=_HEADERS)

    def read_models(self, body: bytes) -> ModelPage:
        return read_models(body, provider=self._name)

    def count_tokens(self, request: ChatRequest) -> Counting:
        prompt = encode_prompt(
            request, None, provider=self._name, is_anthropic=self._is_anthropic
        )
        call = Call(
            path="v1/messages/count_tokens",
            body={"model": request.model, **prompt},
            headers=_HEADERS,
        )
        return Counting(call, partial(_read_count, provider=self._name))


def is_anthropic(base_url: str) -> bool:
    """Whether this is Anthropic itself; by the host alone."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == _DOMAIN or host.endswith(f".{_DOMAIN}")


def _read_count(body: bytes, *, provider: str) -> int:
    count = count_of(read_json(body), "input_tokens")
    if count is None:
        raise ProtocolFailure(
            f"{provider} did not say how many tokens the request has. "
            "Check that the base URL is that of an Anthropic-compatible API."
        )
    return count
