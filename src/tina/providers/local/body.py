"""A chat request → the body for the engine.

Tina loads no part of a model that sees, so that none of them does: a prompt with a
picture or a document is refused, and where one stands further back in the history the
model is told so in words, or no conversation could go on here that another model began.
How much to think is not the caller's to say, the template decides.
"""

from collections.abc import Iterable

import msgspec

from tina.domain.chat import Capability, ChatRequest, ModelInfo
from tina.domain.failures import InvalidRequestFailure
from tina.domain.messages import FilePart, ImagePart, Message, Part, Role, TextPart
from tina.providers.local.weights import KnownWeights
from tina.providers.openai.chat.encode import encode_body
from tina.providers.openai.chat.quirks import ChatQuirks
from tina.providers.text_files import file_text

NAME = "local"
_QUIRKS = ChatQuirks(max_tokens_field="max_tokens", effort=False)
_UNREAD = "(There is a file {name!r} here, but this model cannot read it.)"
_BLIND = ModelInfo(
    provider=NAME,
    model="",
    capabilities=(Capability.TOOLS, Capability.SCHEMA, Capability.SAMPLING),
)


def encode(request: ChatRequest, known: KnownWeights | None) -> str:
    """JSON of a streaming chat completion.

    Args:
        request: any.
        known: the weights, if Tina knows how they answer best, and where they end.

    Raises:
        InvalidRequestFailure: its prompt is more than text.
        InvalidInputFailure: the schema for the answer is no JSON object.
    """
    messages = request.messages
    newest = _begin_of_prompt(messages)
    for message in messages[newest:]:
        _require_text(message.parts, request.model)
    told = (*map(_in_words, messages[:newest]), *messages[newest:])
    body = encode_body(
        msgspec.structs.replace(request, messages=told),
        quirks=_QUIRKS,
        provider=NAME,
        known=_BLIND,
    )
    # With it the engine calls back, and can be stopped, at each batch of the prompt.
    body["return_progress"] = True
    if known and request.options.temperature is None:
        body |= known.sampling
    if known and request.options.max_tokens is None:
        body["max_tokens"] = known.answer_tokens
    return msgspec.json.encode(body).decode()


def _begin_of_prompt(messages: tuple[Message, ...]) -> int:
    """The number of the first message behind the last answer."""
    answers = (
        number
        for number, message in enumerate(messages)
        if message.role is Role.ASSISTANT
    )
    return max(answers, default=-1) + 1


def _require_text(parts: Iterable[Part], model: str) -> None:
    for part in parts:
        if isinstance(part, ImagePart):
            raise InvalidRequestFailure(
                f"{model} runs on this machine without eyes: image input is not "
                "supported. Ask without the picture, or ask a model that sees: "
                "`tina models list`."
            )
        if isinstance(part, FilePart) and file_text(part) is None:
            raise InvalidRequestFailure(
                f"{model} reads no files but plain text, and {part.name!r} is none. "
                "Ask without it, or ask another model: `tina models list`."
            )


def _in_words(message: Message) -> Message:
    parts = tuple(
        TextPart(text=_UNREAD.format(name=part.name))
        if isinstance(part, FilePart) and file_text(part) is None
        else part
        for part in message.parts
    )
    return msgspec.structs.replace(message, parts=parts)
