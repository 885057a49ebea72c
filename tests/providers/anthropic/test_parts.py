import pytest

from tina.domain.ids import ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.anthropic.parts import (
    encode_answer_part,
    encode_call,
    encode_prompt_part,
    encode_result,
    encode_text,
)


def image_of(media_type: str, data: str = "YWI=") -> object:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def document_of(source: object, title: str = "a.txt") -> object:
    return {"type": "document", "source": source, "title": title}


def file(media_type: str, data: bytes = b"ab", name: str = "a.txt") -> FilePart:
    return FilePart(name=name, media_type=media_type, data=data)


PLAIN = {"type": "text", "media_type": "text/plain", "data": "ab"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "YWI="}
PROMPTS: list[tuple[Part, object]] = [
    (TextPart(text="a\0b"), {"type": "text", "text": "ab"}),
    (ImagePart(media_type="image/png", data=b"ab"), image_of("image/png")),
    (ImagePart(media_type="IMAGE/JPG; q=1", data=b"ab"), image_of("image/jpeg")),
    (file("image/webp"), image_of("image/webp")),
    (file("application/pdf", name=" b.pdf "), document_of(PDF, "b.pdf")),
    (file("text/markdown; charset=utf-8"), document_of(PLAIN)),
    (file("application/json", name="\0"), document_of(PLAIN, "file")),
    (
        file("text/plain", b"\xff\0a"),
        document_of({**PLAIN, "data": "\ufffda"}),
    ),
    (
        file("text/plain", b" "),
        {"type": "text", "text": "The file 'a.txt':\n\n "},
    ),
    (
        file("application/zip", name="b.zip"),
        {
            "type": "text",
            "text": "[The file 'b.zip' of the type application/zip was left out: "
            "it cannot be read here.]",
        },
    ),
    (
        ImagePart(media_type="image/bmp", data=b"ab"),
        {
            "type": "text",
            "text": "[An image of the type image/bmp was left out: "
            "it cannot be read here.]",
        },
    ),
]


@pytest.mark.parametrize(("part", "block"), PROMPTS)
def test_what_a_person_gave_is_a_block(part: Part, block: object) -> None:
    assert encode_prompt_part(part, has_documents=True) == [block]


def test_who_knows_no_documents_of_text_gets_the_text() -> None:
    assert encode_prompt_part(file("text/plain"), has_documents=False) == [
        {"type": "text", "text": "The file 'a.txt':\n\nab"}
    ]


def test_a_title_has_an_end() -> None:
    (block,) = encode_prompt_part(
        file("application/pdf", name="x" * 999), has_documents=True
    )

    assert block["title"] == "x" * 200


@pytest.mark.parametrize("part", [TextPart(text=" "), ReasoningPart(text="hm")])
def test_what_is_no_prompt_is_nothing(part: Part) -> None:
    assert encode_prompt_part(part, has_documents=True) == []


def test_an_answer_is_its_text() -> None:
    image = ImagePart(media_type="image/png", data=b"ab")

    assert encode_answer_part(TextPart(text="Hi")) == [{"type": "text", "text": "Hi"}]
    assert encode_answer_part(image) == []
    assert encode_text("\n") == []


def test_a_call_and_its_result_are_clean() -> None:
    call_id = ToolCallId("raw")
    part = ToolCallPart(call_id=call_id, tool="lo\0ok", arguments='{"a": "\ud800"}')
    given = ToolResultPart(call_id=call_id, content="\0")

    assert encode_call(part, "1")["name"] == "look"
    assert encode_result(given, "1") == {"type": "tool_result", "tool_use_id": "1"}


def test_a_result_of_images_alone_has_no_text() -> None:
    images = (ImagePart(media_type="image/gif", data=b"ab"),)
    part = ToolResultPart(
        call_id=ToolCallId("1"), content="", images=images, is_error=True
    )

    assert encode_result(part, "1") == {
        "type": "tool_result",
        "tool_use_id": "1",
        "content": [image_of("image/gif")],
        "is_error": True,
    }


def test_a_result_of_text_is_its_text() -> None:
    part = ToolResultPart(call_id=ToolCallId("1"), content="seen")

    assert encode_result(part, "1")["content"] == "seen"
