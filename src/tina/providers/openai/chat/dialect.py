"""Chat completions as one of Tina's dialects: spoken by OpenAI and most others."""

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.failures import ProviderFailure
from tina.domain.tools import HostedTool
from tina.providers.dialect import AnswerDecoder, Call, Counting, Framing, ModelPage
from tina.providers.entries import ProviderEntry
from tina.providers.lenient import Wire
from tina.providers.openai.chat.decode import ChatDecoder
from tina.providers.openai.chat.encode import encode_body, quirks_for
from tina.providers.openai.chat.lesser import without
from tina.providers.openai.chat.tools import hosted_tools
from tina.providers.openai.models import parse_models


class ChatDialect:
    """Fulfils `Dialect` for one entry, with the quirks that stand in it."""

    def __init__(self, name: str, entry: ProviderEntry) -> None:
        self._name = name
        self._quirks = quirks_for(entry.base_url, entry.chat)

    @property
    def framing(self) -> Framing:
        return Framing.SSE

    @property
    def hosted_tools(self) -> tuple[HostedTool, ...]:
        return hosted_tools(self._quirks)

    def ask(self, request: ChatRequest, known: ModelInfo | None) -> Call:
        body = encode_body(
            request, quirks=self._quirks, provider=self._name, known=known
        )
        return Call(path="chat/completions", body=body)

    def decoder(self, request: ChatRequest, *, request_id: str | None) -> AnswerDecoder:
        return ChatDecoder(
            provider=self._name,
            model=request.model,
            request_id=request_id,
            think_tags=self._quirks.think_tags,
        )

    def without(self, body: Wire, failure: ProviderFailure) -> Wire | None:
        return without(body, failure)

    def list_models(self, after: str | None) -> Call:
        del after  # the whole list comes at once
        return Call(path="models", method="GET")

    def read_models(self, body: bytes) -> ModelPage:
        return ModelPage(parse_models(body, provider=self._name))

    def count_tokens(self, request: ChatRequest) -> Counting | None:
        del request
        return None  # the protocol has no way to ask
