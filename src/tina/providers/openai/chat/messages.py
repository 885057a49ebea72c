"""A history → the messages of chat completions.

It is made fit for strict servers: messages of one role that follow each other are one,
a tool call without its result (or a result without its
call) is left out, and so is a message that says nothing. Images of tool results go
into a message of their own behind all results, since `tool` messages hold text.

Source: OpenAI API reference, "Create chat completion", messages.
"""

import re
from collections.abc import Sequence
from typing import assert_never

import msgspec

from tina.domain.chat import Capability, ChatRequest, ModelInfo
from tina.domain.messages import (
    ImagePart,
    Message,
    ReasoningPart,
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
from tina.providers.lenient import Wire, is_mapping, read_json
from tina.providers.openai.chat.content import encode_content, encode_part, text_part
from tina.providers.openai.chat.quirks import ChatQuirks, ReasoningField
from tina.providers.openai.chat.replay import Said, read_said
from tina.providers.openai.chat.roles import alternated, joined

_CALL_IDS = CallIdForm(re.compile("[A-Za-z0-9_-]{1,40}"), "call_{}")
_SHORT_CALL_IDS = CallIdForm(re.compile("[A-Za-z0-9]{9}"), "{:09d}")


def encode_messages(
    request: ChatRequest,
    *,
    quirks: ChatQuirks,
    provider: str = "",
    known: ModelInfo | None = None,
    instructions: Sequence[str] = (),
) -> list[Wire]:
    """The system text and the history, oldest first.

    Args:
        request: any.
        quirks: of the server.
        provider: the name of its entry; answers of others lose their reasoning.
        known: what the server said of the model.
        instructions: text for the model behind the system text.
    """
    history = _History(request, quirks, provider, known)
    wires = history.encode(instructions)
    return alternated(wires) if quirks.alternate_roles else wires


class _History:
    def __init__(
        self,
        request: ChatRequest,
        quirks: ChatQuirks,
        provider: str,
        known: ModelInfo | None,
    ) -> None:
        form = _SHORT_CALL_IDS if quirks.short_call_ids else _CALL_IDS
        self._request = request
        self._quirks = quirks
        self._provider = provider
        self._call_ids = pair_calls(request.messages, form)
        self._sees_images = can(known, Capability.IMAGES)
        self._system_role = (
            "developer"
            if quirks.developer_role and is_reasoning_model(request.model, known)
            else "system"
        )

    def encode(self, instructions: Sequence[str]) -> list[Wire]:
        texts = [self._request.system or "", *instructions]
        wires = self._encode_system("\n\n".join(text for text in texts if text))
        images: list[Wire] = []
        for number, message in enumerate(self._request.messages):
            if message.role is not Role.TOOL:
                wires += _shown(images)
                images.clear()
            wires += self._encode_message(number, message)
            images += self._images(number, message)
        return joined([*wires, *_shown(images)])

    def _encode_message(self, number: int, message: Message) -> list[Wire]:
        match message.role:
            case Role.SYSTEM:
                return self._encode_system(message.text)
            case Role.USER:
                content = encode_content(message.parts, sees_images=self._sees_images)
                return [{"role": "user", "content": content}] if content else []
            case Role.ASSISTANT:
                return self._encode_answer(number, message)
            case Role.TOOL:
                return self._encode_results(number, message)
            case _:
                assert_never(message.role)

    def _encode_system(self, text: str) -> list[Wire]:
        if not text:
            return []
        return [{"role": self._system_role, "content": clean_text(text)}]

    def _encode_answer(self, number: int, message: Message) -> list[Wire]:
        text = "".join(
            part.text
            for part in message.parts
            if isinstance(part, TextPart | RefusalPart)
        )
        own = is_own(message, self._request, provider=self._provider)
        said = self._said(message) if own else Said()
        calls = self._encode_calls(number, message, said)
        if not (text or calls):
            return []
        content = clean_text(text) or (None if self._quirks.null_content else "")
        wire: Wire = {"role": "assistant", "content": content}
        if own:
            wire |= self._encode_reasoning(message, said)
        if calls:
            wire["tool_calls"] = calls
        return [wire]

    def _said(self, message: Message) -> Said:
        payload = own_replay(message, provider=self._provider)
        return Said() if payload is None else read_said(payload)

    def _encode_reasoning(self, message: Message, said: Said) -> Wire:
        """What the model thought, in the field in which its server wants it."""
        field = self._quirks.reasoning
        text = "".join(
            clean_text(part.text)
            for part in message.parts
            if isinstance(part, ReasoningPart)
        )
        if field is ReasoningField.NONE:
            return {}
        if field is ReasoningField.REASONING_DETAILS:
            if said.reasoning_details:
                return {field: said.reasoning_details}
            field = ReasoningField.REASONING
        return {field: text} if text else {}

    def _encode_calls(self, number: int, message: Message, said: Said) -> list[Wire]:
        calls: list[Wire] = []
        parts = (
            (index, part)
            for index, part in enumerate(message.parts)
            if isinstance(part, ToolCallPart)
        )
        for nth, (index, part) in enumerate(parts):
            call_id = self._call_ids.get(Place(number, index))
            if call_id is not None:
                calls.append(_encode_call(part, call_id, said.extra_of(nth, part)))
        return calls

    def _encode_results(self, number: int, message: Message) -> list[Wire]:
        return [
            {
                "role": "tool",
                "tool_call_id": call_id,
                # The protocol has no field for it.
                "content": clean_text(
                    f"Error: {part.content}" if part.is_error else part.content
                ),
            }
            for index, part in enumerate(message.parts)
            if isinstance(part, ToolResultPart)
            and (call_id := self._call_ids.get(Place(number, index))) is not None
        ]

    def _images(self, number: int, message: Message) -> list[Wire]:
        return [
            wire
            for index, part in enumerate(message.parts)
            if isinstance(part, ToolResultPart)
            and Place(number, index) in self._call_ids
            for wire in _encode_images(part.images, sees_images=self._sees_images)
        ]


def _encode_images(images: tuple[ImagePart, ...], *, sees_images: bool) -> list[Wire]:
    wires = (encode_part(image, sees_images=sees_images) for image in images)
    return [wire for wire in wires if wire is not None]


def _shown(images: list[Wire]) -> list[Wire]:
    """The message with the images of the tool results before it."""
    if not images:
        return []
    said = text_part("(These images belong to the tool results above.)")
    return [{"role": "user", "content": [said, *images]}]


def _encode_call(part: ToolCallPart, call_id: str, extra: msgspec.Raw | None) -> Wire:
    function = {
        "name": plain_tool_name(part.tool),
        "arguments": _object(part.arguments),
    }
    wire: Wire = {"id": call_id, "type": "function", "function": function}
    return wire if extra is None else {**wire, "extra_content": extra}


def _object(arguments: str) -> str:
    """Arguments as a JSON object: many servers parse them, and refuse all else."""
    text = clean_text(arguments)
    if is_mapping(read_json(text.encode())):
        return text
    stripped = text.strip()
    if stripped in ("", "null"):
        return "{}"
    return msgspec.json.encode({"unreadable_arguments": stripped}).decode()


def can(known: ModelInfo | None, capability: Capability) -> bool:
    """Whether the model can, as far as anybody knows."""
    if known is None or known.capabilities is None:
        return True
    return capability in known.capabilities


_REASONING_MODEL = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d))(?!.*-chat)")


def is_reasoning_model(model: str, known: ModelInfo | None) -> bool:
    """Whether it is one of OpenAI's models that think; its list does not say."""
    if known is not None and known.capabilities is not None:
        return Capability.REASONING in known.capabilities
    return _REASONING_MODEL.match(model) is not None
