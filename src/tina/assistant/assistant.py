"""The use cases: ask, ask again in other words, answer again, go on, stop."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from tina.assistant.asking import Material, check_provider
from tina.assistant.context import up_to_last_prompt
from tina.assistant.policy import (
    CONTINUE_PROMPT,
    GoOn,
    Resume,
    plan_continuation,
)
from tina.assistant.ports import Ports
from tina.assistant.recovery import Keeper
from tina.assistant.rules import Rules
from tina.assistant.running import Running
from tina.assistant.turn import Turn
from tina.domain.chat import ChatOptions, Deadlines, parse_model_ref
from tina.domain.conversations import Conversation
from tina.domain.failures import (
    BusyFailure,
    InvalidInputFailure,
    NotFoundFailure,
    TipMovedFailure,
)
from tina.domain.ids import ConversationId, LeaseId, MessageId, TurnId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    Role,
    TextPart,
)
from tina.domain.text import clean_text
from tina.domain.turns import NewTurn, QueuedTurn, TurnRequest

MAX_TIP_MOVES = 5

T = TypeVar("T")


class TurnOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one turn is asked; `model` None leaves it to the conversation."""

    model: str | None = None
    options: ChatOptions = ChatOptions()
    deadlines: Deadlines = Deadlines()
    fallback: tuple[str, ...] | None = None
    """The models to ask if that one says nothing; None leaves it to the conversation
    and the configuration."""


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be answered: a new prompt, or an old one once more.

    `history` is what stands before the answer, oldest first, the prompt last.
    """

    conversation: Conversation
    tip_id: MessageId | None
    prompt: Message | None
    history: tuple[Message, ...]


class Assistant:
    """Starts turns, here or wherever they are claimed."""

    def __init__(
        self,
        ports: Ports,
        *,
        rules: Callable[[], Rules],
        running: Running,
        keeper: Keeper,
    ) -> None:
        self._ports = ports
        self._rules = rules
        self._running = running
        self._keeper = keeper

    async def send(
        self,
        conversation_id: ConversationId,
        text: str,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
        *,
        attachments: Sequence[ImagePart | FilePart] = (),
    ) -> Turn:
        """Store the prompt and an empty answer, then let a model write the answer.

        When this returns, both are durable and the model is being asked.

        Args:
            attachments: what the question is about; they stand before it.

        Raises:
            InvalidInputFailure: the prompt is empty, or the model's name is none.
            NotFoundFailure: there is no such conversation.
            ModelNotFoundFailure: there is no such provider.
            StorageFailure: nothing was stored, no model was asked.
        """
        prompt = (*attachments, _usable(text))

        async def ask() -> Turn:
            conversation, branch = await self._read(conversation_id)
            return await self._start(
                self._asked(conversation, branch, prompt), turn_options
            )

        return await _while_the_tip_moves(ask)

    async def send_later(
        self,
        conversation_id: ConversationId,
        text: str,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
        *,
        attachments: Sequence[ImagePart | FilePart] = (),
    ) -> QueuedTurn:
        """Store the prompt and an empty answer, and leave the rest to who claims it.

        Raises:
            InvalidInputFailure, NotFoundFailure, ModelNotFoundFailure, StorageFailure:
                as `send`; nothing was stored.
        """
        prompt = (*attachments, _usable(text))

        async def ask() -> QueuedTurn:
            conversation, branch = await self._read(conversation_id)
            asked = self._asked(conversation, branch, prompt)
            new = self._new_turn(asked, turn_options, lease_id=None)
            await self._ports.turns.begin(new)
            return QueuedTurn(
                conversation_id=conversation_id,
                message_id=new.answer.id,
                model=new.request.model,
            )

        return await _while_the_tip_moves(ask)

    async def continue_answer(
        self,
        conversation_id: ConversationId,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
    ) -> Turn:
        """Go on after the last answer was stopped, interrupted or failed.

        If it said something, the model is asked to go on from there; if it said
        nothing, its prompt is answered once more. A provider that paused its own
        work gets it back as it is.

        Raises:
            NothingToContinueFailure: the last answer is complete or still growing.
            NotFoundFailure: there is no such conversation.
        """

        async def go_on() -> Turn:
            conversation, branch = await self._read(conversation_id)
            plan = plan_continuation(branch)
            if isinstance(plan, Resume) and not self._is_asked_again(
                branch[-1], conversation, turn_options
            ):
                plan = GoOn(CONTINUE_PROMPT)  # nobody else can take up its work
            prompt = (TextPart(text=plan.prompt),) if isinstance(plan, GoOn) else None
            asked = self._asked(conversation, branch, prompt)
            if isinstance(plan, Resume):
                asked = msgspec.structs.replace(asked, history=tuple(branch))
            return await self._start(asked, turn_options)

        return await _while_the_tip_moves(go_on)

    async def edit(
        self,
        message_id: MessageId,
        text: str,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
    ) -> Turn:
        """Ask the same in other words: a new branch beside the old one, which stays.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: it is no prompt of a person, or the text is empty.
        """
        prompt = (_usable(text),)

        async def ask() -> Turn:
            conversation, old = await self._read_message(message_id)
            if old.role is not Role.USER:
                raise InvalidInputFailure(
                    "Only what a person asked can be edited; for an answer, "
                    "regenerate it."
                )
            before = (await self._ports.messages.list_branch(message_id))[:-1]
            asked = self._asked(conversation, before, prompt)
            return await self._start(
                msgspec.structs.replace(asked, tip_id=conversation.tip), turn_options
            )

        return await _while_the_tip_moves(ask)

    async def regenerate(
        self,
        message_id: MessageId,
        turn_options: TurnOptions = TurnOptions(),  # noqa: B008 - frozen
    ) -> Turn:
        """Answer the same prompt once more, beside the old answer, which stays.

        Args:
            message_id: the answer, or its prompt.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: nothing was asked before it, or it is still written.
        """

        async def ask() -> Turn:
            conversation, old = await self._read_message(message_id)
            if old.status is MessageStatus.STREAMING:
                raise InvalidInputFailure(
                    "This answer is still being written. Wait for it, or stop it: "
                    f"tina stop {conversation.id}"
                )
            branch = await self._ports.messages.list_branch(message_id)
            if not any(message.role is Role.USER for message in branch):
                raise InvalidInputFailure("Nothing was asked before this message.")
            asked = self._asked(conversation, branch, None)
            return await self._start(
                msgspec.structs.replace(asked, tip_id=conversation.tip), turn_options
            )

        return await _while_the_tip_moves(ask)

    async def stop(self, message_id: MessageId) -> bool:
        """Stop an answer, whichever process writes it; what was said is kept.

        Returns:
            False if it had ended already. If another process writes it, the request
            is durable when this returns, and the answer ends a moment later.
        """
        if await self._running.stop(message_id):
            return True
        return await self._ports.turns.request_stop(message_id)

    def _is_asked_again(
        self, answer: Message, conversation: Conversation, turn_options: TurnOptions
    ) -> bool:
        """Whether the model that gave an answer is the one that is asked now."""
        return answer.model == self._model_for(conversation, turn_options)

    def _model_for(self, conversation: Conversation, turn_options: TurnOptions) -> str:
        named = turn_options.model or conversation.model or self._rules().model
        return str(parse_model_ref(clean_text(named)))

    def _asked(
        self,
        conversation: Conversation,
        branch: Sequence[Message],
        prompt: tuple[Part, ...] | None,
    ) -> _Asked:
        """What is asked after `branch`; without a prompt its last one, once more."""
        tip_id = branch[-1].id if branch else None
        if prompt is None:
            return _Asked(
                conversation=conversation,
                tip_id=tip_id,
                prompt=None,
                history=up_to_last_prompt(branch),
            )
        message = Message(
            id=MessageId(self._ports.ids.new()),
            conversation_id=conversation.id,
            parent_id=tip_id,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=prompt,
            created_at=self._ports.clock.now(),
        )
        return _Asked(
            conversation=conversation,
            tip_id=tip_id,
            prompt=message,
            history=(*branch, message),
        )

    def _new_turn(
        self, asked: _Asked, turn_options: TurnOptions, *, lease_id: LeaseId | None
    ) -> NewTurn:
        """The turn as it will be stored.

        Raises:
            ModelNotFoundFailure, InvalidInputFailure: no provider here has the model.
        """
        conversation = asked.conversation
        model = parse_model_ref(self._model_for(conversation, turn_options))
        fallback = self._fallback(str(model), conversation, turn_options)
        check_provider(self._ports.providers, str(model), fallback=fallback)
        answer = Message(
            id=MessageId(self._ports.ids.new()),
            conversation_id=conversation.id,
            parent_id=asked.history[-1].id,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self._ports.clock.now(),
            model=str(model),
        )
        return NewTurn(
            id=TurnId(self._ports.ids.new()),
            conversation_id=conversation.id,
            after=asked.tip_id,
            prompt=asked.prompt,
            answer=answer,
            request=TurnRequest(
                model=str(model),
                options=turn_options.options,
                deadlines=turn_options.deadlines,
                fallback=fallback,
            ),
            lease_id=lease_id,
        )

    async def _start(self, asked: _Asked, turn_options: TurnOptions) -> Turn:
        new = self._new_turn(
            asked, turn_options, lease_id=await self._ports.leases.hold()
        )
        return await self._running.begin(
            new,
            Material(
                conversation_id=asked.conversation.id,
                system=asked.conversation.system,
                history=asked.history,
            ),
        )

    def _fallback(
        self, model: str, conversation: Conversation, turn_options: TurnOptions
    ) -> tuple[str, ...]:
        """Who is asked next, in the order of who says so: turn, conversation, rules."""
        if turn_options.fallback is not None:
            return turn_options.fallback
        return conversation.fallback or self._rules().fallback_for(model)

    async def _read(
        self, conversation_id: ConversationId
    ) -> tuple[Conversation, tuple[Message, ...]]:
        conversation = await self._ports.conversations.get(conversation_id)
        if conversation is None:
            raise NotFoundFailure(
                f"There is no conversation {conversation_id}. `tina log` lists them."
            )
        branch = await self._ports.messages.list(conversation_id)
        return conversation, self._keeper.as_left(branch)

    async def _read_message(
        self, message_id: MessageId
    ) -> tuple[Conversation, Message]:
        message = await self._ports.messages.get(message_id)
        if message is None:
            raise NotFoundFailure(
                f"There is no message {message_id}. `tina show --json` lists them."
            )
        conversation, _ = await self._read(message.conversation_id)
        return conversation, self._keeper.as_left((message,))[0]


def _usable(text: str) -> TextPart:
    prompt = clean_text(text)
    if not prompt.strip():
        raise InvalidInputFailure(
            'There is nothing to answer. Write a question: tina "What is a fjord?"'
        )
    return TextPart(text=prompt)


async def _while_the_tip_moves(ask: Callable[[], Awaitable[T]]) -> T:
    """Read and ask again when somebody else wrote into the conversation meanwhile."""
    for _ in range(MAX_TIP_MOVES):
        try:
            return await ask()
        except TipMovedFailure:
            continue
    raise BusyFailure(
        "Others write into this conversation all the time; try again in a moment."
    )
