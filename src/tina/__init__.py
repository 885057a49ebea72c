"""Tina: the engine room of an AI assistant.

`tina.open()` is the door for programs; the `tina` command is the door for people.
Nothing heavy is imported before it is used, so this module imports nothing at all.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Programs write `tina.open()`; nothing here needs the built-in.
    from tina.wiring import App, open_app as open  # noqa: A004, I001

__version__ = "0.1.0"

__all__ = ["App", "__version__", "open"]


def __getattr__(name: str) -> object:
    """Import the public names on first use."""
    if name in {"App", "open"}:
        from tina import wiring

        return wiring.App if name == "App" else wiring.open_app
    raise AttributeError(f"module 'tina' has no attribute {name!r}")
