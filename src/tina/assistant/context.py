"""From a branch of messages to what a model gets, as far as it fits. Pure.

Sizes are guesses: nobody but the model's own tokenizer knows. What a provider counted
for an earlier answer of the branch makes them better: the guesses for the others are
stretched by as much as the guess for that prompt was wrong.

Messages are left out in exchanges, a question with all that answered it, so that no
tool call loses its result. They go by the quarter of the window, so that the beginning
of the prompt stays the same for many turns: providers remember beginnings.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from msgspec.structs import replace

from tina.domain.chat import ChatRequest, Usage, parse_model_ref
from tina.domain.failures import (
    ContextOverflowFailure,
    InvalidRequestFailure,
    TooLargeFailure,
)
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.turns import TurnRequest

BYTES_PER_TOKEN = 4
BYTES_PER_TOKEN_OF_A_DOCUMENT = 20
"""A PDF is mostly fonts, images and places."""
IMAGE_TOKENS = 1_600
MESSAGE_TOKENS = 4
"""What marks the beginning and the end of each message."""
ANSWER_SHARE = 4
"""A quarter of the window is kept for the answer, unless a request says its length."""
MOST_ANSWER_TOKENS = 16_384
MARGIN = 0.9
"""As much of what is left may be used: sizes are guesses."""
_STRETCH = (0.5, 4.0)
_REFUSALS = frozenset(
    kind.kind
    for kind in (InvalidRequestFailure, ContextOverflowFailure, TooLargeFailure)
)


class Fitted(NamedTuple):
    """The messages to send, oldest first, and about how large they are."""

    messages: tuple[Message, ...]
    tokens: int
    left_out: int


def up_to_last_prompt(branch: Sequence[Message]) -> tuple[Message, ...]:
    """The branch without what follows its last prompt; there is one."""
    last = max(
        number for number, message in enumerate(branch) if message.role is Role.USER
    )
    return tuple(branch[: last + 1])


def history_for(branch: Sequence[Message]) -> tuple[Message, ...]:
    """The messages a model is shown, oldest first.

    Answers that said nothing are left out: vendors refuse empty messages. One that
    its provider paused may have said nothing to people, and is sent back to it.
    A prompt that was refused for what it is goes with its answer, once there is
    another: it would have every later request refused, too.
    """
    shown: list[Message] = []
    for message in branch:
        if message.parts or message.replay or message.role is not Role.ASSISTANT:
            shown.append(message)
        elif _is_refusal(message) and shown and _may_go(shown[-1]):
            del shown[-1]
    return tuple(shown)


def _is_refusal(answer: Message) -> bool:
    return answer.failure is not None and answer.failure.kind in _REFUSALS


def _may_go(message: Message) -> bool:
    return message.role is Role.USER and not message.is_pinned


def request_for(
    request: TurnRequest,
    *,
    model: str,
    system: str | None,
    messages: tuple[Message, ...],
    cache_key: str,
) -> ChatRequest:
    """What a model is asked.

    Args:
        request: of the turn.
        model: `provider:model`, that of the turn or one it falls back to.
        system: the conversation's own.
        messages: oldest first, the prompt last.
        cache_key: the same for all requests of the conversation.
    """
    return ChatRequest(
        model=parse_model_ref(model).model,
        messages=tuple(map(_without_empty_files, messages)),
        system=system,
        options=request.options,
        deadlines=request.deadlines,
        cache_key=cache_key,
    )


def _without_empty_files(message: Message) -> Message:
    """Vendors refuse the whole conversation for one file without a byte."""
    if not any(map(_is_empty_file, message.parts)):
        return message
    parts = (
        TextPart(text="[A file without any content was left out.]")
        if _is_empty_file(part)
        else part
        for part in message.parts
    )
    return replace(message, parts=tuple(parts))


def _is_empty_file(part: Part) -> bool:
    return isinstance(part, ImagePart | FilePart) and not part.data


def budget_tokens(window_tokens: int, *, answer_tokens: int | None) -> int:
    """How large a prompt may be in a window that also has to hold the answer."""
    asked = window_tokens // ANSWER_SHARE if answer_tokens is None else answer_tokens
    most = MOST_ANSWER_TOKENS if answer_tokens is None else window_tokens // 2
    return max(1, int((window_tokens - min(asked, most)) * MARGIN))


def guess_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def guess_usage(
    asked: Fitted | None, said: Sequence[Part], *, counted: Usage | None
) -> Usage:
    """What an answer used whose provider did not count it to its end.

    Args:
        asked: the prompt.
        said: all of the answer: thoughts and tool calls are paid, too.
        counted: as far as the provider did; what was sent is known early.
    """
    counted = counted or Usage()
    guessed = None if asked is None else asked.tokens
    return replace(
        counted,
        input_tokens=guessed if counted.input_tokens is None else counted.input_tokens,
        output_tokens=max(counted.output_tokens or 0, sum(map(_guess_part, said))),
        is_estimated=True,
    )


def fit(
    messages: Sequence[Message], *, system: str | None, budget: int | None
) -> Fitted:
    """Leave out the oldest exchanges until the rest fits.

    The last exchange stays however large it is, and so do messages of the system and
    those that a person pinned.

    Args:
        messages: oldest first, the prompt last.
        system: goes in any case, so its size counts.
        budget: of tokens; None means that nobody knows the window.
    """
    sizes = _sizes(messages, system)
    fixed = ceil(guess_tokens(system or "") * _stretch(messages, system))
    whole = fixed + sum(sizes)
    if budget is None or whole <= budget:
        return Fitted(tuple(messages), whole, 0)
    quarter = max(1, budget // 4)
    to_drop = ceil((whole - budget) / quarter) * quarter
    dropped = _dropped(messages, sizes, to_drop)
    kept = tuple(
        message for number, message in enumerate(messages) if number not in dropped
    )
    size = whole - sum(sizes[number] for number in dropped)
    return Fitted(kept, size, len(dropped))


def _dropped(
    messages: Sequence[Message], sizes: Sequence[int], to_drop: int
) -> frozenset[int]:
    """The numbers of the oldest messages that together have so many tokens."""
    starts = [
        number for number, message in enumerate(messages) if message.role is Role.USER
    ]
    dropped: set[int] = set()
    gone = begin = 0
    stays = _staying(messages)
    for start in starts[1:]:
        if gone >= to_drop:
            break
        exchange = [number for number in range(begin, start) if number not in stays]
        dropped.update(exchange)
        gone += sum(sizes[number] for number in exchange)
        begin = start
    return frozenset(dropped)


def _staying(messages: Sequence[Message]) -> frozenset[int]:
    """The numbers of those that stay; with a tool call that stays its result does."""
    staying: set[int] = set()
    for number, message in enumerate(messages):
        follows = message.role is Role.TOOL and number - 1 in staying
        if message.role is Role.SYSTEM or message.is_pinned or follows:
            staying.add(number)
    return frozenset(staying)


def _sizes(messages: Sequence[Message], system: str | None) -> list[int]:
    stretch = _stretch(messages, system)
    return [ceil(_guess(message) * stretch) for message in messages]


def _stretch(messages: Sequence[Message], system: str | None) -> float:
    """By how much the guesses are too small, as the newest count shows."""
    for number in reversed(range(len(messages))):
        message = messages[number]
        counted = None if message.usage is None else message.usage
        if counted is None or counted.is_estimated or not counted.input_tokens:
            continue
        if message.notes.left_out_messages:
            continue
        guessed = guess_tokens(system or "") + sum(map(_guess, messages[:number]))
        low, high = _STRETCH
        return min(high, max(low, counted.input_tokens / max(1, guessed)))
    return 1.0


def _guess(message: Message) -> int:
    return MESSAGE_TOKENS + sum(map(_guess_part, message.parts))


def _guess_part(part: Part) -> int:
    match part:
        case ImagePart():
            return IMAGE_TOKENS
        case FilePart(media_type=media_type, data=data):
            is_text = media_type.startswith("text/")
            each = BYTES_PER_TOKEN if is_text else BYTES_PER_TOKEN_OF_A_DOCUMENT
            return ceil(len(data) / each)
        case ToolCallPart(tool=tool, arguments=arguments):
            return guess_tokens(tool) + guess_tokens(arguments)
        case ToolResultPart(content=content, images=images):
            return guess_tokens(content) + IMAGE_TOKENS * len(images)
        case _:
            return guess_tokens(getattr(part, "text", ""))
