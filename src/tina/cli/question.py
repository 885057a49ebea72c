"""From flags, files and piped text to one prompt."""

import sys
from collections.abc import Iterable
from pathlib import Path

import anyio

from tina.cli.standard_input import (
    StdinKind,
    compose_prompt,
    read_piped,
    stdin_kind,
)
from tina.domain.failures import InvalidInputFailure

MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024


async def read_question(
    words: str, *, attachments: Iterable[Path], reads_stdin: bool
) -> str:
    """The prompt: the question, the attached files, the piped text.

    Raises:
        InvalidInputFailure: there is none, or a file cannot be used.
    """
    files = [await _attachment(path) for path in attachments]
    piped = await _piped() if reads_stdin else ""
    prompt = compose_prompt("\n\n".join([words, *files]).strip("\n"), piped)
    if not prompt.strip():
        raise InvalidInputFailure(
            'There is nothing to ask. Write a question: tina "What is a fjord?"'
        )
    return prompt


async def _attachment(path: Path) -> str:
    try:
        async with await anyio.open_file(path, "rb") as file:
            content = await file.read(MAX_ATTACHMENT_BYTES + 1)
    except OSError as error:
        raise InvalidInputFailure(
            f"The file {str(path)!r} cannot be read: {error.strerror}."
        ) from error
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise InvalidInputFailure(
            f"The file {str(path)!r} is larger than "
            f"{MAX_ATTACHMENT_BYTES // 1024 // 1024} MiB; attach a part of it."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputFailure(
            f"The file {str(path)!r} is not UTF-8 text; only text can be attached yet."
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
