"""`tina show -f` and `tina log -f`: what is said now, whichever process says it."""

from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import partial

import anyio

from tina.cli.exits import Exit, exit_for_message
from tina.cli.following import LEAVE_TIMEOUT_S, beside, keep_drawing
from tina.cli.growth import events_between
from tina.cli.history import (
    SHORT_ID_CHARS,
    chosen_conversation,
    entry,
    entry_ending,
    entry_head,
    line,
    page_head,
    waiting_answers,
)
from tina.cli.interruption import Interruption, interruptible
from tina.cli.notes import remarks
from tina.cli.output import Console, OutputError
from tina.cli.shapes import conversation_shape, message_shape, to_json
from tina.cli.showing import Screen, text_screen
from tina.domain.conversations import Conversation
from tina.domain.failures import Failure, InvalidInputFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.queries import MAX_PAGE_SIZE
from tina.wiring import App, open_for

GROWTH_INTERVAL_S = 0.03
LIST_INTERVAL_S = 0.2
PATIENCE_S = 3.0
"""How long an answer may wait for a worker before a person is told."""


async def show_following(conversation_id: str | None, *, as_json: bool) -> int:
    """Print a conversation, and what is still written in it until it ends."""
    console = Console()

    async def follow(interruption: Interruption) -> int:
        async with open_for() as app:
            conversation = await chosen_conversation(app, conversation_id)
            try:
                return await _follow(app, console, conversation, as_json=as_json)
            except anyio.get_cancelled_exc_class():
                if interruption.is_from_person:
                    await _say_goodbye(console, conversation)
                raise

    return await interruptible(follow)


async def log_following(*, count: int, as_json: bool) -> int:
    """List the newest conversations, then each one that changes, until Ctrl-C."""
    if count < 0:
        raise InvalidInputFailure("-n wants 0 (all) or a number above it.")
    console = Console()

    async def follow(_: Interruption) -> int:
        async with open_for() as app:
            watched = app.conversations.watch(
                limit=min(count, MAX_PAGE_SIZE) or None,
                min_interval_s=LIST_INTERVAL_S,
            )
            lines = Lines(_json_line if as_json else line)
            async with aclosing(watched) as lists:
                async for conversations in lists:
                    for each in lines.among(conversations):
                        console.out.write(each)
                    await console.out.room()
        return Exit.OK

    return await interruptible(follow)


def _json_line(conversation: Conversation) -> str:
    return to_json(conversation_shape(conversation)) + "\n"


class Lines:
    """What to print of a list that changes, from one look at it to the next.

    A change that a conversation's line does not show is not printed.
    """

    def __init__(self, write: Callable[[Conversation], str]) -> None:
        self._write = write
        self._changes = Changes()
        self._printed: dict[ConversationId, str] = {}

    def among(self, listed: Sequence[Conversation]) -> list[str]:
        lines: list[str] = []
        for each in self._changes.among(listed):
            written = self._write(each)
            if self._printed.get(each.id) != written:
                self._printed[each.id] = written
                lines.append(written)
        return lines


class Changes:
    """From one look at the newest conversations to the next: which are other ones."""

    def __init__(self) -> None:
        self._seen: dict[ConversationId, Conversation] = {}
        self._since: datetime | None = None

    def among(self, listed: Sequence[Conversation]) -> list[Conversation]:
        """Those that are new or changed, the one that stands first in the list last.

        One that moved up because another left the list did not change.
        """
        changed = [each for each in reversed(listed) if self._is_other(each)]
        self._seen.update((each.id, each) for each in listed)
        if self._since is None:
            moments = (each.last_message_at for each in listed)
            self._since = max(moments, default=datetime.min.replace(tzinfo=UTC))
        return changed

    def _is_other(self, now: Conversation) -> bool:
        before = self._seen.get(now.id)
        if before is not None or self._since is None:
            return before != now
        return now.is_pinned or now.last_message_at > self._since


async def _follow(
    app: App, console: Console, conversation: Conversation, *, as_json: bool
) -> int:
    if not as_json:
        console.out.write(page_head(conversation))
    show = partial(_show_as_json if as_json else _show_as_text, app, console)
    shown: set[MessageId] = set()
    last: Message | None = None
    while True:
        branch = await app.conversations.messages(conversation.id)
        new = [message for message in branch if message.id not in shown]
        if not new:
            break
        for message in new:
            async with beside(partial(_tell_if_it_waits, app, console, message)):
                last = await show(message)
            shown.add(message.id)
    await console.out.written()
    is_answer = last is not None and last.role is Role.ASSISTANT
    return exit_for_message(last) if last is not None and is_answer else Exit.OK


async def _tell_if_it_waits(app: App, console: Console, message: Message) -> None:
    """Tell a person why nothing happens, if nothing does for a while."""
    if message.status is MessageStatus.STREAMING:
        await app.clock.sleep(PATIENCE_S)
        with suppress(Failure):  # a word beside; the answer itself tells of its own
            if message.id in await waiting_answers(app):
                await console.tell_at_once(
                    "tina: The answer waits in line. If that lasts, `tina worker` "
                    "answers it.\n"
                )


async def _show_as_json(app: App, console: Console, message: Message) -> Message:
    """One line for a message, once it is settled."""
    ended = message
    async with aclosing(app.watch_message(message.id)) as growth:
        async for look in growth:
            ended = look
    console.out.write(to_json(message_shape(ended)) + "\n")
    await console.out.room()
    return ended


async def _show_as_text(app: App, console: Console, message: Message) -> Message:
    if message.status is not MessageStatus.STREAMING:
        console.out.write(entry(message))
        await console.out.room()
        return message
    console.out.write(entry_head(message))
    screen = text_screen(app, console.out)
    ended = await _show_growth(app, console, screen, message)
    screen.end(ended)
    console.out.write(remarks(ended) + entry_ending(ended))
    await console.out.room()
    return ended


async def _show_growth(
    app: App, console: Console, screen: Screen, message: Message
) -> Message:
    """Show a message until it is settled; how it ended."""
    shown = message
    for event in events_between((), shown.parts):
        screen.show(event)
    watched = app.watch_message(message.id, min_interval_s=GROWTH_INTERVAL_S)
    drawing = partial(keep_drawing, screen, app.clock)
    async with beside(drawing), aclosing(watched) as growth:
        async for look in growth:
            for event in events_between(shown.parts, look.parts):
                screen.show(event)
            shown = look
            await console.out.room()
    return shown


async def _say_goodbye(console: Console, conversation: Conversation) -> None:
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(LEAVE_TIMEOUT_S), suppress(OutputError):
            await console.out.written()
        with anyio.move_on_after(LEAVE_TIMEOUT_S):
            await console.tell_at_once(
                "\ntina: Left; the answer goes on. "
                f"`tina stop {conversation.id[:SHORT_ID_CHARS]}` stops it.\n"
            )
