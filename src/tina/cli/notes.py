"""What to know beside an answer: waits, other models, sources, costs. Pure."""

from math import ceil

import msgspec

from tina.cli.terminal_text import one_line, safe_text
from tina.domain.chat import Usage
from tina.domain.events import FellBack, LeftOut, StreamEvent, Waiting
from tina.domain.messages import FilePart, ImagePart, Message, Part, SourcePart
from tina.domain.money import dollars

_LEAST_WAIT_S = 1.0
"""A shorter one is over before it is read."""


def aside(event: StreamEvent) -> str:
    """What to say of an event that is no part of the answer; mostly nothing."""
    match event:
        case Waiting(wait_s=wait_s, failure=failure) if wait_s >= _LEAST_WAIT_S:
            why = "" if failure is None else f"{_first_sentence(failure.message)} "
            return f"tina: {why}Waiting {ceil(wait_s)} s; Ctrl-C stops.\n"
        case FellBack(model=model, failure=failure):
            # On a line of its own: the text before may hold words of a server.
            return (
                f"tina: {one_line(failure.message)}\n"
                f"tina: Asking {safe_text(model)} instead.\n"
            )
        case LeftOut(messages=messages):
            return f"tina: {_left_out(messages)}\n"
        case _:
            return ""


def remarks(message: Message) -> str:
    """Lines below an answer of a page; empty for most."""
    notes = message.notes
    lines: list[str] = []
    if notes.asked_model is not None:
        lines.append(
            f"[{safe_text(notes.asked_model)} did not answer: "
            f"{one_line(notes.fallback_reason or '')}]"
        )
    if notes.left_out_messages:
        lines.append(f"[{_left_out(notes.left_out_messages)}]")
    lines += (line for part in message.parts if (line := _part_line(part)))
    if message.usage is not None and message.usage.cost_micros:
        lines.append(f"[{usage_text(message.usage)}]")
    return "".join(f"\n{line}\n" for line in lines)


def usage_text(usage: Usage) -> str:
    """The counts and the price, on one line."""
    counts = msgspec.structs.replace(usage, cost_micros=None, is_estimated=False)
    told = ", ".join(
        f"{count} {name.removesuffix('_tokens').replace('_', ' ')}"
        for name, count in msgspec.to_builtins(counts).items()
    )
    guess = "about " if usage.is_estimated else ""
    cost = "" if usage.cost_micros is None else f", {dollars(usage.cost_micros)}"
    return f"tokens: {guess}{told}{cost}"


def _part_line(part: Part) -> str:
    match part:
        case ImagePart(data=data):
            return f"[image, {_size(data)}]"
        case FilePart(name=name, data=data):
            return f"[file {one_line(name)}, {_size(data)}]"
        case SourcePart(title=title, url=url):
            return f"[source: {one_line(f'{title} {url}'.strip())}]"
        case _:
            return ""


def _left_out(count: int) -> str:
    if count == 1:
        return "The oldest message does not fit into the model's window: not sent."
    return f"The oldest {count} messages do not fit into the model's window: not sent."


def _first_sentence(text: str) -> str:
    """What happened, without what a person could do: Tina does it herself."""
    sentence, dot, _ = one_line(text).partition(". ")
    return sentence + dot.rstrip()


def _size(data: bytes) -> str:
    return f"{max(1, len(data) // 1000):,} kB"
