"""The composition root: the one place that knows every room.

Also the one real clock, id factory, source of chance and reader of the environment.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict, Unpack

import anyio
from anyio.abc import TaskGroup

from tina import __version__
from tina.assistant import (
    Assistant,
    Conversations,
    Journal,
    Ports,
    Turn,
    TurnOptions,
    recover,
)
from tina.database import Database
from tina.domain.chat import ChatOptions, Deadlines, ModelInfo, parse_model_ref
from tina.domain.ids import RANDOM_BITS, ConversationId, uuid7
from tina.domain.ports import (
    Clock,
    ConversationRepository,
    IdFactory,
    Leases,
    MessageRepository,
    Provider,
    Providers,
    SecretStore,
    TurnRepository,
)
from tina.domain.result import Err, Ok, attempt
from tina.networking.http import HttpClient
from tina.providers.local.provider import LocalProvider
from tina.providers.local.pull import pull
from tina.providers.openai.provider import OpenAiProvider
from tina.providers.registry import ProviderRegistry
from tina.storage.paths import Paths, ensure_folder, find_paths
from tina.storage.secrets import EnvironmentSecretStore, variable_for

__all__ = ["App", "Replacements", "Turn", "open_app", "open_for", "paths_for"]

DEFAULT_MODEL = "local:smollm2"
OPENAI_BASE_URL = "https://api.openai.com/v1"


class Replacements(TypedDict, total=False):
    """Ports that a test or a program brings itself; it also closes them itself.

    `providers` adds to the built-in ones, by name, and replaces those it names.
    """

    clock: Clock
    ids: IdFactory
    secrets: SecretStore
    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    leases: Leases
    providers: Mapping[str, Provider]
    environment: Mapping[str, str]
    """Read instead of the process' own."""
    data: Path
    """Where the database lies, if not where everything else does."""


class SystemClock:
    """The machine's time; `now` in whole milliseconds, as the database keeps it."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class SystemIds:
    """UUIDv7 that never go backwards in one process, whatever the clock does."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        made = uuid7(
            now_ms=time.time_ns() // 1_000_000,
            random_bits=secrets.randbits(RANDOM_BITS),
        )
        self._last = max(int(made, 16), self._last + 1)
        return f"{self._last:032x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An open Tina. What a program gets from `tina.open()`, and each face too."""

    conversations: Conversations
    paths: Paths
    default_model: str
    environment: Mapping[str, str]
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


@asynccontextmanager
async def open_app(
    home: str | os.PathLike[str] | None = None, **replacements: Unpack[Replacements]
) -> AsyncGenerator[App]:
    """Open Tina; leaving the context settles running answers and closes everything.

    Args:
        home: the folder that holds everything; otherwise `TINA_HOME`, otherwise the
            usual folders of the system.
        replacements: ports to use instead of the real ones (`Replacements`).

    Raises:
        StorageFailure: the database cannot be opened; it is untouched.
    """
    environment = replacements.get("environment", os.environ)
    paths = paths_for(home, environment)
    async with AsyncExitStack() as stack:
        providers = _open_providers(stack, paths, replacements, environment)
        ports, database = await _open_ports(stack, paths, replacements, providers)
        await recover(turns=ports.turns, messages=ports.messages, leases=ports.leases)
        journal = Journal(ports.turns, clock=ports.clock)
        group = await stack.enter_async_context(_own_task_group())
        group.start_soon(journal.run)
        default_model = environment.get("TINA_MODEL", "").strip() or DEFAULT_MODEL
        yield App(
            conversations=Conversations(ports.conversations, ports.messages),
            paths=paths,
            default_model=default_model,
            environment=environment,
            clock=ports.clock,
            _assistant=Assistant(
                ports, journal=journal, group=group, default_model=default_model
            ),
            _providers=providers,
            _database=database,
        )


@asynccontextmanager
async def _own_task_group() -> AsyncGenerator[TaskGroup]:
    """A task group in a task of its own; leaving cancels it and waits for its tasks.

    What is cancelled around the caller must not reach the turns: whoever asked may be
    cancelled because a person wants to *stop* an answer, not to abandon it. And a group
    around the caller would wrap the caller's exceptions in an `ExceptionGroup`.
    This needs the event loop itself: anyio has no task without a parent.
    """
    opened: asyncio.Future[TaskGroup] = asyncio.get_running_loop().create_future()
    leaving = anyio.Event()

    async def hold() -> None:
        async with anyio.create_task_group() as group:
            opened.set_result(group)
            await leaving.wait()
            group.cancel_scope.cancel()

    holder = asyncio.create_task(hold(), name="tina-turns")
    try:
        yield await opened
    finally:
        leaving.set()
        # Bounded: each turn settles within its own limit.
        with anyio.CancelScope(shield=True):
            await holder


