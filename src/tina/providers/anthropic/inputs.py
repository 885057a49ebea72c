"""What a tool call is given: JSON text on our side, an object on the wire.

Pure.

Source: Anthropic documentation, "Fine-grained tool streaming" (invalid JSON).
"""

import msgspec

from tina.providers.anthropic.events import fields_of

_INVALID = "INVALID_JSON"


def is_object(arguments: str) -> bool:
    """Whether these are the whole arguments of a call."""
    return fields_of(arguments) is not None


def encode_input(arguments: str) -> object:
    """The object to send: the text as it is, or wrapped if it is none.

    Nothing at all means a call without arguments.
    """
    if not arguments.strip():
        return {}
    if is_object(arguments):
        # Copied, not parsed: numbers keep their digits, and no depth is too deep.
        return msgspec.Raw(arguments.encode())
    return {_INVALID: arguments}
