"""The commands that change conversations: what they do and what they say."""

import json
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, NamedTuple

import anyio
import pytest

import tina
from tina.cli import stopping
from tina.cli.door import run
from tina.cli.stopping import end_text
from tina.domain.events import TextDelta
from tina.domain.failures import FailureRecord
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.testing.provider import HANG, ScriptedProvider
from tina.wiring import App

GIVE_UP_S = 10.0


class Talk(NamedTuple):
    id: ConversationId
    questions: list[MessageId]
    answers: list[MessageId]


async def ask_once(app: App, title: str, *questions: str) -> Talk:
    conversation = await app.conversations.create(title, model="scripted:parrot")
    for question in questions:
        turn = await app.send(conversation.id, question)
        await turn.result()
    branch = await app.conversations.messages(conversation.id)
    ids = [message.id for message in branch]
    return Talk(conversation.id, ids[::2], ids[1::2])


class FarApart:
    """Fulfils `IdFactory`: ids of one moment that differ at their fifth digit."""

    def __init__(self) -> None:
        self._number = 0

    def new(self) -> str:
        self._number += 1
        return f"01a2{self._number:04x}{0:024x}"


async def converse(*titles: str) -> list[Talk]:
    provider = ScriptedProvider("A long inlet.")
    with anyio.fail_after(GIVE_UP_S):
        async with tina.open(providers={"scripted": provider}, ids=FarApart()) as app:
            return [await ask_once(app, title, "What?", "Why?") for title in titles]


@pytest.fixture
def talks() -> list[Talk]:
    """Two conversations of two questions; the newest comes last."""
    return anyio.run(converse, "Fjords", "Lakes")


class Told(NamedTuple):
    code: int
    out: str
    err: str


class Teller:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *tokens: str) -> Told:
        code = run(list(tokens))
        printed = self._capsys.readouterr()
        return Told(code, printed.out, printed.err)

    def json(self, *tokens: str) -> Any:
        told = self(*tokens, "--json")
        assert (told.code, told.err) == (0, "")
        return json.loads(told.out)

    def titles(self, *flags: str) -> list[str]:
        return [row["title"] for row in self.json("log", *flags)]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Teller:
    return Teller(capsys)


def test_a_conversation_is_renamed_by_the_beginning_of_its_id(
    talks: list[Talk], told: Teller
) -> None:
    done = told("rename", talks[0].id[:8], "Deep", "water")

    assert done == Told(0, "Renamed: Deep water\n", "")
    assert told.titles() == ["Lakes", "Deep water"]


def test_a_title_is_asked_for(talks: list[Talk], told: Teller) -> None:
    done = told("rename", talks[0].id, " ")

    assert (done.code, done.out) == (2, "")
    assert "The new title is missing." in done.err
    assert told.titles() == ["Lakes", "Fjords"]


def test_what_is_pinned_stands_on_top_and_is_marked(
    talks: list[Talk], told: Teller
) -> None:
    pinned = told("pin", talks[0].id)
    listed = told("log").out.splitlines()
    unpinned = told("unpin", talks[0].id)

    assert pinned.out == "It stays at the top of `tina log` now.\n"
    assert [line.rpartition("  ")[2] for line in listed] == ["[pinned] Fjords", "Lakes"]
    assert unpinned.out == "It stands in its place in `tina log` again.\n"
    assert told.titles() == ["Lakes", "Fjords"]


def test_the_newest_conversation_is_the_newest_whatever_is_pinned(
    talks: list[Talk], told: Teller
) -> None:
    told("pin", talks[0].id)
    newest = told.json("show")["title"]
    told("pin", talks[1].id)
    still_newest = told.json("show")["title"]

    assert (newest, still_newest) == ("Lakes", "Lakes")


def test_the_archive_is_listed_by_itself(talks: list[Talk], told: Teller) -> None:
    empty = told("log", "--archived")
    archived = told("archive", talks[0].id)
    listed = told.titles(), told.titles("--archived")
    back = told("unarchive", talks[0].id)

    assert "The archive is empty." in empty.err
    assert f"`tina unarchive {talks[0].id[:16]}` brings it back" in archived.out
    assert listed == (["Lakes"], ["Fjords"])
    assert back.out == "It stands in `tina log` again.\n"
    assert told.titles() == ["Lakes", "Fjords"]


