"""The use cases on a database in memory, with a provider that follows a script."""

from collections.abc import AsyncGenerator, Mapping
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
    Rules,
    Runner,
    Running,
    Turn,
    Watching,
)
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import TextDelta
from tina.domain.ids import LeaseId
from tina.domain.messages import Message
from tina.domain.ports import ModelFacts, Provider
from tina.domain.turns import OpenTurn
from tina.testing.clock import FakeClock
from tina.testing.facts import FakeModelFacts
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryLeases, MemoryTurns
from tina.testing.provider import FakeProviders, ScriptedProvider, Step
from tina.testing.stores import MemoryStores

RULES = Rules(model="scripted:parrot")


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
    others: Mapping[str, Provider] | None = None,
    facts: ModelFacts | None = None,
    alive: set[LeaseId] | None = None,
) -> Ports:
    given = dict(others or {})
    if provider is not None:
        given["scripted"] = provider
    return Ports(
        conversations=stores.conversations,
        messages=stores.messages,
        turns=stores.turns,
        journal=stores.journal,
        tool_calls=stores.tool_calls,
        grants=stores.grants,
        ledger=stores.ledger,
        live=stores.live,
        search=stores.search,
        leases=MemoryLeases(ids=stores.ids, alive=alive),
        providers=FakeProviders(given),
        facts=facts or FakeModelFacts(),
        clock=stores.clock,
        ids=stores.ids,
    )


@asynccontextmanager
async def process(
    stores: MemoryStores,
    *steps: Step,
    alive: set[LeaseId] | None = None,
    others: Mapping[str, Provider] | None = None,
    facts: ModelFacts | None = None,
    rules: Rules = RULES,
) -> AsyncGenerator[Process]:
    """Another process on the same stores; leaving it is its orderly end."""
    provider = ScriptedProvider(*steps)
    ports = ports_of(stores, provider=provider, alive=alive, others=others, facts=facts)
    journal = Journal(ports.journal, clock=ports.clock)
    keeper = Keeper(ports)
    async with anyio.create_task_group() as group:
        running = Running(ports, rules=lambda: rules, journal=journal, group=group)
        group.start_soon(journal.run)
        group.start_soon(keeper.run)
        yield Process(
            stores=stores,
            ports=ports,
            assistant=Assistant(
                ports,
                rules=lambda: rules,
                running=running,
                keeper=keeper,
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
    *steps: Step,
    turns: type[MemoryTurns] = MemoryTurns,
    metadata: Mapping[str, str] | None = None,
    others: Mapping[str, Provider] | None = None,
    facts: ModelFacts | None = None,
    rules: Rules = RULES,
) -> AsyncGenerator[House]:
    """One process and one conversation."""
    stores = make_stores(turns=turns)
    conversation = await stores.conversations.create(
        NewConversation(system="Be brief.", metadata=metadata)
    )
    with anyio.fail_after(5):
        async with process(
            stores, *steps, others=others, facts=facts, rules=rules
        ) as only:
            yield House(only, conversation)


async def wait_for_text(turn: Turn) -> None:
    async for event in turn.events():
        if isinstance(event, TextDelta):
            return


def asking(turn: OpenTurn, model: str) -> OpenTurn:
    return structs.replace(turn, request=structs.replace(turn.request, model=model))
