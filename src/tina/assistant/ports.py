"""What the use cases need from the world, in one hand."""

from dataclasses import dataclass

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
    Providers,
    Search,
    ToolCallRepository,
    TurnRepository,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the use cases need from the world."""

    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    journal: JournalRepository
    tool_calls: ToolCallRepository
    grants: GrantRepository
    ledger: Ledger
    live: LiveQueries
    search: Search
    leases: Leases
    providers: Providers
    facts: ModelFacts
    clock: Clock
    ids: IdFactory
