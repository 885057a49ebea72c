"""What is saved fits together again, whatever beside it is lost."""

from collections.abc import Iterator

import apsw
import pytest

from tina.database.migrations import LATEST_VERSION
from tina.database.salvage.filling import make_schema
from tina.database.salvage.records import Value
from tina.database.salvage.repairs import Repaired, repair

CONVERSATION = {
    "owner_id": 1,
    "title": "Fjords",
    "preview": "as it was",
    "created_at": 10,
    "last_message_at": 20,
}
MESSAGE = {"owner_id": 1, "role": "user", "status": "complete", "created_at": 15}
TURN = {"owner_id": 1, "status": "running", "created_at": 15, "journal_from": 40}
CALL = {
    "owner_id": 1,
    "place": 0,
    "call_id": "c",
    "server": "s",
    "tool": "t",
    "tool_hash": "h",
    "arguments": "",
    "status": "waiting",
    "created_at": 15,
}
GRANT = {
    "owner_id": 1,
    "decision": "allow",
    "server": "s",
    "tool": "t",
    "config_hash": "h",
    "tool_hash": "h",
    "created_at": 15,
}
ORIGIN = {"owner_id": 1, "source": "elsewhere", "source_id": "5", "imported_at": 15}


def name(text: str) -> bytes:
    """An id that can be told from others."""
    return text.encode().ljust(16, b".")


class File:
    def __init__(self, version: int) -> None:
        self.version = version
        self.connection = apsw.Connection(":memory:")
        make_schema(self.connection, version=version)

    def add(self, table: str, **columns: Value) -> None:
        names = ", ".join(columns)
        values = ", ".join(f":{column}" for column in columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({values})"  # noqa: S608 - names from this module
        self.connection.execute(statement, columns)

    def add_conversation(self, text: str, *, tip: str | None, count: int) -> None:
        tip_id = None if tip is None else name(tip)
        row = {**CONVERSATION, "id": name(text), "message_count": count}
        self.add("conversations", **row, tip_id=tip_id)

    def add_message(
        self, text: str, *, after: str | None, seq: int, **columns: Value
    ) -> None:
        parent_id = None if after is None else name(after)
        row = {**MESSAGE, "id": name(text), "text": text, "parent_id": parent_id}
        self.add(
            "messages", **{**row, "conversation_id": name("c"), "seq": seq, **columns}
        )

    def add_turn(self, answer: str, **columns: Value) -> None:
        row = {**TURN, "id": name(f"turn {answer}"), "answer_id": name(answer)}
        required: dict[str, Value] = (
            {"lease_id": name("lease")} if self.version == 1 else {"request": "{}"}
        )
        self.add(
            "turns", **{**row, "conversation_id": name("c"), **required, **columns}
        )

    def rows(self, statement: str) -> list[tuple[Value, ...]]:
        return list(self.connection.execute(statement))

    def repair(self) -> Repaired:
        return repair(self.connection, version=self.version)

    def messages(self) -> list[tuple[Value, ...]]:
        """(text, text of the message before it, seq), as they were stored."""
        return self.rows(
            "SELECT text, (SELECT parent.text FROM messages AS parent"
            " WHERE parent.id = messages.parent_id), seq FROM messages ORDER BY seq"
        )

    def conversations(self) -> list[tuple[Value, ...]]:
        return self.rows(
            "SELECT title, tip_id, message_count, preview, created_at, last_message_at"
            " FROM conversations"
        )


@pytest.fixture(params=range(1, LATEST_VERSION + 1))
def file(request: pytest.FixtureRequest) -> Iterator[File]:
    file = File(request.param)
    yield file
    file.connection.close()


@pytest.fixture
def newest() -> Iterator[File]:
    file = File(LATEST_VERSION)
    yield file
    file.connection.close()


def test_what_is_whole_stays_as_it_is(file: File) -> None:
    file.add_conversation("c", tip="b", count=2)
    file.add_message("a", after=None, seq=0)
    file.add_message("b", after="a", seq=1)
    file.add_turn("b", status="done")
    everything = "SELECT * FROM messages JOIN conversations JOIN turns ORDER BY 1"
    before = file.rows(everything)

    repaired = file.repair()

    assert (repaired.stand_ins, repaired.missing_messages) == (0, 0)
    assert repaired.parentless.total() == 0
    assert file.rows(everything) == before


def test_messages_of_a_lost_conversation_get_a_stand_in(file: File) -> None:
    file.add_message("first\nline", after=None, seq=0, created_at=30)
    file.add_message("last\n words", after="first\nline", seq=1, created_at=40)
    file.add_message("", after="last\n words", seq=2, created_at=50)

    repaired = file.repair()

    assert repaired.stand_ins == 1
    assert file.conversations() == [("(recovered)", name(""), 3, "last words", 30, 50)]


def test_what_followed_a_lost_message_follows_the_one_before_it(file: File) -> None:
    file.add_conversation("c", tip="e", count=6)
    file.add_message("a", after=None, seq=0)
    file.add_message("b", after="a", seq=1)
    file.add_message("d", after="lost", seq=3)
    file.add_message("e", after="d", seq=5)

    repaired = file.repair()

    assert repaired.missing_messages == 2
    assert file.messages() == [
        ("a", None, 0),
        ("b", "a", 1),
        ("d", "b", 2),
        ("e", "d", 3),
    ]
    assert file.conversations() == [("Fjords", name("e"), 4, "as it was", 10, 20)]


def test_without_a_message_before_it_a_message_begins_the_conversation(
    file: File,
) -> None:
    file.add_conversation("c", tip="b", count=2)
    file.add_message("b", after="lost", seq=1)

    file.repair()

    assert file.messages() == [("b", None, 0)]


def test_answers_to_a_lost_prompt_are_not_lost(file: File) -> None:
    file.add_conversation("c", tip="again", count=3)
    file.add_message("answer", after="lost", seq=1)
    file.add_message("again", after="lost", seq=2)

    file.repair()

    assert file.messages() == [("answer", None, 0), ("again", "answer", 1)]


def test_a_lost_tip_gives_way_to_the_newest_message(file: File) -> None:
    file.add_conversation("c", tip="lost", count=3)
    file.add_message("a", after=None, seq=0)
    file.add_message("b", after="a", seq=1)

    repaired = file.repair()

    assert repaired.missing_messages == 1
    assert file.conversations() == [("Fjords", name("b"), 2, "b", 10, 20)]


def test_a_conversation_that_lost_all_its_messages_is_empty(file: File) -> None:
    file.add_conversation("c", tip="lost", count=3)

    repaired = file.repair()

    assert repaired.missing_messages == 3
    assert file.conversations() == [("Fjords", None, 0, "", 10, 20)]


def test_rows_whose_conversation_is_lost_go(newest: File) -> None:
    newest.add_conversation("c", tip=None, count=0)
    for conversation in (name("c"), name("lost")):
        newest.add_turn("x", id=conversation, conversation_id=conversation)
        about = {"conversation_id": conversation}
        message_id = {"message_id": conversation}
        newest.add("tool_calls", **{**CALL, "id": conversation, **about, **message_id})
        newest.add("grants", **{**GRANT, "id": conversation, **about})
        newest.add("import_origins", **{**ORIGIN, "source_id": str(about), **about})
    newest.add("grants", **{**GRANT, "id": name("everywhere")})

    repaired = newest.repair()

    tables = ("grants", "import_origins", "tool_calls", "turns")
    assert repaired.parentless == dict.fromkeys(tables, 1)
    assert newest.rows("SELECT count(*) FROM grants") == [(2,)]
    assert newest.rows("PRAGMA foreign_key_check") == []


def test_a_turn_whose_answer_is_lost_is_over(file: File) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0)
    file.add_turn("lost")

    file.repair()

    assert file.rows("SELECT status, ended_at FROM turns") == [("done", 15)]


