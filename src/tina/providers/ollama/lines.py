"""The lines of an answer, as far as they are read, and what makes them typed.

Only what carries the answer has an exact type; everything else is read leniently when
it is needed, so that an odd count or label never costs text.

Pure.

Source: Ollama API documentation, "Generate a chat completion", response.
"""

from typing import Any

import msgspec

from tina.domain.chat import Usage
from tina.domain.failures import ProtocolFailure
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import UNREADABLE, count_of, read_json

ABSENT = msgspec.Raw(b"")
_NOTHING = frozenset({b"", b"null", b"false", b'""', b"{}"})


class Function(msgspec.Struct, gc=False):
    name: Any = None
    arguments: msgspec.Raw = ABSENT


class Call(msgspec.Struct, gc=False):
    id: Any = None
    function: Function | None = None


class Said(msgspec.Struct, gc=False):
    """What one line adds; nothing of it repeats what came before."""

    content: str | None = None
    thinking: Any = None
    tool_calls: list[Call] | None = None


class Line(msgspec.Struct, gc=False):
    model: Any = None
    created_at: Any = None
    message: Said | None = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: msgspec.Raw = ABSENT


_LINES = msgspec.json.Decoder(Line)


def parse_line(payload: bytes | str) -> Line:
    """Read one line, or one whole answer.

    Raises:
        ProtocolFailure: it is not JSON, or not of this shape.
    """
    try:
        return _LINES.decode(payload)
    except UNREADABLE:
        pass  # out here, since the error may hold the payload, and the key in it
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    try:
        return _LINES.decode(repair_escapes(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolFailure(
            "The server sent something that is no answer of Ollama's. "
            "Check that the base URL is that of Ollama's own API, without /v1."
        ) from error


def read_error(line: Line) -> object:
    """What a line says went wrong; None if nothing did."""
    raw = bytes(line.error).strip()
    if raw in _NOTHING:
        return None
    text = repair_escapes(raw.decode("utf-8", "replace"))
    return {"error": read_json(text.encode()) or text}


def read_usage(line: Line) -> Usage | None:
    """The counts of a last line; what is missing or absurd is None.

    A count of zero is left out by the server. That is certain of what was written, if
    there is another count; a prompt is never empty, so there it was not told.
    """
    read, written = line.prompt_eval_count, line.eval_count
    if read is None and written is None:
        return None
    counts = {"read": read, "written": 0 if written is None else written}
    usage = Usage(
        input_tokens=count_of(counts, "read"),
        output_tokens=count_of(counts, "written"),
    )
    return None if usage == Usage() else usage
