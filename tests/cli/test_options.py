"""`-o KEY VALUE`."""

import pytest

from tina.cli.options import parse_options
from tina.domain.chat import ChatOptions, Deadlines
from tina.domain.failures import InvalidInputFailure


def test_options_and_deadlines_are_told_apart() -> None:
    options, deadlines = parse_options(
        [
            ("temperature", "0.5"),
            ("max_tokens", "10"),
            ("stop", "END"),
            ("stop", "STOP"),
            ("idle_timeout_s", "120"),
            ("temperature", "1"),
        ]
    )

    assert options == ChatOptions(temperature=1.0, max_tokens=10, stop=("END", "STOP"))
    assert deadlines == Deadlines(idle_timeout_s=120.0)


def test_no_options_are_the_usual_ones() -> None:
    assert parse_options([]) == (ChatOptions(), Deadlines())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("heat", "1", "There is no option 'heat'"),
        ("temperature", "hot", "temperature wants a number, not 'hot'"),
        ("max_tokens", "1.5", "max_tokens wants a whole number, not '1.5'"),
        ("max_tokens", "0", "from 1 to"),
        ("top_p", "1.1", "from 0 to 1, not 1.1"),
        ("idle_timeout_s", "0", "from 0.001 to 86400"),
        ("temperature", "nan", "from 0 to 10"),
        ("connect_timeout_s", "inf", "from 0.001"),
        ("effort", "much", "effort wants one of none, minimal, .*max, not 'much'"),
        ("schema", "{}", "--schema FILE"),
    ],
)
def test_what_does_not_fit_is_told(name: str, value: str, sentence: str) -> None:
    with pytest.raises(InvalidInputFailure, match=sentence):
        parse_options([(name, value)])


@pytest.mark.parametrize(
    ("value", "fits"), [("0", True), ("1", True), ("-0.1", False), ("1.01", False)]
)
def test_bounds_hold_at_below_and_above(value: str, fits: bool) -> None:
    if fits:
        parse_options([("top_p", value)])
    else:
        with pytest.raises(InvalidInputFailure):
            parse_options([("top_p", value)])