@pytest.mark.requirement("cli:delete:taken-back")
def test_a_deletion_says_until_when_and_is_taken_back(
    talks: list[Talk], told: Teller
) -> None:
    empty = told("log", "--deleted")
    deleted = told("delete", talks[0].id)
    listed = told("log", "--deleted")
    deleted_at = told.json("log", "--deleted")[0]["deleted_at"]
    shown = told("show", talks[0].id)
    back = told("undelete", talks[0].id[:8])

    gone = datetime.fromisoformat(deleted_at) + timedelta(days=30)
    day = gone.astimezone().strftime("%Y-%m-%d")
    assert "Nothing was deleted" in empty.err
    assert deleted.out == (
        "Deleted: Fjords\n"
        f"`tina undelete {talks[0].id[:16]}` takes that back until {day}.\n"
    )
    assert listed.out.endswith(f"[until {day}] Fjords\n")
    assert f"[deleted; `tina undelete` takes that back until {day}]\n" in shown.out
    assert back.out == "Back: Fjords\n"
    assert told.titles() == ["Lakes", "Fjords"]
    assert told.titles("--deleted") == []


def test_what_is_deleted_twice_is_not_kept_longer(
    talks: list[Talk], told: Teller
) -> None:
    first = told.json("delete", talks[0].id)
    second = told.json("delete", talks[0].id)

    assert first["deleted_at"] == second["deleted_at"]
    assert first["deleted_at"] is not None


def test_what_comes_back_into_the_archive_is_said_to(
    talks: list[Talk], told: Teller
) -> None:
    told("archive", talks[0].id)
    told("delete", talks[0].id)

    back = told("undelete", talks[0].id)

    assert back.out == "Back in the archive: Fjords\n"


def test_a_fork_ends_at_its_message_and_prints_its_id(
    talks: list[Talk], told: Teller
) -> None:
    whole = told("fork")
    cut = told("fork", talks[0].id, "--at", talks[0].answers[0])
    elsewhere = told.json("fork", "--at", talks[0].questions[1])

    shown = told.json("show", cut.out.strip())
    assert (whole.code, cut.code) == (0, 0)
    assert told.json("show", whole.out.strip())["title"] == "Lakes"
    assert whole.err.startswith("tina: 4 messages were copied.")
    assert (shown["title"], len(shown["messages"])) == ("Fjords", 2)
    assert (elsewhere["title"], elsewhere["message_count"]) == ("Fjords", 3)


def test_a_fork_is_not_made_at_a_message_of_another_conversation(
    talks: list[Talk], told: Teller
) -> None:
    done = told("fork", talks[0].id, "--at", talks[1].answers[0])

    assert (done.code, done.out) == (2, "")
    assert "in that conversation" in done.err
    assert len(told.titles()) == 2


@pytest.mark.parametrize("command", ["fork", "regenerate"])
def test_an_empty_conversation_has_nothing_to_go_on_from(
    told: Teller, command: str
) -> None:
    async def make_one() -> None:
        async with tina.open() as app:
            await app.conversations.create("Empty")

    anyio.run(make_one)

    done = told(command)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tina: Nothing was ")


def answer_again(talk: Talk) -> MessageId:
    async def answer() -> MessageId:
        provider = ScriptedProvider("Water " * 20)
        with anyio.fail_after(GIVE_UP_S):
            async with tina.open(providers={"scripted": provider}) as app:
                turn = await app.regenerate(talk.answers[-1])
                await turn.result()
                return turn.message_id

    return anyio.run(answer)


@pytest.mark.requirement("cli:versions:chosen")
def test_the_versions_of_an_answer_are_listed_and_chosen(
    talks: list[Talk], told: Teller
) -> None:
    old = talks[1].answers[-1]
    new = answer_again(talks[1])

    listed = told("versions", new).out.splitlines()
    chosen = told("choose", old)
    shown = told.json("show")["messages"][-1]
    active = {row["id"]: row["is_active"] for row in told.json("versions", new)}

    assert [line[:34] for line in listed] == [f"  {old}", f"* {new}"]
    assert listed[0].endswith("A long inlet.")
    assert listed[1].endswith("Water…")
    assert chosen.out.startswith("Its branch is the active one now")
    assert (shown["id"], shown["text"]) == (old, "A long inlet.")
    assert active == {old: True, new: False}


def test_a_version_that_was_stopped_says_so(talks: list[Talk], told: Teller) -> None:
    anyio.run(leave_stopped, talks[1].answers[-1])
    listed = told("versions", talks[1].answers[-1]).out.splitlines()

    assert listed[1].endswith("  [stopped] Ice")


