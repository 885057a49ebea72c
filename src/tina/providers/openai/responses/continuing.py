"""What is sent over a WebSocket, whose server remembers the answer before.

Theory. The server keeps the latest response of a connection. If a new request begins
with everything that was sent for that response, followed by the very items that it
answered, only the rest has to be sent. That is compared item by item, by digest: a
conversation that was edited, another model that gets other items, or any doubt mean
that everything is sent.

Source: OpenAI API reference, "Responses", "WebSocket mode".

Pure.
"""

from hashlib import sha256
from typing import NamedTuple

import msgspec

from tina.domain.messages import Replay
from tina.providers.lenient import UNREADABLE, Wire, is_list
from tina.providers.openai.responses.replay import read_replay

_BEGINNINGS = frozenset(
    {"error", "response.created", "response.in_progress", "response.queued"}
)
_NOT_SENT = frozenset({"background", "input", "stream"})


class Remembered(NamedTuple):
    """A response that the server of a connection remembers.

    `digests` are those of all items that it was asked with, and of its own.
    """

    response_id: str
    digests: tuple[bytes, ...]


class Creation:
    """A request for a response; `digests` are those of its input items."""

    def __init__(self, body: Wire) -> None:
        given = body.get("input")
        self._items = [
            msgspec.json.encode(item) for item in (given if is_list(given) else ())
        ]
        self.digests = tuple(sha256(item).digest() for item in self._items)
        self._rest = {
            name: value for name, value in body.items() if name not in _NOT_SENT
        }

    def message(self, remembered: Remembered | None) -> str:
        """What to send, as short as what the server remembers allows."""
        message: Wire = {"type": "response.create", **self._rest}
        items = self._items
        if remembered is not None and continues(self.digests, remembered):
            message["previous_response_id"] = remembered.response_id
            items = items[len(remembered.digests) :]
        message["input"] = [msgspec.Raw(item) for item in items]
        return msgspec.json.encode(message).decode()


class _Head(msgspec.Struct):
    type: str = ""


def begins_answer(text: str) -> bool:
    """Whether a message is the first of an answer; what is unreadable may be."""
    try:
        return msgspec.json.decode(text, type=_Head).type in _BEGINNINGS
    except UNREADABLE:
        return True


def continues(digests: tuple[bytes, ...], remembered: Remembered) -> bool:
    """Whether items go on from all that is remembered."""
    known = remembered.digests
    return len(digests) > len(known) and digests[: len(known)] == known


def remember(
    creation: Creation, response_id: str | None, replay: Replay | None
) -> Remembered | None:
    """What the server remembers after an answer; None if that is not certain."""
    items = None if replay is None else read_replay(replay.payload)
    if not response_id or items is None:
        return None
    told = tuple(sha256(bytes(item)).digest() for item in items)
    return Remembered(response_id, creation.digests + told)
