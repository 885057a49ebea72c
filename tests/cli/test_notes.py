"""What is told beside an answer."""

from datetime import UTC, datetime

import pytest

from tina.cli.notes import aside, remarks, usage_text
from tina.domain.chat import Usage
from tina.domain.events import FellBack, KeepAlive, LeftOut, StreamEvent, Waiting
from tina.domain.failures import FailureRecord
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    Role,
    SourcePart,
    TextPart,
)
from tina.domain.notes import AnswerNotes, with_notes

BUSY = FailureRecord(kind="rate_limit", message="Too busy\njust now.")


def message(
    *parts: Part, usage: Usage | None = None, notes: AnswerNotes | None = None
) -> Message:
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        usage=usage,
        metadata=None if notes is None else with_notes(None, notes),
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Waiting(11.2), "tina: Waiting 12 s; Ctrl-C stops.\n"),
        (
            Waiting(2, FailureRecord(kind="x", message="Too busy. Try again later.")),
            "tina: Too busy. Waiting 2 s; Ctrl-C stops.\n",
        ),
        (Waiting(0.99, BUSY), ""),
        (
            FellBack("b:m", BUSY),
            "tina: Too busy just now.\ntina: Asking b:m instead.\n",
        ),
        (
            LeftOut(1),
            "tina: The oldest message does not fit into the model's window: "
            "not sent.\n",
        ),
        (
            LeftOut(7),
            "tina: The oldest 7 messages do not fit into the model's window: "
            "not sent.\n",
        ),
        (KeepAlive(), ""),
    ],
)
def test_a_person_hears_what_matters_at_once(event: StreamEvent, said: str) -> None:
    assert aside(event) == said


def test_an_ordinary_answer_needs_no_remark() -> None:
    assert remarks(message(TextPart(text="Yes."), usage=Usage(output_tokens=1))) == ""
    assert remarks(message(usage=Usage(output_tokens=1, cost_micros=0))) == ""


def test_what_happened_before_an_answer_stands_below_it() -> None:
    notes = AnswerNotes(asked_model="a:m", fallback_reason="Busy.", left_out_messages=2)
    usage = Usage(input_tokens=20, output_tokens=3, cost_micros=3_100)

    said = remarks(
        message(
            TextPart(text="Yes."),
            SourcePart(title="A page", url="https://example.org/"),
            usage=usage,
            notes=notes,
        )
    )

    assert said == (
        "\n[a:m did not answer: Busy.]\n"
        "\n[The oldest 2 messages do not fit into the model's window: not sent.]\n"
        "\n[source: A page https://example.org/]\n"
        "\n[tokens: 20 input, 3 output, $0.0031]\n"
    )


def test_attachments_are_named() -> None:
    image = ImagePart(media_type="image/png", data=b"x" * 12_345)
    file = FilePart(name="a\x1b[1m.pdf", media_type="application/pdf", data=b"x")

    assert (
        remarks(message(image, file)) == "\n[image, 12 kB]\n\n[file a␛[1m.pdf, 1 kB]\n"
    )


def test_a_long_reason_is_cut() -> None:
    notes = AnswerNotes(asked_model="a:m", fallback_reason="x" * 1_000)

    (line,) = remarks(message(notes=notes)).split("\n")[1:-1]

    assert line.endswith("x…]")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (Usage(input_tokens=2, cached_tokens=1), "tokens: 2 input, 1 cached"),
        (
            Usage(input_tokens=2, is_estimated=True, cost_micros=1_500_000),
            "tokens: about 2 input, $1.50",
        ),
    ],
)
def test_counts_and_prices_stand_on_one_line(usage: Usage, text: str) -> None:
    assert usage_text(usage) == text
