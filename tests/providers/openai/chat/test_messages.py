from datetime import UTC, datetime

import msgspec
import pytest

from tina.domain.chat import Capability, ChatRequest, ModelInfo
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    RefusalPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.lenient import Wire
from tina.providers.openai.chat.messages import encode_messages, is_reasoning_model
from tina.providers.openai.chat.quirks import (
    OPENAI_QUIRKS,
    ChatQuirks,
    ReasoningField,
)


def message(
    role: Role,
    *parts: Part | str,
    status: MessageStatus = MessageStatus.COMPLETE,
    model: str | None = None,
    replay: Replay | None = None,
) -> Message:
    return Message(
        id=MessageId("1"),
        conversation_id=ConversationId("2"),
        parent_id=None,
        role=role,
        status=status,
        parts=tuple(
            TextPart(text=part) if isinstance(part, str) else part for part in parts
        ),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model=model,
        replay=replay,
    )


def call(call_id: str, arguments: str = "{}") -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool="look", arguments=arguments)


def result(
    call_id: str, *, is_error: bool = False, images: tuple[ImagePart, ...] = ()
) -> ToolResultPart:
    return ToolResultPart(
        call_id=ToolCallId(call_id), content="seen", is_error=is_error, images=images
    )


def wire_call(call_id: str, arguments: str = "{}") -> Wire:
    function = {"name": "look", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def user(content: object) -> Wire:
    return {"role": "user", "content": content}


def assistant(content: object, **rest: object) -> Wire:
    return {"role": "assistant", "content": content, **rest}


def tool(call_id: str, content: str = "seen") -> Wire:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


IMAGE = ImagePart(media_type="image/png", data=b"\x89PNG")
FILE = FilePart(name="a.pdf", media_type="application/pdf", data=b"%PDF")
WIRE_IMAGE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,iVBORw=="},
}
BELONGS = {
    "type": "text",
    "text": "(These images belong to the tool results above.)",
}
S, U, A, T = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL

CASES = [
    pytest.param([message(U, "Hi", " there")], [user("Hi there")], id="text"),
    pytest.param(
        [message(Role.SYSTEM, "Be brief")],
        [{"role": "system", "content": "Be brief"}],
        id="system",
    ),
    pytest.param(
        [message(Role.SYSTEM), message(U), message(A), message(T)],
        [],
        id="nothing-said",
    ),
    pytest.param(
        [message(U, "", "What is this?", IMAGE, FILE)],
        [
            user(
                [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,iVBORw=="},
                    },
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,JVBERg==",
                        },
                    },
                ]
            )
        ],
        id="image-and-file",
    ),
    pytest.param(
        [message(A, ReasoningPart(text="hm"), "Yes")],
        [assistant("Yes")],
        id="no-reasoning",
    ),
    pytest.param([message(A, ReasoningPart(text="hm"))], [], id="only-reasoning"),
    pytest.param(
        [message(A, RefusalPart(text="No"))],
        [assistant("No")],
        id="refusal",
    ),
    pytest.param(
        [
            message(A, "One, ", status=MessageStatus.INTERRUPTED),
            message(A, "two, ", status=MessageStatus.STOPPED),
            message(A, "three"),
        ],
        [assistant("One, two, three")],
        id="neighbors",
    ),
    pytest.param(
        [message(A, "I look", call("1", "")), message(T, result("1"))],
        [assistant("I look", tool_calls=[wire_call("1")]), tool("1")],
        id="call",
    ),
    pytest.param(
        [
            message(A, "Let me ", status=MessageStatus.INTERRUPTED),
            message(A, call("1"), call("2", '{"a":1}')),
            message(T, result("1"), result("2", is_error=True)),
            message(A, "Done"),
        ],
        [
            assistant(
                "Let me ", tool_calls=[wire_call("1"), wire_call("2", '{"a":1}')]
            ),
            tool("1"),
            tool("2", "Error: seen"),
            assistant("Done"),
        ],
        id="parallel-calls",
    ),
    pytest.param(
        [message(A, "I look", call("1")), message(U, "Stop"), message(T, result("9"))],
        [assistant("I look"), user("Stop")],
        id="calls-and-results-without-each-other",
    ),
    pytest.param(
        [message(U, "Hello?"), message(U, "Anybody?"), message(A, "Yes")],
        [user("Hello?\n\nAnybody?"), assistant("Yes")],
        id="prompts-that-nobody-answered",
    ),
    pytest.param(
        [
            message(A, call("1"), call("2"), call("3"), call("4")),
            message(T, result("1", images=(IMAGE,)), result("9", images=(IMAGE,))),
            message(T, result("2"), result("3"), result("4")),
            message(U, "Go on"),
        ],
        [
            assistant("", tool_calls=[wire_call(str(n)) for n in (1, 2, 3, 4)]),
            *(tool(str(n)) for n in (1, 2, 3, 4)),
            user([BELONGS, WIRE_IMAGE, {"type": "text", "text": "Go on"}]),
        ],
        id="images-of-tools-behind-all-results",
    ),
    pytest.param(
        [message(A, call("1")), message(T, result("1", images=(IMAGE,)))],
        [
            assistant("", tool_calls=[wire_call("1")]),
            tool("1"),
            user([BELONGS, WIRE_IMAGE]),
        ],
        id="images-of-tools-at-the-end",
    ),
    pytest.param(
        [
            message(A, call("1", "[1]"), call("2", '{"a":'), call("3", " null ")),
            message(T, result("1"), result("2"), result("3")),
        ],
        [
            assistant(
                "",
                tool_calls=[
                    wire_call("1", '{"unreadable_arguments":"[1]"}'),
                    wire_call("2", '{"unreadable_arguments":"{\\"a\\":"}'),
                    wire_call("3"),
                ],
            ),
            tool("1"),
            tool("2"),
            tool("3"),
        ],
        id="arguments-that-are-no-object",
    ),
    pytest.param(
        [message(A, call("a b")), message(T, result("a b"))],
        [assistant("", tool_calls=[wire_call("call_0")]), tool("call_0")],
        id="foreign-id",
    ),
    pytest.param(
        [message(U, "a\0b\ud800c")], [user("ab\ufffdc")], id="half-characters"
    ),
]


