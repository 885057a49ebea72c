"""`tina chat`: one conversation, line by line."""

import sys
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tina.cli.exits import Exit, exit_for_failure, exit_for_message
from tina.cli.flags import Asking, Placing, Showing
from tina.cli.following import follow
from tina.cli.interruption import Interruption, interruptible
from tina.cli.lines import piped_lines
from tina.cli.output import Console
from tina.cli.placing import check_models, check_placing, goes_on, place
from tina.cli.showing import make_screen
from tina.cli.turn_arguments import turn_arguments
from tina.domain.conversations import Conversation
from tina.domain.failures import Failure
from tina.wiring import App, TurnArguments, open_for

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

    def __init__(
        self,
        app: App,
        console: Console,
        placing: Placing,
        asking: Asking,
        turn: TurnArguments,
    ) -> None:
        self._app = app
        self._console = console
        self._placing = placing
        self._asking = asking
        self._turn = turn
        self._conversation: Conversation | None = None

    @property
    def answerer(self) -> str:
        """The model that answers next, as `provider:model`."""
        kept = None if self._conversation is None else self._conversation.model
        return self._asking.model or kept or self._app.default_model

    async def begin(self) -> None:
        """Find the conversation that was named, if one was.

        Raises:
            NotFoundFailure: there is no such conversation.
            ModelNotFoundFailure: there is no such provider.
        """
        check_models(self._app, self._asking)
        if goes_on(self._placing):
            self._conversation = await place(
                self._app, self._placing, self._asking, title=""
            )

    async def say(self, line: str, interruption: Interruption) -> int:
        """Answer one line, or do what a slash command says."""
        if line.startswith("/"):
            await self._console.tell(f"{self._obey(line)}\n")
            return Exit.OK
        if self._conversation is None:
            self._conversation = await place(
                self._app, self._placing, self._asking, title=line
            )
        turn = await self._app.send(self._conversation.id, line, **self._turn)
        screen = make_screen(Showing(), turn, self._app, self._console.out)
        clock = self._app.clock
        message = await follow(turn, screen, self._console, interruption, clock)
        return exit_for_message(message)

    def _obey(self, line: str) -> str:
        """Do it, and say what was done."""
        command, _, rest = line.partition(" ")
        match command:
            case "/exit" | "/quit" | "/bye":
                raise Left
            case "/new":
                self._conversation = None
                self._placing = replace(
                    self._placing, conversation=None, continue_=False
                )
                return "A new conversation."
            case "/model" if model := rest.strip():
                self._app.check_model(model)
                self._asking = replace(self._asking, model=model)
                self._turn["model"] = model
                return f"{model} answers from here on."
            case "/help":
                return HELP
            case _:
                return f"There is no {command}. /help shows what there is."


async def chat(placing: Placing, asking: Asking) -> int:
    """Talk until the person leaves or the piped lines end."""
    check_placing(placing)
    turn = turn_arguments(asking)
    console = Console()
    async with open_for(key=asking.key, model=asking.model, keeps=placing.log) as app:
        talk = Talk(app, console, placing, asking, turn)
        await talk.begin()
        if sys.stdin is not None and sys.stdin.isatty() and console.out.isatty():
            return await _at_terminal(talk, app, console)
        return await interruptible(partial(_piped, talk, console))


async def _piped(talk: Talk, console: Console, interruption: Interruption) -> int:
    code: int = Exit.OK
    async with aclosing(piped_lines()) as lines:
        async for line in lines:
            if line.strip():
                try:
                    code = await talk.say(line, interruption) or code
                except Left:
                    break
                except Failure as failure:
                    await console.tell(f"tina: {failure.message}\n")
                    code = exit_for_failure(failure.as_record())
    return code


async def _at_terminal(talk: Talk, app: App, console: Console) -> int:
    session = _make_session(app)
    await console.tell(f"Talking to {talk.answerer}. /help shows what you can do.\n")
    while True:
        try:
            code = await _answer_typed_line(talk, console, session)
        except KeyboardInterrupt:
            await console.tell("Ctrl-D or /exit leaves.\n")
        except (EOFError, Left):
            return Exit.OK
        except Failure as failure:
            await console.tell(f"tina: {failure.message}\n")
        else:
            if code != Exit.OK:
                return code


async def _answer_typed_line(
    talk: Talk, console: Console, session: "PromptSession[str]"
) -> int:
    """Ask for a line and answer it; the code to leave with, if it is not OK."""

    async def write_all(_: Interruption) -> int:
        await console.out.written()
        return Exit.OK

    # What a stopped answer still had to print; not over the next prompt.
    if code := await interruptible(write_all):
        return code
    line = (await session.prompt_async("> ")).strip()
    if not line:
        return Exit.OK
    code = await interruptible(partial(talk.say, line))
    return Exit.TERMINATED if code == Exit.TERMINATED else Exit.OK


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
