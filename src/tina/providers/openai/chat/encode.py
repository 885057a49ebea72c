"""A chat request → the JSON of chat completions.

Source: OpenAI API reference, "Create chat completion".
"""

from urllib.parse import urlsplit

import msgspec

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.text import clean_text
from tina.providers.lenient import Wire
from tina.providers.openai.chat.messages import encode_messages
from tina.providers.openai.chat.options import encode_options, schema_instructions
from tina.providers.openai.chat.quirks import OPENAI_QUIRKS, ChatQuirks
from tina.providers.openai.chat.tools import encode_tools

_OPENAI_HOST = "api.openai.com"


def quirks_for(base_url: str, given: ChatQuirks | None = None) -> ChatQuirks:
    """Those that were given; OpenAI's own if none were and it is the server."""
    if given is not None and given != ChatQuirks():
        return given
    return OPENAI_QUIRKS if is_openai(base_url) else ChatQuirks()


def is_openai(base_url: str) -> bool:
    """Whether this is OpenAI itself, regional addresses included; by the host alone."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


def encode_body(
    request: ChatRequest,
    *,
    quirks: ChatQuirks,
    provider: str = "",
    known: ModelInfo | None = None,
) -> Wire:
    """The body of a request whose answer is streamed.

    Raises:
        InvalidInputFailure: the schema for the answer is no JSON object.
    """
    body: Wire = {
        "model": clean_text(request.model),
        "messages": encode_messages(
            request,
            quirks=quirks,
            provider=provider,
            known=known,
            instructions=schema_instructions(request, quirks),
        ),
        **encode_tools(request, quirks),
        **encode_options(request, quirks, known),
        "stream": True,
    }
    if quirks.include_usage:
        body["stream_options"] = _encode_stream_options(quirks)
    return body


def encode_request(request: ChatRequest, *, quirks: ChatQuirks) -> bytes:
    """The same as compact JSON, for servers without an entry."""
    return msgspec.json.encode(encode_body(request, quirks=quirks))


def _encode_stream_options(quirks: ChatQuirks) -> Wire:
    wire: Wire = {"include_usage": True}
    if quirks.include_obfuscation is not None:
        wire["include_obfuscation"] = quirks.include_obfuscation
    return wire
