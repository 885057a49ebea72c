"""The first code block of an answer."""

import pytest

from tina.cli.showing import first_code_block


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("no code", "no code"),
        ("a\n```\nx\n```\nb", "x\n"),
        ("```python title=1\nx\ny\n```\n\n```\nz\n```", "x\ny\n"),
        ("~~~\nx\n~~~", "x\n"),
        ("````\n```\nx\n```\n````", "```\nx\n```\n"),
        ("```\n```", ""),
        ("```\nnever closed", "```\nnever closed"),
    ],
)
def test_the_first_code_block_is_found(text: str, block: str) -> None:
    assert first_code_block(text) == block
