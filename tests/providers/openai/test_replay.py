import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.providers.openai.chunks import Delta
from tina.providers.openai.replay import Leftovers

TEXT, SIGNED = "reasoning.text", "reasoning.encrypted"

CASES = [
    pytest.param([{"content": "Hi"}], {}, id="nothing"),
    pytest.param([{"reasoning_details": None}, {"audio": None}], {}, id="null"),
    pytest.param([{"reasoning_details": 3}, {"audio": "x"}], {}, id="odd"),
    pytest.param([{"reasoning_details": [3, None, "x"]}], {}, id="odd-details"),
    pytest.param([{"audio": {"id": ""}}, {"audio": {"id": 7}}], {}, id="odd-audio"),
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
        [{"audio": {"id": "a1", "data": "UklG"}}, {"audio": {"transcript": "Hi"}}],
        {"audio": {"id": "a1"}},
        id="audio",
    ),
]


def leftovers_of(deltas: list[object]) -> dict[str, object]:
    leftovers = Leftovers()
    for delta in deltas:
        leftovers.read(msgspec.json.decode(msgspec.json.encode(delta), type=Delta))
    return leftovers.as_wire()


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
