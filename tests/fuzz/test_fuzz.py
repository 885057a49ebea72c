"""No bytes of any server make Tina fall: what recordings say, broken in many ways.

`make fuzz` runs the same targets for as long as one likes, guided by coverage.
"""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.grammar import check_stream
from tests.fuzz.targets import SEEDS, TARGETS, Target
from tina.domain.chat import StopReason
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
)

EVIL = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5_000,
    b'{"choices":[{"index":' + b"9" * 5_000 + b"}]}",
    b'"\\ud800"',
    b"\x00",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b'""',
    b"data: [DONE]\n\n",
    b"event: error\ndata: 1\n\n",
]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A recording with something cut out, repeated, or put in."""
    seed = draw(st.sampled_from([*SEEDS.values()]))[1:20_000]
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(seed)))
        end = min(len(seed), start + draw(st.integers(0, 200)))
        put = draw(
            st.one_of(
                st.just(b""),
                st.just(seed[start:end] * 2),
                st.binary(max_size=20),
                st.sampled_from(EVIL[4:]),
                st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b":", b"null"]),
            )
        )
        seed = seed[:start] + put + seed[end:]
    return bytes([draw(st.integers(0, 255))]) + seed


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_a_target_reads_what_a_real_server_said(target: Target) -> None:
    assert any(target(seed) for seed in SEEDS.values())


@pytest.mark.requirement("providers:fuzz:no-fall")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@given(data=st.one_of(broken(), st.binary(max_size=300)))
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_bytes_make_a_decoder_fall(target: Target, data: bytes) -> None:
    target(data)


@pytest.mark.requirement("providers:fuzz:no-fall")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("framing", [b"%s", b"data: %s\n\n", b"%s\n"])
def test_what_parsers_choke_on_is_survived(target: Target, framing: bytes) -> None:
    for evil in EVIL:
        target(b"\x00" + framing % evil)


START, BLOCK = Start("m"), BlockStart("text", BlockKind.TEXT)
SAID, END, FINISH = TextDelta("text", "a"), BlockEnd("text"), Finish(StopReason.STOP)


@pytest.mark.parametrize(
    ("events", "has_failed"),
    [
        pytest.param([START, BLOCK, SAID, END, FINISH], False, id="finished"),
        pytest.param([START, BLOCK, SAID, END], True, id="failed"),
        pytest.param([], True, id="refused"),
    ],
)
def test_the_grammar_lets_streams_pass(
    events: Sequence[StreamEvent], has_failed: bool
) -> None:
    check_stream(events, has_failed=has_failed)


@pytest.mark.parametrize(
    ("events", "has_failed"),
    [
        pytest.param([BLOCK, END, START, FINISH], False, id="late-start"),
        pytest.param([START, START, FINISH], False, id="two-starts"),
        pytest.param([BLOCK, END, BLOCK, END, FINISH], False, id="begins-twice"),
        pytest.param([SAID, FINISH], False, id="not-announced"),
        pytest.param([ToolArgumentsDelta("a", "b"), FINISH], False, id="no-call"),
        pytest.param([BLOCK, TextDelta("text", ""), END, FINISH], False, id="empty"),
        pytest.param([BLOCK, TextDelta("text", "\0"), END, FINISH], False, id="nul"),
        pytest.param([END, FINISH], False, id="ends-nothing"),
        pytest.param([BLOCK, SAID, FINISH], False, id="never-ends"),
        pytest.param([FINISH, START], False, id="goes-on"),
        pytest.param([FINISH], True, id="both"),
        pytest.param([START], False, id="neither"),
    ],
)
def test_the_grammar_finds_what_breaks_it(
    events: Sequence[StreamEvent], has_failed: bool
) -> None:
    with pytest.raises(AssertionError):
        check_stream(events, has_failed=has_failed)
