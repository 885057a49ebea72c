"""Deltas that are neighbors become one."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.events import (
    BlockKind,
    BlockStart,
    KeepAlive,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    merge_deltas,
)

PING = KeepAlive()
CASES: list[tuple[list[StreamEvent], list[StreamEvent]]] = [
    ([], []),
    ([PING, PING], [PING, PING]),
    ([TextDelta("a", "1"), TextDelta("a", "2")], [TextDelta("a", "12")]),
    (
        [TextDelta("a", "1"), TextDelta("b", "2")],
        [TextDelta("a", "1"), TextDelta("b", "2")],
    ),
    (
        [TextDelta("a", "1"), PING, TextDelta("a", "2")],
        [TextDelta("a", "1"), PING, TextDelta("a", "2")],
    ),
]


@pytest.mark.parametrize(("events", "expected"), CASES)
def test_only_neighbors_of_one_block_are_joined(
    events: list[StreamEvent], expected: list[StreamEvent]
) -> None:
    assert merge_deltas(events) == expected


EVENTS = st.one_of(
    st.builds(TextDelta, st.sampled_from(["a", "b"]), st.text(max_size=3)),
    st.builds(
        BlockStart,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([BlockKind.TEXT, BlockKind.REASONING]),
    ),
    st.builds(ToolArgumentsDelta, st.just("t"), st.text(max_size=3)),
    st.just(PING),
)


def texts_of(events: Sequence[StreamEvent]) -> dict[str, str]:
    texts: dict[str, str] = defaultdict(str)
    for event in events:
        if isinstance(event, TextDelta):
            texts[event.key] += event.text
    return texts


def rest_of(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if not isinstance(event, TextDelta)]


@given(st.lists(EVENTS, max_size=20))
def test_merging_loses_nothing_and_leaves_no_neighbors(
    events: list[StreamEvent],
) -> None:
    merged = merge_deltas(events)

    assert texts_of(merged) == texts_of(events)
    assert rest_of(merged) == rest_of(events)
    assert not any(
        isinstance(first, TextDelta)
        and isinstance(second, TextDelta)
        and first.key == second.key
        for first, second in pairwise(merged)
    )
