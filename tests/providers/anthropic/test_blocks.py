import msgspec
import pytest

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.failures import ProtocolFailure
from tina.domain.ids import ToolCallId
from tina.providers.anthropic.blocks import Block
from tina.providers.anthropic.events import Delta, fields_of


def block_of(**fields: object) -> Block:
    wire = fields_of(msgspec.json.encode(fields))
    assert wire is not None
    return Block("7", wire, spare_id="toolu_7_spare")


def delta_of(kind: str, **fields: object) -> Delta:
    return msgspec.convert(
        {"type": kind, **{name: raw(value) for name, value in fields.items()}}, Delta
    )


def raw(value: object) -> object:
    return value if isinstance(value, str) else msgspec.Raw(msgspec.json.encode(value))


def wire_of(block: Block) -> object:
    return msgspec.json.decode(msgspec.json.encode(block.as_wire()))


def test_a_call_without_id_and_name_gets_them() -> None:
    block = block_of(type="tool_use", id=7)

    assert block.start() == [
        BlockStart("7", BlockKind.TOOL_CALL, ToolCallId("toolu_7_spare"), "unknown")
    ]
    assert wire_of(block) == {
        "type": "tool_use",
        "id": "toolu_7_spare",
        "name": "unknown",
        "input": {},
    }


INPUTS = [
    pytest.param({"input": {}}, [], "{}", False, id="placeholder"),
    pytest.param({}, [""], "{}", False, id="nothing"),
    pytest.param({"input": None}, [], "{}", False, id="null"),
    pytest.param({"input": [1]}, [], "{}", False, id="no-object"),
    pytest.param({"input": {"a": 1}}, [], '{"a":1}', False, id="whole-at-once"),
    pytest.param({"input": {"a": 1}}, ['{"b"', ":2}"], '{"b":2}', False, id="said"),
    pytest.param({}, ['{"b"'], '{"b"', True, id="cut"),
    pytest.param({}, ["[1]"], "[1]", True, id="array"),
]


@pytest.mark.parametrize(("fields", "pieces", "arguments", "is_doubtful"), INPUTS)
def test_arguments_are_what_was_said(
    fields: dict[str, object], pieces: list[str], arguments: str, *, is_doubtful: bool
) -> None:
    block = block_of(type="tool_use", id="1", name="look", **fields)

    said = [
        event
        for piece in pieces
        for event in block.add(delta_of("input_json_delta", partial_json=piece))
    ]
    said += block.end()

    fragments = [
        event.fragment for event in said if isinstance(event, ToolArgumentsDelta)
    ]
    assert "".join(fragments) == arguments
    assert said[-1] == BlockEnd("7")
    assert block.is_doubtful is is_doubtful


def test_arguments_that_are_no_object_are_kept_as_text() -> None:
    block = block_of(type="tool_use", id="1", name="look")
    block.add(delta_of("input_json_delta", partial_json='{"b"'))

    assert block.as_wire()["input"] == {"INVALID_JSON": '{"b"'}


def test_numbers_keep_their_digits() -> None:
    block = block_of(type="tool_use", id="1", name="look")
    block.add(delta_of("input_json_delta", partial_json='{"n": 1.0000000000000000001}'))

    assert b'{"n": 1.0000000000000000001}' in msgspec.json.encode(block.as_wire())


def test_what_a_block_begins_with_is_said() -> None:
    block = block_of(
        type="text", text="Hi", citations=[{"document_title": "D"}, {}, None]
    )

    assert block.start() == [
        BlockStart("7", BlockKind.TEXT),
        TextDelta("7", "Hi"),
        Citation("7", "D"),
    ]


def test_a_block_without_text_begins_with_nothing() -> None:
    assert block_of(type="text").start() == [BlockStart("7", BlockKind.TEXT)]
    assert block_of(type="text", text=None).start() == [BlockStart("7", BlockKind.TEXT)]


@pytest.mark.parametrize("kind", ["text_delta", "thinking_delta", "input_json_delta"])
def test_nothing_adds_nothing(kind: str) -> None:
    block = block_of(type="text", text="Hi")

    assert block.add(Delta(type=kind)) == []
    assert block.add(Delta(type=kind, text="", thinking="", partial_json="")) == []


def test_text_of_nul_alone_says_nothing_but_is_kept() -> None:
    block = block_of(type="thinking", thinking="")

    assert block.add(delta_of("thinking_delta", thinking="\0")) == []
    assert block.as_wire()["thinking"] == "\0"


def test_a_piece_that_is_no_text_is_refused() -> None:
    with pytest.raises(ProtocolFailure):
        block_of(type="text").add(Delta(type="text_delta", text=["a"]))


def test_a_signature_is_set_and_not_added() -> None:
    block = block_of(type="thinking", thinking="hm", signature="old")
    block.start()

    assert block.add(delta_of("signature_delta", signature="new")) == []
    assert block.add(Delta(type="signature_delta", signature=3)) == []
    assert wire_of(block) == {"type": "thinking", "thinking": "hm", "signature": "new"}


def test_a_compaction_is_set() -> None:
    block = block_of(type="compaction", content=None)

    block.add(delta_of("compaction_delta", content=["a"], encrypted_content=["b"]))
    block.add(Delta(type="compaction_delta"))

    assert wire_of(block) == {
        "type": "compaction",
        "content": ["a"],
        "encrypted_content": ["b"],
    }
    assert block.end() == []


def test_a_citation_is_told_and_kept() -> None:
    block = block_of(type="text", text="", citations=None)
    page = {"type": "page_location", "document_index": 1, "document_title": None}

    assert block.add(delta_of("citations_delta", citation=page)) == [
        Citation("7", "Document 2")
    ]
    assert block.add(Delta(type="citations_delta")) == []
    assert wire_of(block) == {"type": "text", "text": "", "citations": [page]}


EXPRESSED: list[tuple[dict[str, object], bool]] = [
    ({"type": "text", "text": "Hi"}, True),
    ({"type": "text", "text": "Hi", "citations": None}, True),
    ({"type": "text", "text": "Hi", "citations": [{}]}, False),
    ({"type": "text", "text": "Hi", "news": 1}, False),
    ({"type": "tool_use", "id": "1", "name": "a", "input": {}}, True),
    ({"type": "tool_use", "id": "1", "name": "a", "caller": {}}, False),
    ({"type": "thinking", "thinking": "hm"}, False),
    ({"type": "redacted_thinking", "data": "x"}, False),
    ({"type": "news"}, False),
]


@pytest.mark.parametrize(("fields", "is_expressed"), EXPRESSED)
def test_a_block_is_expressed_if_parts_hold_all_of_it(
    fields: dict[str, object], *, is_expressed: bool
) -> None:
    assert block_of(**fields).is_expressed is is_expressed


def test_a_block_that_nobody_reads_says_nothing() -> None:
    block = block_of(type="server_tool_use", id="srv_1", name="web_search")
    cited = delta_of("citations_delta", citation={"title": "A"})

    said = [*block.start(), *block.add(cited)]
    said += block.add(delta_of("input_json_delta", partial_json='{"a":1}'))

    assert [*said, *block.end()] == []
    assert block.as_wire()["input"] == msgspec.Raw(b'{"a":1}')