async def leave_stopped(message_id: MessageId) -> None:
    provider = ScriptedProvider("Ice", HANG)
    with anyio.fail_after(GIVE_UP_S):
        async with tina.open(providers={"scripted": provider}) as app:
            turn = await app.regenerate(message_id)
            async for event in turn.events():
                if isinstance(event, TextDelta):
                    break
            await turn.stop()


def test_a_message_is_named_by_the_beginning_of_its_id(
    talks: list[Talk], told: Teller
) -> None:
    id_ = talks[0].questions[1]

    newest = told("versions", talks[1].questions[1][:8])
    elsewhere = told("versions", f" {id_[:4]}-{id_[4:8]}".upper(), "--cid", talks[0].id)
    several = told("choose", id_[:4], "--cid", talks[0].id)
    none = told("choose", id_[:8])
    short = told("choose", id_[:3], "--cid", talks[0].id)
    unknown = told("versions", "f" * 32)

    assert newest.out.startswith(f"* {talks[1].questions[1]}")
    assert elsewhere.out.startswith(f"* {id_}")
    assert (several.code, several.out) == (2, "")
    assert "type more of the id" in several.err
    assert [(done.code, done.out) for done in (none, short, unknown)] == [(2, "")] * 3
    assert "There is no message" in none.err
    assert "type at least 4 characters of the id" in short.err


def test_the_ids_of_messages_are_shown(talks: list[Talk], told: Teller) -> None:
    shown = told("show", "--ids").out
    refused = told("show", "--ids", "-f")

    assert f"\n## You {talks[1].questions[0]}\n" in shown
    assert f"\n## Tina (scripted:parrot) {talks[1].answers[0]}\n" in shown
    assert talks[1].questions[0] not in told("show").out
    assert (refused.code, refused.out) == (2, "")


def test_lists_that_exclude_each_other_are_refused(told: Teller) -> None:
    both = told("log", "--archived", "--deleted")
    followed = told("log", "--archived", "-f")

    assert (both.code, followed.code) == (2, 2)
    assert "exclude each other" in both.err


@pytest.mark.parametrize(
    "command", ["rename", "pin", "unpin", "archive", "unarchive", "delete", "undelete"]
)
def test_a_conversation_that_is_not_there_is_told(told: Teller, command: str) -> None:
    title = ["Title"] if command == "rename" else []

    done = told(command, "f" * 32, *title)
    as_json = told(command, "f" * 32, *title, "--json")

    assert (done.code, done.out) == (2, "")
    assert "There is no conversation" in done.err
    assert (as_json.code, as_json.err) == (2, "")
    assert json.loads(as_json.out)["failure"]["kind"] == "not_found"


def test_help_lists_the_commands_in_groups_the_most_used_first(told: Teller) -> None:
    groups = ["Ask", "Read", "Keep in order", "Tina herself", "Arguments", "Parameters"]

    shown = told("--help").out

    places = [shown.index(f" {group} ─") for group in groups]
    assert places == sorted(places)
    assert " Commands ─" not in shown  # where those without a group would stand
    assert shown.index(" ask ") < shown.index(" chat ") < shown.index(" stop ")


def test_new_words_are_asked_for(talks: list[Talk], told: Teller) -> None:
    done = told("edit", talks[1].questions[1])

    assert (done.code, done.out) == (2, "")
    assert "The new words are missing" in done.err


def test_nothing_to_stop_is_one_sentence(talks: list[Talk], told: Teller) -> None:
    anywhere = told("stop")
    there = told("stop", talks[0].id)
    as_json = told("stop", "--json")

    assert (anywhere.code, anywhere.out) == (2, "")
    assert anywhere.err == (
        "tina: Nothing is being answered, so nothing can be stopped.\n"
    )
    assert (there.code, there.out) == (2, "")
    assert "in that conversation" in there.err
    assert (as_json.code, as_json.err) == (2, "")
    assert json.loads(as_json.out)["failure"]["kind"] == "not_found"


def stop_while_written(told: Teller, *tokens: str, owner_reacts: bool) -> Told:
    """What `tina stop` says while an app of its own writes an answer."""
    results: list[Told] = []
    thread = Thread(target=lambda: results.append(told("stop", *tokens)))

    async def write() -> None:
        provider = ScriptedProvider("A long ", "inlet", HANG)
        async with tina.open(providers={"scripted": provider}) as app:
            conversation = await app.conversations.create(model="scripted:parrot")
            turn = await app.send(conversation.id, "Why?")
            async for event in turn.events():
                if isinstance(event, TextDelta) and event.text == "inlet":
                    break
            if owner_reacts:
                await anyio.to_thread.run_sync(_run_thread, thread)
            else:
                _run_thread(thread)  # the loop stands still meanwhile

    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(write)
    return results[0]


