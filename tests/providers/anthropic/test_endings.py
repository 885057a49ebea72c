import pytest

from tina.domain.chat import StopReason
from tina.providers.anthropic.endings import Ending
from tina.providers.anthropic.events import Delta

REASONS = [
    ("end_turn", None, False, StopReason.STOP),
    ("end_turn", None, True, StopReason.TOOL_CALLS),
    ("end_turn", "###", False, StopReason.STOP_SEQUENCE),
    ("end_turn", "###", True, StopReason.TOOL_CALLS),
    ("tool_use", None, True, StopReason.TOOL_CALLS),
    ("tool_use", None, False, StopReason.STOP),
    ("stop_sequence", "###", False, StopReason.STOP_SEQUENCE),
    ("max_tokens", None, True, StopReason.LENGTH),
    ("pause_turn", None, True, StopReason.PAUSED),
    ("refusal", None, True, StopReason.CONTENT_FILTER),
    ("news", None, False, StopReason.UNKNOWN),
    ("news", None, True, StopReason.TOOL_CALLS),
    (None, None, False, StopReason.UNKNOWN),
    (7, [3], False, StopReason.UNKNOWN),
]


@pytest.mark.parametrize(("said", "stop_sequence", "has_call", "reason"), REASONS)
def test_the_reason_is_in_tinas_words(
    said: object, stop_sequence: object, *, has_call: bool, reason: StopReason
) -> None:
    ending = Ending()

    ending.read(Delta(stop_reason=said, stop_sequence=stop_sequence))

    assert ending.reason(has_call=has_call) is reason


def test_the_last_word_counts_and_silence_is_none() -> None:
    ending = Ending()

    for said in ("max_tokens", "stop_sequence", None, ""):
        ending.read(Delta(stop_reason=said, stop_sequence=said and "a\0b"))

    assert ending.raw_reason == "stop_sequence"
    assert ending.stop_sequence == "ab"
    assert not ending.is_cut


EXPLANATIONS = [
    ("refusal", {"category": "bio", "explanation": "Not this."}, "Not this."),
    ("refusal", {"category": "bio"}, "This request was declined (bio)."),
    ("refusal", {"category": None, "explanation": None}, ""),
    ("refusal", None, ""),
    ("refusal", "odd", ""),
    ("end_turn", {"explanation": "Not this."}, ""),
]


@pytest.mark.parametrize(("said", "details", "explanation"), EXPLANATIONS)
def test_a_refusal_is_explained(said: str, details: object, explanation: str) -> None:
    ending = Ending()

    ending.read(Delta(stop_reason=said, stop_details=details))

    assert ending.explanation == explanation
    assert ending.is_refusal is (said == "refusal")
