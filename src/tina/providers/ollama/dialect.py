"""Ollama's own protocol as one of Tina's dialects.

How large a window a model gets is the client's to say, and the whole model is loaded
anew when that changes, so it is the same in every request. By itself the server gives
4,096 tokens on most machines, and cuts in silence what does not fit; a conversation
with tools is longer than that. The whole window of a model is no choice either: most
are trained for 128k tokens and more, and the memory is taken at once (with a model of
8 billion parameters 128 KiB for each token, 16 GiB for 128k). So it is
16,384 tokens, 2 GiB with such a model, or less where the model is known to be trained
for less; `context_tokens`, of the entry or of one model, is for people who have more
memory, or less.
Models of Ollama's cloud have their whole window, and nothing is said about it.

The list of models names this window, so that what is sent is chosen to fit it.

Pure.

Source: Ollama's documentation, "Context length", "Cloud models", "API".
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.failures import ProviderFailure
from tina.domain.messages import ToolCallPart
from tina.domain.tools import HostedTool
from tina.providers.dialect import AnswerDecoder, Call, Counting, Framing, ModelPage
from tina.providers.entries import ProviderEntry
from tina.providers.lenient import Wire
from tina.providers.ollama.decode import OllamaDecoder
from tina.providers.ollama.encode import encode_body
from tina.providers.ollama.lesser import without
from tina.providers.ollama.models import parse_models

WINDOW_TOKENS = 16_384
_CLOUD = "ollama.com"
_CLOUD_TAG = ("-cloud", ":cloud")


class OllamaDialect:
    """Fulfils `Dialect`.

    Args:
        name: of the entry.
        entry: its base URL ends before `/api`.
        windows: for models that a person gave one of their own, its size in tokens.
    """

    def __init__(
        self, name: str, entry: ProviderEntry, *, windows: Mapping[str, int] = {}
    ) -> None:
        self._name = name
        self._windows = windows
        self._is_cloud = is_cloud(entry.base_url)
        self._window_tokens = (
            None if self._is_cloud else entry.context_tokens or WINDOW_TOKENS
        )

    @property
    def framing(self) -> Framing:
        return Framing.NDJSON

    @property
    def hosted_tools(self) -> tuple[HostedTool, ...]:
        return ()

    def ask(self, request: ChatRequest, known: ModelInfo | None) -> Call:
        """Write it.

        Raises:
            InvalidInputFailure: the schema for the answer is no JSON object.
            InvalidRequestFailure: it has tools, and the model is known to call none.
        """
        body = encode_body(
            request,
            known,
            provider=self._name,
            window_tokens=self._window_of(request.model, known),
        )
        return Call(path="api/chat", body=body)

    def decoder(self, request: ChatRequest, *, request_id: str | None) -> AnswerDecoder:
        taken = {
            part.call_id
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolCallPart)
        }
        return OllamaDecoder(
            provider=self._name,
            model=request.model,
            request_id=request_id,
            taken=taken,
        )

    def without(self, body: Wire, failure: ProviderFailure) -> Wire | None:
        return without(body, failure)

    def list_models(self, after: str | None) -> Call:
        del after  # the whole list comes at once
        return Call(path="api/tags", method="GET")

    def read_models(self, body: bytes) -> ModelPage:
        return ModelPage(
            parse_models(body, provider=self._name, window_tokens=self._window_tokens)
        )

    def count_tokens(self, request: ChatRequest) -> Counting | None:
        del request
        return None  # the protocol has no way to ask

    def _window_of(self, model: str, known: ModelInfo | None) -> int | None:
        most = self._window_tokens
        if most is None or model.endswith(_CLOUD_TAG):
            return None
        own = self._windows.get(model)
        return own or min(most, (known and known.context_tokens) or most)


def is_cloud(base_url: str) -> bool:
    """Whether this is Ollama's own service; by the host alone."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == _CLOUD or host.endswith(f".{_CLOUD}")
