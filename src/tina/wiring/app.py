"""An open Tina."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import anyio

from tina.assistant import (
    Assistant,
    Conversations,
    Keeper,
    Ports,
    Runner,
    Running,
    ToolCalls,
    Turn,
    TurnOptions,
    Watching,
    check_provider,
)
from tina.database import Database
from tina.domain.chat import ChatOptions, Deadlines, ModelInfo
from tina.domain.failures import Failure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import FilePart, ImagePart, Message
from tina.domain.ports import Clock
from tina.domain.queries import Query
from tina.domain.result import Err, Ok, attempt
from tina.domain.search import SearchQuery, SearchResult
from tina.domain.tools import HostedTool
from tina.domain.turns import OpenTurn, QueuedTurn
from tina.storage.paths import Paths, ensure_folder
from tina.wiring.asking import Asking

T = TypeVar("T")


class TurnArguments(TypedDict, total=False):
    """How a turn is asked."""

    model: str | None
    """`provider:model`; otherwise the conversation's, or the default."""
    fallback: tuple[str, ...] | None
    """The models to ask, in order, if that one says nothing; otherwise those of the
    conversation, or of the configuration."""
    options: ChatOptions
    deadlines: Deadlines


async def _of_each(
    names: Sequence[str], ask: Callable[[str], Awaitable[T]]
) -> Mapping[str, Ok[T] | Err]:
    """What each provider answers; all are asked at once, one may be slow."""
    found: dict[str, Ok[T] | Err] = {}

    async def ask_one(name: str) -> None:
        found[name] = await attempt(ask(name))

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(ask_one, name)
    return {name: found[name] for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An open Tina. What a program gets from `tina.open()`, and each face too."""

    conversations: Conversations
    tool_calls: ToolCalls
    paths: Paths
    environment: Mapping[str, str] = field(repr=False)  # keys are in it
    clock: Clock
    _ports: Ports
    _assistant: Assistant
    _running: Running
    _keeper: Keeper
    _watching: Watching
    _database: Database | None
    _asking: Asking

    @property
    def default_model(self) -> str:
        """Who is asked where neither a turn nor its conversation names a model.

        Raises:
            InvalidInputFailure: there is a mistake in the configuration.
        """
        return self._asking.rules().model

    async def send(
        self,
        conversation_id: ConversationId,
        text: str,
        *,
        attachments: Sequence[ImagePart | FilePart] = (),
        **turn: Unpack[TurnArguments],
    ) -> Turn:
        """Ask; when this returns, prompt and empty answer are durable.

        Args:
            attachments: what the question is about.
            turn: as in `TurnArguments`.

        Raises:
            InvalidInputFailure, NotFoundFailure, ModelNotFoundFailure,
            StorageFailure: nothing was asked.
        """
        return await self._assistant.send(
            conversation_id, text, TurnOptions(**turn), attachments=attachments
        )

    async def send_later(
        self,
        conversation_id: ConversationId,
        text: str,
        *,
        attachments: Sequence[ImagePart | FilePart] = (),
        **turn: Unpack[TurnArguments],
    ) -> QueuedTurn:
        """Ask, and leave the answer to whichever process claims it (`run_queued`).

        Raises:
            As `send`.
        """
        return await self._assistant.send_later(
            conversation_id, text, TurnOptions(**turn), attachments=attachments
        )

    async def continue_answer(
        self,
        conversation_id: ConversationId,
        **turn: Unpack[TurnArguments],
    ) -> Turn:
        """Go on after the last answer was stopped, interrupted or failed.

        Raises:
            NothingToContinueFailure: it is complete or still being written.
            NotFoundFailure: there is no such conversation.
        """
        return await self._assistant.continue_answer(
            conversation_id,
            TurnOptions(**turn),
        )

    async def edit(
        self,
        message_id: MessageId,
        text: str,
        **turn: Unpack[TurnArguments],
    ) -> Turn:
        """Ask the same in other words: a new branch; the old one stays.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: it is no prompt of a person, or the text is empty.
        """
        return await self._assistant.edit(
            message_id,
            text,
            TurnOptions(**turn),
        )

    async def regenerate(
        self,
        message_id: MessageId,
        **turn: Unpack[TurnArguments],
    ) -> Turn:
        """Answer the same prompt once more; the old answer stays beside it.

        Args:
            message_id: the answer, or its prompt.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: nothing was asked before it, or it is still written.
        """
        return await self._assistant.regenerate(
            message_id,
            TurnOptions(**turn),
        )

    async def stop(self, message_id: MessageId) -> bool:
        """Stop an answer, whichever process writes it; what was said is kept.

        Returns:
            False if it had ended already. If another process writes it, it ends a
            moment after this returns; `watch_message` sees its end.
        """
        return await self._assistant.stop(message_id)

    def watch_message(
        self, message_id: MessageId, *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[Message]:
        """A message now, and again as it grows, whichever process writes it.

        How it ended is last. Whoever is slow gets the newest. Consume it under
        `aclosing`.

        Raises:
            NotFoundFailure: there is no such message.
        """
        return self._watching.watch_message(message_id, min_interval_s=min_interval_s)

    def watch(
        self, query: Query[T], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[T]:
        """The answer to a query (`tina.domain.queries`) now, and when it changes."""
        return self._ports.live.watch(query, min_interval_s=min_interval_s)

    def watch_many(
        self, queries: Sequence[Query[Any]], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[tuple[Any, ...]]:
        """The answers to several queries, always of one moment."""
        return self._ports.live.watch_many(queries, min_interval_s=min_interval_s)

    async def search(self, query: SearchQuery) -> SearchResult:
        """Messages that contain all the words.

        Raises:
            InvalidInputFailure: there are no words, or too many.
        """
        return await self._ports.search.search(query)

    async def spent_micros(
        self,
        *,
        conversation_id: ConversationId | None = None,
        since: datetime | None = None,
    ) -> int:
        """What was spent, in millionths of a US dollar (`Ledger`)."""
        return await self._ports.ledger.spent_micros(
            conversation_id=conversation_id, since=since
        )

    async def open_turns(self) -> tuple[OpenTurn, ...]:
        """Turns that are queued or running, in any process, oldest first."""
        return await self._ports.turns.list_open()

    async def run_queued(self, *, slots: int, linger_s: float | None) -> None:
        """Claim what was left with `send_later` and answer it.

        Args:
            slots: how many at once.
            linger_s: return when there was nothing to do for so long; None: never.
        """
        runner = Runner(self._ports, self._running, self._keeper, slots=slots)
        await runner.run(linger_s=linger_s)

    def check_model(self, model: str | None, *, fallback: Sequence[str] = ()) -> None:
        """Refuse, before anything is stored, a model that no provider here can have.

        Args:
            model: `provider:model`, or the default.
            fallback: who is asked if it cannot answer.

        Raises:
            InvalidInputFailure: it is no model's name.
            ModelNotFoundFailure: there is no such provider.
            ModelUnavailableFailure: it cannot answer here, and there is no fallback.
        """
        named = self.default_model if model is None else model
        check_provider(self._ports.providers, named, fallback=fallback)

    def chat_history_file(self) -> Path:
        """Where `tina chat` keeps the lines a person typed; its folder exists.

        Raises:
            UnwritableFailure: the folder cannot be made.
        """
        ensure_folder(self.paths.state)
        return self.paths.chat_history

    async def models(
        self, *, refresh: bool = False
    ) -> Mapping[str, Ok[tuple[ModelInfo, ...]] | Err]:
        """What each provider that is set up offers, or why it could not say.

        Args:
            refresh: ask again, although it was asked within a day.
        """
        if refresh:
            await self._asking.forget_models()
        return await _of_each(self._ports.providers.names(), self._list_models)

    async def check_providers(
        self, names: Sequence[str] = ()
    ) -> Mapping[str, Ok[None] | Err]:
        """Whether each can be asked now; without names all that are set up."""
        asked = [name.lower() for name in names] or self._ports.providers.names()
        return await _of_each(asked, self._check)

    def available_tools(self) -> Mapping[str, tuple[HostedTool, ...]]:
        """What each provider that is set up can run on its own side."""
        found: dict[str, tuple[HostedTool, ...]] = {}
        for name in self._ports.providers.names():
            with suppress(Failure):  # one that cannot be made hides no other
                found[name] = self._ports.providers.get(name).available_tools()
        return found

    async def _list_models(self, name: str) -> tuple[ModelInfo, ...]:
        return await self._ports.providers.get(name).models()

    async def _check(self, name: str) -> None:
        await self._ports.providers.get(name).check()

    async def check_database(self) -> tuple[str, ...]:
        """What is wrong with the database file; empty if it is whole."""
        return () if self._database is None else await self._database.check()
