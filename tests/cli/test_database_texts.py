"""What `tina db` says."""

from datetime import timedelta

import pytest
from msgspec import structs

from tina.cli.database_texts import (
    age_text,
    backup_line,
    bytes_text,
    migration_lines,
    preview_lines,
    repair_lines,
    status_lines,
)
from tina.domain.ids import ConversationId, LeaseId, TurnId
from tina.domain.keeping import (
    Backup,
    BackupKind,
    Contents,
    DatabaseStatus,
    Difference,
    Migration,
    Repair,
    ReserveState,
    RestorePreview,
    TurnHolder,
)
from tina.domain.turns import TurnStatus
from tina.testing.clock import START

NOW = START + timedelta(hours=3)
BACKUP = Backup(
    name="daily-20260101T000000Z.db",
    kind=BackupKind.DAILY,
    path="/home/ada/backups/daily-20260101T000000Z.db",
    made_at=START,
    size_bytes=53_248,
)
TURN = TurnHolder(
    turn_id=TurnId("1" * 32),
    conversation_id=ConversationId("2" * 32),
    status=TurnStatus.RUNNING,
    lease_id=LeaseId("3" * 32),
)
STATUS = DatabaseStatus(
    path="/home/ada/tina.db",
    exists=True,
    size_bytes=1_400_000,
    log_bytes=0,
    schema_version=2,
    latest_version=2,
    sqlite_version="3.54.1",
    is_sqlite_safe=True,
    contents=Contents(
        conversations=12, messages=240, deleted=0, search_backlog=0, open_turns=()
    ),
    backups=(),
    problem=None,
    why_read_only=None,
    reserve=ReserveState.MADE,
    read_at=NOW,
)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (53_248, "53.2 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_470_000_000, "1.5 GB"),
        (5_000_000_000_000, "5.0 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_sizes_are_told_in_a_few_digits(count: int, expected: str) -> None:
    assert bytes_text(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (30 * 86_400, "30 days ago"),
    ],
)
def test_ages_are_told_in_one_unit(seconds: int, expected: str) -> None:
    assert age_text(timedelta(seconds=seconds)) == expected


def test_a_backup_is_one_line() -> None:
    assert backup_line(BACKUP, now=NOW).split() == [
        "daily-20260101T000000Z",
        "3",
        "hours",
        "ago",
        "53.2",
        "kB",
    ]


def test_a_healthy_file_is_told_briefly() -> None:
    assert list(status_lines(STATUS)) == [
        "/home/ada/tina.db",
        "  size           1.4 MB",
        "  schema         version 2, up to date",
        "  SQLite         3.54.1, safe",
        "  conversations  12",
        "  messages       240",
        "  backups        none",
    ]


def test_all_that_is_special_is_told() -> None:
    contents = Contents(
        conversations=12,
        messages=240,
        deleted=3,
        search_backlog=9,
        open_turns=(
            TURN,
            structs.replace(TURN, is_alive=True),
            structs.replace(TURN, is_alive=True, pid=77),
            structs.replace(TURN, status=TurnStatus.QUEUED, lease_id=None),
        ),
    )
    status = structs.replace(
        STATUS,
        log_bytes=2000,
        schema_version=1,
        is_sqlite_safe=False,
        contents=contents,
        backups=(BACKUP,),
    )

    text = "\n".join(status_lines(status))

    assert "1.4 MB, log 2.0 kB" in text
    assert "version 1 of 2; `tina db migrate`" in text
    assert "WAL-reset bug" in text
    assert "12 (3 deleted)" in text
    assert "240 (9 not in the search index yet)" in text
    assert "2222222222222222  was cut off" in text
    assert "answered by a process\n" in text
    assert "answered by process 77\n" in text
    assert "waits for a process" in text
    assert "daily-20260101T000000Z" in text


def test_a_file_that_is_not_there_or_not_read_is_told() -> None:
    status = structs.replace(STATUS, exists=False, schema_version=None, contents=None)

    assert list(status_lines(status)) == [
        "/home/ada/tina.db",
        "  there is no database yet",
        "  SQLite         3.54.1, safe",
        "  backups        none",
    ]


def test_a_preview_tells_what_would_go_and_come() -> None:
    preview = RestorePreview(
        backup=BACKUP,
        lost=Difference(conversations=3, messages=1, titles=("Ne\x1bw\nline", "")),
        regained=Difference(conversations=1, messages=4, titles=("Weather",)),
        problem=None,
    )

    assert list(preview_lines(preview, now=NOW)) == [
        "daily-20260101T000000Z.db, 3 hours ago:",
        "  would be lost: 3 conversations, 1 message",
        "    Ne␛w line",
        "    (no title)",
        "    and 1 more",
        "  would come back: 1 conversation, 4 messages",
        "    Weather",
        "  What is there now is kept as a backup.",
    ]


def test_a_preview_of_nothing_and_of_damage_is_told() -> None:
    nothing = RestorePreview(backup=BACKUP, lost=None, regained=None, problem=None)
    damaged = structs.replace(nothing, problem="It is damaged.")

    assert "nothing can be lost" in list(preview_lines(nothing, now=NOW))[1]
    told = list(preview_lines(damaged, now=NOW))
    assert told[1] == "  What is there now cannot be read: It is damaged."
    assert "kept whole" in told[2]


def test_a_repair_tells_what_was_mended() -> None:
    assert list(repair_lines(Repair(mended=()))) == ["There was nothing to mend."]
    assert list(repair_lines(Repair(mended=("counts told anew: 1",)))) == [
        "Mended: counts told anew: 1"
    ]


def test_a_salvage_tells_what_was_saved_and_lost() -> None:
    repair = Repair(
        mended=(),
        original="/home/ada/tina.db.damaged",
        saved={"messages": 11, "conversations": 4},
        left_out=("rows that are damaged themselves: 2",),
    )

    alone = list(repair_lines(repair))
    beside = list(repair_lines(structs.replace(repair, newest_backup=BACKUP)))

    assert alone == [
        "The file was damaged. What could be read was saved into a new one:",
        "  conversations: 4",
        "  messages: 11",
        "  not saved: rows that are damaged themselves: 2",
        "The damaged file is kept as /home/ada/tina.db.damaged.",
    ]
    assert beside[:-1] == alone
    assert "`tina db restore daily-20260101T000000Z`" in beside[-1]
    bare = structs.replace(repair, saved=None, left_out=())
    assert len(list(repair_lines(bare))) == 2


def test_a_file_that_cannot_be_written_is_told_with_the_reason() -> None:
    status = structs.replace(STATUS, why_read_only="It is on a CD\x1b.")

    assert list(status_lines(status))[1:3] == [
        "  size           1.4 MB",
        "  It is on a CD␛.",
    ]


def test_a_disk_without_room_for_the_reserve_is_told() -> None:
    full = structs.replace(STATUS, reserve=ReserveState.NO_ROOM)
    missing = structs.replace(STATUS, reserve=ReserveState.MISSING)

    told = "\n".join(status_lines(full))
    assert "  reserve        none: the disk has too little room" in told
    assert list(status_lines(missing)) == list(status_lines(STATUS))
    nothing = structs.replace(full, exists=False)
    assert not any("reserve" in line for line in status_lines(nothing))


def test_backups_of_a_database_that_is_gone_are_told() -> None:
    status = structs.replace(STATUS, exists=False, contents=None, backups=(BACKUP,))

    assert list(status_lines(status))[1] == (
        "  there is no database, but there are backups: "
        "`tina db restore daily-20260101T000000Z` brings back the newest"
    )


def test_a_preview_that_changes_nothing_says_only_that() -> None:
    none = Difference(conversations=0, messages=0, titles=())
    preview = RestorePreview(
        backup=BACKUP, lost=none, regained=none, problem=None, changes_nothing=True
    )

    assert list(preview_lines(preview, now=NOW))[1:] == [
        "  Nothing would change: what is there now is the same."
    ]


def test_a_migration_tells_where_the_older_file_is_if_there_was_anything() -> None:
    path = "/home/ada/tina.db"
    migration = Migration(from_version=1, to_version=2, backup=BACKUP)

    assert list(migration_lines(path, migration)) == [
        "/home/ada/tina.db was brought from version 1 to 2.",
        "How it was before is kept as /home/ada/backups/daily-20260101T000000Z.db.",
    ]
    bare = structs.replace(migration, backup=None)
    assert len(list(migration_lines(path, bare))) == 1
