"""The commands. What they do is imported when one is called."""

from typing import Annotated

from cyclopts import App, Parameter

import tina
from tina.cli.command_groups import ARGUMENTS, ASK, PARAMETERS, READ, TEND
from tina.cli.conversation_commands import conversation_commands
from tina.cli.database_commands import database
from tina.cli.flags import Asking, Flag, Material, Narrowing, Placing, Showing
from tina.domain.conversations import Shelf
from tina.domain.failures import InvalidInputFailure

app = App(
    name="tina",
    version=f"tina {tina.__version__}",
    help='Ask a model, and keep what it says. `tina "…"` is short for `tina ask "…"`.',
    help_format="plaintext",
    group_arguments=ARGUMENTS,
    group_parameters=PARAMETERS,
    result_action="return_value",
)
models = App(name="models", help="Models that can answer here.", group=TEND)
app["--help"].group = TEND
app["--version"].group = TEND
app.command(models)
app.command(database)
app.command(conversation_commands, name="*")

_NO_ASKING = Asking()
_NO_SHOWING = Showing()
_NO_MATERIAL = Material()
_NO_PLACING = Placing()
_NO_NARROWING = Narrowing()


@app.command(group=ASK, sort_key=1)
@app.default
def ask(
    *question: str,
    material: Material = _NO_MATERIAL,
    placing: Placing = _NO_PLACING,
    asking: Asking = _NO_ASKING,
    showing: Showing = _NO_SHOWING,
    detach: Flag = False,
) -> object:
    """Ask one question and print the answer.

    Piped text is added below the question: git diff | tina "what changed?"

    Args:
        question: The question; the words are joined.
        detach: Print the ids and leave; a worker answers, whatever happens to this
            terminal.
    """
    if detach:
        from tina.cli import detaching

        words = " ".join(question)
        return detaching.ask_later(words, material, placing, asking, showing)
    from tina.cli import ask as room

    return room.ask(" ".join(question), material, placing, asking, showing)


@app.command(group=ASK, sort_key=2)
def chat(*, placing: Placing = _NO_PLACING, asking: Asking = _NO_ASKING) -> object:
    """Talk, one line after the other; piped lines are answered in turn."""
    from tina.cli import chat as room

    return room.chat(placing, asking)


@app.command(name="continue", group=ASK, sort_key=3)
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


@app.command(group=READ)
def log(
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative=())] = False,
    archived: Flag = False,
    deleted: Flag = False,
    json: Flag = False,
) -> object:
    """List the newest conversations; pinned ones come first.

    Args:
        count: How many; 0 means all.
        follow: Go on with each conversation that changes, until Ctrl-C.
        archived: List what is in the archive instead.
        deleted: List what was deleted and can be taken back.
        json: Print a list of JSON objects; with -f one object a line.
    """
    shelf = _shelf_for(is_archived=archived, is_deleted=deleted, follows=follow)
    if follow:
        from tina.cli import watching

        return watching.log_following(count=count, as_json=json)
    from tina.cli import history

    return history.log(count=count, shelf=shelf, as_json=json)


def _shelf_for(*, is_archived: bool, is_deleted: bool, follows: bool) -> Shelf:
    """Which conversations are listed.

    Raises:
        InvalidInputFailure: the flags exclude each other.
    """
    if is_archived + is_deleted + follows > 1:
        raise InvalidInputFailure(
            "--archived, --deleted and -f exclude each other; give one of them."
        )
    if is_archived:
        return Shelf.ARCHIVED
    return Shelf.DELETED if is_deleted else Shelf.ACTIVE


@app.command(group=READ)
def show(
    conversation_id: str | None = None,
    /,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative=())] = False,
    ids: Flag = False,
    json: Flag = False,
) -> object:
    """Print a conversation.

    Args:
        conversation_id: Its id, or how the id begins; otherwise the newest.
        follow: Go on with what is still being written, until it ends.
        ids: Print the id of each message beside who said it.
        json: Print one JSON object; with -f one object a line, for each message.
    """
    if follow:
        from tina.cli import watching

        if ids and not json:
            raise InvalidInputFailure(
                "-f shows no ids; leave it out, or add --json, which has them."
            )
        return watching.show_following(conversation_id, as_json=json)
    from tina.cli import history

    return history.show(conversation_id, with_ids=ids, as_json=json)


@app.command(group=READ)
def search(
    *words: str,
    narrowing: Narrowing = _NO_NARROWING,
    best: Flag = False,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20,
    json: Flag = False,
) -> object:
    """Find what was said: messages that contain all the words, the newest first.

    Args:
        words: The words; quotes, AND, * and the like mean nothing special.
        best: The best matches first, among the newest.
        count: How many at most.
        json: Print one JSON object.
    """
    from tina.cli import search as room

    return room.search(" ".join(words), narrowing, best=best, count=count, as_json=json)


@app.command(group=TEND)
def worker(*, stay: Flag = False) -> object:
    """Answer what was asked with --detach, and leave when nothing is left.

    `tina ask --detach` starts one by itself.

    Args:
        stay: Wait for more instead of leaving.
    """
    from tina.cli import detaching

    return detaching.serve(stay=stay)


@app.command(group=READ)
def usage(*, json: Flag = False) -> object:
    """Say what was spent: today, in the last 30 days, in all.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import spending

    return spending.usage(as_json=json)


@models.command(name="list")
def list_models(*, refresh: Flag = False, json: Flag = False) -> object:
    """List what can answer here.

    Args:
        refresh: Ask the providers again, instead of what they said within a day.
        json: Print a list of JSON objects.
    """
    from tina.cli import models as room

    return room.list_models(refresh=refresh, as_json=json)


@models.command
def check(*providers: str) -> object:
    """Say whether providers can be asked now: reachable, and the key is taken.

    Args:
        providers: Their names, for example openai; otherwise all that are set up.
    """
    from tina.cli import models as room

    return room.check(providers)


@models.command
def tools(*, json: Flag = False) -> object:
    """List the tools that providers run on their side: -o hosted_tools NAME.

    Args:
        json: Print a list of JSON objects.
    """
    from tina.cli import models as room

    return room.list_tools(as_json=json)


@models.command
def pull(name: str, /) -> object:
    """Fetch a model that runs on this machine, for example smollm2.

    Args:
        name: Which one; `tina models list` names them.
    """
    from tina.cli import models as room

    return room.pull(name)
