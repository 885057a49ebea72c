"""An open Tina."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tina.assistant import Assistant, Conversations, Turn, TurnOptions
from tina.database import Database
from tina.domain.chat import ChatOptions, Deadlines, ModelInfo, parse_model_ref
from tina.domain.ids import ConversationId
from tina.domain.ports import Clock, Providers
from tina.domain.result import Err, Ok, attempt
from tina.storage.paths import Paths, ensure_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An open Tina. What a program gets from `tina.open()`, and each face too."""

    conversations: Conversations
    paths: Paths
    default_model: str
    environment: Mapping[str, str] = field(repr=False)  # keys are in it
    clock: Clock
    _assistant: Assistant
    _providers: Providers
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

    def check_model(self, model: str | None) -> None:
        """Refuse, before anything is stored, a model that no provider here can have.

        Raises:
            InvalidInputFailure: it is no model's name.
            ModelNotFoundFailure: there is no such provider.
        """
        named = self.default_model if model is None else model
        self._providers.get(parse_model_ref(named).provider)

    def chat_history_file(self) -> Path:
        """Where `tina chat` keeps the lines a person typed; its folder exists.

        Raises:
            UnwritableFailure: the folder cannot be made.
        """
        ensure_folder(self.paths.state)
        return self.paths.chat_history

    async def models(self) -> Mapping[str, Ok[tuple[ModelInfo, ...]] | Err]:
        """What each provider that is set up offers, or why it could not say."""
        return {
            name: await attempt(self._providers.get(name).models())
            for name in self._providers.names()
        }

    async def check_database(self) -> tuple[str, ...]:
        """What is wrong with the database file; empty if it is whole."""
        return () if self._database is None else await self._database.check()
