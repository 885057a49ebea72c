"""From words and files to a question."""

from pathlib import Path

import pytest

from tina.cli.question import (
    MAX_ATTACHMENT_BYTES,
    Question,
    media_type_of,
    read_question,
)
from tina.domain.failures import InvalidInputFailure
from tina.domain.messages import FilePart, ImagePart

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
WEBP = b"RIFF\n\0\0\0WEBPVP8 "


async def ask(words: str, *paths: Path) -> Question:
    return await read_question(words, attachments=paths, reads_stdin=False)


async def test_text_goes_into_the_prompt_and_the_rest_beside_it(tmp_path: Path) -> None:
    note, image, document = (tmp_path / name for name in ("a.md", "b.png", "c.pdf"))
    note.write_text("Ice.\n")
    image.write_bytes(PNG)
    document.write_bytes(b"%PDF-1.7 rest")

    question = await ask("Why?", note, image, document)

    assert question == Question(
        "Why?\n\na.md:\n```\nIce.\n```",
        (
            ImagePart(media_type="image/png", data=PNG),
            FilePart(name="c.pdf", media_type="application/pdf", data=b"%PDF-1.7 rest"),
        ),
    )


async def test_an_image_alone_is_no_question(tmp_path: Path) -> None:
    image = tmp_path / "b.png"
    image.write_bytes(PNG)

    with pytest.raises(InvalidInputFailure, match="nothing to ask"):
        await ask("", image)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (WEBP, "image/webp"),
        (b"%PDF-", "application/pdf"),
        (b"", None),
        (b"text", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b" %PDF-", None),
    ],
)
def test_files_are_known_by_how_they_begin(
    content: bytes, media_type: str | None
) -> None:
    assert media_type_of(content) == media_type


async def test_other_files_are_refused(tmp_path: Path) -> None:
    program = tmp_path / "a.out"
    program.write_bytes(b"\x7fELF\xff")

    with pytest.raises(InvalidInputFailure, match="neither UTF-8 text nor a PNG"):
        await ask("Why?", program)
    with pytest.raises(InvalidInputFailure, match="cannot be read"):
        await ask("Why?", tmp_path / "nowhere")


@pytest.mark.parametrize("surplus", [0, 1])
async def test_a_file_has_a_largest_size(tmp_path: Path, surplus: int) -> None:
    image = tmp_path / "b.png"
    image.write_bytes(PNG.ljust(MAX_ATTACHMENT_BYTES + surplus))

    if surplus == 0:
        assert len((await ask("Why?", image)).attachments) == 1
        return
    with pytest.raises(InvalidInputFailure, match="larger than 10 MiB"):
        await ask("Why?", image)
