"""What `tina show` says of how an answer ended."""

import anyio
import pytest

import tina
from tina.cli.door import run
from tina.domain.events import TextDelta
from tina.domain.failures import RateLimitFailure
from tina.domain.queries import MAX_PAGE_SIZE
from tina.testing.provider import HANG, ScriptedProvider, Step


async def leave_an_answer(*steps: Step, how: str) -> None:
    provider = ScriptedProvider(*steps)
    with anyio.fail_after(10):
        async with tina.open(providers={"scripted": provider}) as app:
            conversation = await app.conversations.create(model="scripted:parrot")
            turn = await app.send(conversation.id, "Why?")
            async for event in turn.events():
                if isinstance(event, TextDelta):
                    break
            if how == "stopped":
                await turn.stop()
            elif how == "ended":
                await turn.result()
            elif how == "running":
                await anyio.to_thread.run_sync(run, ["show"])


@pytest.mark.parametrize(
    ("steps", "how", "says"),
    [
        (("Ice", HANG), "stopped", "[stopped; `tina continue` goes on]"),
        (("Ice", HANG), "left", "[interrupted; `tina continue` goes on]"),
        (("Ice", RateLimitFailure("Slow down.")), "ended", "[failed: Slow down.]"),
        (("Ice",), "ended", "Ice\n"),
    ],
)
def test_show_says_how_an_answer_ended(
    steps: tuple[Step, ...],
    how: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    anyio.run(lambda: leave_an_answer(*steps, how=how))

    run(["show"])

    assert capsys.readouterr().out.rstrip("\n").endswith(says.rstrip("\n"))


def test_show_says_that_an_answer_is_still_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    anyio.run(lambda: leave_an_answer("Ice", HANG, how="running"))

    assert "[still being written; `tina show -f` follows it]" in capsys.readouterr().out


def test_a_conversation_without_a_title_is_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def make_one() -> None:
        async with tina.open() as app:
            await app.conversations.create()

    anyio.run(make_one)
    run(["log"])
    run(["show"])

    assert capsys.readouterr().out.count("(no title)") == 2


@pytest.mark.parametrize(("asked", "shown"), [(0, 205), (204, 204), (300, 205)])
def test_more_than_a_page_is_listed(
    asked: int, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make_many() -> None:
        async with tina.open() as app:
            for number in range(MAX_PAGE_SIZE + 5):
                await app.conversations.create(f"Number {number}")

    anyio.run(make_many)

    run(["log", "-n", str(asked)])

    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == [
        str(number)
        for number in range(MAX_PAGE_SIZE + 4, MAX_PAGE_SIZE + 4 - shown, -1)
    ]
