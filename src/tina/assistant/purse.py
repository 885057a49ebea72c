"""What running turns may still spend: a limit holds for all of them together."""

import anyio

from tina.assistant.ports import Ports
from tina.assistant.rules import Rules
from tina.domain.failures import SpendingLimitFailure
from tina.domain.ids import ConversationId
from tina.domain.money import dollars


class Purse:
    """Reserves what a request will cost at least, until its answer is in the ledger.

    For the turns of this process; those of another are seen when they have ended.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._reserved: dict[object, tuple[ConversationId, int]] = {}
        # Between the look at what was spent and the reservation nobody else may look.
        self._lock = anyio.Lock()

    async def reserve(
        self, owner: object, conversation_id: ConversationId, micros: int, rules: Rules
    ) -> None:
        """Set so much aside for an owner; it takes the place of what it had.

        Raises:
            SpendingLimitFailure: it would be more than a person allowed.
            StorageFailure: it cannot be read what was spent.
        """
        async with self._lock:
            self.release(owner)
            await self._check(conversation_id, micros, rules)
            self._reserved[owner] = (conversation_id, micros)

    def release(self, owner: object) -> None:
        """Give back what is set aside; twice is harmless."""
        self._reserved.pop(owner, None)

    async def _check(
        self, conversation_id: ConversationId, micros: int, rules: Rules
    ) -> None:
        limit = rules.conversation_limit_micros
        if limit is not None:
            spent = await self._ports.ledger.spent_micros(
                conversation_id=conversation_id
            )
            spent += sum(
                held
                for where, held in self._reserved.values()
                if where == conversation_id
            )
            if spent >= limit or spent + micros > limit:
                raise _over(
                    "this conversation", "usd_per_conversation", spent, limit, micros
                )
        limit = rules.day_limit_micros
        if limit is not None:
            # A day of UTC: the ledger knows no place.
            midnight = self._ports.clock.now().replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            spent = await self._ports.ledger.spent_micros(since=midnight)
            spent += sum(held for _, held in self._reserved.values())
            if spent >= limit or spent + micros > limit:
                raise _over("a day", "usd_per_day", spent, limit, micros)


def _over(
    what: str, name: str, spent: int, limit: int, micros: int
) -> SpendingLimitFailure:
    alone = f" This question alone costs about {dollars(micros)}." if micros else ""
    return SpendingLimitFailure(
        f"Your limit for {what} is {dollars(limit)}, and {dollars(spent)} are spent or "
        f"set aside: nothing was sent.{alone} "
        f"Raise {name} in config.toml, or ask a model that costs nothing, "
        "such as local:smollm2."
    )
