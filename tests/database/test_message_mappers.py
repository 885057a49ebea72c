"""Many rows become messages as one does; a branch is found in any order."""

from datetime import UTC, datetime, timedelta
from typing import cast, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tina.database.branches import walk_to_root, walk_to_tip
from tina.database.mappers.messages import (
    PREVIEW_CHARS,
    preview_of,
    to_branch,
    to_message,
    to_row,
    to_usage_row,
)
from tina.database.mappers.values import (
    all_from_milliseconds,
    encoded,
    from_milliseconds,
    to_milliseconds,
)
from tina.database.rows import (
    MESSAGE_CONVERSATION_ID,
    MESSAGE_CREATED_AT,
    MESSAGE_ID,
    MESSAGE_PARENT_ID,
    MessageRow,
    MessageValues,
)
from tina.domain.chat import StopReason, Usage
from tina.domain.failures import DamagedFailure, FailureRecord
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId
from tina.domain.messages import (
    Message,
    MessageStatus,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
)

AT = datetime(2026, 11, 23, 1, 2, 3, 456_000, tzinfo=UTC)
LAST_MILLISECOND = to_milliseconds(datetime(9999, 12, 31, tzinfo=UTC))


def message(number: int, parent: int | None) -> Message:
    return Message(
        id=MessageId(f"{number:032x}"),
        conversation_id=ConversationId("c" * 32),
        parent_id=None if parent is None else MessageId(f"{parent:032x}"),
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text=f"number {number}"),),
        created_at=AT + timedelta(milliseconds=number),
    )


RICH = structs.replace(
    message(7, 6),
    role=Role.ASSISTANT,
    status=MessageStatus.FAILED,
    parts=(ReasoningPart(text="Hm."), TextPart(text="Ice.")),
    model="openai:x",
    stop_reason=StopReason.STOP,
    usage=Usage(input_tokens=1, output_tokens=2),
    failure=FailureRecord(kind="server", message="It broke."),
    replay=Replay(provider="openai", payload="{}"),
    metadata={"source": "import"},
)
EMPTY = structs.replace(message(8, 7), parts=())


def row_of(message: Message, seq: int = 1) -> MessageRow:
    return to_row(message, owner_id=LAPTOP_OWNER, seq=seq)


def values_of(row: MessageRow) -> MessageValues:
    return cast("MessageValues", structs.astuple(row))


def rows_of_branch(length: int) -> list[MessageValues]:
    return [
        values_of(row_of(message(n, n - 1 if n else None), n + 1))
        for n in range(length)
    ]


def test_values_stand_in_the_order_of_a_row() -> None:
    columns = get_type_hints(MessageRow)
    names = tuple(columns)

    assert get_args(MessageValues) == tuple(columns.values())
    assert names == MessageRow.__struct_fields__
    assert names[MESSAGE_ID] == "id"
    assert names[MESSAGE_CONVERSATION_ID] == "conversation_id"
    assert names[MESSAGE_PARENT_ID] == "parent_id"
    assert names[MESSAGE_CREATED_AT] == "created_at"


def test_many_rows_become_what_each_becomes_alone() -> None:
    branch = (message(6, None), RICH, EMPTY)
    rows = [row_of(message) for message in branch]
    sibling = row_of(message(9, 7))

    messages = to_branch(
        [values_of(row) for row in (*rows, sibling)], tip_id=rows[-1].id
    )

    assert messages == branch
    assert tuple(to_message(row) for row in rows) == branch
    assert to_branch([], tip_id=None) == ()


def test_a_branch_whose_root_is_lost_still_names_it() -> None:
    rest = (RICH, EMPTY)
    rows = [values_of(row_of(message)) for message in rest]

    assert to_branch(rows, tip_id=rows[-1][MESSAGE_ID]) == rest


