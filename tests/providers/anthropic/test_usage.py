import msgspec
import pytest

from tina.domain.chat import MAX_TOKENS, Usage
from tina.providers.anthropic.usage import Counts

ALL = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 10,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 5},
}
USAGES = [
    pytest.param([], None, id="nothing"),
    pytest.param([3], None, id="no-object"),
    pytest.param([{"service_tier": "standard"}], None, id="no-counts"),
    pytest.param(
        [ALL],
        Usage(
            input_tokens=16,
            output_tokens=7,
            cached_tokens=10,
            cache_write_tokens=2,
            reasoning_tokens=5,
        ),
        id="all",
    ),
    pytest.param(
        [{"input_tokens": 4, "output_tokens": 1}, {"output_tokens": 9}],
        Usage(input_tokens=4, output_tokens=9),
        id="a-silent-field-keeps-its-value",
    ),
    pytest.param(
        [{"input_tokens": 4}, {"input_tokens": 6, "cache_read_input_tokens": 0}],
        Usage(input_tokens=6, cached_tokens=0),
        id="totals-replace",
    ),
    pytest.param(
        [{"cache_creation": {"ephemeral_5m_input_tokens": 2}, "input_tokens": 1}],
        Usage(input_tokens=3, cache_write_tokens=2),
        id="by-age",
    ),
    pytest.param(
        [{"cache_creation": {"news": 2}, "output_tokens": 1}],
        Usage(output_tokens=1),
        id="by-an-unknown-age",
    ),
    pytest.param(
        [{"input_tokens": -1, "output_tokens": 2**60, "cache_creation": 3}],
        None,
        id="absurd",
    ),
    pytest.param(
        [{"input_tokens": MAX_TOKENS, "cache_read_input_tokens": 1}],
        Usage(cached_tokens=1),
        id="absurd-in-sum",
    ),
    pytest.param(
        [{"input_tokens": True, "output_tokens": "5", "cache_creation": [1]}],
        None,
        id="odd",
    ),
]


@pytest.mark.parametrize(("said", "expected"), USAGES)
def test_the_prompt_is_counted_as_a_whole(
    said: list[object], expected: Usage | None
) -> None:
    counts = Counts()

    for each in said:
        counts.read(msgspec.Raw(msgspec.json.encode(each)))

    assert counts.usage == expected
