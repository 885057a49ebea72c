"""`tina ask --detach` and `tina worker`: answers that need no terminal."""

import sys

from tina.cli.exits import Exit
from tina.cli.flags import Asking, Material, Placing, Showing
from tina.cli.history import SHORT_ID_CHARS
from tina.cli.interruption import Interruption, interruptible
from tina.cli.output import write_out
from tina.cli.placing import check_models, check_placing, place
from tina.cli.question import read_question
from tina.cli.shapes import queued_shape, to_json
from tina.cli.turn_arguments import turn_arguments
from tina.domain.failures import InvalidInputFailure, StorageFailure
from tina.domain.turns import QueuedTurn
from tina.wiring import LINGER_S, check_worker, open_for, start_worker, work


async def ask_later(
    words: str, material: Material, placing: Placing, asking: Asking, showing: Showing
) -> int:
    """Store a question, say where, and leave the answer to a worker."""
    _refuse_what_needs_a_terminal(placing, asking, showing)
    check_placing(placing)
    check_worker()
    turn = turn_arguments(asking)
    async with open_for() as app:
        question = await read_question(
            words, attachments=material.attachment or (), reads_stdin=material.stdin
        )
        check_models(app, asking)
        title = words or question.text
        conversation = await place(app, placing, asking, title=title)
        queued = await app.send_later(
            conversation.id, question.text, attachments=question.attachments, **turn
        )
        # At once: whatever becomes of this process, the answer is somebody's.
        problem = _start_worker()
    as_json = showing.format == "json"
    _tell_ids(queued, as_json=as_json)
    if problem is not None:
        sys.stderr.write(f"tina: {problem.message}\n")
        return Exit.FAILED
    if not as_json:
        _tell_what_now(queued)
    return Exit.OK


def _start_worker() -> StorageFailure | None:
    """Why none could be started, if so: what was asked is stored all the same."""
    try:
        start_worker()
    except StorageFailure as failure:
        return failure
    return None


def _tell_ids(queued: QueuedTurn, *, as_json: bool) -> None:
    if as_json:
        write_out([to_json(queued_shape(queued)), "\n"])
        return
    write_out(
        [
            f"conversation {queued.conversation_id}\n",
            f"message      {queued.message_id}\n",
        ]
    )


def _tell_what_now(queued: QueuedTurn) -> None:
    short = queued.conversation_id[:SHORT_ID_CHARS]
    sys.stderr.write(
        f"tina: Asked. `tina show -f {short}` follows the answer, "
        f"`tina stop {short}` stops it.\n"
    )


async def serve(*, stay: bool) -> int:
    """Answer what was asked with `--detach`, then leave, or stay for more."""

    async def run(_: Interruption) -> int:
        async with open_for() as app:
            if not await work(app, linger_s=None if stay else LINGER_S):
                sys.stderr.write("tina: Another worker is at it already.\n")
        return Exit.OK

    return await interruptible(run)


def _refuse_what_needs_a_terminal(
    placing: Placing, asking: Asking, showing: Showing
) -> None:
    """Refuse what cannot be handed to another process.

    Raises:
        InvalidInputFailure: it cannot.
    """
    if not placing.log:
        raise InvalidInputFailure(
            "--detach leaves the answer in the database, and --no-log keeps nothing; "
            "leave out one of them."
        )
    if asking.key is not None:
        raise InvalidInputFailure(
            "--key is for this process alone, and with --detach another one asks. "
            "Put the key into the environment, for example OPENAI_API_KEY."
        )
    if (
        showing.format == "stream-json"
        or showing.extract
        or showing.usage
        or not (showing.stream and showing.reasoning)
    ):
        raise InvalidInputFailure(
            "--detach shows no answer; `tina show -f` follows it, and "
            "`tina show --json` prints it when it is done."
        )
