"""The same request without what its server said that it does not know.

Pure.

Source: the refusals of Ollama's server, of several years; its documentation,
"Thinking".
"""

import re

from tina.domain.failures import InvalidRequestFailure, ProviderFailure
from tina.providers.errors import server_words
from tina.providers.lenient import Wire

_UNKNOWN = re.compile(
    r"unknown|unrecognized|unexpected|unmarshal|extra|permitted|allowed|support"
)
_CUTTING = re.compile(r"\b(truncate|shift)\b")
_THINKING = re.compile(r"\bthink(ing)?\b")


def without(body: Wire, failure: ProviderFailure) -> Wire | None:
    """The body without what the failure says is unknown; None if it says no such.

    Tools and images stay: an answer without them would be one to another question.
    """
    if not isinstance(failure, InvalidRequestFailure):
        return None
    said = server_words(failure).lower()
    lesser = dict(body)
    if _THINKING.search(said):
        _lessen_thinking(lesser, said)
    elif _UNKNOWN.search(said) and _CUTTING.search(said):
        for name in ("truncate", "shift"):
            lesser.pop(name, None)
    return None if lesser == body else lesser


def _lessen_thinking(body: Wire, said: str) -> None:
    """A level may be unknown (`max` is newer than the others), or levels at all."""
    level = body.get("think")
    if "does not support" not in said and isinstance(level, str):
        body["think"] = "high" if level == "max" and "bool" not in said else True
    else:
        body.pop("think", None)
