"""Opens Tina: builds every room, hands it to the next, closes in reverse order."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypedDict, Unpack

import anyio
from anyio.abc import TaskGroup
from msgspec import structs

from tina.assistant import (
    Assistant,
    Conversations,
    Journal,
    Keeper,
    Ports,
    Running,
    ToolCalls,
    Watching,
)
from tina.database import Database
from tina.domain.failures import InvalidInputFailure, StorageFailure
from tina.domain.ports import (
    Clock,
    ConversationRepository,
    GrantRepository,
    IdFactory,
    JournalRepository,
    Leases,
    Ledger,
    LiveQueries,
    MessageRepository,
    ModelFacts,
    Provider,
    Search,
    SecretStore,
    ToolCallRepository,
    TurnRepository,
)
from tina.domain.text import is_clean
from tina.storage.paths import Paths, ensure_folder, find_paths
from tina.wiring.app import App
from tina.wiring.asking import Asking, Keys, asking_later
from tina.wiring.system import SystemClock, SystemIds

RECOVERY_LIMIT_S = 1.0
"""Who opens Tina while another process holds the database waits no longer."""
CATCH_UP_LIMIT_S = 5.0

_logger = logging.getLogger(__name__)


class Stores(Protocol):
    """Everything that is kept, on the same rows: the database, or one in memory."""

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
    @property
    def grants(self) -> GrantRepository: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def live(self) -> LiveQueries: ...
    @property
    def search(self) -> Search: ...
    @property
    def leases(self) -> Leases: ...


class Replacements(TypedDict, total=False):
    """Ports that a test or a program brings itself; it also closes them itself.

    `providers` adds to the built-in ones, by name, and replaces those it names. With
    `stores` no file is opened; a port that is named beside it goes before.
    """

    clock: Clock
    ids: IdFactory
    secrets: SecretStore
    key: str
    """Of the provider of `key_model`; the others have theirs in `secrets`."""
    key_model: str
    """`provider:model`; without it the one that is asked where nobody is named."""
    stores: Stores
    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    journal: JournalRepository
    tool_calls: ToolCallRepository
    grants: GrantRepository
    ledger: Ledger
    facts: ModelFacts
    live: LiveQueries
    search: Search
    leases: Leases
    providers: Mapping[str, Provider]
    environment: Mapping[str, str]
    """Read instead of the process' own."""
    data: Path
    """Where the database lies, if not where everything else does."""


class _Here(NamedTuple):
    """Where this Tina lives."""

    paths: Paths
    environment: Mapping[str, str]


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
    if "data" in replacements:
        paths = structs.replace(paths, data=replacements["data"]).resolved()
    async with AsyncExitStack() as stack:
        asking = asking_later(
            paths=paths,
            clock=replacements.get("clock") or SystemClock(),
            environment=environment,
            keys=Keys(
                replacements.get("secrets"),
                replacements.get("key"),
                replacements.get("key_model"),
            ),
            given=replacements.get("providers", {}),
        )
        stack.push_async_callback(asking.close)
        stores, database = await _open_stores(stack, paths, replacements)
        ports = _ports(stores, replacements, asking)
        keeper = Keeper(ports)
        await _recover(keeper)
        yield await _assemble(
            stack,
            ports,
            keeper,
            database,
            asking=asking,
            here=_Here(paths, environment),
        )


async def _assemble(
    stack: AsyncExitStack,
    ports: Ports,
    keeper: Keeper,
    database: Database | None,
    *,
    asking: Asking,
    here: "_Here",
) -> App:
    """Build the use cases and start what runs beside them."""
    journal = Journal(ports.journal, clock=ports.clock)
    group = await stack.enter_async_context(_own_task_group())
    running = Running(ports, rules=asking.rules, journal=journal, group=group)
    for run in (journal.run, keeper.run):
        group.start_soon(run)
    if database is not None and not database.is_read_only:
        for run in (database.indexer.run, database.upkeep.run):
            group.start_soon(run)
    return App(
        conversations=Conversations(
            ports.conversations,
            ports.messages,
            live=ports.live,
            keeper=keeper,
            clock=ports.clock,
        ),
        tool_calls=ToolCalls(ports.tool_calls, ports.live),
        paths=here.paths,
        environment=here.environment,
        clock=ports.clock,
        _ports=ports,
        _assistant=Assistant(ports, rules=asking.rules, running=running, keeper=keeper),
        _running=running,
        _keeper=keeper,
        _watching=Watching(ports, running=running, keeper=keeper),
        _database=database,
        _asking=asking,
    )


async def _recover(keeper: Keeper) -> None:
    """Settle what the dead left, but keep nobody from reading: the rest comes later."""
    with anyio.move_on_after(RECOVERY_LIMIT_S):
        try:
            await keeper.recover()
        except StorageFailure as failure:
            _logger.warning("dead_not_found", extra={"kind": failure.kind})


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
        InvalidInputFailure: the folder's name is none that a database can have, or
            the database is a link to a file of another name.
    """
    environment = os.environ if environment is None else environment
    chosen = home or environment.get("TINA_HOME") or None
    if chosen is None:
        return find_paths(None).resolved()
    if not is_clean(str(chosen)):
        raise InvalidInputFailure(
            f"The folder {str(chosen)!a} has a name that is not UTF-8 text. "
            "Choose another one with TINA_HOME."
        )
    return find_paths(Path(chosen).expanduser().absolute()).resolved()


async def _open_stores(
    stack: AsyncExitStack, paths: Paths, replacements: Replacements
) -> tuple[Stores, Database | None]:
    if (stores := replacements.get("stores")) is not None:
        return stores, None
    database = await _open_database(
        stack,
        paths,
        replacements.get("clock") or SystemClock(),
        replacements.get("ids") or SystemIds(),
    )
    return database, database


def _ports(stores: Stores, replacements: Replacements, asking: Asking) -> Ports:
    given = replacements
    return Ports(
        conversations=given.get("conversations", stores.conversations),
        messages=given.get("messages", stores.messages),
        turns=given.get("turns", stores.turns),
        journal=given.get("journal", stores.journal),
        tool_calls=given.get("tool_calls", stores.tool_calls),
        grants=given.get("grants", stores.grants),
        ledger=given.get("ledger", stores.ledger),
        live=given.get("live", stores.live),
        search=given.get("search", stores.search),
        leases=given.get("leases", stores.leases),
        providers=asking,
        facts=given.get("facts", asking),
        clock=given.get("clock") or SystemClock(),
        ids=given.get("ids") or SystemIds(),
    )


async def _open_database(
    stack: AsyncExitStack, paths: Paths, clock: Clock, ids: IdFactory
) -> Database:
    try:
        ensure_folder(paths.leases)
    except StorageFailure:
        if not paths.database.exists():
            raise
        # What is stored can be read without a lease; whoever asks is refused then.
    database = Database(paths.database, leases=paths.leases, clock=clock, ids=ids)
    stack.push_async_callback(database.close)
    await database.open()
    if not database.is_read_only:
        stack.push_async_callback(_catch_up, database)
    return database


async def _catch_up(database: Database) -> None:
    """Make the day's backup on leaving, if nobody was here long enough to make it."""
    with anyio.move_on_after(CATCH_UP_LIMIT_S):
        try:
            await database.upkeep.catch_up()
        except StorageFailure as failure:
            _logger.warning("no_daily_backup", extra={"kind": failure.kind})
