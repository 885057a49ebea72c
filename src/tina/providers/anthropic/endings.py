"""Why an answer ended, in the vendor's words and in Tina's.

Pure.

Source: Anthropic documentation, "Handling stop reasons"; what llama.cpp's
`/v1/messages` says of a stop sequence.
"""

from collections.abc import Mapping

from tina.domain.chat import StopReason
from tina.domain.text import clean_text
from tina.providers.anthropic.events import Delta, MessageBody
from tina.providers.lenient import text_of

_STOPS: Mapping[str, StopReason] = {
    # It stopped to make its memory shorter; asked again, it goes on.
    "compaction": StopReason.PAUSED,
    "end_turn": StopReason.STOP,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "pause_turn": StopReason.PAUSED,
    "refusal": StopReason.CONTENT_FILTER,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.STOP,
}


class Ending:
    """Gathers it: of what is said twice, the last counts."""

    def __init__(self) -> None:
        self.raw_reason: str | None = None
        self.stop_sequence: str | None = None
        self._details: object = None

    def read(self, said: Delta | MessageBody) -> None:
        self.raw_reason = _word(said.stop_reason) or self.raw_reason
        self.stop_sequence = _word(said.stop_sequence) or self.stop_sequence
        self._details = said.stop_details or self._details

    @property
    def is_cut(self) -> bool:
        """Whether it ran into a limit, perhaps in the middle of a call."""
        return self._stated in (StopReason.LENGTH, StopReason.CONTEXT_FULL)

    @property
    def is_refusal(self) -> bool:
        return self._stated is StopReason.CONTENT_FILTER

    @property
    def explanation(self) -> str:
        """Why it was refused, for people; empty if it was not, or nobody says."""
        if not self.is_refusal:
            return ""
        category = text_of(self._details, "category")
        named = f"This request was declined ({category})." if category else ""
        return text_of(self._details, "explanation") or named

    def reason(self, *, has_call: bool) -> StopReason:
        """The reason; what was called says more than the word for it.

        Args:
            has_call: whether there is a tool call that can be run.
        """
        stated = self._stated
        if stated in (StopReason.STOP, StopReason.UNKNOWN):
            if has_call:
                return StopReason.TOOL_CALLS
            if stated is StopReason.STOP and self.stop_sequence:
                return StopReason.STOP_SEQUENCE
        return stated

    @property
    def _stated(self) -> StopReason:
        return _STOPS.get(self.raw_reason or "", StopReason.UNKNOWN)


def _word(value: object) -> str | None:
    return clean_text(value) or None if isinstance(value, str) else None
