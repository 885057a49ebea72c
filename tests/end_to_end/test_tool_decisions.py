"""A tool call waits in one process and is decided in another, on one file."""

import sys
from pathlib import Path

import anyio
import anyio.abc
import pytest

import tina
from tina.domain.ids import MessageId, ToolCallId
from tina.domain.tools import NewToolCall, ToolCallStatus

pytestmark = pytest.mark.anyio

GIVE_UP_S = 30.0

# A face of its own: it shows what waits, and answers the first call that it sees.
FACE = """
import sys
from contextlib import aclosing

import anyio
import tina
from tina.domain.tools import Decision


async def main():
    async with tina.open() as app:
        async with aclosing(app.tool_calls.waiting()) as answers:
            async for waiting in answers:
                print([call.tool for call in waiting], flush=True)
                if waiting:
                    await app.tool_calls.decide(waiting[0].id, Decision(sys.argv[1]))
                    return


anyio.run(main)
"""


@pytest.mark.requirement("database:tool-calls:any-process")
@pytest.mark.parametrize(
    ("decision", "status"),
    [("allow", ToolCallStatus.APPROVED), ("deny", ToolCallStatus.DENIED)],
)
async def test_a_call_that_waits_here_is_decided_by_another_process(
    environment: Path, decision: str, status: ToolCallStatus
) -> None:
    with anyio.fail_after(GIVE_UP_S):
        async with tina.open(environment) as app:
            conversation = await app.conversations.create("Fjords")
            command = [sys.executable, "-c", FACE, decision]
            async with await anyio.open_process(command, stderr=None) as face:
                shown = [await next_line(face)]
                call = await app.tool_calls.add(
                    NewToolCall(
                        conversation_id=conversation.id,
                        message_id=MessageId("0" * 32),
                        place=0,
                        call_id=ToolCallId("call_1"),
                        server="files",
                        tool="read",
                        tool_hash="a1",
                        arguments="{}",
                    )
                )
                decided = await app.tool_calls.await_decision(call.id)
                shown.append(await next_line(face))
                exit_code = await face.wait()
            is_mine = await app.tool_calls.start(call.id)

    assert shown == ["[]", "['read']"]
    assert exit_code == 0
    assert (decided.id, decided.status) == (call.id, status)
    assert is_mine is (status is ToolCallStatus.APPROVED)


async def next_line(process: anyio.abc.Process) -> str:
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        line += await process.stdout.receive(1)
    return line.decode().strip()
