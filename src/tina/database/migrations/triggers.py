"""The triggers of the newest schema, word for word as `triggers.sql` has them."""

import re
from collections.abc import Mapping
from pathlib import Path

import apsw

__all__ = ["expected_triggers", "remake_triggers", "remove_triggers", "wrong_triggers"]

_FILE = Path(__file__).parent / "triggers.sql"
_TRIGGER = re.compile(r"^CREATE TRIGGER (\w+).*?^END(?=;)", re.DOTALL | re.MULTILINE)

# A name cannot be bound, so SQLite itself writes the statement: `%w` quotes the name.
_DROPS = """
SELECT format('DROP TRIGGER "%w"', name) FROM sqlite_schema WHERE type = 'trigger'
"""

_STORED = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"


def remove_triggers(connection: apsw.Connection) -> None:
    """Drop every trigger; call it in a transaction."""
    for (drop,) in list(connection.execute(_DROPS)):
        connection.execute(drop)


def remake_triggers(connection: apsw.Connection) -> None:
    """Drop every trigger and make those of the schema; call it in a transaction."""
    remove_triggers(connection)
    connection.execute(_FILE.read_text(encoding="utf-8"))


def wrong_triggers(connection: apsw.Connection) -> tuple[str, ...]:
    """Names of triggers that are missing, differ in a word, or do not belong there."""
    stored: dict[str, str] = dict(list(connection.execute(_STORED)))
    expected = expected_triggers()
    names = stored.keys() | expected.keys()
    return tuple(
        sorted(name for name in names if stored.get(name) != expected.get(name))
    )


def expected_triggers() -> Mapping[str, str]:
    """Statement by name."""
    text = _FILE.read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _TRIGGER.finditer(text)}
