"""From the flags of a command to how a turn is asked."""

from pathlib import Path

import msgspec

from tina.cli.files import read_file
from tina.cli.flags import Asking
from tina.cli.options import parse_options
from tina.domain.failures import InvalidInputFailure
from tina.wiring import TurnArguments

MAX_SCHEMA_BYTES = 1024 * 1024


def turn_arguments(asking: Asking) -> TurnArguments:
    """What the flags say; reads the file of a schema.

    Raises:
        InvalidInputFailure: an option or the schema cannot be used.
    """
    options, deadlines = parse_options(asking.option)
    if asking.schema is not None:
        schema = _read_schema(asking.schema)
        options = msgspec.structs.replace(options, schema=schema)
    return TurnArguments(
        model=asking.model,
        fallback=tuple(asking.fallback) if asking.fallback else None,
        options=options,
        deadlines=deadlines,
    )


def _read_schema(path: Path) -> str:
    content = read_file(path, what="The schema", limit_bytes=MAX_SCHEMA_BYTES)
    try:
        schema = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInputFailure(
            f"The schema {str(path)!r} is no JSON: {error}."
        ) from error
    if not isinstance(schema, dict):
        raise InvalidInputFailure(
            f"The schema {str(path)!r} is no JSON Schema of an object. It begins "
            'with {"type": "object", …}.'
        )
    return msgspec.json.encode(schema).decode()