@pytest.mark.parametrize(
    "spoilt",
    [
        {"role": "alien"},
        {"status": "alien"},
        {"stop_reason": "alien"},
        {"parts": "[{]"},
        {"usage": "7"},
        {"created_at": 10**18},
    ],
)
def test_the_row_that_cannot_be_read_is_named(spoilt: dict[str, object]) -> None:
    bad = structs.replace(row_of(RICH), **spoilt)
    rows = [values_of(row_of(message(6, None))), values_of(bad)]

    with pytest.raises(DamagedFailure, match=bad.id.hex()):
        to_branch(rows, tip_id=bad.id)


def test_what_is_not_on_the_way_cannot_spoil_a_branch() -> None:
    root = message(1, None)
    bad = structs.replace(row_of(message(2, 1)), role="alien")
    rows = [values_of(row_of(root)), values_of(bad)]

    assert to_branch(rows, tip_id=rows[0][MESSAGE_ID]) == (root,)


@given(st.lists(st.integers(-(10**11), LAST_MILLISECOND)))
def test_many_times_are_exactly_the_times_of_each(milliseconds: list[int]) -> None:
    times = all_from_milliseconds(milliseconds)

    assert list(times) == [from_milliseconds(value) for value in milliseconds]
    assert [to_milliseconds(time) for time in times] == milliseconds


def test_what_an_answer_used_is_an_entry_of_the_ledger() -> None:
    usage = Usage(input_tokens=1, output_tokens=2)

    row = to_usage_row(RICH, usage, owner_id=LAPTOP_OWNER, created_at=5)

    assert row.message_id == row_of(RICH).id
    assert (row.model, row.input_tokens, row.output_tokens) == ("openai:x", 1, 2)
    assert (row.created_at, row.cost_micros) == (5, None)


def test_a_preview_is_one_line_of_what_is_said() -> None:
    long = structs.replace(EMPTY, parts=(TextPart(text="one\n two\t" * 100),))

    preview = preview_of(long)

    assert preview.startswith("one two one two")
    assert len(preview) == PREVIEW_CHARS


def test_what_is_not_there_stays_none() -> None:
    assert encoded(None) is None
    assert encoded({"a": 1}) == '{"a":1}'


@pytest.mark.parametrize("order", ["stored", "reversed", "mixed"])
def test_a_branch_is_found_in_any_order(order: str) -> None:
    rows = rows_of_branch(20)
    sibling = values_of(row_of(message(99, 3), 21))
    given_rows = [*rows, sibling]
    if order == "reversed":
        given_rows.reverse()
    elif order == "mixed":
        given_rows = [*rows[1::2], sibling, *rows[::2]]

    assert walk_to_root(given_rows, tip_id=rows[-1][MESSAGE_ID]) == rows
    assert walk_to_root(given_rows, tip_id=sibling[MESSAGE_ID]) == [*rows[:4], sibling]


def links_of(rows: list[MessageValues]) -> list[tuple[bytes | None, bytes]]:
    return [(row[MESSAGE_PARENT_ID], row[MESSAGE_ID]) for row in rows]


def test_a_tree_that_is_damaged_ends_the_walk() -> None:
    rows = rows_of_branch(5)
    newest = rows[-1][MESSAGE_ID]
    circle = values_of(structs.replace(MessageRow(*rows[0]), parent_id=newest))

    assert walk_to_root(rows[2:], tip_id=newest) == rows[2:]
    assert walk_to_root([circle, *rows[1:]], tip_id=newest) == [circle, *rows[1:]]
    assert walk_to_root(rows, tip_id=None) == []
    assert (
        walk_to_tip(links_of([circle, *rows[1:]]), from_id=rows[0][MESSAGE_ID])
        == rows[0][MESSAGE_ID]
    )


def test_the_tip_is_at_the_end_of_the_newest_children() -> None:
    rows = [*rows_of_branch(4), values_of(row_of(message(99, 1), 5))]
    links = links_of(rows)

    assert walk_to_tip(links, from_id=rows[0][MESSAGE_ID]) == rows[-1][MESSAGE_ID]
    assert walk_to_tip(links, from_id=rows[2][MESSAGE_ID]) == rows[3][MESSAGE_ID]
