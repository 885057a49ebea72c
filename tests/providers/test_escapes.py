import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.providers.escapes import repair_escapes


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_repaired_json_says_the_same_but_for_half_pairs(text: str) -> None:
    said = json.loads(repair_escapes(json.dumps(text)))

    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert said.encode() is not None
    assert said.replace("\ufffd", "") == joined.replace("\ufffd", "")


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        (r'"\ud83d\ude00"', r'"\ud83d\ude00"'),
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\ude00\ud83d"', r'"\ufffd\ufffd"'),
        (r'"\ud83d\ud83d\ude00"', r'"\ufffd\ud83d\ude00"'),
        (r'"\\ud83d"', r'"\\ud83d"'),
        (r'"\\\ud83d"', r'"\\\ufffd"'),
        ('"\ud83d"', '"\ufffd"'),
    ],
)
def test_only_half_pairs_are_replaced(text: str, repaired: str) -> None:
    assert repair_escapes(text) == repaired
