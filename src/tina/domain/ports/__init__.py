"""What the use cases need from the world. Adapters fulfil it, `wiring` brings it."""

from tina.domain.ports.machine import (
    Clock,
    IdFactory,
)
from tina.domain.ports.models import (
    ModelFacts,
    Provider,
    Providers,
    SecretStore,
)
from tina.domain.ports.stores import (
    ConversationRepository,
    GrantRepository,
    JournalPiece,
    JournalRepository,
    Leases,
    Ledger,
    LiveQueries,
    MessageRepository,
    Search,
    ToolCallRepository,
    TurnRepository,
)

__all__ = [
    "Clock",
    "ConversationRepository",
    "GrantRepository",
    "IdFactory",
    "JournalPiece",
    "JournalRepository",
    "Leases",
    "Ledger",
    "LiveQueries",
    "MessageRepository",
    "ModelFacts",
    "Provider",
    "Providers",
    "Search",
    "SecretStore",
    "ToolCallRepository",
    "TurnRepository",
]
