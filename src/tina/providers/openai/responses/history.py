"""The messages of a conversation → input items.

An answer of this provider goes back as the items that came. If another of its models
gave them they lose what only that one reads: reasoning, and the ids that tie it to the
rest. Every other answer is written anew from its parts, without its reasoning. A call
without its result is refused, and so is reasoning without what it led to: both are left
out, in answers that go back, too.

Source: OpenAI API reference, "Create a model response", `input`; llama.cpp's server,
which wants the content of an answer in parts.

Pure.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from tina.domain.chat import ChatRequest
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.text import clean_text
from tina.providers.history import (
    CallIdForm,
    Place,
    is_own,
    own_replay,
    pair_calls,
    plain_tool_name,
)
from tina.providers.lenient import Wire
from tina.providers.openai.responses.replay import Replayer, read_replay

_CALL_IDS = CallIdForm(re.compile(r"[A-Za-z0-9_-]{1,64}"), "call_{}")
_ROLES = {Role.SYSTEM: "developer", Role.ASSISTANT: "assistant"}


def encode_history(request: ChatRequest, *, provider: str) -> list[object]:
    """The input items, oldest first."""
    writer = _Writer(pair_calls(request.messages, _CALL_IDS))
    for number, message in enumerate(request.messages):
        payload = own_replay(message, provider=provider)
        items = None if payload is None else read_replay(payload)
        is_verbatim = is_own(message, request, provider=provider)
        if items is None or not writer.write_replay(
            number, message, items, is_verbatim=is_verbatim
        ):
            writer.write_parts(number, message)
    return writer.items


class _Writer:
    def __init__(self, call_ids: Mapping[Place, str]) -> None:
        self.items: list[object] = []
        self._call_ids = call_ids
        self._free_calls: set[str] = set()
        """Ids of calls whose input is any text: their results have another type."""

    def write_replay(
        self,
        number: int,
        message: Message,
        items: Sequence[msgspec.Raw],
        *,
        is_verbatim: bool,
    ) -> bool:
        """Write an answer as it came; False if it does not hold all of its calls."""
        replayer = Replayer(
            (clean_text(part.call_id), self._call_ids.get(Place(number, index)))
            for index, part in enumerate(message.parts)
            if isinstance(part, ToolCallPart)
        )
        if not replayer.covers(items):
            return False
        self.items += replayer.replay(items, is_verbatim=is_verbatim)
        self._free_calls |= replayer.free_calls
        return True

    def write_parts(self, number: int, message: Message) -> None:
        contents: list[Wire] = []
        for index, part in enumerate(message.parts):
            call_id = self._call_ids.get(Place(number, index))
            if (content := _encode_content(part, message.role)) is not None:
                contents.append(content)
            elif call_id is not None:
                self._write_message(message.role, contents)
                contents = []
                self.items.append(self._encode_paired(part, call_id))
        self._write_message(message.role, contents)

    def _write_message(self, role: Role, contents: list[Wire]) -> None:
        if contents:
            wire_role = _ROLES.get(role, "user")
            self.items.append(
                {"type": "message", "role": wire_role, "content": contents}
            )

    def _encode_paired(self, part: Part, call_id: str) -> Wire:
        """A call or a result: nothing else has an id."""
        if isinstance(part, ToolResultPart):
            is_free = call_id in self._free_calls
            return _encode_result(part, call_id, is_free=is_free)
        return _encode_call(cast("ToolCallPart", part), call_id)


def _encode_content(part: Part, role: Role) -> Wire | None:
    """A part of a message's content; None if it is none, or says nothing."""
    if role is Role.ASSISTANT:
        return _encode_said(part)
    match part:
        case TextPart(text=text) if text:
            return {"type": "input_text", "text": clean_text(text)}
        case ImagePart():
            return _encode_image(part)
        case FilePart():
            return {
                "type": "input_file",
                "filename": clean_text(part.name),
                "file_data": _data_url(part.media_type, part.data),
            }
        case _:
            return None


def _encode_said(part: Part) -> Wire | None:
    match part:
        case TextPart(text=text) if text:
            text = clean_text(text)
            return {"type": "output_text", "text": text, "annotations": []}
        case RefusalPart(text=text) if text:
            return {"type": "refusal", "refusal": clean_text(text)}
        case _:
            return None


def _encode_image(part: ImagePart) -> Wire:
    url = _data_url(part.media_type, part.data)
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def _encode_call(part: ToolCallPart, call_id: str) -> Wire:
    return {
        "type": "function_call",
        "call_id": call_id,
        "name": plain_tool_name(part.tool),
        "arguments": clean_text(part.arguments) or "{}",
    }


def _encode_result(part: ToolResultPart, call_id: str, *, is_free: bool) -> Wire:
    # The protocol has no field for an error.
    text = clean_text(f"Error: {part.content}" if part.is_error else part.content)
    output: object = text
    if part.images:
        texts = [{"type": "input_text", "text": text}] if text else []
        output = [*texts, *(_encode_image(image) for image in part.images)]
    kind = "custom_tool_call_output" if is_free else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": output}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"
