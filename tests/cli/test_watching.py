"""Which conversations are told of while a list is followed."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from tina.cli.history import line
from tina.cli.watching import Changes, Lines
from tina.domain.conversations import Conversation
from tina.domain.ids import LAPTOP_OWNER, ConversationId

START = datetime(2026, 1, 1, tzinfo=UTC)


def conversation(number: int) -> Conversation:
    """The higher its number, the newer it is."""
    moment = START + timedelta(hours=number)
    return Conversation(
        id=ConversationId(f"{number:032x}"),
        owner_id=LAPTOP_OWNER,
        title=f"Talk {number}",
        model=None,
        system=None,
        tip=None,
        message_count=0,
        preview="",
        created_at=moment,
        last_message_at=moment,
    )


A, B, C, D = map(conversation, range(4))


def test_at_first_all_are_told_the_newest_last() -> None:
    assert Changes().among([C, B, A]) == [A, B, C]


def test_then_only_new_and_changed_ones_are_told() -> None:
    changes = Changes()
    changes.among([B, A])

    renamed = replace(A, title="Fjords")

    assert changes.among([B, A]) == []
    assert changes.among([C, B, renamed]) == [renamed, C]
    assert changes.among([D, C, B]) == [D]


def test_one_that_moves_up_into_the_list_is_not_told() -> None:
    changes = Changes()
    changes.among([C, B])

    assert changes.among([B, A]) == []
    assert changes.among([replace(A, title="Fjords"), B]) == [
        replace(A, title="Fjords")
    ]


def test_an_old_one_that_was_pinned_is_told() -> None:
    changes = Changes()
    changes.among([C, B])

    assert changes.among([replace(A, is_pinned=True), C]) == [
        replace(A, is_pinned=True)
    ]


def test_the_first_one_of_an_empty_list_is_told() -> None:
    changes = Changes()
    changes.among([])

    assert changes.among([A]) == [A]


def test_a_line_is_printed_again_only_if_it_is_another_one() -> None:
    lines = Lines(line)
    first = lines.among([B, A])

    unseen = lines.among([replace(B, preview="Ice"), A])
    seen = lines.among([replace(B, preview="Ice", message_count=2), A])
    again = lines.among([C, replace(B, preview="Ice", message_count=2), A])

    assert first == [line(A), line(B)]
    assert unseen == []
    assert seen == [line(replace(B, message_count=2))]
    assert again == [line(C)]
