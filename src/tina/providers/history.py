"""What every protocol asks of a history: calls with results, under ids it accepts.

A tool call without its result is refused by most servers, and so is a result without
its call; both are left out. Ids of one provider may have a form that another refuses,
and some providers use the same id again in each answer: each call gets an id of its
own that fits, the one it has wherever that is possible.

Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tina.domain.chat import ChatRequest
from tina.domain.ids import ToolCallId
from tina.domain.messages import Message, Role, ToolCallPart, ToolResultPart
from tina.domain.text import clean_text

_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]")


class Place(NamedTuple):
    """A part of a history: the number of its message, and its own in there."""

    message: int
    part: int


class CallIdForm(NamedTuple):
    """What ids a protocol accepts: what matches `pattern` whole.

    `template` makes one from any number, for example `call_{}`.
    """

    pattern: re.Pattern[str]
    template: str


def pair_calls(messages: Sequence[Message], form: CallIdForm) -> Mapping[Place, str]:
    """The id to send for each call that has a result, and for that result.

    Results stand in the tool messages right behind the answer that asked for them,
    since servers want them there. Of calls with one id the first result answers the
    first. Ids of a history stay the same when it grows.
    """
    pairs: list[tuple[Place, Place, ToolCallId]] = []
    waiting: dict[ToolCallId, list[Place]] = {}
    for number, message in enumerate(messages):
        if message.role is Role.TOOL:
            pairs += _answered(number, message, waiting)
        elif message.parts:
            waiting = _called(number, message)
    ids = _Ids(form)
    sent: dict[Place, str] = {}
    for call, result, call_id in sorted(pairs):
        sent[call] = sent[result] = ids.give(call_id)
    return sent


def _called(number: int, message: Message) -> dict[ToolCallId, list[Place]]:
    """The calls of an answer, by their ids."""
    calls: dict[ToolCallId, list[Place]] = {}
    if message.role is Role.ASSISTANT:
        for index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart):
                calls.setdefault(part.call_id, []).append(Place(number, index))
    return calls


def _answered(
    number: int, message: Message, waiting: Mapping[ToolCallId, list[Place]]
) -> Iterator[tuple[Place, Place, ToolCallId]]:
    """The calls that a message has results for; these wait no more."""
    for index, part in enumerate(message.parts):
        if isinstance(part, ToolResultPart) and waiting.get(part.call_id):
            call = waiting[part.call_id].pop(0)
            yield call, Place(number, index), part.call_id


def plain_tool_name(name: str, *, longest: int = 64) -> str:
    """A name that each vendor takes, the same for the same name.

    What a history holds was named by another provider, perhaps by rules of its own.
    """
    return _NO_NAME.sub("_", clean_text(name))[:longest] or "tool"


class _Ids:
    """Gives each call an id of its own."""

    def __init__(self, form: CallIdForm) -> None:
        self._form = form
        self._given: set[str] = set()
        self._next = 0

    def give(self, call_id: str) -> str:
        wanted = call_id
        while wanted in self._given or not self._form.pattern.fullmatch(wanted):
            wanted = self._form.template.format(self._next)
            self._next += 1
        self._given.add(wanted)
        return wanted


def is_own(message: Message, request: ChatRequest, *, provider: str) -> bool:
    """Whether the very model that is asked now said it: then it may get all back."""
    return message.model == f"{provider}:{request.model}"


def own_replay(message: Message, *, provider: str) -> str | None:
    """What the provider said, as its own JSON, if it is the one that is asked now."""
    replay = message.replay
    return None if replay is None or replay.provider != provider else replay.payload
