"""The composition root: the one room that knows every other.

Also the one real clock, id factory, source of chance and reader of the environment.
"""

from tina.assistant import Turn
from tina.wiring.app import App, TurnArguments
from tina.wiring.command_line import open_for, pull_weights, set_up_log
from tina.wiring.keeping import keeper_for
from tina.wiring.opening import Replacements, open_app, paths_for
from tina.wiring.worker import LINGER_S, check_worker, start_worker, work

__all__ = [
    "LINGER_S",
    "App",
    "Replacements",
    "Turn",
    "TurnArguments",
    "check_worker",
    "keeper_for",
    "open_app",
    "open_for",
    "paths_for",
    "pull_weights",
    "set_up_log",
    "start_worker",
    "work",
]