def _run_thread(thread: Thread) -> None:
    thread.start()
    thread.join(GIVE_UP_S * 2)


@pytest.mark.requirement("cli:stop:any-process")
def test_an_answer_is_stopped_and_its_words_are_counted(told: Teller) -> None:
    done = stop_while_written(told, owner_reacts=True)

    conversation = told.json("show")
    answer = conversation["messages"][-1]
    assert done == Told(
        0,
        "Stopped; 3 words are kept. "
        f"`tina continue {conversation['id'][:16]}` goes on.\n",
        "",
    )
    assert (answer["status"], answer["text"]) == ("stopped", "A long inlet")


def test_a_stopped_answer_is_told_as_json(told: Teller) -> None:
    done = stop_while_written(told, "--json", owner_reacts=True)

    told_of = json.loads(done.out)
    (answer,) = told_of["answers"]
    assert (done.code, done.err) == (0, "")
    assert told_of["conversation_id"] == answer["conversation_id"]
    assert (answer["status"], answer["text"]) == ("stopped", "A long inlet")


def test_all_that_is_written_in_one_conversation_is_stopped_and_no_other(
    talks: list[Talk], told: Teller
) -> None:
    older, newer = talks[1], talks[0]

    async def write() -> tuple[Told, list[ConversationId]]:
        provider = ScriptedProvider("Ice", HANG)
        async with tina.open(providers={"scripted": provider}) as app:
            await app.send(older.id, "How?")
            await app.send(newer.id, "Where?")
            await app.edit(newer.questions[0], "When?")
            done = await anyio.to_thread.run_sync(told, "stop", "--json")
            return done, [turn.conversation_id for turn in await app.open_turns()]

    with anyio.from_thread.start_blocking_portal() as portal:
        done, still_open = portal.call(write)

    answers = json.loads(done.out)["answers"]
    assert [answer["conversation_id"] for answer in answers] == [newer.id] * 2
    assert [answer["status"] for answer in answers] == ["stopped"] * 2
    assert still_open == [older.id]


def test_an_owner_that_does_not_react_is_told(
    told: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_TIMEOUT_S", 0.1)

    done = stop_while_written(told, owner_reacts=False)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("tina: The process that writes the answer was asked")
    assert done.err.count("\n") == 1


def test_a_question_that_waits_is_stopped_at_once(
    talks: list[Talk], told: Teller
) -> None:
    async def ask_later() -> None:
        provider = ScriptedProvider("Never said")
        async with tina.open(providers={"scripted": provider}) as app:
            await app.send_later(talks[0].id, "And then?")

    anyio.run(ask_later)

    done = told("stop", talks[0].id)

    assert done.code == 0
    assert done.out.startswith("Stopped; it had said nothing yet.")
    assert told.json("show", talks[0].id)["messages"][-1]["status"] == "stopped"


ENDS = [
    pytest.param(MessageStatus.COMPLETE, "It was complete before", id="complete"),
    pytest.param(MessageStatus.STOPPED, "Stopped; 1 word is kept.", id="stopped"),
    pytest.param(
        MessageStatus.INTERRUPTED,
        "The process that wrote it had ended; 1 word is kept. `tina continue",
        id="interrupted",
    ),
    pytest.param(
        MessageStatus.FAILED,
        "It failed before it could be stopped (1 word is kept): Slow␛ down.",
        id="failed",
    ),
]


@pytest.mark.parametrize(("status", "says"), ENDS)
def test_however_it_ended_is_said(status: MessageStatus, says: str) -> None:
    is_failed = status is MessageStatus.FAILED
    answer = Message(
        id=MessageId("a" * 32),
        conversation_id=ConversationId("c" * 32),
        parent_id=None,
        role=Role.ASSISTANT,
        status=status,
        parts=(TextPart(text="Ice"),),
        created_at=datetime(2026, 1, 31, tzinfo=UTC),
        failure=FailureRecord(kind="rate_limit", message="Slow\x1b down.")
        if is_failed
        else None,
    )

    assert end_text(answer).startswith(says)