@pytest.mark.parametrize(("messages", "wires"), CASES)
def test_history_becomes_messages(messages: list[Message], wires: list[Wire]) -> None:
    request = ChatRequest(model="m", messages=tuple(messages))

    assert encode_messages(request, quirks=ChatQuirks()) == wires


def test_openai_wants_null_where_an_answer_is_only_calls() -> None:
    messages = (message(A, call("1")), message(T, result("1")))

    wires = encode_messages(
        ChatRequest(model="m", messages=messages), quirks=OPENAI_QUIRKS
    )

    assert wires[0]["content"] is None


def wires_of(
    *messages: Message,
    quirks: ChatQuirks | None = None,
    known: ModelInfo | None = None,
    system: str | None = None,
    model: str = "m",
) -> list[Wire]:
    request = ChatRequest(model=model, messages=messages, system=system)
    wires = encode_messages(
        request, quirks=quirks or ChatQuirks(), provider="house", known=known
    )
    return msgspec.json.decode(msgspec.json.encode(wires), type=list[Wire])


def test_a_server_that_wants_short_ids_gets_them() -> None:
    wires = wires_of(
        message(A, call("call_1"), call("Abc123456")),
        message(T, result("Abc123456"), result("call_1")),
        quirks=ChatQuirks(short_call_ids=True),
    )

    assert wires == [
        assistant("", tool_calls=[wire_call("000000000"), wire_call("Abc123456")]),
        tool("Abc123456"),
        tool("000000000"),
    ]


DETAILS = '[{"type":"reasoning.encrypted","data":"x","n":12345678901234567890123}]'
SAID = Replay(
    provider="house",
    payload='{"role":"assistant","tool_calls":[{"id":"1","extra_content":{"s":1}}],'
    f'"reasoning_details":{DETAILS}}}',
)
THOUGHT = (ReasoningPart(text="h"), ReasoningPart(text="m\0"), "Hi", call("1"))
FIELDS: list[tuple[ReasoningField, Wire]] = [
    (ReasoningField.NONE, {}),
    (ReasoningField.REASONING, {"reasoning": "hm"}),
    (ReasoningField.REASONING_CONTENT, {"reasoning_content": "hm"}),
    (
        ReasoningField.REASONING_DETAILS,
        {"reasoning_details": msgspec.json.decode(DETAILS)},
    ),
]


@pytest.mark.parametrize(("field", "sent"), FIELDS)
def test_reasoning_goes_back_in_the_field_of_its_server(
    field: ReasoningField, sent: Wire
) -> None:
    answer = message(A, *THOUGHT, model="house:m", replay=SAID)

    wires = wires_of(
        answer, message(T, result("1")), quirks=ChatQuirks(reasoning=field)
    )

    signed = {**wire_call("1"), "extra_content": {"s": 1}}
    assert wires == [assistant("Hi", **sent, tool_calls=[signed]), tool("1")]


