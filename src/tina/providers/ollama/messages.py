"""A history → the messages of Ollama.

Content is always text; images stand beside it. Results of tools follow the answer that
asked for them in the order of its calls, because older servers know them by nothing
else, and their images go into a message of their own behind all results. Answers that
follow each other without a prompt between them are one message. A tool call without
its result (or a result without its call) is left out, and so is a message that says
nothing.

Pure.

Source: Ollama API documentation, "Generate a chat completion", messages.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple, assert_never

import msgspec

from tina.domain.chat import ChatRequest
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.text import clean_text
from tina.providers.history import CallIdForm, Place, is_own, pair_calls
from tina.providers.lenient import Wire, is_mapping, read_json
from tina.providers.text_files import file_text

_CALL_IDS = CallIdForm(re.compile("[A-Za-z0-9_-]{1,64}"), "call_{}")
_UNSEEN = "(There is an image here, but this model cannot see images.)"
_UNREAD = "(There is a file {name!r} here, but this model cannot read files.)"
_OF_TOOLS = "(These images belong to the tool results above.)"


class _Result(NamedTuple):
    """A result of a tool that waits for those of the calls before its own."""

    call: Place
    wire: Wire
    images: tuple[ImagePart, ...]


def encode_messages(
    request: ChatRequest, *, provider: str, sees_images: bool
) -> list[Wire]:
    """The system text and the history, oldest first.

    Args:
        request: any.
        provider: the name of its entry; answers of others lose their reasoning.
        sees_images: whether images are sent; the model is told of those that are not.
    """
    history = _History(request, provider, sees_images=sees_images)
    for number, message in enumerate(request.messages):
        history.add(number, message)
    return history.end()


class _History:
    def __init__(
        self, request: ChatRequest, provider: str, *, sees_images: bool
    ) -> None:
        self._request = request
        self._provider = provider
        self._sees_images = sees_images
        self._call_ids = pair_calls(request.messages, _CALL_IDS)
        self._calls: dict[str, tuple[Place, str]] = {}
        self._results: list[_Result] = []
        self._wires = _system(request.system or "")

    def add(self, number: int, message: Message) -> None:
        if message.role is not Role.TOOL:
            self._flush()
        for wire in self._encode(number, message):
            before = self._wires[-1] if self._wires else {}
            if before.get("role") == wire["role"] == "assistant":
                self._wires[-1] = _continued(before, wire)
            else:
                self._wires.append(wire)

    def end(self) -> list[Wire]:
        self._flush()
        return self._wires

    def _flush(self) -> None:
        """The results that came, in the order of their calls, and their images."""
        results = sorted(self._results, key=lambda result: result.call)
        self._results = []
        self._wires += [result.wire for result in results]
        images = [image for result in results for image in result.images]
        if images:
            self._wires += self._encode_prompt([TextPart(text=_OF_TOOLS), *images])

    def _encode(self, number: int, message: Message) -> list[Wire]:
        match message.role:
            case Role.SYSTEM:
                return _system(message.text)
            case Role.USER:
                return self._encode_prompt(message.parts)
            case Role.ASSISTANT:
                return self._encode_answer(number, message)
            case Role.TOOL:
                self._results += self._read_results(number, message)
                return []  # they wait for each other
            case _:
                assert_never(message.role)

    def _encode_prompt(self, parts: Sequence[Part]) -> list[Wire]:
        images = [part for part in parts if isinstance(part, ImagePart)]
        text = clean_text("".join(self._texts(parts)))
        if not self._sees_images:
            images = []
        if not (text or images):
            return []
        wire: Wire = {"role": "user", "content": text}
        if images:
            wire["images"] = [b64encode(image.data).decode() for image in images]
        return [wire]

    def _texts(self, parts: Sequence[Part]) -> list[str]:
        texts: list[str] = []
        for part in parts:
            match part:
                case TextPart():
                    texts.append(part.text)
                case FilePart():
                    unread = _UNREAD.format(name=part.name)
                    texts.append(file_text(part) or unread)
                case ImagePart() if not self._sees_images:
                    # Refused, it would end a conversation that another model began.
                    texts.append(_UNSEEN)
                case _:
                    continue
        return texts

    def _encode_answer(self, number: int, message: Message) -> list[Wire]:
        text = "".join(
            part.text
            for part in message.parts
            if isinstance(part, TextPart | RefusalPart)
        )
        calls = self._encode_calls(number, message)
        if not (text or calls):
            return []
        wire: Wire = {"role": "assistant", "content": clean_text(text)}
        thought = "".join(
            part.text for part in message.parts if isinstance(part, ReasoningPart)
        )
        if thought and is_own(message, self._request, provider=self._provider):
            wire["thinking"] = clean_text(thought)
        if calls:
            wire["tool_calls"] = calls
        return [wire]

    def _encode_calls(self, number: int, message: Message) -> list[Wire]:
        calls: list[Wire] = []
        for index, part in enumerate(message.parts):
            place = Place(number, index)
            call_id = self._call_ids.get(place)
            if isinstance(part, ToolCallPart) and call_id is not None:
                self._calls[call_id] = (place, clean_text(part.tool))
                calls.append(_encode_call(part, call_id))
        return calls

    def _read_results(self, number: int, message: Message) -> list[_Result]:
        results: list[_Result] = []
        for index, part in enumerate(message.parts):
            call_id = self._call_ids.get(Place(number, index))
            if isinstance(part, ToolResultPart) and call_id is not None:
                place, tool = self._calls[call_id]
                wire = _encode_result(part, call_id, tool)
                results.append(_Result(place, wire, part.images))
        return results


def _system(text: str) -> list[Wire]:
    return [{"role": "system", "content": clean_text(text)}] if text else []


def _continued(before: Wire, wire: Wire) -> Wire:
    """An answer that was interrupted, and the rest of it."""
    grown: Wire = {
        name: f"{before.get(name, '')}{wire.get(name, '')}"
        for name in ("content", "thinking")
        if name in before or name in wire
    }
    return {**before, **wire, **grown}


def _encode_call(part: ToolCallPart, call_id: str) -> Wire:
    function = {"name": clean_text(part.tool), "arguments": _object(part.arguments)}
    return {"id": call_id, "function": function}


def _encode_result(part: ToolResultPart, call_id: str, tool: str) -> Wire:
    # The protocol has no field for an error.
    content = f"Error: {part.content}" if part.is_error else part.content
    return {
        "role": "tool",
        "tool_name": tool,
        "tool_call_id": call_id,
        "content": clean_text(content),
    }


def _object(arguments: str) -> object:
    """Arguments as the object that the server wants; byte for byte if they are one."""
    raw = clean_text(arguments).strip().encode()
    if is_mapping(read_json(raw)):
        return msgspec.Raw(raw)
    return {} if raw in (b"", b"null") else {"unreadable_arguments": raw.decode()}
