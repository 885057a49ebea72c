import pytest

from tina.domain.messages import FilePart, ImagePart, Part, ReasoningPart, TextPart
from tina.providers.openai.chat.content import encode_content

IMAGE = ImagePart(media_type="image/png", data=b"\x89PNG")


def file(media_type: str, data: bytes) -> FilePart:
    return FilePart(name="a.x", media_type=media_type, data=data)


def text(words: str) -> object:
    return {"type": "text", "text": words}


CASES = [
    pytest.param((), "", id="nothing"),
    pytest.param((ReasoningPart(text="hm"),), "", id="nothing-to-show"),
    pytest.param((TextPart(text="a"), TextPart(text="b\0")), "ab", id="text"),
    pytest.param(
        (TextPart(text=""), IMAGE),
        [
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,iVBORw=="},
            }
        ],
        id="image",
    ),
    pytest.param(
        (file("application/pdf", b"%PDF"),),
        [
            {
                "type": "file",
                "file": {
                    "filename": "a.x",
                    "file_data": "data:application/pdf;base64,JVBERg==",
                },
            }
        ],
        id="pdf",
    ),
    pytest.param(
        (TextPart(text="Read"), file("Text/Plain; charset=utf-8", b"Hi \xff")),
        [text("Read"), text("[a.x]\nHi \ufffd\n[end of a.x]")],
        id="text-file",
    ),
    pytest.param(
        (file("application/json", b"{}"),),
        [text("[a.x]\n{}\n[end of a.x]")],
        id="json-file",
    ),
    pytest.param(
        (file("audio/mpeg", b"ID3"),),
        [
            {
                "type": "input_audio",
                "input_audio": {"data": "SUQz", "format": "mp3"},
            }
        ],
        id="audio",
    ),
]


@pytest.mark.parametrize(("parts", "expected"), CASES)
def test_what_is_shown_becomes_content(
    parts: tuple[Part, ...], expected: object
) -> None:
    assert encode_content(parts, sees_images=True) == expected


def test_an_image_for_a_model_that_cannot_see_is_a_remark() -> None:
    content = encode_content((TextPart(text="This:"), IMAGE), sees_images=False)

    remark = "(There is an image here, but this model cannot see images.)"
    assert content == [text("This:"), text(remark)]
