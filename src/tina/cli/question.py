"""From flags, files and piped text to one prompt."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from tina.cli.files import read_file
from tina.cli.standard_input import (
    StdinKind,
    compose_prompt,
    read_piped,
    stdin_kind,
)
from tina.domain.failures import InvalidInputFailure
from tina.domain.messages import FilePart, ImagePart
from tina.domain.text import clean_text

MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024
PDF = "application/pdf"

_BEGINNINGS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), PDF),
)


class Question(NamedTuple):
    """A prompt, and the images and documents that it is about."""

    text: str
    attachments: tuple[ImagePart | FilePart, ...] = ()


async def read_question(
    words: str, *, attachments: Iterable[Path], reads_stdin: bool
) -> Question:
    """The question: the words, the attached files, the piped text.

    Raises:
        InvalidInputFailure: there is none, or a file cannot be used.
    """
    files = [await _attachment(path) for path in attachments]
    texts = [file for file in files if isinstance(file, str)]
    piped = await _piped() if reads_stdin else ""
    prompt = compose_prompt("\n\n".join([words, *texts]).strip("\n"), piped)
    if not prompt.strip():
        raise InvalidInputFailure(
            'There is nothing to ask. Write a question: tina "What is a fjord?"'
        )
    return Question(prompt, tuple(file for file in files if not isinstance(file, str)))


async def _attachment(path: Path) -> str | ImagePart | FilePart:
    """A text file as text of the prompt; an image or a PDF as it is."""
    content = await _read(path)
    media_type = media_type_of(content)
    if media_type is None:
        return _as_text(path, content)
    if media_type == PDF:
        name = clean_text(path.name)
        return FilePart(name=name, media_type=media_type, data=content)
    return ImagePart(media_type=media_type, data=content)


def media_type_of(content: bytes) -> str | None:
    """What its first bytes say that it is; None for everything but images and PDF.

    Source: WHATWG MIME Sniffing, section 6.1 (image types) and 7.1 (PDF).
    """
    for beginning, media_type in _BEGINNINGS:
        if beginning.match(content):
            return media_type
    return None


async def _read(path: Path) -> bytes:
    def read() -> bytes:
        return read_file(path, what="The file", limit_bytes=MAX_ATTACHMENT_BYTES)

    return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)


def _as_text(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputFailure(
            f"The file {str(path)!r} is neither UTF-8 text nor a PNG, JPEG, GIF or "
            "WebP image nor a PDF; only those can be attached."
        ) from error
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{path.name}:\n{fence}\n{text.rstrip()}\n{fence}"


async def _piped() -> str:
    if stdin_kind() is not StdinKind.PIPED:
        return ""
    return await read_piped(on_wait=_say_that_it_waits)


def _say_that_it_waits() -> None:
    sys.stderr.write("tina: waiting for standard input; < /dev/null skips it\n")


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
