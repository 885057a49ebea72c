"""What the tests of broken disks do with a database, and what they see of it.

A step is done to the real database and, once that has acknowledged it, to the database
in memory. So at any moment the model holds exactly what was acknowledged.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
)
from tina.domain.events import StreamEvent, TextDelta
from tina.domain.ids import (
    ConversationId,
    LeaseId,
    MessageId,
    ToolCallId,
    TurnId,
    uuid7,
)
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import (
    ConversationRepository,
    JournalRepository,
    MessageRepository,
    ToolCallRepository,
    TurnRepository,
)
from tina.domain.queries import ListConversations
from tina.domain.tools import NewToolCall, ToolCall
from tina.domain.turns import NewTurn, OpenTurn, TurnRequest
from tina.testing.clock import FakeClock

LEASE = LeaseId("f" * 32)


class Repositories(Protocol):
    @property
    def conversations(self) -> ConversationRepository: ...
    @property
    def messages(self) -> MessageRepository: ...
    @property
    def turns(self) -> TurnRepository: ...
    @property
    def journal(self) -> JournalRepository: ...
    @property
    def tool_calls(self) -> ToolCallRepository: ...


Act: TypeAlias = Callable[[Repositories], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    act: Act
    is_durable: bool = True


async def _nothing(_: Repositories) -> None:
    return


REOPEN = Step("reopen", _nothing)
"""Not done to the repositories: the database is closed and opened again."""


class StepIds:
    """Fulfils `IdFactory`: the same ids, however often a step is tried."""

    def __init__(self) -> None:
        self.step = 0

    def new(self) -> str:
        return self.of_step(0)

    def of_step(self, place: int) -> str:
        return uuid7(now_ms=self.step, random_bits=place)


class Everything(NamedTuple):
    """All that the repositories show; equal if it is the same to a person."""

    conversations: tuple[Conversation, ...]
    messages: tuple[tuple[Message, ...], ...]
    tool_calls: tuple[tuple[ToolCall, ...], ...]
    open_turns: tuple[OpenTurn, ...]
    journals: tuple[tuple[StreamEvent, ...], ...]


async def read_everything(of: Repositories) -> Everything:
    conversations = await of.conversations.list(ListConversations(limit=None))
    messages = [
        await of.messages.list(conversation.id) for conversation in conversations
    ]
    open_turns = await of.turns.list_open()
    return Everything(
        conversations=conversations,
        messages=tuple(messages),
        tool_calls=tuple(
            [
                await of.tool_calls.list(message.id)
                for branch in messages
                for message in branch
            ]
        ),
        open_turns=open_turns,
        journals=tuple([await of.journal.read(turn.answer_id) for turn in open_turns]),
    )


class Author:
    """Makes steps; knows what was begun, so that steps follow from each other."""

    def __init__(self, clock: FakeClock) -> None:
        self.ids = StepIds()
        self._clock = clock
        self._tips: dict[ConversationId, MessageId | None] = {}
        self._pieces = 0

    def create(self, title: str) -> tuple[ConversationId, Step]:
        self.ids.step += 1
        conversation_id = ConversationId(self.ids.new())
        self._tips[conversation_id] = None
        new = NewConversation(title=title, model="local:smollm2")
        return conversation_id, Step("create", lambda on: on.conversations.create(new))

    def begin(self, conversation_id: ConversationId, text: str) -> tuple[Message, Step]:
        """A prompt and its answer, which runs from then on."""
        self.ids.step += 1
        after = self._tips[conversation_id]
        prompt = self._message(1, conversation_id, after, text)
        answer = self._message(2, conversation_id, prompt.id, None)
        self._tips[conversation_id] = answer.id
        turn = NewTurn(
            id=TurnId(self.ids.of_step(3)),
            conversation_id=conversation_id,
            after=after,
            prompt=prompt,
            answer=answer,
            request=TurnRequest(model="local:smollm2"),
            lease_id=LEASE,
        )
        return answer, Step("begin", lambda on: on.turns.begin(turn))

    def append(self, *answers: Message, words: int = 1) -> Step:
        """Every piece is another one: a missing or a doubled one is seen."""
        self.ids.step += 1
        batch = {answer.id: (self._piece(words),) for answer in answers}
        return Step("append", lambda on: on.journal.append(batch), is_durable=False)

    def fold(self, answer: Message) -> Step:
        self.ids.step += 1
        events = (self._piece(20),)
        return Step(
            "fold", lambda on: on.journal.fold(answer.id, events), is_durable=False
        )

    def settle(self, answer: Message, text: str) -> Step:
        self.ids.step += 1
        ended = answer.completed(
            (TextPart(text=text),),
            stop_reason=StopReason.STOP,
            usage=Usage(input_tokens=7, output_tokens=8),
            replay=None,
        )
        return Step("settle", lambda on: on.turns.settle(ended))

    def request_stop(self, answer: Message) -> Step:
        self.ids.step += 1
        return Step("stop", lambda on: on.turns.request_stop(answer.id))

    def rename(self, conversation_id: ConversationId, title: str) -> Step:
        self.ids.step += 1
        change = ConversationChange(title=title, is_pinned=True)
        return Step(
            "rename", lambda on: on.conversations.change(conversation_id, change)
        )

    def call_tool(self, answer: Message) -> Step:
        self.ids.step += 1
        call = NewToolCall(
            conversation_id=answer.conversation_id,
            message_id=answer.id,
            place=0,
            call_id=ToolCallId("call_1"),
            server="files",
            tool="read",
            tool_hash="00",
            arguments="{}",
        )
        return Step("call tool", lambda on: on.tool_calls.add(call))

    def _piece(self, words: int) -> TextDelta:
        self._pieces += 1
        return TextDelta("text", f"piece {self._pieces} " * words)

    def _message(
        self,
        place: int,
        conversation_id: ConversationId,
        parent_id: MessageId | None,
        text: str | None,
    ) -> Message:
        return Message(
            id=MessageId(self.ids.of_step(place)),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=Role.ASSISTANT if text is None else Role.USER,
            status=MessageStatus.STREAMING if text is None else MessageStatus.COMPLETE,
            parts=() if text is None else (TextPart(text=text),),
            created_at=self._clock.now(),
            model="local:smollm2" if text is None else None,
        )
