"""What is asked of a model and what it costs."""

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tina.domain.failures import InvalidInputFailure
from tina.domain.text import CleanStruct

if TYPE_CHECKING:
    from tina.domain.messages import Message
    from tina.domain.tools import ToolChoice, ToolDefinition


class StopReason(StrEnum):
    """Why a model ended its answer. Vendors' own words are in `Finish.raw_reason`."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    PAUSED = "paused"
    UNKNOWN = "unknown"


MAX_TOKENS = 10**9
"""No answer has more, whatever its server says: a lie must not cost millions."""


MAX_NUMBER = 2**63
"""Whole numbers of a request stay below it: they are stored, and sent, as 64 bits."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one answer; None where the provider is silent.

    `cached_tokens` and `cache_write_tokens` are parts of `input_tokens`,
    `reasoning_tokens` is a part of `output_tokens`. `cost_micros` are millionths of a
    US dollar, by the price list of the day; None where no price is known.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_micros: int | None = None
    is_estimated: bool = False
    """The provider did not count; Tina guessed from the length of the text."""

    def believable(self) -> "Usage":
        """Without counts that no answer can have, nor any database hold."""
        counts = msgspec.structs.asdict(self)
        lies = {
            name: None
            for name, count in counts.items()
            if count is not None and not 0 <= count <= MAX_TOKENS
        }
        return msgspec.structs.replace(self, **lies) if lies else self


class ModelRef(NamedTuple):
    """`provider:model`, as people write it and as it is stored."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


class Effort(StrEnum):
    """How much a model may think before it answers; few know all of them."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Capability(StrEnum):
    """What a model can do beyond text."""

    IMAGES = "images"
    """It sees images."""
    FILES = "files"
    """It reads PDF documents."""
    TOOLS = "tools"
    REASONING = "reasoning"
    """It thinks before it answers, or can."""
    SCHEMA = "schema"
    """It answers in the shape of a JSON Schema."""
    HOSTED_TOOLS = "hosted_tools"
    """Tools that run at the provider."""
    SAMPLING = "sampling"
    """Temperature and its kind may be chosen."""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that a provider offers; None where the provider is silent."""

    provider: str
    model: str
    title: str = ""
    context_tokens: int | None = None
    output_tokens: int | None = None
    """The longest answer."""
    capabilities: tuple[Capability, ...] | None = None
    efforts: tuple[Effort, ...] | None = None
    note: str = ""
    """A few words for people: size, where it is, what is missing."""

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.provider, self.model)


def parse_model_ref(text: str) -> ModelRef:
    """Read `provider:model` or `provider/model`.

    The first separator counts: `openai:org/model` and `openrouter/org/model:free`
    keep the rest as the model's name.

    Raises:
        InvalidInputFailure: there is no provider or no model in it.
    """
    cut = min((at for at in (text.find(":"), text.find("/")) if at >= 0), default=-1)
    provider, model = text[:cut].strip().lower(), text[cut + 1 :].strip()
    if cut < 1 or not provider or not model:
        raise InvalidInputFailure(
            f"{text!r} is not a model's name. Write provider:model, "
            "for example local:smollm2; `tina models list` shows what is here."
        )
    return ModelRef(provider, model)


class ChatOptions(CleanStruct, frozen=True, kw_only=True, omit_defaults=True):
    """Options of a request; None leaves the choice to the model's server.

    Raises:
        InvalidInputFailure: a number is larger than any JSON carries.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    effort: Effort | None = None
    schema: str | None = None
    """A JSON Schema, as JSON text, whose shape the answer gets."""
    hosted_tools: tuple[str, ...] = ()
    """Names of tools that the provider may run on its own side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("top_k", "max_tokens", "seed"):
            number = getattr(self, name)
            if number is not None and not -MAX_NUMBER <= number < MAX_NUMBER:
                raise InvalidInputFailure(
                    f"{name} cannot be {number}: whole numbers go from "
                    f"{-MAX_NUMBER} to {MAX_NUMBER - 1}."
                )
        if self.max_tokens is not None and self.max_tokens < 0:
            raise InvalidInputFailure(
                f"max_tokens cannot be {self.max_tokens}: it is the longest an answer "
                "may be."
            )


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """How long each wait of a request may take, in seconds."""

    connect_timeout_s: float = 5.0
    headers_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    """The longest silence between two pieces of an answer."""
    heartbeat_timeout_s: float = 300.0
    """The longest time in which a server only says that it lives."""
    total_timeout_s: float = 1800.0


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model, in no vendor's words.

    `messages` are oldest first and end with what is to be answered. `cache_key` is
    the same for all requests of one conversation: prompts that begin alike are
    cheaper where the provider remembers them.
    """

    model: str
    messages: "tuple[Message, ...]"
    system: str | None = None
    tools: "tuple[ToolDefinition, ...]" = ()
    tool_choice: "ToolChoice | None" = None
    """None leaves it to the model."""
    has_parallel_calls: bool = True
    """Whether the model may ask for several tools at once."""
    options: ChatOptions = ChatOptions()
    deadlines: Deadlines = Deadlines()
    cache_key: str | None = None
