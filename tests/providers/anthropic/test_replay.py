from collections.abc import Sequence

import msgspec
import pytest

from tina.providers.anthropic.replay import (
    Kept,
    answered_ids,
    call_ids,
    only_answered,
    only_signed,
    read_replay,
    sendable,
    type_of,
    without_thinking,
    write_replay,
)
from tina.providers.lenient import Wire


def test_what_is_written_is_read() -> None:
    blocks: list[Wire] = [
        {"type": "text", "text": "Hi"},
        {"type": "news", "a": [1, {"b": None}]},
    ]

    found = read_replay(write_replay(blocks))

    assert found is not None
    assert blocks_in(found) == blocks
    assert [block.head.type for block in found] == ["text", "news"]


def test_raw_fields_are_written_as_they_came() -> None:
    block: Wire = {"type": "news", "n": msgspec.Raw(b"1.50")}

    assert write_replay([block]).endswith('[{"type":"news","n":1.50}]}')


def test_half_a_pair_is_never_written() -> None:
    half = msgspec.Raw(rb'"\ud83d"')

    assert "\\ud83d" not in write_replay([{"type": "text", "text": half}])


def test_the_type_of_a_block_is_known_in_both_forms() -> None:
    assert type_of({"type": "text"}) == "text"
    assert type_of(msgspec.Raw(b'{"a":1,"type":"thinking"}')) == "thinking"
    assert type_of("text") == ""


THOUGHT: Wire = {"type": "thinking", "thinking": "", "signature": "c2ln"}
UNSIGNED: Wire = {"type": "thinking", "thinking": "hm", "signature": ""}
HIDDEN: Wire = {"type": "redacted_thinking", "data": "x"}
CALL: Wire = {"type": "tool_use", "id": "1", "name": "look", "input": {}}
SEARCH: Wire = {
    "type": "server_tool_use",
    "id": "srv_1",
    "name": "web_search",
    "input": {},
}
ODD: Wire = {"type": "mcp_tool_use", "id": [1]}
FOUND: Wire = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
HI: Wire = {"type": "text", "text": "Hi"}
CITED: Wire = {"type": "text", "text": "", "citations": [{}]}
EMPTY: Wire = {"type": "text", "text": " "}


def kept(*blocks: Wire) -> tuple[Kept, ...]:
    found = read_replay(write_replay(blocks))
    assert found is not None
    return found


def blocks_in(blocks: Sequence[Kept]) -> list[object]:
    return [msgspec.json.decode(block.raw) for block in blocks]


def test_thinking_can_be_left_out_or_the_unsigned_alone() -> None:
    blocks = kept(THOUGHT, UNSIGNED, HIDDEN, HI)

    assert blocks_in(without_thinking(blocks)) == [HI]
    assert blocks_in(only_signed(blocks)) == [THOUGHT, HIDDEN, HI]


def test_calls_of_a_servers_tools_need_their_results() -> None:
    blocks = kept(CALL, SEARCH, ODD, HI)

    assert answered_ids([kept(FOUND, HI), kept(HI)]) == {"srv_1"}
    assert blocks_in(only_answered(blocks, frozenset({"srv_1"}))) == [CALL, SEARCH, HI]
    assert blocks_in(only_answered(blocks, frozenset())) == [CALL, HI]
    assert call_ids(blocks) == ["1"]


def test_what_no_server_takes_is_not_sent() -> None:
    blocks = kept(THOUGHT, EMPTY, CITED, HI, THOUGHT, HIDDEN)

    assert [msgspec.json.decode(raw) for raw in sendable(blocks)] == [
        THOUGHT,
        CITED,
        HI,
    ]
    assert sendable(kept(THOUGHT)) == []


@pytest.mark.parametrize(
    "payload", ["", "[]", '{"role":"user","content":[{"type":"text"}]}', "{" * 100_000]
)
def test_another_shape_is_no_replay(payload: str) -> None:
    assert read_replay(payload) is None
