import pytest

from tests.providers.anthropic.histories import options, request, user
from tina.domain.tools import ToolChoice, ToolDefinition, ToolMode
from tina.providers.anthropic.tools import (
    HOSTED_TOOLS,
    encode_choice,
    encode_tools,
    is_forced,
)
from tina.providers.lenient import Wire

LOOK = ToolDefinition(name="look", description="Looks.")


def test_own_tools_come_before_the_servers() -> None:
    asked = request(
        tools=(LOOK,),
        options=options(hosted_tools=["web_fetch", "web_search", "web_fetch", "x"]),
    )

    assert encode_tools(asked, has_hosted=True) == [
        {
            "name": "look",
            "description": "Looks.",
            "input_schema": {"type": "object", "properties": {}},
        },
        {"type": "web_fetch_20260318", "name": "web_fetch"},
        {"type": "web_search_20260318", "name": "web_search"},
    ]
    assert len(encode_tools(asked, has_hosted=False)) == 1


def test_every_hosted_tool_can_be_asked_for() -> None:
    names = [tool.name for tool in HOSTED_TOOLS]

    wires = encode_tools(request(options=options(hosted_tools=names)), has_hosted=True)

    assert [wire["name"] for wire in wires] == names
    assert {"type": "code_execution_20260521", "name": "code_execution"} in wires


ALONE = {"disable_parallel_tool_use": True}
CHOICES: list[tuple[ToolChoice | None, Wire | None]] = [
    (None, None),
    (ToolChoice(), None),
    (ToolChoice(mode=ToolMode.NONE), {"type": "none"}),
    (ToolChoice(mode=ToolMode.REQUIRED), {"type": "any"}),
    (ToolChoice(tool="look"), {"type": "tool", "name": "look"}),
]


@pytest.mark.parametrize(("choice", "wire"), CHOICES)
def test_a_choice_is_named(choice: ToolChoice | None, wire: Wire | None) -> None:
    asked = request(user("Hi"), tools=(LOOK,), tool_choice=choice)

    assert encode_choice(asked, may_force=True) == wire


@pytest.mark.parametrize(("choice", "wire"), CHOICES)
def test_one_call_at_a_time_is_a_part_of_the_choice(
    choice: ToolChoice | None, wire: Wire | None
) -> None:
    asked = request(tools=(LOOK,), tool_choice=choice, has_parallel_calls=False)

    expected = {"type": "none"} if wire == {"type": "none"} else None
    assert encode_choice(asked, may_force=True) == (
        expected or {**(wire or {"type": "auto"}), **ALONE}
    )


def test_who_cannot_be_forced_is_left_the_choice() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED)
    asked = request(tools=(LOOK,), tool_choice=choice)

    assert is_forced(asked)
    assert encode_choice(asked, may_force=False) is None


def test_without_tools_nobody_is_forced() -> None:
    assert not is_forced(request(tool_choice=ToolChoice(tool="look")))
    assert not is_forced(request(tools=(LOOK,)))
    assert not is_forced(request(tools=(LOOK,), tool_choice=ToolChoice()))
    assert is_forced(request(tools=(LOOK,), tool_choice=ToolChoice(tool="look")))
