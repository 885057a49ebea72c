"""Use cases over ports: a turn, its recovery, conversations."""

from tina.assistant.assistant import Assistant, Ports, TurnOptions
from tina.assistant.conversations import Conversations
from tina.assistant.journal import Journal
from tina.assistant.recovery import recover
from tina.assistant.turn import Turn

__all__ = [
    "Assistant",
    "Conversations",
    "Journal",
    "Ports",
    "Turn",
    "TurnOptions",
    "recover",
]
