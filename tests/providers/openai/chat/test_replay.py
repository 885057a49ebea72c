import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.ids import ToolCallId
from tina.domain.messages import ToolCallPart
from tina.providers.openai.chat.chunks import Delta
from tina.providers.openai.chat.replay import Leftovers, Said, read_said

TEXT, SIGNED = "reasoning.text", "reasoning.encrypted"

CASES = [
    pytest.param([{"content": "Hi"}], {}, id="nothing"),
    pytest.param([{"reasoning_details": None}], {}, id="null"),
    pytest.param([{"reasoning_details": 3}], {}, id="odd"),
    pytest.param([{"reasoning_details": [3, None, "x"]}], {}, id="odd-details"),
    pytest.param(
        [
            {"reasoning_details": [{"type": TEXT, "index": 0, "text": "a"}]},
            {"reasoning_details": [{"type": TEXT, "index": 0, "text": "b", "x": None}]},
            {"reasoning_details": [{"type": TEXT, "index": 0, "signature": "s"}]},
        ],
        {
            "reasoning_details": [
                {"type": TEXT, "index": 0, "signature": "s", "text": "ab"}
            ]
        },
        id="by-index",
    ),
    pytest.param(
        [
            {"reasoning_details": [{"type": TEXT, "id": "1", "summary": "a"}]},
            {"reasoning_details": [{"type": SIGNED, "id": "1", "data": "x"}]},
            {"reasoning_details": [{"type": TEXT, "id": "1", "summary": "b"}]},
        ],
        {
            "reasoning_details": [
                {"type": TEXT, "id": "1", "summary": "ab"},
                {"type": SIGNED, "id": "1", "data": "x"},
            ]
        },
        id="by-id-and-type",
    ),
    pytest.param(
        [{"reasoning_details": [{"text": "a"}, {"text": "b"}]}],
        {"reasoning_details": [{"text": "a"}, {"text": "b"}]},
        id="without-either",
    ),
    pytest.param(
        [
            {"reasoning_details": [{"index": 0, "text": "a", "summary": None}]},
            {"reasoning_details": [{"index": 0, "text": 3}]},
        ],
        {"reasoning_details": [{"index": 0, "text": "a"}]},
        id="odd-text",
    ),
]


def read(leftovers: Leftovers, delta: object) -> str:
    return leftovers.read(msgspec.json.decode(msgspec.json.encode(delta), type=Delta))


def leftovers_of(deltas: list[object]) -> dict[str, object]:
    leftovers = Leftovers()
    for delta in deltas:
        read(leftovers, delta)
    encoded = msgspec.json.encode(leftovers.as_wire())
    return msgspec.json.decode(encoded, type=dict[str, object])


@pytest.mark.parametrize(("deltas", "wire"), CASES)
def test_pieces_become_what_is_sent_back(
    deltas: list[object], wire: dict[str, object]
) -> None:
    assert leftovers_of(deltas) == wire


@given(st.lists(st.text(max_size=4), min_size=1))
def test_however_a_detail_is_cut_it_comes_back_whole(pieces: list[str]) -> None:
    details = [{"index": 0, "type": TEXT, "text": piece} for piece in pieces]

    wire = leftovers_of([{"reasoning_details": [detail]} for detail in details])

    assert wire["reasoning_details"] == [{**details[0], "text": "".join(pieces)}]


def test_what_people_may_read_of_it_is_told() -> None:
    details = [
        {"type": TEXT, "text": "I "},
        {"type": "reasoning.summary", "summary": "add."},
        {"type": SIGNED, "data": "x"},
        {"text": 3},
    ]

    assert read(Leftovers(), {"reasoning_details": details}) == "I add."


def part(call_id: str) -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool="look", arguments="{}")


def test_a_replay_gives_back_what_it_holds() -> None:
    said = read_said(
        '{"role":"assistant","reasoning_details":[{"index":0}],"tool_calls":['
        '{"id":"a","extra_content":1},{"id":"b"},{"id":"a","extra_content":2}]}'
    )

    extras = [said.extra_of(nth, part(name)) for nth, name in enumerate("abac")]
    assert [None if extra is None else bytes(extra) for extra in extras] == [
        b"1",
        None,
        b"2",
        None,
    ]
    assert [bytes(detail) for detail in said.reasoning_details] == [b'{"index":0}']
    assert said.extra_of(7, part("a")) == msgspec.Raw(b"1")


@pytest.mark.parametrize(
    "payload",
    ["", "[]", '{"tool_calls":3}', '{"reasoning_details":[', "\ud800", "[" * 99_999],
)
def test_a_replay_of_another_shape_holds_nothing(payload: str) -> None:
    assert read_said(payload) == Said()
