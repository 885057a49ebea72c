"""Tool calls, grants and imports: what goes into a row comes out of it again."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tina.database.mappers.tools import (
    to_call_end,
    to_grant,
    to_import_row,
    to_new_call_row,
    to_new_grant_row,
    to_tool_call,
)
from tina.database.mappers.values import from_milliseconds, to_milliseconds
from tina.database.tool_rows import GrantRow, ToolCallRow
from tina.domain.conversations import Origin
from tina.domain.failures import DamagedFailure
from tina.domain.ids import (
    ConversationId,
    GrantId,
    MessageId,
    OwnerId,
    ToolCallId,
    ToolRunId,
)
from tina.domain.tools import (
    Decision,
    NewGrant,
    NewToolCall,
    ToolCallStatus,
    ToolOutcome,
)

OWNER = OwnerId(7)
MOMENTS = st.integers(0, 2**42).map(from_milliseconds)
IDS = st.uuids().map(lambda made: made.hex)
NEW_CALLS = st.builds(
    NewToolCall,
    conversation_id=IDS.map(ConversationId),
    message_id=IDS.map(MessageId),
    place=st.integers(0, 2**31),
    call_id=st.text().map(ToolCallId),
    server=st.text(),
    tool=st.text(),
    tool_hash=st.text(),
    arguments=st.text(),
    status=st.sampled_from(ToolCallStatus),
)
NEW_GRANTS = st.builds(
    NewGrant,
    decision=st.sampled_from(Decision),
    conversation_id=st.none() | IDS.map(ConversationId),
    server=st.text(),
    tool=st.text(),
    config_hash=st.text(),
    tool_hash=st.text(),
    expires_at=st.none() | MOMENTS,
)
OUTCOMES = st.none() | st.builds(ToolOutcome, content=st.text(), is_error=st.booleans())
ENDS = [status for status in ToolCallStatus if status.is_over]

CALL_ROW = ToolCallRow(
    owner_id=1,
    id=b"\x01" * 16,
    conversation_id=b"\x02" * 16,
    message_id=b"\x03" * 16,
    place=0,
    call_id="call_1",
    server="files",
    tool="read",
    tool_hash="a1",
    arguments="{}",
    status="waiting",
    outcome=None,
    created_at=0,
    decided_at=None,
    started_at=None,
    ended_at=None,
)
GRANT_ROW = GrantRow(
    owner_id=1,
    id=b"\x04" * 16,
    decision="allow",
    conversation_id=None,
    server="files",
    tool="read",
    config_hash="c1",
    tool_hash="a1",
    created_at=0,
    expires_at=None,
)


@given(NEW_CALLS, IDS.map(ToolRunId), MOMENTS)
def test_a_new_call_survives_its_row(
    new: NewToolCall, run_id: ToolRunId, now: datetime
) -> None:
    row = to_new_call_row(new, run_id=run_id, owner_id=OWNER, now=now)

    call = to_tool_call(row)
    assert {name: getattr(call, name) for name in structs.asdict(new)} == (
        structs.asdict(new)
    )
    assert (row.owner_id, call.id, call.created_at) == (OWNER, run_id, now)
    assert call.decided_at == (None if new.status is ToolCallStatus.WAITING else now)
    assert call.ended_at == (now if new.status.is_over else None)
    assert (call.outcome, call.started_at) == (None, None)


@given(OUTCOMES, st.sampled_from(ENDS), MOMENTS)
def test_an_end_survives_its_row(
    outcome: ToolOutcome | None, status: ToolCallStatus, now: datetime
) -> None:
    end = to_call_end(
        ToolRunId(CALL_ROW.id.hex()), status, outcome, owner_id=OWNER, now=now
    )

    call = to_tool_call(structs.replace(CALL_ROW, **structs.asdict(end)))
    assert (end.owner_id, end.id) == (OWNER, CALL_ROW.id)
    assert (call.status, call.outcome, call.ended_at) == (status, outcome, now)


@given(st.builds(lambda *times: times, MOMENTS, MOMENTS, MOMENTS))
def test_each_time_has_its_column(times: tuple[datetime, ...]) -> None:
    decided_at, started_at, ended_at = (to_milliseconds(time) for time in times)

    call = to_tool_call(
        structs.replace(
            CALL_ROW, decided_at=decided_at, started_at=started_at, ended_at=ended_at
        )
    )

    assert (call.decided_at, call.started_at, call.ended_at) == times


@pytest.mark.parametrize("status", [s for s in ToolCallStatus if not s.is_over])
def test_a_call_ends_only_with_an_end(status: ToolCallStatus) -> None:
    with pytest.raises(ValueError, match=status.value):
        to_call_end(
            ToolRunId("0" * 32),
            status,
            None,
            owner_id=OWNER,
            now=from_milliseconds(0),
        )


@given(NEW_GRANTS, IDS.map(GrantId), MOMENTS)
def test_a_new_grant_survives_its_row(
    new: NewGrant, grant_id: GrantId, now: datetime
) -> None:
    row = to_new_grant_row(new, grant_id=grant_id, owner_id=OWNER, now=now)

    grant = to_grant(row)
    assert {name: getattr(grant, name) for name in structs.asdict(new)} == (
        structs.asdict(new)
    )
    assert (row.owner_id, grant.id, grant.created_at) == (OWNER, grant_id, now)


def test_an_import_keeps_where_it_came_from() -> None:
    now = from_milliseconds(0) + timedelta(seconds=1)

    row = to_import_row(
        Origin(source="chatgpt", source_id="x-1"),
        ConversationId("ab" * 16),
        owner_id=OWNER,
        now=now,
    )

    assert (row.owner_id, row.source, row.source_id) == (OWNER, "chatgpt", "x-1")
    assert (row.conversation_id, row.imported_at) == (b"\xab" * 16, 1000)


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "ghost"},
        {"outcome": "{"},
        {"outcome": '{"is_error":false}'},
        {"created_at": 2**62},
        {"ended_at": -(2**62)},
    ],
)
def test_a_call_that_cannot_be_read_is_named(damage: dict[str, object]) -> None:
    row = structs.replace(CALL_ROW, **damage)

    with pytest.raises(DamagedFailure, match=CALL_ROW.id.hex()):
        to_tool_call(row)


@pytest.mark.parametrize(
    "damage", [{"decision": "perhaps"}, {"expires_at": 2**62}, {"created_at": 2**62}]
)
def test_a_grant_that_cannot_be_read_is_named(damage: dict[str, object]) -> None:
    row = structs.replace(GRANT_ROW, **damage)

    with pytest.raises(DamagedFailure, match=GRANT_ROW.id.hex()):
        to_grant(row)
