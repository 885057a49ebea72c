"""`tina search`: what is printed, and where the days begin and end."""

import json
from datetime import UTC, datetime

import anyio
import pytest

import tina
from tina.cli.door import run
from tina.cli.search import BOLD, NOT_BOLD, parse_since, parse_until
from tina.domain.failures import InvalidInputFailure, UnwritableFailure
from tina.domain.ids import ConversationId
from tina.testing.provider import ScriptedProvider


async def converse(*talks: tuple[str, str]) -> list[ConversationId]:
    """One conversation for each question and answer."""
    ids: list[ConversationId] = []
    with anyio.fail_after(10):
        for question, answer in talks:
            provider = ScriptedProvider(answer)
            async with tina.open(providers={"scripted": provider}) as app:
                conversation = await app.conversations.create(
                    model="scripted:parrot", title=question
                )
                turn = await app.send(conversation.id, question)
                await turn.result()
                ids.append(conversation.id)
    return ids


@pytest.fixture
def talks() -> list[ConversationId]:
    return anyio.run(
        converse,
        ("What is a fjord?", "A fjord is\na long, deep inlet."),
        ("And a lake?", "Water \x1b[31mwith land\x1b[0m around, no fjord."),
    )


@pytest.mark.usefixtures("talks")
def test_each_message_is_an_entry_the_newest_first(
    talks: list[ConversationId], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["search", "fjord"])

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert code == 0
    assert err == ""
    assert len(lines) == 6
    assert lines[0].startswith(talks[1][:16])
    assert lines[0].endswith("assistant  And a lake?")
    assert lines[1] == "    Water ␛[31mwith land␛[0m around, no fjord."
    assert lines[3] == "    A fjord is a long, deep inlet."
    assert lines[4].endswith("user       What is a fjord?")
    assert BOLD not in out


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(
    ("flags", "texts"),
    [
        (["--role", "user"], ["What is a fjord?"]),
        (["-m", "scripted:parrot", "-n", "1"], ["Water"]),
        (["--best", "deep"], ["A fjord is"]),
        (["--since", "2001-01-01", "inlet"], ["A fjord is"]),
        (["--until", "2001-01-01"], []),
        (["--since", "9000-01-01"], []),
        (["NOT"], []),
    ],
)
def test_flags_narrow_what_is_found(
    flags: list[str], texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["search", "--json", *flags, "fjord"])

    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert result["is_whole"]
    assert len(result["hits"]) == len(texts)
    for hit, text in zip(result["hits"], texts, strict=True):
        assert hit["snippet"].startswith(text)


def test_one_conversation_can_be_searched(
    talks: list[ConversationId], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["search", "--json", "--cid", talks[0], "fjord"])

    hits = json.loads(capsys.readouterr().out)["hits"]
    assert {hit["conversation_id"] for hit in hits} == {talks[0]}
    assert hits[1]["snippet"] == "What is a fjord?"
    assert hits[1]["matches"] == [[10, 15]]
    assert set(hits[1]) == {
        "conversation_id",
        "message_id",
        "title",
        "role",
        "model",
        "created_at",
        "snippet",
        "matches",
    }


@pytest.mark.usefixtures("talks")
def test_a_person_is_told_that_nothing_was_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = run(["search", "glacier"])

    out, err = capsys.readouterr()
    assert code == 0
    assert out == ""
    assert err.startswith("tina: Nothing found.")


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--until", "2001-01-01"], "tina: Not everything was looked at."),
        (["--best"], "tina: These are the best of the newest"),
    ],
)
def test_a_person_is_told_that_not_everything_was_looked_at(
    flags: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tina.database.search.search.MAX_LOOKED_AT", 1)

    code = run(["search", *flags, "fjord"])

    assert code == 0
    assert capsys.readouterr().err.startswith(says)


@pytest.mark.usefixtures("talks")
def test_a_person_is_told_why_what_was_said_last_is_not_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise UnwritableFailure("The disk is read-only.")

    monkeypatch.setattr("tina.database.search.search.index_some", refuse)

    code = run(["search", "fjord"])
    told = capsys.readouterr().err
    run(["search", "--json", "fjord"])
    result = json.loads(capsys.readouterr().out)

    assert code == 0
    assert told == (
        "tina: What was said last could not be searched, because it could not be "
        "indexed. The disk is read-only.\n"
    )
    assert result["is_whole"] is False
    assert result["failure"]["kind"] == "unwritable"


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(("term", "is_bold"), [("xterm", True), ("dumb", False)])
def test_matches_are_bold_on_a_terminal(
    term: str,
    is_bold: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    run(["search", "inlet", "fjord"])

    said = "A {}fjord{} is a long, deep {}inlet{}."
    marks = (BOLD, NOT_BOLD) if is_bold else ("", "")
    assert said.format(*marks, *marks) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which words"),
        (["--since", "yesterday", "fjord"], "'yesterday' is no date."),
        (["--until", "9999-12-31", "fjord"], "'9999-12-31' is no date."),
        (["--count", "0", "fjord"], "from 1 to 500"),
        (["--cid", "01", "fjord"], "type at least 4 characters of the id"),
        (["--cid", "12345678", "fjord"], "There is no conversation '12345678'."),
        (["--role", "robot", "fjord"], "robot"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["search", *arguments])

    assert code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_days_begin_and_end_where_the_person_is(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    reset_zone()
    try:
        since, until = parse_since("2026-01-31"), parse_until(" 2026-01-31 ")
        moment = parse_until("2026-01-31T18:30")
        abroad = parse_since("2026-01-31T18:30+00:00")
    finally:
        monkeypatch.undo()
        reset_zone()

    assert (since.day, since.hour) == (31, 0)
    assert (until.month, until.day, until.hour) == (2, 1, 0)
    assert (moment.day, moment.hour, moment.minute) == (31, 18, 30)
    assert abroad == datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


def reset_zone() -> None:
    import time  # noqa: TID251 - no clock is read, only the zone is set

    time.tzset()


@pytest.mark.parametrize("text", ["", "31.1.2026", "2026-02-30", "0001-01-01\ud800"])
def test_what_is_no_date_is_refused(text: str) -> None:
    for parse in (parse_since, parse_until):
        with pytest.raises(InvalidInputFailure, match="is no date"):
            parse(text)
