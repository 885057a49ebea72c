"""From flags to how a turn is asked."""

import json
from pathlib import Path

import pytest

from tina.cli.flags import Asking
from tina.cli.turn_arguments import MAX_SCHEMA_BYTES, turn_arguments
from tina.domain.chat import ChatOptions, Deadlines, Effort
from tina.domain.failures import InvalidInputFailure


def test_flags_become_a_turn() -> None:
    asking = Asking(
        model="a:m",
        fallback=["b:m", "c:m"],
        option=[("effort", "high"), ("hosted_tools", "x"), ("hosted_tools", "y")],
    )

    assert turn_arguments(asking) == {
        "model": "a:m",
        "fallback": ("b:m", "c:m"),
        "options": ChatOptions(effort=Effort.HIGH, hosted_tools=("x", "y")),
        "deadlines": Deadlines(),
    }


def test_without_a_flag_the_conversation_decides() -> None:
    turn = turn_arguments(Asking())

    assert (turn.get("model"), turn.get("fallback")) == (None, None)


def test_a_schema_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "fruit.json"
    path.write_text('{ "type": "object" }')

    turn = turn_arguments(Asking(schema=path))

    assert turn.get("options") == ChatOptions(schema='{"type":"object"}')


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "no JSON Schema of an object"),
    ],
)
def test_what_is_no_schema_is_told(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "fruit.json"
    path.write_bytes(content)

    with pytest.raises(InvalidInputFailure, match=sentence):
        turn_arguments(Asking(schema=path))


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_a_schema_has_a_largest_size(tmp_path: Path, surplus: int) -> None:
    path = tmp_path / "fruit.json"
    schema = json.dumps({"type": "object", "title": ""})
    path.write_text(schema.ljust(MAX_SCHEMA_BYTES + surplus))

    if surplus <= 0:
        assert turn_arguments(Asking(schema=path)).get("options") != ChatOptions()
        return
    with pytest.raises(InvalidInputFailure, match="larger than 1 MiB"):
        turn_arguments(Asking(schema=path))


def test_a_schema_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputFailure, match="cannot be read: No such file"):
        turn_arguments(Asking(schema=tmp_path / "fruit.json"))
