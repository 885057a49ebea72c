"""The commands and their flags. What they do is imported when one is called."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter

import tina
from tina.domain.text import is_clean

app = App(
    name="tina",
    version=f"tina {tina.__version__}",
    help='Ask a model, and keep what it says. `tina "…"` is short for `tina ask "…"`.',
    help_format="plaintext",
    result_action="return_value",
)
models = App(name="models", help="Models that can answer here.")
database = App(name="db", help="The database file.")
app.command(models)
app.command(database)

_OUTPUT = Group("Output")


def _check_text(_: object, value: str | list[tuple[str, str]] | None) -> None:
    """Arguments are bytes; ones that are no UTF-8 name no model, id or key."""
    texts = [text for pair in value for text in pair] if isinstance(value, list) else []
    if isinstance(value, str):
        texts = [value]
    if not all(map(is_clean, texts)):
        raise ValueError("It is not UTF-8 text.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Asking:
    """What is asked of whom."""

    model: Annotated[
        str | None, Parameter(name=["--model", "-m"], validator=_check_text)
    ] = None
    """Who answers: provider:model, for example local:smollm2 or openai:gpt-6."""
    option: Annotated[
        list[tuple[str, str]],
        Parameter(name=["--option", "-o"], negative=(), validator=_check_text),
    ] = field(default_factory=list[tuple[str, str]])
    """An option or deadline, as KEY VALUE: -o temperature 0.2 -o idle_timeout_s 120."""
    key: Annotated[str | None, Parameter(validator=_check_text)] = None
    """The provider's API key, for this call only. Others can see it while it runs;
    an environment variable such as OPENAI_API_KEY is safer."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Showing:
    """How the answer is shown."""

    stream: Annotated[bool, Parameter(group=_OUTPUT)] = True
    """Show the answer while it grows."""
    json: Annotated[bool, Parameter(group=_OUTPUT, negative=())] = False
    """Print one JSON object at the end."""
    output_format: Annotated[
        Literal["text", "json", "stream-json"], Parameter(group=_OUTPUT)
    ] = "text"
    """text, json (one object) or stream-json (one event a line)."""
    extract: Annotated[
        bool, Parameter(name=["--extract", "-x"], group=_OUTPUT, negative=())
    ] = False
    """Print only the first code block of the answer."""
    reasoning: Annotated[bool, Parameter(group=_OUTPUT)] = True
    """In a terminal, show what the model thought before it answered."""
    usage: Annotated[
        bool, Parameter(name=["--usage", "-u"], group=_OUTPUT, negative=())
    ] = False
    """Say at the end how many tokens it took."""

    @property
    def format(self) -> Literal["text", "json", "stream-json"]:
        return "json" if self.json else self.output_format


_NO_ASKING = Asking()
_NO_SHOWING = Showing()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Material:
    """What is asked about."""

    attachment: Annotated[
        list[Path] | None, Parameter(name=["--attachment", "-a"], negative=())
    ] = None
    """A text file to ask about; may be given several times."""
    stdin: bool = True
    """Read what is piped in."""


_NO_MATERIAL = Material()

Cid = Annotated[
    str | None,
    Parameter(name=["--conversation", "--cid"], validator=_check_text),
]
Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Placing:
    """In which conversation it is asked."""

    system: Annotated[str | None, Parameter(name=["--system", "-s"])] = None
    """Instructions that every request of a new conversation begins with."""
    continue_: Annotated[bool, Parameter(name=["--continue", "-c"], negative=())] = (
        False
    )
    """Ask in the newest conversation."""
    conversation: Cid = None
    """Ask in this conversation: its id, or how the id begins."""
    log: Annotated[bool, Parameter(name="--log", negative=["--no-log", "-n"])] = True
    """Keep the conversation."""


_NO_PLACING = Placing()


@app.command
@app.default
def ask(
    *question: str,
    material: Material = _NO_MATERIAL,
    placing: Placing = _NO_PLACING,
    asking: Asking = _NO_ASKING,
    showing: Showing = _NO_SHOWING,
) -> object:
    """Ask one question and print the answer.

    Piped text is added below the question: git diff | tina "what changed?"

    Args:
        question: The question; the words are joined.
    """
    from tina.cli import ask as room

    return room.ask(" ".join(question), material, placing, asking, showing)


@app.command
def chat(*, placing: Placing = _NO_PLACING, asking: Asking = _NO_ASKING) -> object:
    """Talk, one line after the other; piped lines are answered in turn."""
    from tina.cli import chat as room

    return room.chat(placing, asking)


@app.command(name="continue")
def continue_(
    conversation_id: str | None = None,
    /,
    *,
    asking: Asking = _NO_ASKING,
    showing: Showing = _NO_SHOWING,
) -> object:
    """Go on with an answer that was stopped, interrupted or failed.

    Args:
        conversation_id: The conversation; otherwise the newest.
    """
    from tina.cli import ask as room

    return room.continue_answer(conversation_id, asking, showing)


@app.command
def log(
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20,
    json: Flag = False,
) -> object:
    """List the newest conversations.

    Args:
        count: How many; 0 means all.
        json: Print a list of JSON objects.
    """
    from tina.cli import history

    return history.log(count=count, as_json=json)


@app.command
def show(conversation_id: str | None = None, /, *, json: Flag = False) -> object:
    """Print a conversation.

    Args:
        conversation_id: Its id, or how the id begins; otherwise the newest.
        json: Print one JSON object.
    """
    from tina.cli import history

    return history.show(conversation_id, as_json=json)


@models.command(name="list")
def list_models(*, json: Flag = False) -> object:
    """List what can answer here.

    Args:
        json: Print a list of JSON objects.
    """
    from tina.cli import models as room

    return room.list_models(as_json=json)


@models.command
def pull(name: str, /) -> object:
    """Fetch a model that runs on this machine, for example smollm2.

    Args:
        name: Which one; `tina models list` names them.
    """
    from tina.cli import models as room

    return room.pull(name)


@database.command
def check(*, json: Flag = False) -> object:
    """Read the whole database and say whether it is whole.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.check(as_json=json)
