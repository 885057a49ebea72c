from tests.providers.anthropic.histories import (
    answer,
    call,
    plain,
    replay_of,
    request,
    result,
    unmarked,
    user,
)
from tina.domain.chat import ChatRequest
from tina.domain.tools import ToolDefinition
from tina.providers.anthropic.caching import place_breakpoints
from tina.providers.anthropic.encode import encode_request
from tina.providers.lenient import Wire, is_list, is_mapping

TOOLS = tuple(ToolDefinition(name=name, description="d") for name in ("a", "b"))
MARK = {"type": "ephemeral"}


def body_of(asked: ChatRequest) -> Wire:
    return plain(encode_request(asked, None, provider="anthropic", is_anthropic=True))


def marked(value: object, path: str = "") -> list[str]:
    """Where the marks stand."""
    found = [path] if is_mapping(value) and value.get("cache_control") == MARK else []
    if is_mapping(value):
        for name, each in value.items():
            found += marked(each, f"{path}.{name}")
    elif is_list(value):
        for number, each in enumerate(value):
            found += marked(each, f"{path}[{number}]")
    return found


def test_tools_system_and_the_last_two_prompts_are_marked() -> None:
    history = (user("1"), answer("a"), user("2"), answer("b"), user("3", "4"))

    body = body_of(request(*history, tools=TOOLS, system="Be brief."))

    assert sorted(marked(body)) == [
        ".messages[2].content[0]",
        ".messages[4].content[1]",
        ".system[0]",
        ".tools[1]",
    ]


def test_there_are_never_more_than_four() -> None:
    history = [user("Hi")]
    for number in range(9):
        history += [answer(call(str(number))), result(str(number))]

    body = body_of(request(*history, tools=TOOLS, system="Be brief."))

    assert len(marked(body)) == 4


def test_the_next_request_finds_what_this_one_remembered() -> None:
    """However many blocks stand between them: the older mark stands where it stood."""
    many = [call(str(number)) for number in range(30)]
    results = [result(str(number)) for number in range(30)]
    first = [user("Hi"), answer("a"), user("Go on")]

    before = body_of(request(*first))
    after = body_of(request(*first, answer(*many), *results))

    assert max(marked(before)) == ".messages[2].content[0]"
    assert marked(after) == [".messages[2].content[0]", ".messages[4].content[29]"]
    assert is_list(before["messages"])
    assert is_list(after["messages"])
    assert unmarked(after["messages"][:3]) == unmarked(before["messages"])


def test_what_is_sent_back_verbatim_bears_no_mark() -> None:
    own = answer(replay=[{"type": "text", "text": "Hi", "news": 1}])

    body = body_of(request(user("Hi"), own))

    assert marked(body) == [".messages[0].content[0]"]
    assert '"news":1' in replay_of({"news": 1})


def test_nothing_to_mark_is_no_trouble() -> None:
    place_breakpoints([], [], [])
