from datetime import UTC, datetime

import msgspec
import pytest

from tina.domain.chat import ChatOptions, ChatRequest
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.openai.encode import (
    OPENAI_QUIRKS,
    ChatQuirks,
    Wire,
    encode_messages,
    encode_request,
    is_openai,
    quirks_for,
)


def message(
    role: Role, *parts: Part | str, status: MessageStatus = MessageStatus.COMPLETE
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
    )


def call(call_id: str, arguments: str = "{}") -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool="look", arguments=arguments)


def result(call_id: str, *, is_error: bool = False) -> ToolResultPart:
    return ToolResultPart(
        call_id=ToolCallId(call_id), content="seen", is_error=is_error
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
U, A, T = Role.USER, Role.ASSISTANT, Role.TOOL

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
        [assistant("", refusal="No")],
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


OPTIONS = ChatOptions(
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    max_tokens=100,
    seed=7,
    frequency_penalty=0.1,
    presence_penalty=0.2,
    stop=("END",),
)


def body_of(options: ChatOptions, quirks: ChatQuirks) -> Wire:
    request = ChatRequest(
        model="m", messages=(message(U, "Hi"),), system="Be brief", options=options
    )
    return msgspec.json.decode(encode_request(request, quirks=quirks), type=Wire)


def test_a_request_holds_what_was_asked_for_and_no_more() -> None:
    body = body_of(ChatOptions(), ChatQuirks())

    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief"}, user("Hi")],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_option_is_sent_under_its_name() -> None:
    body = body_of(OPTIONS, ChatQuirks(include_usage=False))

    sent = {
        name: body[name] for name in body if name not in ("model", "messages", "stream")
    }
    assert sent == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "max_tokens": 100,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["END"],
    }


def test_openai_has_its_own_words() -> None:
    body = body_of(OPTIONS, quirks_for("https://api.openai.com/v1"))

    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body
    assert body["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com/v1/", True),
        ("https://API.OpenAI.com", True),
        ("https://api.openai.com.:443/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://127.0.0.1:8080/v1", False),
        ("https://[", False),
    ],
)
def test_openai_is_known_by_its_host(base_url: str, expected: bool) -> None:
    assert is_openai(base_url) is expected
    assert (quirks_for(base_url) is OPENAI_QUIRKS) is expected
