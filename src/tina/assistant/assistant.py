"""The use cases: ask, and go on after an answer that was cut."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import anyio
import msgspec
from anyio.abc import TaskGroup

from tina.assistant.context import history_for, up_to_last_prompt
from tina.assistant.journal import Journal
from tina.assistant.policy import GoOn, plan_continuation
from tina.assistant.turn import Turn
from tina.domain.chat import (
    ChatOptions,
    ChatRequest,
    Deadlines,
    ModelRef,
    parse_model_ref,
)
from tina.domain.conversations import Conversation
from tina.domain.failures import (
    BusyFailure,
    ClosedFailure,
    InvalidInputFailure,
    NotFoundFailure,
    TipMovedFailure,
)
from tina.domain.ids import ConversationId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import (
    Clock,
    ConversationRepository,
    IdFactory,
    Leases,
    MessageRepository,
    Provider,
    Providers,
    TurnRepository,
)
from tina.domain.text import clean_text
from tina.domain.turns import NewTurn

MAX_TIP_MOVES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the use cases need from the world."""

    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    leases: Leases
    providers: Providers
    clock: Clock
    ids: IdFactory


class TurnOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one turn is asked; `model` None leaves it to the conversation."""

    model: str | None = None
    options: ChatOptions = ChatOptions()
    deadlines: Deadlines = Deadlines()


class Assistant:
    """Starts turns. They belong to `group`, never to whoever asked."""

    def __init__(
        self, ports: Ports, *, journal: Journal, group: TaskGroup, default_model: str
    ) -> None:
        self._ports = ports
        self._journal = journal
        self._group = group
        self._default_model = default_model

    async def send(
        self,
        conversation_id: ConversationId,
        text: str,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
    ) -> Turn:
        """Store the prompt and an empty answer, then let a model write the answer.

        When this returns, both are durable and the model is being asked.

        Raises:
            InvalidInputFailure: the prompt is empty, or the model's name is none.
            NotFoundFailure: there is no such conversation.
            ModelNotFoundFailure: there is no such provider.
            StorageFailure: nothing was stored, no model was asked.
        """
        prompt = clean_text(text)
        if not prompt.strip():
            raise InvalidInputFailure(
                'There is nothing to answer. Write a question: tina "What is a fjord?"'
            )

        async def ask() -> Turn:
            conversation, branch = await self._read(conversation_id)
            return await self._ask(conversation, branch, prompt, turn_options)

        return await _while_the_tip_moves(ask)

    async def continue_answer(
        self,
        conversation_id: ConversationId,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
    ) -> Turn:
        """Go on after the last answer was stopped, interrupted or failed.

        If it said something, the model is asked to go on from there; if it said
        nothing, its prompt is answered once more.

        Raises:
            NothingToContinueFailure: the last answer is complete or still growing.
            NotFoundFailure: there is no such conversation.
        """

        async def go_on() -> Turn:
            conversation, branch = await self._read(conversation_id)
            plan = plan_continuation(branch)
            prompt = plan.prompt if isinstance(plan, GoOn) else None
            return await self._ask(conversation, branch, prompt, turn_options)

        return await _while_the_tip_moves(go_on)

    async def _ask(
        self,
        conversation: Conversation,
        branch: tuple[Message, ...],
        prompt: str | None,
        turn_options: TurnOptions,
    ) -> Turn:
        """Begin a turn after `branch`; without a prompt its last one is answered."""
        named = turn_options.model or conversation.model or self._default_model
        model = parse_model_ref(clean_text(named))
        provider = self._ports.providers.get(model.provider)
        tip_id = branch[-1].id if branch else None
        if prompt is None:
            asked, history = None, up_to_last_prompt(branch)
        else:
            asked = self._prompt(conversation.id, tip_id, prompt)
            history = (*branch, asked)
        answer = self._answer(conversation.id, history[-1].id, model)
        new = NewTurn(
            id=TurnId(self._ports.ids.new()),
            conversation_id=conversation.id,
            after=tip_id,
            prompt=asked,
            answer=answer,
            lease_id=await self._ports.leases.hold(),
        )
        request = ChatRequest(
            model=model.model,
            messages=history_for(history),
            system=conversation.system,
            options=turn_options.options,
            deadlines=turn_options.deadlines,
        )
        return await self._start(new, provider, request)

    async def _start(
        self, new: NewTurn, provider: Provider, request: ChatRequest
    ) -> Turn:
        turn = Turn(new.answer, turns=self._ports.turns, journal=self._journal)
        beginning = _Beginning()

        async def begin_and_run() -> None:
            with beginning:
                # Shielded: a stored turn that nobody runs would be nobody's. It is
                # bounded by the database's own limit.
                with anyio.CancelScope(shield=True):
                    await self._ports.turns.begin(new)
            if beginning.failure is None:
                await turn.run(provider, request)

        # In a task that is not the caller's: who asked may be cancelled in any way.
        self._group.start_soon(begin_and_run)
        await beginning.is_over.wait()
        if beginning.failure is not None:
            raise beginning.failure
        return turn

    async def _read(
        self, conversation_id: ConversationId
    ) -> tuple[Conversation, tuple[Message, ...]]:
        conversation = await self._ports.conversations.get(conversation_id)
        if conversation is None:
            raise NotFoundFailure(
                f"There is no conversation {conversation_id}. `tina log` lists them."
            )
        return conversation, await self._ports.messages.list(conversation_id)

    def _prompt(
        self, conversation_id: ConversationId, parent_id: MessageId | None, text: str
    ) -> Message:
        return Message(
            id=MessageId(self._ports.ids.new()),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text=text),),
            created_at=self._ports.clock.now(),
        )

    def _answer(
        self,
        conversation_id: ConversationId,
        parent_id: MessageId,
        model: ModelRef,
    ) -> Message:
        return Message(
            id=MessageId(self._ports.ids.new()),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self._ports.clock.now(),
            model=str(model),
        )


class _Beginning:
    """Carries how a turn's beginning went from its task to whoever waits for it."""

    def __init__(self) -> None:
        self.is_over = anyio.Event()
        self.failure: Exception | None = None

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self.failure = error
        elif error is not None:
            self.failure = ClosedFailure("Tina was closed before this could be asked.")
        self.is_over.set()
        return isinstance(error, Exception)


async def _while_the_tip_moves(ask: Callable[[], Awaitable[Turn]]) -> Turn:
    """Read and ask again when somebody else wrote into the conversation meanwhile."""
    for _ in range(MAX_TIP_MOVES):
        try:
            return await ask()
        except TipMovedFailure:
            continue
    raise BusyFailure(
        "Others write into this conversation all the time; try again in a moment."
    )
