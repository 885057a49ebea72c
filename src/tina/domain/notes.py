"""What happened before an answer was given, kept in the message's metadata."""

from collections.abc import Mapping

import msgspec

_ASKED, _REASON, _LEFT_OUT = "asked_model", "fallback_reason", "left_out_messages"
_NAMES = (_ASKED, _REASON, _LEFT_OUT)


class AnswerNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What is worth knowing of an answer beside what it says."""

    asked_model: str | None = None
    """`provider:model` that was asked first, if another one answered."""
    fallback_reason: str | None = None
    """Why it did not answer: a sentence for people."""
    left_out_messages: int = 0
    """So many of the oldest did not fit into the model's window."""


NO_NOTES = AnswerNotes()


def notes_from(metadata: Mapping[str, str] | None) -> AnswerNotes:
    """The notes in some metadata; what cannot be read says nothing."""
    if not metadata:
        return NO_NOTES
    left_out = metadata.get(_LEFT_OUT, "")
    return AnswerNotes(
        asked_model=metadata.get(_ASKED),
        fallback_reason=metadata.get(_REASON),
        left_out_messages=int(left_out) if left_out.isdecimal() else 0,
    )


def with_notes(
    metadata: Mapping[str, str] | None, notes: AnswerNotes
) -> Mapping[str, str] | None:
    """The metadata with these notes in place of others; None if there is nothing."""
    kept = {
        name: value for name, value in (metadata or {}).items() if name not in _NAMES
    }
    if notes.asked_model is not None:
        kept[_ASKED] = notes.asked_model
    if notes.fallback_reason is not None:
        kept[_REASON] = notes.fallback_reason
    if notes.left_out_messages:
        kept[_LEFT_OUT] = str(notes.left_out_messages)
    return kept or None
