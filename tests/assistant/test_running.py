"""Turns that one process asks for and another runs, watches or stops."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel
import pytest
from msgspec import structs

from tests.assistant.house import (
    RULES,
    asking,
    house,
    make_stores,
    process,
    wait_for_text,
)
from tina.assistant import Journal, Runner, Running, TurnOptions
from tina.assistant import running as running_module
from tina.assistant.running import READ_TRIES
from tina.domain.chat import ChatOptions, ModelRef
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import TextDelta
from tina.domain.failures import (
    DamagedFailure,
    InvalidInputFailure,
    NotFoundFailure,
    StorageFailure,
)
from tina.domain.ids import ConversationId, LeaseId, MessageId
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.ports import JournalPiece
from tina.domain.queries import Query
from tina.domain.turns import NewTurn, OpenTurn, TurnStatus
from tina.testing.live import MemoryLive
from tina.testing.memory import MemoryConversations, MemoryMessages, MemoryTurns
from tina.testing.provider import HANG

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class FailingOnce(MemoryLive):
    """Cannot be read the first time."""

    has_failed = False

    def watch(
        self, query: Query[T], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[T]:
        if not self.has_failed:
            self.has_failed = True
            raise StorageFailure("It cannot be read.")
        return super().watch(query, min_interval_s=min_interval_s)


async def test_a_turn_for_later_waits_until_somebody_runs_it() -> None:
    async with house("Ice.") as here:
        queued = await here.assistant.send_later(
            here.conversation.id,
            "Why?",
            TurnOptions(options=ChatOptions(temperature=0.5)),
        )

        (turn,) = await here.stores.turns.list_open()
        prompt, answer = await here.stores.messages.list(here.conversation.id)
        assert (turn.status, turn.answer_id) == (TurnStatus.QUEUED, queued.message_id)
        assert (prompt.text, answer.id) == ("Why?", queued.message_id)
        assert queued.model == "scripted:parrot"
        assert here.provider.requests == []

        await Runner(
            here.process.ports, here.process.running, here.process.keeper, slots=2
        ).run(linger_s=5)

        _, answer = await here.stores.messages.list(here.conversation.id)
        (request,) = here.provider.requests
        assert (answer.status, answer.text) == (MessageStatus.COMPLETE, "Ice.")
        assert request.options.temperature == 0.5
        assert (request.model, request.system) == ("parrot", "Be brief.")
        assert [message.text for message in request.messages] == ["Why?"]


async def test_a_follow_up_for_later_sees_the_answer_before_it() -> None:
    async with house("Ice.") as here:
        await here.assistant.send_later(here.conversation.id, "Why?")
        await here.assistant.send_later(here.conversation.id, "And then?")

        await Runner(
            here.process.ports, here.process.running, here.process.keeper, slots=4
        ).run(linger_s=5)

        texts = [
            [message.text for message in request.messages]
            for request in here.provider.requests
        ]
        assert texts == [["Why?"], ["Why?", "Ice.", "And then?"]]


async def test_a_runner_runs_so_many_at_once_and_no_more() -> None:
    stores = make_stores()
    async with process(stores, HANG) as runner, process(stores) as asker:
        conversations = [
            await stores.conversations.create(NewConversation()) for _ in range(5)
        ]
        for conversation in conversations:
            await asker.assistant.send_later(
                conversation.id, "Why?", TurnOptions(model="scripted:parrot")
            )
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                run = runner.runner(slots=2).run
                group.start_soon(lambda: run(linger_s=None))
                while len(runner.provider.requests) < 2:
                    await anyio.lowlevel.checkpoint()
                for _ in range(50):
                    await anyio.lowlevel.checkpoint()
                assert len(runner.provider.requests) == 2
                first = (await stores.turns.list_open())[0]
                await runner.running.stop(first.answer_id)
                while len(runner.provider.requests) < 3:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()


async def test_a_turn_that_cannot_begin_fails_with_the_reason() -> None:
    stores = make_stores()
    async with process(stores, "Ice.") as here:
        conversation = await stores.conversations.create(NewConversation())
        queued = await here.assistant.send_later(conversation.id, "Why?")
        turn = stores.rows.open_turns[queued.message_id]
        stores.rows.open_turns[queued.message_id] = asking(turn, "gone:model")

        claimed = await here.running.claim()
        assert claimed is not None
        answer = await claimed.result()

    assert answer.status is MessageStatus.FAILED
    assert answer.failure is not None
    assert answer.failure.kind == "model_not_found"


async def test_a_fault_of_ours_before_asking_fails_the_turn_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Breaking(MemoryMessages):
        async def list_branch(self, message_id: MessageId) -> tuple[Message, ...]:
            raise ZeroDivisionError("on purpose")

    stores = make_stores()
    stores.messages = Breaking(stores.rows)
    async with process(stores, "Ice.") as here:
        conversation = await stores.conversations.create(NewConversation())
        await here.assistant.send_later(conversation.id, "Why?")
        claimed = await here.running.claim()
        assert claimed is not None
        answer = await claimed.result()

    assert answer.failure is not None
    assert answer.failure.kind == "internal"
    assert "turn_not_prepared" in caplog.text


async def test_a_claimed_turn_whose_answer_was_purged_is_passed_over() -> None:
    class Purged(MemoryMessages):
        """In the moment after the claim."""

        async def get(self, message_id: MessageId) -> Message | None:
            return None

    async with house("Ice.") as here:
        await here.assistant.send_later(here.conversation.id, "Why?")
        ports = replace(here.process.ports, messages=Purged(here.stores.rows))
        journal = Journal(ports.journal, clock=ports.clock)

        claimed = await Running(
            ports, rules=lambda: RULES, journal=journal, group=here.group
        ).claim()

        assert claimed is None


async def test_a_runner_lives_on_when_the_database_cannot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(MemoryTurns):
        refusals = 2

        async def claim(self, lease_id: LeaseId) -> OpenTurn | None:
            if self.refusals:
                self.refusals -= 1
                raise StorageFailure("No room left.")
            return await super().claim(lease_id)

    async with house("Ice.", turns=Failing) as here:
        queued = await here.assistant.send_later(here.conversation.id, "Why?")

        await Runner(
            here.process.ports, here.process.running, here.process.keeper, slots=1
        ).run(linger_s=60)

        answer = await here.stores.messages.get(queued.message_id)
        assert answer is not None
        assert answer.status is MessageStatus.COMPLETE
    assert "nothing_claimed" in caplog.text


async def test_an_answer_is_stopped_from_another_process() -> None:
    stores = make_stores()
    async with process(stores, "Once upon", HANG) as writer, process(stores) as other:
        conversation = await stores.conversations.create(NewConversation())
        turn = await writer.assistant.send(conversation.id, "A tale.")
        await wait_for_text(turn)

        with anyio.fail_after(5):
            was_running = await other.assistant.stop(turn.message_id)
            answer = await turn.result()
        again = await other.assistant.stop(turn.message_id)

    assert (was_running, again) == (True, False)
    assert (answer.status, answer.text) == (MessageStatus.STOPPED, "Once upon")
    assert writer.provider.closed == 1


async def test_a_stop_that_comes_before_the_first_word_is_heeded() -> None:
    class Slow(MemoryTurns):
        """Somebody stops an answer before the process knows that it began."""

        async def begin(self, turn: NewTurn) -> None:
            await super().begin(turn)
            if turn.prompt is not None and turn.prompt.text == "Another.":
                await self.request_stop(turn.answer.id)
                for _ in range(100):
                    await anyio.lowlevel.checkpoint()

    async with house("Once upon", HANG, turns=Slow) as here:
        first = await here.send()
        await wait_for_text(first)
        conversation = await here.stores.conversations.create(NewConversation())

        second = await here.assistant.send(conversation.id, "Another.")

        assert (await second.result()).status is MessageStatus.STOPPED


@pytest.mark.parametrize(
    ("times", "status"),
    [(1, MessageStatus.COMPLETE), (READ_TRIES, MessageStatus.FAILED)],
)
async def test_a_claimed_answer_that_cannot_be_read_at_once_is_read_a_moment_later(
    times: int, status: MessageStatus, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(MemoryMessages):
        refusals = times

        async def get(self, message_id: MessageId) -> Message | None:
            if self.refusals:
                self.refusals -= 1
                raise StorageFailure("It cannot be read.")
            return await super().get(message_id)

    async with house("Ice.") as here:
        queued = await here.assistant.send_later(here.conversation.id, "Why?")
        ports = replace(here.process.ports, messages=Failing(here.stores.rows))
        running = Running(
            ports,
            rules=lambda: RULES,
            journal=Journal(ports.journal, clock=ports.clock),
            group=here.group,
        )

        turn = await running.claim()

        assert turn is not None
        answer = await turn.result()
        assert (answer.id, answer.status) == (queued.message_id, status)
    assert "answer_not_read" in caplog.text


async def test_a_claimed_answer_that_is_damaged_fails_and_the_next_one_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house("Ice.") as here:
        first = await here.assistant.send_later(here.conversation.id, "Why?")
        other = await here.stores.conversations.create(NewConversation())
        second = await here.assistant.send_later(other.id, "And then?")

        class Damaged(MemoryMessages):
            async def get(self, message_id: MessageId) -> Message | None:
                if message_id == first.message_id:
                    raise DamagedFailure("It cannot be read.")
                return await super().get(message_id)

        ports = replace(here.process.ports, messages=Damaged(here.stores.rows))
        running = Running(
            ports,
            rules=lambda: RULES,
            journal=Journal(ports.journal, clock=ports.clock),
            group=here.group,
        )

        await Runner(ports, running, here.process.keeper, slots=1).run(linger_s=60)

        answers = [
            await here.stores.messages.get(turn.message_id) for turn in (first, second)
        ]
        assert [answer and answer.status for answer in answers] == [
            MessageStatus.FAILED,
            MessageStatus.COMPLETE,
        ]
    assert "answer_not_read" not in caplog.text


async def test_a_runner_that_is_cancelled_while_it_claims_leaves_no_turn_behind() -> (
    None
):
    class Slow(MemoryTurns):
        async def claim(self, lease_id: LeaseId) -> OpenTurn | None:
            claimed = await super().claim(lease_id)
            has_claimed.set()
            await anyio.lowlevel.checkpoint()
            return claimed

    has_claimed = anyio.Event()
    async with house("Ice.", turns=Slow) as here:
        queued = await here.assistant.send_later(here.conversation.id, "Why?")
        runner = Runner(
            here.process.ports, here.process.running, here.process.keeper, slots=1
        )
        async with anyio.create_task_group() as group:
            group.start_soon(partial(runner.run, linger_s=None))
            await has_claimed.wait()
            group.cancel_scope.cancel()

        while await here.stores.turns.list_open():
            await anyio.lowlevel.checkpoint()

        answer = await here.stores.messages.get(queued.message_id)
        assert answer is not None
        assert answer.status is MessageStatus.COMPLETE


async def test_an_answer_is_stopped_in_its_own_process() -> None:
    async with house("Once upon", HANG) as here:
        turn = await here.send()
        await wait_for_text(turn)

        assert await here.assistant.stop(turn.message_id)

        assert (await here.stored(turn)).status is MessageStatus.STOPPED


async def test_stops_are_heard_again_after_the_database_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stores = make_stores()
    stores.live = FailingOnce(
        stores.rows, waiting=stores.tool_calls.waiting, clock=stores.clock
    )
    async with process(stores, "Once upon", HANG) as here:
        conversation = await stores.conversations.create(NewConversation())
        turn = await here.assistant.send(conversation.id, "A tale.")
        await wait_for_text(turn)
        await stores.turns.request_stop(turn.message_id)

        with anyio.fail_after(5):
            answer = await turn.result()

    assert answer.status is MessageStatus.STOPPED
    assert "stops_not_seen" in caplog.text


async def test_a_runner_hears_again_after_the_database_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stores = make_stores()
    stores.live = FailingOnce(
        stores.rows, waiting=stores.tool_calls.waiting, clock=stores.clock
    )
    async with process(stores, "Ice.") as here:
        with anyio.fail_after(5):
            await here.runner(slots=1).run(linger_s=60)

    assert "turns_not_watched" in caplog.text


async def test_turns_beyond_the_limit_wait_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running_module, "MAX_RUNNING_TURNS", 1)
    async with house("Once", HANG) as here:
        first = await here.send("First")
        await wait_for_text(first)
        second = await here.send("Second")
        await anyio.wait_all_tasks_blocked()
        asked = len(here.provider.requests)

        await first.stop()
        await wait_for_text(second)

        assert asked == 1
        assert len(here.provider.requests) == 2


async def test_an_answer_grows_for_a_watcher_in_its_process() -> None:
    async with house("Once", " upon", " a time") as here:
        turn = await here.send()
        watched = here.process.watching.watch_message(turn.message_id)
        async with aclosing(watched) as messages:
            seen = [message async for message in messages]

    texts = [message.text for message in seen]
    assert texts == sorted(texts, key=len)
    assert (seen[-1].status, texts[-1]) == (MessageStatus.COMPLETE, "Once upon a time")


async def test_an_answer_grows_for_a_watcher_in_another_process() -> None:
    stores, alive = make_stores(), set[LeaseId]()
    async with (
        process(stores, "Once", HANG, alive=alive) as writer,
        process(stores, alive=alive) as other,
    ):
        conversation = await stores.conversations.create(NewConversation())
        turn = await writer.assistant.send(conversation.id, "A tale.")
        seen: list[tuple[MessageStatus, str]] = []
        with anyio.fail_after(5):
            watched = other.watching.watch_message(turn.message_id, min_interval_s=0.1)
            async with aclosing(watched) as messages:
                async for message in messages:
                    seen.append((message.status, message.text))
                    if message.text == "Once":
                        await other.assistant.stop(turn.message_id)

    assert (MessageStatus.STREAMING, "Once") in seen
    assert seen[-1] == (MessageStatus.STOPPED, "Once")


async def test_pieces_of_the_journal_are_joined_until_a_fold_says_it_all() -> None:
    class Piecewise(MemoryLive):
        async def follow(self, message_id: MessageId) -> AsyncGenerator[JournalPiece]:
            yield JournalPiece((TextDelta("text", "Onec"),), is_fold=True)
            yield JournalPiece((TextDelta("text", "Once"),), is_fold=True)
            yield JournalPiece((TextDelta("text", " upon"),), is_fold=False)

    stores = make_stores()
    stores.live = Piecewise(
        stores.rows, waiting=stores.tool_calls.waiting, clock=stores.clock
    )
    async with process(stores) as here:
        conversation = await stores.conversations.create(NewConversation())
        queued = await here.assistant.send_later(conversation.id, "A tale.")
        watched = here.watching.watch_message(queued.message_id)
        async with aclosing(watched) as messages:
            texts = [message.text async for message in messages]

    assert texts[:3] == ["Onec", "Once", "Once upon"]


async def test_a_turn_without_a_prompt_asks_with_nothing() -> None:
    async with house("Ice.") as here:
        queued = await here.assistant.send_later(here.conversation.id, "Why?")
        by_id = here.stores.rows.messages_by_id
        by_id[queued.message_id] = structs.replace(
            by_id[queued.message_id], parent_id=None
        )

        claimed = await here.process.running.claim()
        assert claimed is not None
        await claimed.result()

        assert here.provider.requests[0].messages == ()


async def test_who_watches_settles_what_a_dead_process_left() -> None:
    stores, alive = make_stores(), set[LeaseId]()
    async with process(stores, alive=alive) as here:
        conversation = await stores.conversations.create(NewConversation())
        queued = await here.assistant.send_later(conversation.id, "A tale.")
        await stores.turns.claim(LeaseId("dead"))
        await stores.journal.append(
            {queued.message_id: [TextDelta("text", "Once upon")]}
        )

        with anyio.fail_after(5):
            watched = here.watching.watch_message(queued.message_id)
            async with aclosing(watched) as messages:
                seen = [(message.status, message.text) async for message in messages]

    assert seen == [
        (MessageStatus.STREAMING, "Once upon"),
        (MessageStatus.INTERRUPTED, "Once upon"),
    ]


async def test_a_message_that_does_not_exist_cannot_be_watched() -> None:
    async with house() as here:
        with pytest.raises(NotFoundFailure):
            await anext(here.process.watching.watch_message(MessageId("0" * 32)))


async def test_a_settled_message_is_watched_once() -> None:
    async with house("Ice.") as here:
        turn = await here.send()
        answer = await turn.result()
        watched = here.process.watching.watch_message(turn.message_id)
        async with aclosing(watched) as messages:
            seen = [message async for message in messages]

    assert seen == [answer]


async def test_an_edited_prompt_is_a_new_branch_and_the_old_one_stays() -> None:
    async with house("Ice.") as here:
        first = await here.send("Why?")
        await first.result()
        second = await here.send("And then?")
        await second.result()
        assert first.prompt_id is not None

        edited = await here.assistant.edit(first.prompt_id, "Why not?")
        await edited.result()

        branch = await here.stores.messages.list(here.conversation.id)
        old = await here.stores.messages.list_branch(second.message_id)
        assert [message.text for message in branch] == ["Why not?", "Ice."]
        assert [message.text for message in old] == [
            "Why?",
            "Ice.",
            "And then?",
            "Ice.",
        ]
        assert [m.text for m in here.provider.requests[-1].messages] == ["Why not?"]


async def test_only_a_prompt_can_be_edited() -> None:
    async with house("Ice.") as here:
        turn = await here.send()
        await turn.result()

        with pytest.raises(InvalidInputFailure, match="regenerate"):
            await here.assistant.edit(turn.message_id, "Better.")
        with pytest.raises(InvalidInputFailure):
            await here.assistant.edit(turn.message_id, " ")
        with pytest.raises(NotFoundFailure):
            await here.assistant.edit(MessageId("0" * 32), "Better.")


async def test_an_answer_is_regenerated_beside_the_old_one() -> None:
    async with house("Ice.") as here:
        first = await here.send()
        old = await first.result()

        again = await here.assistant.regenerate(
            first.message_id, TurnOptions(model="scripted:other")
        )
        new = await again.result()

        siblings = await here.stores.messages.list_siblings(old.id)
        branch = await here.stores.messages.list(here.conversation.id)
        assert siblings == (old, new)
        assert [message.role for message in branch] == [Role.USER, Role.ASSISTANT]
        assert branch[-1] == new
        assert new.model == str(ModelRef("scripted", "other"))


async def test_what_is_still_written_cannot_be_regenerated() -> None:
    async with house(HANG) as here:
        turn = await here.send()

        with pytest.raises(InvalidInputFailure, match="tina stop"):
            await here.assistant.regenerate(turn.message_id)


async def test_nothing_is_regenerated_where_nothing_was_asked() -> None:
    async with house("Ice.") as here:
        turn = await here.send()
        answer = await turn.result()
        here.stores.rows.messages_by_id[answer.id] = structs.replace(
            answer, parent_id=None
        )

        with pytest.raises(InvalidInputFailure, match="Nothing was asked"):
            await here.assistant.regenerate(answer.id)


async def test_a_turn_whose_conversation_cannot_be_read_ends_as_failed() -> None:
    class Broken(MemoryConversations):
        async def get(self, conversation_id: ConversationId) -> Conversation | None:
            raise StorageFailure("It cannot be read.")

    async with house("Ice.") as here:
        await here.assistant.send_later(here.conversation.id, "Why?")
        rows, clock = here.stores.rows, here.stores.clock
        ports = replace(
            here.process.ports,
            conversations=Broken(rows, clock=clock, ids=here.stores.ids),
        )
        running = Running(
            ports,
            rules=lambda: RULES,
            journal=Journal(ports.journal, clock=clock),
            group=here.group,
        )

        turn = await running.claim()

        assert turn is not None
        answer = await turn.result()
    assert answer.status is MessageStatus.FAILED
    assert answer.failure is not None
    assert answer.failure.kind == "storage"