@asynccontextmanager
async def open_for(
    *, key: str | None = None, model: str | None = None, keeps: bool = True
) -> AsyncGenerator[App]:
    """Open Tina as the command line does.

    Args:
        key: a provider's key that goes before every other.
        model: whose key that is; otherwise the default model's.
        keeps: whether conversations are kept; otherwise they lie in a folder that is
            deleted at the end.
    """
    _set_up_log(os.environ)
    replacements: Replacements = {}
    if key is not None:
        named = model or os.environ.get("TINA_MODEL") or DEFAULT_MODEL
        variable = variable_for(parse_model_ref(named).provider)
        replacements["environment"] = {**os.environ, variable: key}
    async with AsyncExitStack() as stack:
        if not keeps:
            folder = stack.enter_context(TemporaryDirectory(prefix="tina-"))
            replacements["data"] = Path(folder)
        yield await stack.enter_async_context(open_app(**replacements))


async def pull_weights(name: str, *, say: Callable[[str], None]) -> Path:
    """Fetch the weights of a model that runs here; where they lie then.

    Raises:
        ModelNotFoundFailure: no such model is known.
        ModelUnavailableFailure: it could not be fetched, or is not what it should be.
    """
    _set_up_log(os.environ)
    return await pull(
        name, models=paths_for().models, environment=os.environ, progress=say
    )


def _set_up_log(environment: Mapping[str, str]) -> None:
    """Log to stderr if `TINA_LOG` names a level; nothing otherwise."""
    level = environment.get("TINA_LOG", "").strip().upper()
    if level in logging.getLevelNamesMapping():
        logging.basicConfig(level=level)
    else:
        logging.getLogger("tina").addHandler(logging.NullHandler())


def paths_for(
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Paths:
    """Where everything lies: `home`, else `TINA_HOME`, else the system's folders."""
    environment = os.environ if environment is None else environment
    chosen = home or environment.get("TINA_HOME") or None
    return find_paths(None if chosen is None else Path(chosen).expanduser().absolute())


async def _open_ports(
    stack: AsyncExitStack,
    paths: Paths,
    replacements: Replacements,
    providers: Providers,
) -> tuple[Ports, Database | None]:
    clock = replacements.get("clock") or SystemClock()
    ids = replacements.get("ids") or SystemIds()
    conversations = replacements.get("conversations")
    messages = replacements.get("messages")
    turns = replacements.get("turns")
    leases = replacements.get("leases")
    database = None
    if not (conversations and messages and turns and leases):
        data = replacements.get("data", paths.data)
        database = await _open_database(stack, data, clock, ids)
        conversations = conversations or database.conversations
        messages = messages or database.messages
        turns = turns or database.turns
        leases = leases or database.leases
    ports = Ports(
        conversations=conversations,
        messages=messages,
        turns=turns,
        leases=leases,
        providers=providers,
        clock=clock,
        ids=ids,
    )
    return ports, database


async def _open_database(
    stack: AsyncExitStack, data: Path, clock: Clock, ids: IdFactory
) -> Database:
    leases = data / "leases"
    ensure_folder(leases)
    database = Database(data / "tina.db", leases=leases, clock=clock, ids=ids)
    stack.push_async_callback(database.close)
    await database.open()
    return database


def _open_providers(
    stack: AsyncExitStack,
    paths: Paths,
    replacements: Replacements,
    environment: Mapping[str, str],
) -> ProviderRegistry:
    clock = replacements.get("clock") or SystemClock()
    keys = replacements.get("secrets") or EnvironmentSecretStore(environment)
    http = HttpClient(clock=clock, user_agent=f"tina/{__version__}")
    openai_url = environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_BASE_URL

    def make_local() -> Provider:
        return LocalProvider(models=paths.models, clock=clock)

    def make_openai() -> Provider:
        return OpenAiProvider(
            http=http,
            base_url=openai_url,
            secrets=keys,
            clock=clock,
            key_required=openai_url == OPENAI_BASE_URL,
        )

    is_openai_set_up = any(
        environment.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL")
    )
    providers = ProviderRegistry(
        {"local": make_local, "openai": make_openai},
        given=replacements.get("providers", {}),
        offered=frozenset({"local", "openai"} if is_openai_set_up else {"local"}),
    )
    stack.push_async_callback(http.close)
    stack.push_async_callback(providers.close)
    return providers
