"""The commands. What they do is imported when one is called."""

from typing import Annotated

from cyclopts import App, Parameter

import tina
from tina.cli.flags import Asking, Flag, Material, Placing, Showing

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

_NO_ASKING = Asking()
_NO_SHOWING = Showing()
_NO_MATERIAL = Material()
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
