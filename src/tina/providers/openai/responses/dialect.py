"""The Responses API as a dialect: for OpenAI, and for servers that speak it after it.

Source: OpenAI API reference, "Responses".
"""

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.failures import ProtocolFailure, ProviderFailure, RefusedOriginFailure
from tina.domain.tools import HostedTool
from tina.networking.origin import check_url, is_loopback
from tina.providers.dialect import AnswerDecoder, Call, Counting, Framing, ModelPage
from tina.providers.entries import ProviderEntry
from tina.providers.lenient import Wire, count_of, read_json
from tina.providers.openai.models import parse_models
from tina.providers.openai.responses.decode import ResponsesDecoder
from tina.providers.openai.responses.downgrade import without_unknown
from tina.providers.openai.responses.encode import (
    HOSTED_TOOLS,
    encode_count,
    encode_request,
)

_OPENAI_HOST = "api.openai.com"


class ResponsesDialect:
    """Fulfils `Dialect` for one entry. Pure."""

    framing = Framing.SSE

    def __init__(self, name: str, entry: ProviderEntry) -> None:
        self._name = name
        self._host = _host_of(entry)

    @property
    def hosted_tools(self) -> tuple[HostedTool, ...]:
        """None on this machine: servers there ignore them without a word."""
        return () if is_loopback(self._host) else HOSTED_TOOLS

    def ask(self, request: ChatRequest, known: ModelInfo | None) -> Call:
        return Call(path="responses", body=self._encode(request, known))

    def decoder(self, request: ChatRequest, *, request_id: str | None) -> AnswerDecoder:
        return ResponsesDecoder(
            provider=self._name,
            model=request.model,
            request_id=request_id,
            # OpenAI says itself when it stopped at the limit; llama.cpp does not.
            max_tokens=None if self._is_openai else request.options.max_tokens,
        )

    def without(self, body: Wire, failure: ProviderFailure) -> Wire | None:
        return without_unknown(body, failure)

    def list_models(self, after: str | None) -> Call:
        """The list has one part."""
        return Call(path="models", method="GET")

    def read_models(self, body: bytes) -> ModelPage:
        return ModelPage(parse_models(body, provider=self._name))

    def count_tokens(self, request: ChatRequest) -> Counting | None:
        """Only OpenAI itself counts."""
        if not self._is_openai:
            return None
        body = encode_count(self._encode(request, None))
        return Counting(Call(path="responses/input_tokens", body=body), self._count_in)

    @property
    def _is_openai(self) -> bool:
        """Whether it is OpenAI itself, regional addresses included."""
        return self._host == _OPENAI_HOST or self._host.endswith(f".{_OPENAI_HOST}")

    def _encode(self, request: ChatRequest, known: ModelInfo | None) -> Wire:
        return encode_request(
            request, known, provider=self._name, is_openai=self._is_openai
        )

    def _count_in(self, body: bytes) -> int:
        count = count_of(read_json(body), "input_tokens")
        if count is None:
            raise ProtocolFailure(
                f"{self._name} was asked to count tokens and gave no number. Try again."
            )
        return count


def _host_of(entry: ProviderEntry) -> str:
    """The host, or nothing: an address that cannot be used is refused when it is."""
    try:
        return check_url(entry.base_url, allow_http=entry.allow_http).host.rstrip(".")
    except RefusedOriginFailure:
        return ""
