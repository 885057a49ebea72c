"""Damaged files: what lies on whole pages is saved, and nothing is made worse."""

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tests.database.salvage.files import hurt, make_file
from tests.database.salvage.history import Author, Image, damage
from tests.database.salvage.oracle import (
    SAVED,
    Oracle,
    Place,
    content_of,
    differences,
)
from tina.database.salvage import LeftOut, rescue, salvage
from tina.domain.failures import (
    DamagedFailure,
    DiskFullFailure,
    ForeignFileFailure,
    StorageFailure,
    UnwritableFailure,
)
from tina.domain.queries import ListConversations

SEEDS = 200
BLOCK = 20
LOG_SEEDS = 8
READ_SEEDS = range(0, SEEDS, 9)
SCHEMAS = sorted((Path(__file__).parents[1] / "schemas").glob("version-*.db"))


def problems_of(path: Path) -> list[object]:
    connection = apsw.Connection(str(path))
    try:
        return [
            *connection.execute("PRAGMA integrity_check"),
            *connection.execute("PRAGMA foreign_key_check"),
        ]
    finally:
        connection.close()


def of_people(places: set[Place]) -> set[Place]:
    """Rows that are worth a file; the others are of no use without them."""
    return {place for place in places if place.table in {"conversations", "messages"}}


def check_damaged(image: Image, folder: Path, seeds: range) -> None:
    before_path = folder / "before.db"
    image.write(before_path)
    before, oracle = content_of(before_path), Oracle(image)
    for seed in seeds:
        damaged = damage(image.file, seed=seed)
        path, into = folder / f"hurt-{seed}.db", folder / f"saved-{seed}.db"
        Image(damaged.file, image.log).write(path)
        expected = oracle.untouched(damaged.hurt)
        try:
            salvaged = salvage(path, into=into)
        except DamagedFailure:
            assert of_people(expected) == set(), seed
            assert not into.exists()
            continue
        after = content_of(into)
        assert differences(before, after, expected) == [], seed
        assert problems_of(into) == [("ok",)], seed
        assert path.read_bytes() == damaged.file, seed
        for table in {*SAVED} - {"conversations", "turns"}:  # some are made up
            assert salvaged.rows.get(table, 0) == len(after[table]), seed
        into.unlink()
        path.unlink()


@pytest.mark.requirement("database:damaged:salvage")
@pytest.mark.parametrize("start", range(0, SEEDS, BLOCK))
def test_every_row_of_an_undamaged_page_is_saved(
    closed: Image, tmp_path: Path, start: int
) -> None:
    check_damaged(closed, tmp_path, range(start, start + BLOCK))


def test_every_row_is_saved_that_stands_in_the_log(
    still_open: Image, tmp_path: Path
) -> None:
    check_damaged(still_open, tmp_path, range(LOG_SEEDS))


