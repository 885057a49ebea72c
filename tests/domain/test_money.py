"""Amounts for people."""

import pytest

from tina.domain.money import dollars


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.0000"), (3_100, "$0.0031"), (1_200_000, "$1.20"), (10**10, "$10,000.00")],
)
def test_an_amount_is_readable(micros: int, text: str) -> None:
    assert dollars(micros) == text
