"""`tina chat`: one conversation, line by line."""

import sys
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tina.cli.ask import follow, place, send
from tina.cli.commands import Asking, Placing, Showing
from tina.cli.exits import Exit, exit_for_message
from tina.cli.interruption import Interruption, interruptible
from tina.cli.lines import piped_lines
from tina.cli.options import parse_options
from tina.cli.showing import make_screen
from tina.domain.conversations import Conversation
from tina.domain.failures import Failure
from tina.domain.messages import Message, MessageStatus
from tina.wiring import App, open_for

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

HELP = """\
/new           begin a new conversation
/model NAME    let another model answer (provider:model)
/help          show this
/exit          leave; Ctrl-D does too
Alt-Enter adds a line. Ctrl-C stops an answer; what was said is kept."""

COMMANDS = ("/exit", "/help", "/model", "/new")


class Left(Exception):
    """The person left."""


class Talk:
    """One chat: where it is and who answers."""

    def __init__(self, app: App, placing: Placing, asking: Asking) -> None:
        self._app = app
        self._placing = placing
        self._asking = asking
        self._conversation: Conversation | None = None

    async def begin(self) -> None:
        """Find the conversation that was named, if one was.

        Raises:
            NotFoundFailure: there is no such conversation.
            ModelNotFoundFailure: there is no such provider.
        """
        self._app.check_model(self._asking.model)
        if self._placing.conversation is not None or self._placing.continue_:
            self._conversation = await place(
                self._app, self._placing, self._asking, title=""
            )

    async def say(self, line: str, interruption: Interruption) -> int:
        """Answer one line, or do what a slash command says."""
        if line.startswith("/"):
            self._obey(line)
            return Exit.OK
        if self._conversation is None:
            self._conversation = await place(
                self._app, self._placing, self._asking, title=line
            )
        turn = await send(self._app, self._conversation, line, self._asking)
        message = await follow(
            turn, make_screen(Showing(), turn, self._app), interruption
        )
        _report(message)
        return exit_for_message(message)

    def _obey(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        match command:
            case "/exit" | "/quit" | "/bye":
                raise Left
            case "/new":
                self._conversation = None
                self._placing = replace(
                    self._placing, conversation=None, continue_=False
                )
                _tell("A new conversation.")
            case "/model" if rest.strip():
                self._app.check_model(rest.strip())
                self._asking = replace(self._asking, model=rest.strip())
                _tell(f"{rest.strip()} answers from here on.")
            case "/help":
                _tell(HELP)
            case _:
                _tell(f"There is no {command}. /help shows what there is.")


async def chat(placing: Placing, asking: Asking) -> int:
    """Talk until the person leaves or the piped lines end."""
    parse_options(asking.option)
    async with open_for(key=asking.key, model=asking.model, keeps=placing.log) as app:
        talk = Talk(app, placing, asking)
        await talk.begin()
        if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
            return await _at_terminal(talk, app)
        return await interruptible(lambda interruption: _piped(talk, interruption))


async def _piped(talk: Talk, interruption: Interruption) -> int:
    code: int = Exit.OK
    async with aclosing(piped_lines()) as lines:
        async for line in lines:
            if line.strip():
                try:
                    code = await talk.say(line, interruption) or code
                except Left:
                    break
    return code


async def _at_terminal(talk: Talk, app: App) -> int:
    session = _make_session(app)
    _tell(f"Talking to {app.default_model}. /help shows what you can do.")
    while True:
        try:
            line = (await session.prompt_async("> ")).strip()
            if not line:
                continue
            code = await interruptible(partial(talk.say, line))
        except KeyboardInterrupt:
            _tell("Ctrl-D or /exit leaves.")
        except (EOFError, Left):
            return Exit.OK
        except Failure as failure:
            _tell(f"tina: {failure.message}")
        else:
            if code == Exit.TERMINATED:
                return code


def _make_session(app: App) -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return PromptSession(
        history=FileHistory(str(app.chat_history_file())),
        completer=WordCompleter(list(COMMANDS), sentence=True),
        key_bindings=keys,
    )


def _report(message: Message) -> None:
    if message.status is MessageStatus.FAILED and message.failure is not None:
        _tell(f"tina: {message.failure.message}")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