@pytest.mark.parametrize("field", ReasoningField)
def test_reasoning_and_signatures_of_another_model_are_dropped(
    field: ReasoningField,
) -> None:
    answer = message(A, *THOUGHT, model="house:other", replay=SAID)

    wires = wires_of(
        answer, message(T, result("1")), quirks=ChatQuirks(reasoning=field)
    )

    assert wires == [assistant("Hi", tool_calls=[wire_call("1")]), tool("1")]


@pytest.mark.parametrize("payload", ["", "[]", '{"role":"assistant"}'])
def test_without_details_the_reasoning_goes_back_as_text(payload: str) -> None:
    quirks = ChatQuirks(reasoning=ReasoningField.REASONING_DETAILS)
    replay = Replay(provider="house", payload=payload)

    thought, silent = (
        wires_of(message(A, *parts, model="house:m", replay=replay), quirks=quirks)
        for parts in (THOUGHT[:3], ("Hi",))
    )

    assert thought == [assistant("Hi", reasoning="hm")]
    assert silent == [assistant("Hi")]


def test_an_interrupted_answer_and_its_rest_keep_their_reasoning() -> None:
    wires = wires_of(
        message(A, ReasoningPart(text="a"), "1", model="house:m"),
        message(A, ReasoningPart(text="b"), "2", model="house:m"),
        quirks=ChatQuirks(reasoning=ReasoningField.REASONING),
    )

    assert wires == [assistant("12", reasoning="ab")]


def describe(*capabilities: Capability) -> ModelInfo:
    return ModelInfo(provider="house", model="m", capabilities=capabilities)


def test_a_model_that_cannot_see_is_told_that_there_is_an_image() -> None:
    messages = (
        message(U, IMAGE),
        message(A, call("1")),
        message(T, result("1", images=(IMAGE,))),
    )

    blind = wires_of(*messages, known=describe(Capability.TOOLS))
    seeing = wires_of(*messages, known=describe(Capability.IMAGES))

    unseen = {
        "type": "text",
        "text": "(There is an image here, but this model cannot see images.)",
    }
    assert [blind[0], blind[-1]] == [user([unseen]), user([BELONGS, unseen])]
    assert [seeing[0], seeing[-1]] == [user([WIRE_IMAGE]), user([BELONGS, WIRE_IMAGE])]
    assert seeing == wires_of(*messages)


@pytest.mark.parametrize(
    ("model", "role"),
    [
        ("gpt-5.4-mini", "developer"),
        ("openai/o4-mini", "developer"),
        ("gpt-10", "developer"),
        ("gpt-5-chat-latest", "system"),
        ("gpt-4.1", "system"),
        ("llama", "system"),
    ],
)
def test_models_that_think_get_their_instructions_from_the_developer(
    model: str, role: str
) -> None:
    messages = [message(U, "Hi"), message(S, "b")]

    wires = wires_of(*messages, system="a", quirks=OPENAI_QUIRKS, model=model)

    assert [wire["role"] for wire in wires] == [role, "user", role]
    assert wires_of(*messages, system="a", model=model)[0]["role"] == "system"


def test_what_the_list_of_models_says_goes_before_the_name() -> None:
    assert is_reasoning_model("llama", describe(Capability.REASONING))
    assert not is_reasoning_model("o3", describe())
    assert is_reasoning_model("o3", ModelInfo(provider="house", model="o3"))


ROLES = [
    pytest.param(
        [message(S, "b"), message(U, "c"), message(U, "d"), message(S, "e")],
        [{"role": "system", "content": "a\n\nb"}, user("c\n\nd\n\ne")],
        id="prompts",
    ),
    pytest.param(
        [message(U, "b"), message(U, IMAGE), message(U, "c")],
        [
            {"role": "system", "content": "a"},
            user(
                [
                    {"type": "text", "text": "b"},
                    WIRE_IMAGE,
                    {"type": "text", "text": "c"},
                ]
            ),
        ],
        id="images",
    ),
    pytest.param(
        [
            message(A, call("1"), call("2")),
            message(T, result("1", images=(IMAGE,)), result("2")),
            message(U, "b"),
            message(A, "c"),
        ],
        [
            {"role": "system", "content": "a"},
            assistant("", tool_calls=[wire_call("1"), wire_call("2")]),
            tool("1"),
            tool("2"),
            user([BELONGS, WIRE_IMAGE, {"type": "text", "text": "b"}]),
            assistant("c"),
        ],
        id="results",
    ),
]


@pytest.mark.parametrize(("messages", "wires"), ROLES)
def test_strict_templates_get_roles_in_turn(
    messages: list[Message], wires: list[Wire]
) -> None:
    quirks = ChatQuirks(alternate_roles=True)

    assert wires_of(*messages, system="a", quirks=quirks) == wires
