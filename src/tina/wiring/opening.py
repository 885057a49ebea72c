"""Opens Tina: builds every room, hands it to the next, closes in reverse order."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypedDict, Unpack

import anyio
from anyio.abc import TaskGroup
from msgspec import structs

from tina import __version__
from tina.assistant import Assistant, Conversations, Journal, Ports, recover
from tina.database import Database
from tina.domain.failures import InvalidInputFailure
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
from tina.domain.text import is_clean
from tina.networking.http import HttpClient
from tina.providers.registry import ProviderRegistry
from tina.storage.paths import Paths, ensure_folder, find_paths
from tina.storage.secrets import EnvironmentSecretStore
from tina.wiring.app import App
from tina.wiring.system import SystemClock, SystemIds

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
            if not opened.done():  # whoever opened may be cancelled by now
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
            try:
                await holder
            except BaseExceptionGroup as group:
                # No group of exceptions crosses a wall; the first one tells it.
                raise group.exceptions[0] from group


def paths_for(
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Paths:
    """Where everything lies: `home`, else `TINA_HOME`, else the system's folders.

    Raises:
        InvalidInputFailure: the folder's name is none that a database can have.
    """
    environment = os.environ if environment is None else environment
    chosen = home or environment.get("TINA_HOME") or None
    if chosen is None:
        return find_paths(None)
    if not is_clean(str(chosen)):
        raise InvalidInputFailure(
            f"The folder {str(chosen)!a} has a name that is not UTF-8 text. "
            "Choose another one with TINA_HOME."
        )
    return find_paths(Path(chosen).expanduser().absolute())


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
        paths = structs.replace(paths, data=replacements.get("data", paths.data))
        database = await _open_database(stack, paths, clock, ids)
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
    stack: AsyncExitStack, paths: Paths, clock: Clock, ids: IdFactory
) -> Database:
    ensure_folder(paths.leases)
    database = Database(paths.database, leases=paths.leases, clock=clock, ids=ids)
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

    # Imported when one is made: `tina ask` needs one of them, `tina log` none.
    def make_local() -> Provider:
        from tina.providers.local.provider import LocalProvider

        return LocalProvider(models=paths.models, clock=clock)

    def make_openai() -> Provider:
        from tina.providers.openai.encode import is_openai
        from tina.providers.openai.provider import OpenAiProvider

        return OpenAiProvider(
            http=http,
            base_url=openai_url,
            secrets=keys,
            clock=clock,
            key_required=is_openai(openai_url),
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
