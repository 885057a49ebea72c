"""One suite for messages that are pinned."""

import pytest

from tests.contracts.conftest import Kept
from tests.contracts.test_repositories import Stores, stores_of
from tina.domain.chat import StopReason
from tina.domain.ids import MessageId
from tina.domain.messages import Message, TextPart
from tina.domain.notes import AnswerNotes

pytestmark = pytest.mark.anyio


@pytest.fixture
def stores(kept: Kept) -> Stores:
    return stores_of(*kept)


async def settled(stores: Stores, *, notes: AnswerNotes | None = None) -> Message:
    _, answer = await stores.begin(await stores.conversation())
    ended = answer.completed(
        (TextPart(text="Ice."),), stop_reason=StopReason.STOP, usage=None, replay=None
    )
    if notes is not None:
        ended = ended.given_by("b:m", notes)
    await stores.turns.settle(ended)
    return ended


async def stored(stores: Stores, message: Message) -> Message:
    found = await stores.messages.get(message.id)
    assert found is not None
    return found


async def test_a_message_is_pinned_and_unpinned(stores: Stores) -> None:
    message = await settled(stores)

    assert await stores.messages.pin(message.id, is_pinned=True)
    assert (await stored(stores, message)).is_pinned
    assert await stores.messages.pin(message.id, is_pinned=False)
    assert await stored(stores, message) == message


async def test_a_pin_leaves_other_notes_alone(stores: Stores) -> None:
    notes = AnswerNotes(asked_model="a:m", fallback_reason="Busy.", left_out_messages=2)
    message = await settled(stores, notes=notes)

    await stores.messages.pin(message.id, is_pinned=True)
    pinned = await stored(stores, message)
    await stores.messages.pin(message.id, is_pinned=False)

    assert (pinned.is_pinned, pinned.notes, pinned.model) == (True, notes, "b:m")
    assert await stored(stores, message) == message


async def test_unpinning_what_was_never_pinned_changes_nothing(stores: Stores) -> None:
    message = await settled(stores)

    assert await stores.messages.pin(message.id, is_pinned=False)
    assert await stored(stores, message) == message


async def test_what_does_not_exist_or_still_grows_is_not_pinned(stores: Stores) -> None:
    _, answer = await stores.begin(await stores.conversation())

    assert not await stores.messages.pin(answer.id, is_pinned=True)
    assert not await stores.messages.pin(MessageId("f" * 32), is_pinned=True)
