"""A decoder at work on what arrives together.

Shared by everything that speaks chat completions, through a socket or in this process.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeVar

from tina.domain.events import StreamEvent, merge_deltas
from tina.domain.failures import Failure, ProviderFailure
from tina.providers.dialect import AnswerDecoder

T = TypeVar("T")

_A_FEW = 2


def decode_batch(
    feed: Callable[[T], list[StreamEvent]], arrived: Iterable[T]
) -> tuple[list[StreamEvent], ProviderFailure | None]:
    """What the pieces say, neighboring deltas joined, and the failure that ends it."""
    events: list[StreamEvent] = []
    try:
        for piece in arrived:
            events += feed(piece)
    except ProviderFailure as failure:
        return merge_deltas(events), failure
    # Mostly there is but one, and nothing to join it to.
    return events if len(events) < _A_FEW else merge_deltas(events), None


async def with_ends(
    batches: AsyncGenerator[Sequence[StreamEvent], None], decoder: AnswerDecoder
) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """The batches; before a failure is raised, the end of each block that began.

    They are closed with this; consume under `aclosing`.
    """
    try:
        async with aclosing(batches):
            async for batch in batches:
                yield batch
    except Failure:
        ends = decoder.abandon()
        if ends:
            yield ends
        raise
