"""What a person set once for all turns. Pure."""

from collections.abc import Mapping

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, who is asked next, and when it has cost enough.

    `fallbacks` name, for a `provider:model`, those to ask if it says nothing;
    `fallback` holds for all others. Limits are millionths of a US dollar; None is no
    limit.
    """

    model: str
    """`provider:model` where nobody is named."""
    fallbacks: Mapping[str, tuple[str, ...]] = {}
    fallback: tuple[str, ...] = ()
    day_limit_micros: int | None = None
    conversation_limit_micros: int | None = None

    def fallback_for(self, model: str) -> tuple[str, ...]:
        """The models to ask after this one, as configured."""
        return self.fallbacks.get(model, self.fallback)