def test_the_damage_of_the_tests_leaves_most_rows_and_takes_some(closed: Image) -> None:
    """Else they would prove nothing."""
    oracle = Oracle(closed)
    places = oracle.places

    shares = sorted(
        len(oracle.untouched(damage(closed.file, seed=seed).hurt)) / len(places)
        for seed in range(SEEDS)
    )

    assert {place.table for place in places} == {*SAVED}
    assert any(len(pages) > 2 for pages in places.values())
    assert shares[0] < 0.1
    assert 0.8 < shares[SEEDS // 2] < 1


@pytest.mark.parametrize("name", ["closed", "still_open"])
def test_of_a_whole_file_everything_is_saved(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    image: Image = request.getfixturevalue(name)
    path, into = tmp_path / "tina.db", tmp_path / "saved.db"
    image.write(path)

    salvaged = salvage(path, into=into)

    before = content_of(path)
    assert content_of(into) == before
    assert salvaged.rows == {name: len(rows) for name, rows in before.items() if rows}
    assert salvaged.path == into
    assert salvaged.left_out == {}
    assert (salvaged.stand_ins, salvaged.missing_messages) == (0, 0)
    assert salvaged.garbled == 0


@pytest.mark.requirement("database:damaged:kept")
def test_beside_the_damaged_file_only_the_new_one_appears(
    still_open: Image, tmp_path: Path
) -> None:
    path, into = tmp_path / "tina.db", tmp_path / "saved.db"
    still_open.write(path)
    (tmp_path / "saved.db.unfinished").write_bytes(b"of a salvage that was killed")

    salvage(path, into=into)

    names = {found.name for found in tmp_path.iterdir()}
    assert names == {"tina.db", "tina.db-wal", "saved.db"}
    assert path.read_bytes() == still_open.file
    assert path.with_name("tina.db-wal").read_bytes() == still_open.log


def test_what_was_left_out_is_counted(closed: Image, tmp_path: Path) -> None:
    """Every third page is zeros, every third has one damaged byte."""
    damaged = bytearray(closed.file)
    for start in range(4096, len(damaged), 3 * 4096):
        damaged[start : start + 4096] = bytes(4096)
        damaged[start + 8000 : start + 8001] = b"\xff"
    Image(bytes(damaged[: len(closed.file)])).write(tmp_path / "tina.db")

    salvaged = salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert salvaged.stand_ins > 0
    assert salvaged.missing_messages > 0
    assert salvaged.garbled > 0
    assert salvaged.left_out[LeftOut.UNREADABLE] > 0
    assert problems_of(tmp_path / "saved.db") == [("ok",)]


def test_rows_that_are_made_anew_are_not_missed(closed: Image, tmp_path: Path) -> None:
    """Without a schema, rows of the index and the log of changes are orphans too."""
    Image(hurt(closed.file, 0, bytes(4096))).write(tmp_path / "tina.db")

    salvaged = salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert salvaged.left_out.keys() <= {LeftOut.DOUBLE}


def test_a_row_that_stands_twice_is_saved_once(closed: Image, tmp_path: Path) -> None:
    """Its second page belongs to no tree, as left-overs do."""
    place, (number, *_) = next(
        (place, pages)
        for place, pages in Oracle(closed).places.items()
        if place.table == "grants"
    )
    page = closed.file[(number - 1) * 4096 : number * 4096]
    Image(closed.file + page).write(tmp_path / "tina.db")

    salvaged = salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert place.rid in content_of(tmp_path / "saved.db")["grants"]
    assert salvaged.left_out == {LeftOut.DOUBLE: salvaged.rows["grants"]}


def test_a_row_that_no_tina_writes_is_left_out(closed: Image, tmp_path: Path) -> None:
    Image(closed.file.replace(b"allow", b"ALLOW", 1)).write(tmp_path / "tina.db")

    salvaged = salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert salvaged.left_out == {LeftOut.UNKNOWN: 1}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", READ_SEEDS)
async def test_what_was_saved_can_be_read_and_continued(
    closed: Image, tmp_path: Path, seed: int
) -> None:
    damaged = damage(closed.file, seed=seed)
    Image(damaged.file).write(tmp_path / "hurt.db")
    try:
        salvage(tmp_path / "hurt.db", into=tmp_path / "tina.db")
    except DamagedFailure:
        assert len(damaged.file) < len(closed.file) // 4
        return
    saved = content_of(tmp_path / "tina.db")["messages"]
    author = Author(tmp_path)
    for _ in range(10_000):
        author.ids.new()  # those are taken
    database = author.database
    await database.open()

    shown = 0
    listed = await database.conversations.list(ListConversations(limit=None))
    for conversation in listed:
        branch = await database.messages.list(conversation.id)
        assert len(branch) == conversation.message_count
        shown += len(branch)
        await author.begin(conversation, conversation.tip)

    await database.close()
    assert shown == len(saved)


@pytest.mark.anyio
async def test_an_answer_whose_turn_is_lost_can_be_settled(
    closed: Image, tmp_path: Path
) -> None:
    closed.write(tmp_path / "hurt.db")
    connection = apsw.Connection(str(tmp_path / "hurt.db"))
    connection.execute("DELETE FROM turns WHERE status = 'running'")
    connection.close()
    salvage(tmp_path / "hurt.db", into=tmp_path / "tina.db")
    database = Author(tmp_path).database
    await database.open()

    open_turns = await database.turns.list_open()
    for turn in open_turns:
        answer = await database.messages.get(turn.answer_id)
        assert answer is not None
        assert turn.lease_id is not None
        assert not await database.leases.is_held(turn.lease_id)
        assert len(await database.journal.read(answer.id)) == 41
        assert await database.turns.settle(answer.interrupted((), None))

    assert len(open_turns) > 1
    assert await database.turns.list_open() == ()
    await database.close()


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
@pytest.mark.parametrize("length", [0, 100, 4096])
def test_files_of_every_version_are_saved(
    tmp_path: Path, path: Path, length: int
) -> None:
    before = content_of(path)
    damaged = tmp_path / "tina.db"
    damaged.write_bytes(hurt(path.read_bytes(), 0, bytes(length)))

    salvaged = salvage(damaged, into=tmp_path / "saved.db")

    after = content_of(tmp_path / "saved.db")
    assert salvaged.version == int(path.stem.removeprefix("version-"))
    assert after["messages"] == before["messages"]
    assert after["conversations"] == before["conversations"]
    assert after["journal"] == before["journal"]


def make_nothing(path: Path) -> None:
    path.write_bytes(b"")


def make_noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 100)


def make_empty(path: Path) -> None:
    make_file(path, "CREATE TABLE notes (text)")


@pytest.mark.parametrize("make", [make_nothing, make_noise, make_empty])
def test_where_nothing_is_found_no_file_is_made(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "tina.db")

    with pytest.raises(DamagedFailure, match="backup"):
        salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert [path.name for path in tmp_path.iterdir()] == ["tina.db"]


def test_the_file_of_another_program_is_told(tmp_path: Path) -> None:
    notes = "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')"
    make_file(tmp_path / "tina.db", notes, "PRAGMA application_id = 5")

    with pytest.raises(ForeignFileFailure, match="another program"):
        salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert [path.name for path in tmp_path.iterdir()] == ["tina.db"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="nothing to save"):
        salvage(tmp_path / "nowhere.db", into=tmp_path / "saved.db")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_already_stays(closed: Image, tmp_path: Path) -> None:
    closed.write(tmp_path / "tina.db")
    (tmp_path / "saved.db").write_text("mine", encoding="ascii")

    with pytest.raises(StorageFailure, match="already"):
        salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert (tmp_path / "saved.db").read_text(encoding="ascii") == "mine"


def test_a_folder_that_is_not_there_is_told(closed: Image, tmp_path: Path) -> None:
    closed.write(tmp_path / "tina.db")

    with pytest.raises(UnwritableFailure, match="nowhere"):
        salvage(tmp_path / "tina.db", into=tmp_path / "nowhere" / "saved.db")


def test_a_folder_that_is_none_is_told(closed: Image, tmp_path: Path) -> None:
    closed.write(tmp_path / "tina.db")

    with pytest.raises(StorageFailure, match="could not be written"):
        salvage(tmp_path / "tina.db", into=tmp_path / "tina.db" / "saved.db")


def test_a_full_disk_leaves_no_half_of_a_file(
    closed: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = (*rescue.PRAGMAS, "PRAGMA max_page_count = 100")
    monkeypatch.setattr(rescue, "PRAGMAS", full)
    closed.write(tmp_path / "tina.db")

    with pytest.raises(DiskFullFailure, match="free some space"):
        salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert [path.name for path in tmp_path.iterdir()] == ["tina.db"]


def test_a_file_that_cannot_be_synced_is_not_given_its_name(
    closed: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    closed.write(tmp_path / "tina.db")
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StorageFailure, match="Input/output error"):
        salvage(tmp_path / "tina.db", into=tmp_path / "saved.db")

    assert [path.name for path in tmp_path.iterdir()] == ["tina.db"]