def test_a_turn_whose_answer_has_ended_is_over(file: File) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0, status="complete")
    file.add_turn("a")

    file.repair()

    assert file.rows("SELECT status FROM turns") == [("done",)]
    assert file.rows("SELECT status FROM messages") == [("complete",)]


def test_an_answer_whose_turn_is_lost_gets_one_that_nobody_runs(file: File) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0, status="streaming", model="local:x")

    file.repair()

    assert file.rows("SELECT answer_id, lease_id, status, journal_from FROM turns") == [
        (name("a"), bytes(16), "running", 1)
    ]
    assert file.rows("SELECT status FROM messages") == [("streaming",)]


def test_an_answer_whose_turn_is_over_is_so_too(file: File) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0, status="streaming")
    file.add_turn("a", status="done")

    file.repair()

    assert file.rows("SELECT status FROM messages") == [("interrupted",)]
    assert file.rows("SELECT count(*) FROM turns") == [(1,)]


def test_an_answer_that_somebody_ran_stays_to_be_settled(file: File) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0, status="streaming")
    file.add_turn("a")

    file.repair()

    assert file.rows("SELECT status, journal_from FROM turns") == [("running", 40)]
    assert file.rows("SELECT status FROM messages") == [("streaming",)]


@pytest.mark.parametrize(("rid", "end"), [(None, 40), (5, 40), (90, 90)])
def test_new_journal_rows_come_behind_all_old_ones(
    file: File, rid: int | None, end: int
) -> None:
    file.add_conversation("c", tip="a", count=1)
    file.add_message("a", after=None, seq=0, status="streaming")
    file.add_turn("a")
    if rid is not None:
        file.add("journal", rid=rid, message_id=name("a"), events="[]")

    file.repair()

    assert file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'journal'") == [
        (end,)
    ]


def test_every_text_waits_to_be_indexed(newest: File) -> None:
    newest.add_conversation("c", tip="", count=2)
    newest.add_message("a", after=None, seq=0)
    newest.add_message("", after="a", seq=1)

    newest.repair()

    assert newest.rows("SELECT rid FROM search_backlog") == [(1,)]
