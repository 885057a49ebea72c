"""The commands that change conversations. What they do is imported when one is called.

They stand beside `tina ask`, not below a word of their own: `commands` takes them in.
"""

from typing import Annotated

from cyclopts import App, Parameter

from tina.cli.command_groups import ASK, KEEP, READ
from tina.cli.flags import Asking, Cid, Flag, Showing

conversation_commands = App()

_NO_ASKING = Asking()
_NO_SHOWING = Showing()


@conversation_commands.command(group=ASK, sort_key=4)
def stop(conversation_id: str | None = None, /, *, json: Flag = False) -> object:
    """Stop an answer that is being written anywhere; what was said is kept.

    Args:
        conversation_id: The conversation; otherwise the newest that is being answered.
        json: Print one JSON object.
    """
    from tina.cli import stopping

    return stopping.stop(conversation_id, as_json=json)


@conversation_commands.command(group=ASK, sort_key=5)
def regenerate(
    conversation_id: str | None = None,
    /,
    *,
    asking: Asking = _NO_ASKING,
    showing: Showing = _NO_SHOWING,
) -> object:
    """Answer the last question once more; the old answer stays beside the new one.

    Args:
        conversation_id: The conversation; otherwise the newest.
    """
    from tina.cli import asking_again

    return asking_again.regenerate(conversation_id, asking, showing)


@conversation_commands.command(group=ASK, sort_key=6)
def edit(
    message: str,
    /,
    *question: str,
    conversation: Cid = None,
    asking: Asking = _NO_ASKING,
    showing: Showing = _NO_SHOWING,
) -> object:
    """Ask a question of yours again in other words; the old branch stays.

    Args:
        message: The question's id; `tina show --ids` prints it.
        question: The new words; they are joined.
        conversation: Where to look for an id that is not whole; otherwise in the newest
            conversation.
    """
    from tina.cli import asking_again

    return asking_again.edit(
        message, " ".join(question), asking, showing, within=conversation
    )


@conversation_commands.command(group=READ)
def versions(
    message: str, /, *, conversation: Cid = None, json: Flag = False
) -> object:
    """List the versions of a message; * marks the one that is shown.

    Args:
        message: Its id; `tina show --ids` prints it.
        conversation: Where to look for an id that is not whole; otherwise in the newest
            conversation.
        json: Print a list of JSON objects.
    """
    from tina.cli import branches

    return branches.versions(message, within=conversation, as_json=json)


@conversation_commands.command(group=KEEP)
def choose(message: str, /, *, conversation: Cid = None, json: Flag = False) -> object:
    """Go back to another version of a message: its branch is then the active one.

    Args:
        message: The version's id; `tina versions` lists them.
        conversation: Where to look for an id that is not whole; otherwise in the newest
            conversation.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import branches

    return branches.choose(message, within=conversation, as_json=json)


@conversation_commands.command(group=KEEP)
def fork(
    conversation_id: str | None = None,
    /,
    *,
    at: Annotated[str | None, Parameter(name="--at")] = None,
    json: Flag = False,
) -> object:
    """Copy a conversation into a new one, and print the new one's id.

    Args:
        conversation_id: The conversation; otherwise the newest.
        at: The id of the last message to copy; otherwise all of the branch.
        json: Print the new conversation as one JSON object.
    """
    from tina.cli import branches

    return branches.fork(conversation_id, at=at, as_json=json)


@conversation_commands.command(group=KEEP)
def rename(conversation_id: str, /, *title: str, json: Flag = False) -> object:
    """Give a conversation another title.

    Args:
        conversation_id: Its id, or how the id begins.
        title: The new title; the words are joined.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import conversations

    return conversations.rename(conversation_id, " ".join(title), as_json=json)


@conversation_commands.command(group=KEEP)
def pin(
    conversation_id: str | None = None,
    /,
    *,
    message: str | None = None,
    json: Flag = False,
) -> object:
    """Keep a conversation at the top of `tina log`, or a message with each request.

    Args:
        conversation_id: Its id, or how the id begins.
        message: Pin this message instead: it goes with every request, also when it is
            so old that it would be left out. `tina show --ids` lists the ids.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import pinning

    return pinning.pin(conversation_id, message, is_pinned=True, as_json=json)


@conversation_commands.command(group=KEEP)
def unpin(
    conversation_id: str | None = None,
    /,
    *,
    message: str | None = None,
    json: Flag = False,
) -> object:
    """Keep it there no longer.

    Args:
        conversation_id: Its id, or how the id begins.
        message: A message that was pinned.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import pinning

    return pinning.pin(conversation_id, message, is_pinned=False, as_json=json)


@conversation_commands.command(group=KEEP)
def archive(conversation_id: str, /, *, json: Flag = False) -> object:
    """Put a conversation out of the way; `tina log --archived` lists it.

    Args:
        conversation_id: Its id, or how the id begins.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import conversations

    return conversations.archive(conversation_id, is_archived=True, as_json=json)


@conversation_commands.command(group=KEEP)
def unarchive(conversation_id: str, /, *, json: Flag = False) -> object:
    """Bring a conversation back from the archive.

    Args:
        conversation_id: Its id, or how the id begins.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import conversations

    return conversations.archive(conversation_id, is_archived=False, as_json=json)


@conversation_commands.command(group=KEEP)
def delete(conversation_id: str, /, *, json: Flag = False) -> object:
    """Delete a conversation; for 30 days `tina undelete` takes that back.

    Args:
        conversation_id: Its id, or how the id begins.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import conversations

    return conversations.delete(conversation_id, as_json=json)


@conversation_commands.command(group=KEEP)
def undelete(conversation_id: str, /, *, json: Flag = False) -> object:
    """Take a deletion back; `tina log --deleted` lists what can be had back.

    Args:
        conversation_id: Its id, or how the id begins.
        json: Print the conversation as one JSON object.
    """
    from tina.cli import conversations

    return conversations.undelete(conversation_id, as_json=json)
