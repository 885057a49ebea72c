"""A history → the `messages` of a request.

Roles take turns: what one role says in a row is one message. The results of the calls
of an answer stand together in the message right after it, before everything else there.
The same messages always give the same JSON, and a longer history begins with that of
the shorter one: prompts are cached by their beginning, and signed thinking is bound to
it.

Pure.

Source: Anthropic API reference, "Messages"; documentation, "Handle tool calls" and
"Extended thinking".
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

import msgspec

from tina.domain.chat import ChatRequest
from tina.domain.messages import Message, Role, ToolCallPart, ToolResultPart
from tina.domain.text import clean_text
from tina.providers.anthropic import replay
from tina.providers.anthropic.parts import (
    encode_answer_part,
    encode_call,
    encode_prompt_part,
    encode_result,
    encode_text,
)
from tina.providers.history import CallIdForm, Place, is_own, own_replay, pair_calls
from tina.providers.lenient import Wire

_IDS = CallIdForm(re.compile(r"[A-Za-z0-9_-]+"), "toolu_{}")
_BEGINNING = "(The beginning of this conversation is not shown.)"


class Target(NamedTuple):
    """Who is asked, as far as the form of a history depends on it."""

    provider: str
    is_anthropic: bool
    """Anthropic itself: it verifies thinking, and knows documents of plain text."""
    has_system_role: bool
    """Whether a note of the system may stand between the messages."""


def split_system(request: ChatRequest) -> tuple[list[Wire], Sequence[Message]]:
    """The blocks of the system text, and the history after them."""
    messages = request.messages
    begin = 0
    while begin < len(messages) and messages[begin].role is Role.SYSTEM:
        begin += 1
    texts = [request.system or "", *(message.text for message in messages[:begin])]
    return [block for text in texts for block in encode_text(text)], messages[begin:]


def encode_messages(
    messages: Sequence[Message], request: ChatRequest, target: Target
) -> list[Wire]:
    """Write the history, oldest first; it begins with a prompt."""
    writer = _Writer(messages, request, target)
    for number, message in enumerate(messages):
        match message.role:
            case Role.USER:
                writer.add_prompt(message)
            case Role.ASSISTANT:
                writer.add_answer(number, message)
            case Role.SYSTEM:
                writer.add_note(number, message)
            case Role.TOOL:
                continue  # results follow their calls
            case _:
                assert_never(message.role)
    return writer.wires


def as_user_text(note: str) -> Wire:
    """A note of the system, for those who know no such role."""
    return {"type": "text", "text": f"<system>\n{note}\n</system>"}


class _Writer:
    def __init__(
        self, messages: Sequence[Message], request: ChatRequest, target: Target
    ) -> None:
        self._messages = messages
        self._request = request
        self._target = target
        self._ids = pair_calls(messages, _IDS)
        self._results = _results_by_id(messages, self._ids)
        self._replays = _replays(messages, target.provider)
        self._answered = replay.answered_ids(self._replays.values())
        prompts = (
            number for number, each in enumerate(messages) if each.role is Role.USER
        )
        self._last_prompt = max(prompts, default=-1)
        self._role = ""
        self._content: list[object] = []
        self.wires: list[Wire] = []

    def add_prompt(self, message: Message) -> None:
        blocks = [
            block
            for part in message.parts
            for block in encode_prompt_part(
                part, has_documents=self._target.is_anthropic
            )
        ]
        self._add("user", blocks)

    def add_note(self, number: int, message: Message) -> None:
        text = clean_text(message.text)
        if not text.strip():
            return
        after = self._messages[number + 1 : number + 2]
        is_between = all(other.role is Role.ASSISTANT for other in after)
        is_place = is_between and self._role == "user"
        if self._target.has_system_role and is_place:
            self._add("system", encode_text(text))
        else:
            self._add("user", [as_user_text(text)])

    def add_answer(self, number: int, message: Message) -> None:
        call_ids = [
            call_id
            for index, part in enumerate(message.parts)
            if isinstance(part, ToolCallPart)
            and (call_id := self._ids.get(Place(number, index)))
        ]
        verbatim = self._replayed(number, message, call_ids)
        blocks = self._encoded(number, message) if verbatim is None else verbatim
        if blocks and not self.wires:
            self._add("user", encode_text(_BEGINNING))
        self._add("assistant", blocks)
        results = [encode_result(self._results[each], each) for each in call_ids]
        self._add("user", results)

    def _encoded(self, number: int, message: Message) -> list[Wire]:
        blocks: list[Wire] = []
        for index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart):
                call_id = self._ids.get(Place(number, index))
                blocks += [encode_call(part, call_id)] if call_id else []
            else:
                blocks += encode_answer_part(part)
        return blocks

    def _replayed(
        self, number: int, message: Message, call_ids: Sequence[str]
    ) -> list[msgspec.Raw] | None:
        """The answer as its model gave it; None if that cannot be sent as it is."""
        blocks = self._replays.get(number)
        if blocks is None or replay.call_ids(blocks) != list(call_ids):
            return None
        if not is_own(message, self._request, provider=self._target.provider):
            blocks = replay.without_thinking(blocks)
        if self._target.is_anthropic:
            blocks = replay.only_signed(blocks)
        if number < self._last_prompt:
            # A person went on, so that its server stopped what it had begun.
            blocks = replay.only_answered(blocks, self._answered)
        return replay.sendable(blocks)

    def _add(self, role: str, blocks: Sequence[object]) -> None:
        if not blocks:
            return
        if role != self._role:
            self._content = []
            self.wires.append({"role": role, "content": self._content})
            self._role = role
        self._content += blocks


def _results_by_id(
    messages: Sequence[Message], ids: Mapping[Place, str]
) -> dict[str, ToolResultPart]:
    return {
        ids[place]: part
        for number, message in enumerate(messages)
        for index, part in enumerate(message.parts)
        if isinstance(part, ToolResultPart) and (place := Place(number, index)) in ids
    }


def _replays(
    messages: Sequence[Message], provider: str
) -> dict[int, tuple[replay.Kept, ...]]:
    """The answers that the provider gave itself, by the number of the message."""
    found: dict[int, tuple[replay.Kept, ...]] = {}
    for number, message in enumerate(messages):
        payload = own_replay(message, provider=provider)
        blocks = None if payload is None else replay.read_replay(payload)
        if blocks is not None:
            found[number] = blocks
    return found
