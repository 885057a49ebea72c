"""An open Tina."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

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
)
from tina.database import Database
from tina.domain.chat import ChatOptions, Deadlines, ModelInfo, parse_model_ref
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message
from tina.domain.ports import Clock
from tina.domain.queries import Query
from tina.domain.result import Err, Ok, attempt
from tina.domain.search import SearchQuery, SearchResult
from tina.domain.turns import OpenTurn, QueuedTurn
from tina.storage.paths import Paths, ensure_folder

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An open Tina. What a program gets from `tina.open()`, and each face too."""

    conversations: Conversations
    tool_calls: ToolCalls
    paths: Paths
    default_model: str
    environment: Mapping[str, str] = field(repr=False)  # keys are in it
    clock: Clock
    _ports: Ports
    _assistant: Assistant
    _running: Running
    _keeper: Keeper
    _watching: Watching
    _database: Database | None

    async def send(
        self,
        conversation_id: ConversationId,
        text: str,
        *,
        model: str | None = None,
        options: ChatOptions = ChatOptions(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    ) -> Turn:
        """Ask; when this returns, prompt and empty answer are durable.

        Args:
            model: `provider:model`; otherwise the conversation's, or the default.

        Raises:
            InvalidInputFailure, NotFoundFailure, ModelNotFoundFailure,
            StorageFailure: nothing was asked.
        """
        return await self._assistant.send(
            conversation_id,
            text,
            TurnOptions(model=model, options=options, deadlines=deadlines),
        )

    async def send_later(
        self,
        conversation_id: ConversationId,
        text: str,
        *,
        model: str | None = None,
        options: ChatOptions = ChatOptions(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    ) -> QueuedTurn:
        """Ask, and leave the answer to whichever process claims it (`run_queued`).

        Raises:
            As `send`.
        """
        return await self._assistant.send_later(
            conversation_id,
            text,
            TurnOptions(model=model, options=options, deadlines=deadlines),
        )

    async def continue_answer(
        self,
        conversation_id: ConversationId,
        *,
        model: str | None = None,
        options: ChatOptions = ChatOptions(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    ) -> Turn:
        """Go on after the last answer was stopped, interrupted or failed.

        Raises:
            NothingToContinueFailure: it is complete or still being written.
            NotFoundFailure: there is no such conversation.
        """
        return await self._assistant.continue_answer(
            conversation_id,
            TurnOptions(model=model, options=options, deadlines=deadlines),
        )

    async def edit(
        self,
        message_id: MessageId,
        text: str,
        *,
        model: str | None = None,
        options: ChatOptions = ChatOptions(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    ) -> Turn:
        """Ask the same in other words: a new branch; the old one stays.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: it is no prompt of a person, or the text is empty.
        """
        return await self._assistant.edit(
            message_id,
            text,
            TurnOptions(model=model, options=options, deadlines=deadlines),
        )

    async def regenerate(
        self,
        message_id: MessageId,
        *,
        model: str | None = None,
        options: ChatOptions = ChatOptions(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
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
            TurnOptions(model=model, options=options, deadlines=deadlines),
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

    def check_model(self, model: str | None) -> None:
        """Refuse, before anything is stored, a model that no provider here can have.

        Raises:
            InvalidInputFailure: it is no model's name.
            ModelNotFoundFailure: there is no such provider.
        """
        named = self.default_model if model is None else model
        self._ports.providers.get(parse_model_ref(named).provider)

    def chat_history_file(self) -> Path:
        """Where `tina chat` keeps the lines a person typed; its folder exists.

        Raises:
            UnwritableFailure: the folder cannot be made.
        """
        ensure_folder(self.paths.state)
        return self.paths.chat_history

    async def models(self) -> Mapping[str, Ok[tuple[ModelInfo, ...]] | Err]:
        """What each provider that is set up offers, or why it could not say."""
        providers = self._ports.providers
        return {
            name: await attempt(providers.get(name).models())
            for name in providers.names()
        }

    async def check_database(self) -> tuple[str, ...]:
        """What is wrong with the database file; empty if it is whole."""
        return () if self._database is None else await self._database.check()
