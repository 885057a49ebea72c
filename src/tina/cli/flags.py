"""The flags of the commands, in the groups in which the commands take them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from tina.domain.text import is_clean

_OUTPUT = Group("Output")


def _check_text(_: object, value: str | list[tuple[str, str]] | None) -> None:
    """Arguments are bytes; ones that are no UTF-8 name no model, id or key."""
    texts = [text for pair in value for text in pair] if isinstance(value, list) else []
    if isinstance(value, str):
        texts = [value]
    if not all(map(is_clean, texts)):
        raise ValueError("It is not UTF-8 text.")


def _check_texts(_: object, value: list[str] | None) -> None:
    if not all(map(is_clean, value or ())):
        raise ValueError("It is not UTF-8 text.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Asking:
    """What is asked of whom."""

    model: Annotated[
        str | None, Parameter(name=["--model", "-m"], validator=_check_text)
    ] = None
    """Who answers: provider:model, for example local:smollm2 or openai:gpt-6."""
    fallback: Annotated[
        list[str] | None, Parameter(negative=(), validator=_check_texts)
    ] = None
    """Who is asked if that one says nothing; may be given several times."""
    option: Annotated[
        list[tuple[str, str]],
        Parameter(name=["--option", "-o"], negative=(), validator=_check_text),
    ] = field(default_factory=list[tuple[str, str]])
    """An option or deadline, as KEY VALUE: -o temperature 0.2 -o effort high."""
    schema: Path | None = None
    """A file with a JSON Schema; the answer is JSON of that shape."""
    key: Annotated[str | None, Parameter(validator=_check_text)] = None
    """The provider's API key, for this call only. Others can see it while it runs;
    an environment variable such as OPENAI_API_KEY is safer."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Showing:
    """How the answer is shown."""

    stream: Annotated[bool, Parameter(group=_OUTPUT)] = True
    """Show the answer while it grows."""
    json: Annotated[bool, Parameter(group=_OUTPUT, negative=())] = False
    """Print one JSON object at the end."""
    output_format: Annotated[
        Literal["text", "json", "stream-json"], Parameter(group=_OUTPUT)
    ] = "text"
    """text, json (one object) or stream-json (one event a line)."""
    extract: Annotated[
        bool, Parameter(name=["--extract", "-x"], group=_OUTPUT, negative=())
    ] = False
    """Print only the first code block of the answer."""
    reasoning: Annotated[bool, Parameter(group=_OUTPUT)] = True
    """In a terminal, show what the model thought before it answered."""
    usage: Annotated[
        bool, Parameter(name=["--usage", "-u"], group=_OUTPUT, negative=())
    ] = False
    """Say at the end how many tokens it took."""

    @property
    def format(self) -> Literal["text", "json", "stream-json"]:
        return "json" if self.json else self.output_format


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Material:
    """What is asked about."""

    attachment: Annotated[
        list[Path] | None, Parameter(name=["--attachment", "-a"], negative=())
    ] = None
    """A text file, image or PDF to ask about; may be given several times."""
    stdin: bool = True
    """Read what is piped in."""


Cid = Annotated[
    str | None,
    Parameter(name=["--conversation", "--cid"], validator=_check_text),
]
Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Placing:
    """In which conversation it is asked."""

    system: Annotated[str | None, Parameter(name=["--system", "-s"])] = None
    """Instructions that every request of a new conversation begins with."""
    continue_: Annotated[bool, Parameter(name=["--continue", "-c"], negative=())] = (
        False
    )
    """Ask in the newest conversation."""
    conversation: Cid = None
    """Ask in this conversation: its id, or how the id begins."""
    log: Annotated[bool, Parameter(name="--log", negative=["--no-log", "-n"])] = True
    """Keep the conversation."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """Where it is looked for."""

    conversation: Cid = None
    """Look in this conversation: its id, or how the id begins."""
    role: Literal["user", "assistant", "system", "tool"] | None = None
    """Who said it: user, assistant, system or tool."""
    model: Annotated[
        str | None, Parameter(name=["--model", "-m"], validator=_check_text)
    ] = None
    """Which model said it: provider:model."""
    since: str | None = None
    """The first day, or moment: 2026-01-31 or 2026-01-31T18:30."""
    until: str | None = None
    """The last day, or the moment it ends."""
