"""What was said between two looks at a message."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.assistant.answer import Answer
from tina.cli.growth import events_between
from tina.domain.events import (
    BlockKind,
    BlockStart,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.ids import ToolCallId
from tina.domain.messages import (
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)


def call(arguments: str) -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId("c1"), tool="look", arguments=arguments)


CASES = [
    pytest.param((), (), [], id="nothing"),
    pytest.param(
        (),
        (TextPart(text="Ice"),),
        [BlockStart("0", BlockKind.TEXT), TextDelta("0", "Ice")],
        id="a-new-part",
    ),
    pytest.param(
        (TextPart(text="Ice"),),
        (TextPart(text="Ice age"),),
        [TextDelta("0", " age")],
        id="a-part-that-grew",
    ),
    pytest.param(
        (ReasoningPart(text="hm"),),
        (ReasoningPart(text="hmm"), RefusalPart(text="No.")),
        [
            TextDelta("0", "m"),
            BlockStart("1", BlockKind.REFUSAL),
            TextDelta("1", "No."),
        ],
        id="two-parts",
    ),
    pytest.param(
        (call('{"a'),),
        (call('{"a":1}'),),
        [ToolArgumentsDelta("0", '":1}')],
        id="a-tool-call",
    ),
    pytest.param((), (ImagePart(media_type="image/png", data=b""),), [], id="an-image"),
]


@pytest.mark.parametrize(("before", "after", "events"), CASES)
def test_what_was_said_between_two_looks(
    before: tuple[Part, ...], after: tuple[Part, ...], events: list[object]
) -> None:
    assert list(events_between(before, after)) == events


TEXTS = st.lists(
    st.tuples(
        st.sampled_from([TextPart, ReasoningPart, RefusalPart, call]),
        st.text(min_size=1),
    ),
    max_size=4,
)


@given(TEXTS, st.data())
def test_the_looks_together_give_the_whole(
    said: list[tuple[type[TextPart], str]], data: st.DataObject
) -> None:
    whole = tuple(make(text=t) if make is not call else call(t) for make, t in said)
    looks: list[tuple[Part, ...]] = [()]
    for number, (make, text) in enumerate(said):
        cut = data.draw(st.integers(1, len(text)))
        part = make(text=text[:cut]) if make is not call else call(text[:cut])
        looks.append((*whole[:number], part))
    looks.append(whole)
    answer = Answer()

    for before, after in pairwise(looks):
        answer.feed(events_between(before, after))

    assert answer.parts() == whole
