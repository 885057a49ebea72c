"""Use cases over ports: turns, their recovery, conversations, tool calls."""

from tina.assistant.asking import check_provider
from tina.assistant.assistant import Assistant, TurnOptions
from tina.assistant.conversations import Conversations
from tina.assistant.journal import Journal
from tina.assistant.ports import Ports
from tina.assistant.recovery import Keeper
from tina.assistant.rules import Rules
from tina.assistant.runner import Runner
from tina.assistant.running import Running
from tina.assistant.tool_calls import ToolCalls
from tina.assistant.turn import Turn
from tina.assistant.watching import Watching

__all__ = [
    "Assistant",
    "Conversations",
    "Journal",
    "Keeper",
    "Ports",
    "Rules",
    "Runner",
    "Running",
    "ToolCalls",
    "Turn",
    "TurnOptions",
    "Watching",
    "check_provider",
]
