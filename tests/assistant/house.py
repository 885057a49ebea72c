"""The use cases on a database in memory, with a provider that follows a script."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from msgspec import structs

from tina.assistant import (
    Assistant,
    Journal,
    Keeper,
    Ports,
    Runner,
    Running,
    Turn,
    Watching,
)
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import TextDelta
from tina.domain.ids import LeaseId
from tina.domain.messages import Message
from tina.domain.ports import Provider
from tina.domain.turns import OpenTurn
from tina.providers.registry import ProviderRegistry
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryLeases, MemoryTurns
from tina.testing.provider import ScriptedProvider, Step
from tina.testing.stores import MemoryStores


@dataclass
class Process:
    """One process: what it runs, on stores that others may share."""

    stores: MemoryStores
    ports: Ports
    assistant: Assistant
    running: Running
    keeper: Keeper
    watching: Watching
    group: TaskGroup
    provider: ScriptedProvider

    def runner(self, *, slots: int) -> Runner:
        return Runner(self.ports, self.running, self.keeper, slots=slots)


@dataclass
class House:
    process: Process
    conversation: Conversation

    @property
    def assistant(self) -> Assistant:
        return self.process.assistant

    @property
    def stores(self) -> MemoryStores:
        return self.process.stores

    @property
    def provider(self) -> ScriptedProvider:
        return self.process.provider

    @property
    def group(self) -> TaskGroup:
        return self.process.group

    async def send(self, text: str = "Why?") -> Turn:
        return await self.assistant.send(self.conversation.id, text)

    async def stored(self, turn: Turn) -> Message:
        message = await self.stores.messages.get(turn.message_id)
        assert message is not None
        return message


def make_stores(
    *,
    turns: type[MemoryTurns] = MemoryTurns,
    clock: FakeClock | None = None,
) -> MemoryStores:
    stores = MemoryStores(clock=clock or FakeClock(), ids=FakeIds())
    stores.turns = turns(stores.rows)
    return stores


def ports_of(
    stores: MemoryStores,
    *,
    provider: Provider | None = None,
    alive: set[LeaseId] | None = None,
) -> Ports:
    given = {} if provider is None else {"scripted": provider}
    return Ports(
        conversations=stores.conversations,
        messages=stores.messages,
        turns=stores.turns,
        journal=stores.journal,
        tool_calls=stores.tool_calls,
        grants=stores.grants,
        live=stores.live,
        search=stores.search,
        leases=MemoryLeases(ids=stores.ids, alive=alive),
        providers=ProviderRegistry({}, given=given, offered=frozenset()),
        clock=stores.clock,
        ids=stores.ids,
    )


@asynccontextmanager
async def process(
    stores: MemoryStores, *steps: Step, alive: set[LeaseId] | None = None
) -> AsyncGenerator[Process]:
    """Another process on the same stores; leaving it is its orderly end."""
    provider = ScriptedProvider(*steps)
    ports = ports_of(stores, provider=provider, alive=alive)
    journal = Journal(ports.journal, clock=ports.clock)
    keeper = Keeper(ports)
    async with anyio.create_task_group() as group:
        running = Running(ports, journal=journal, group=group)
        group.start_soon(journal.run)
        group.start_soon(keeper.run)
        yield Process(
            stores=stores,
            ports=ports,
            assistant=Assistant(
                ports,
                running=running,
                keeper=keeper,
                default_model="scripted:parrot",
            ),
            running=running,
            keeper=keeper,
            watching=Watching(ports, running=running, keeper=keeper),
            group=group,
            provider=provider,
        )
        group.cancel_scope.cancel()


@asynccontextmanager
async def house(
    *steps: Step, turns: type[MemoryTurns] = MemoryTurns
) -> AsyncGenerator[House]:
    """One process and one conversation."""
    stores = make_stores(turns=turns)
    conversation = await stores.conversations.create(
        NewConversation(system="Be brief.")
    )
    with anyio.fail_after(5):
        async with process(stores, *steps) as only:
            yield House(only, conversation)


async def wait_for_text(turn: Turn) -> None:
    async for event in turn.events():
        if isinstance(event, TextDelta):
            return


def asking(turn: OpenTurn, model: str) -> OpenTurn:
    return structs.replace(turn, request=structs.replace(turn.request, model=model))
