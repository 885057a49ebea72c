"""Prices by hand: in dollars per million tokens, so a product is in micro-dollars."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tina.domain.chat import ModelRef, Usage, parse_model_ref
from tina.providers.catalog import build_catalog, shipped_tables
from tina.providers.prices import MAX_NAME_CHARS, Prices
from tina.testing.clock import FakeClock

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
USED = Usage(
    input_tokens=10_000,
    cached_tokens=2_000,
    cache_write_tokens=3_000,
    output_tokens=500,
    reasoning_tokens=400,
)
SHIPPED = build_catalog(shipped_tables(), {}, environment={}).base_urls


def prices(**base_urls: str) -> Prices:
    return Prices({**SHIPPED, **base_urls}, clock=FakeClock())


PRICED = [
    pytest.param(
        "anthropic:claude-sonnet-4-5-20250929",
        USED,
        5_000 * 3 + 2_000 * 0.30 + 3_000 * 3.75 + 500 * 15,
        id="anthropic-cache-read-and-written",
    ),
    pytest.param(
        "anthropic:claude-sonnet-4-5",
        Usage(input_tokens=300_000, cached_tokens=2_000, output_tokens=500),
        298_000 * 6 + 2_000 * 0.60 + 500 * 22.50,
        id="anthropic-long-context",
    ),
    pytest.param(
        "openai:gpt-4o",
        Usage(input_tokens=10_000, cached_tokens=2_000, output_tokens=500),
        8_000 * 2.50 + 2_000 * 1.25 + 500 * 10,
        id="openai-cached",
    ),
    pytest.param(
        "openai:gpt-4o-mini",
        Usage(input_tokens=1_000, output_tokens=0),
        1_000 * 0.15,
        id="openai-nothing-said",
    ),
    pytest.param(
        "gemini:gemini-2.5-flash",
        Usage(input_tokens=10_000, cached_tokens=2_000, output_tokens=500),
        8_000 * 0.30 + 2_000 * 0.03 + 500 * 2.50,
        id="gemini-cached",
    ),
    pytest.param(
        "gemini:models/gemini-2.5-flash",
        Usage(output_tokens=1_000),
        1_000 * 2.50,
        id="gemini-as-its-own-list-names-it",
    ),
    pytest.param(
        "gemini:gemini-2.5-pro",
        Usage(input_tokens=300_000, cached_tokens=2_000, output_tokens=500),
        298_000 * 2.50 + 2_000 * 0.25 + 500 * 15,
        id="gemini-long-context",
    ),
    pytest.param(
        "deepseek:deepseek-chat",
        Usage(input_tokens=10_000, cached_tokens=2_000, output_tokens=500),
        8_000 * 0.27 + 2_000 * 0.07 + 500 * 1.10,
        id="deepseek-cached",
    ),
    pytest.param(
        "groq:llama-3.3-70b-versatile",
        Usage(input_tokens=10_000, output_tokens=500),
        10_000 * 0.59 + 500 * 0.79,
        id="groq",
    ),
]


@pytest.mark.parametrize(("model", "usage", "micros"), PRICED)
def test_an_answer_costs_what_the_vendor_asks(
    model: str, usage: Usage, micros: float
) -> None:
    cost = prices().cost_micros(parse_model_ref(model), usage, at=NOON)

    assert cost == round(micros)


def test_a_price_is_that_of_its_hour() -> None:
    model = ModelRef("deepseek", "deepseek-chat")
    usage = Usage(input_tokens=10_000)

    assert prices().cost_micros(model, usage, at=NOON) == 2_700
    assert prices().cost_micros(model, usage, at=EVENING) == 1_350


def test_without_a_time_it_is_todays_price() -> None:
    clock = FakeClock()
    clock.advance(20 * 3600)
    model = ModelRef("deepseek", "deepseek-chat")

    cost = Prices(SHIPPED, clock=clock).cost_micros(model, Usage(input_tokens=10_000))

    assert cost == 1_350


def test_parts_that_are_larger_than_the_whole_are_cut() -> None:
    usage = Usage(input_tokens=1_000, cached_tokens=5_000, cache_write_tokens=5_000)

    cost = prices().cost_micros(ModelRef("anthropic", "claude-sonnet-4-5"), usage)

    assert cost == 300


def test_what_was_written_to_a_cache_that_costs_nothing_extra_is_input() -> None:
    usage = Usage(input_tokens=1_000, cache_write_tokens=400)

    assert prices().cost_micros(ModelRef("openai", "gpt-4o"), usage) == 2_500


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        pytest.param("local:smollm2", USED, 0, id="in-the-process"),
        pytest.param("local:smollm2", Usage(), 0, id="in-the-process-uncounted"),
        pytest.param("llamacpp:any", USED, 0, id="on-this-machine"),
        pytest.param("ollama:qwen3:8b", USED, 0, id="ollama-on-this-machine"),
        pytest.param("ollama:gpt-oss:120b-cloud", USED, None, id="ollama-elsewhere"),
        pytest.param("ollama:glm-5:cloud", USED, None, id="ollama-elsewhere-2"),
        pytest.param("openai:gpt-4o", Usage(), None, id="uncounted"),
        pytest.param("openai:nonsense", USED, None, id="unknown-model"),
        pytest.param("qwen:qwen3-max", USED, None, id="unlisted-provider"),
        pytest.param("nobody:any", USED, None, id="unknown-provider"),
        pytest.param("openai:" + "gpt-4o" * 100, USED, None, id="endless-name"),
    ],
)
def test_what_is_free_costs_nothing_and_what_is_unknown_has_no_price(
    model: str, usage: Usage, cost: int | None
) -> None:
    assert prices().cost_micros(parse_model_ref(model), usage) == cost


def test_the_longest_name_is_still_looked_up() -> None:
    name = "gpt-4o-" + "x" * (MAX_NAME_CHARS - len("gpt-4o-"))

    assert prices().cost_micros(ModelRef("openai", name), Usage(input_tokens=1)) is None


def test_a_name_of_ones_own_has_the_price_of_its_address() -> None:
    table = prices(work="https://api.openai.com/v1", broken="https://[")

    usage = Usage(input_tokens=10_000)
    assert table.cost_micros(ModelRef("work", "gpt-4o"), usage) == 25_000
    assert table.cost_micros(ModelRef("broken", "gpt-4o"), usage) is None


def test_a_vendors_name_on_this_machine_is_a_proxy_to_the_vendor() -> None:
    table = prices(openai="http://127.0.0.1:4000/v1")

    usage = Usage(input_tokens=10_000)
    assert table.cost_micros(ModelRef("openai", "gpt-4o"), usage) == 25_000
    assert table.cost_micros(ModelRef("openai", "my-own.gguf"), usage) == 0


def test_the_largest_counts_have_a_price() -> None:
    usage = Usage(input_tokens=2**53, output_tokens=2**53)

    cost = prices().cost_micros(ModelRef("openai", "gpt-4o"), usage)

    assert cost == 2**53 * 25 // 10 + 2**53 * 10


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("openai:gpt-4o", 128_000),
        ("anthropic:claude-opus-5-5", 1_000_000),
        ("gemini:models/gemini-2.5-flash", 1_048_576),
        ("openai:nonsense", None),
        ("nobody:any", None),
        ("local:smollm2", None),
    ],
)
def test_the_window_of_a_model_is_known_from_the_list(
    model: str, tokens: int | None
) -> None:
    assert prices().window_tokens(parse_model_ref(model)) == tokens


def test_many_threads_may_ask_first() -> None:
    table = prices()
    model, usage = ModelRef("openai", "gpt-4o"), Usage(input_tokens=10_000)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(table.cost_micros, model, usage) for _ in range(64)]
        costs = [future.result(timeout=30) for future in asked]

    assert costs == [25_000] * 64


OFFLINE = """
import socket, sys
from tina.domain.chat import ModelRef, Usage
from tina.providers.prices import Prices
from tina.testing.clock import FakeClock

assert "genai_prices" not in sys.modules
assert "pydantic" not in sys.modules

def refuse(event, arguments):
    if event.startswith("socket.") or event == "_thread.start_new_thread":
        raise AssertionError(event)

sys.addaudithook(refuse)
table = Prices({}, clock=FakeClock())
print(table.cost_micros(ModelRef("openai", "gpt-4o"), Usage(input_tokens=10_000)))

import threading
import genai_prices.data_snapshot as snapshot
assert threading.active_count() == 1

# Another program in this process may renew its prices: Tina's stay as they are.
snapshot.set_custom_snapshot(snapshot.DataSnapshot(providers=[], from_auto_update=True))
print(table.cost_micros(ModelRef("openai", "gpt-4o"), Usage(input_tokens=10_000)))
"""


def test_the_list_is_loaded_when_it_is_asked_and_never_over_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.split() == ["25000", "25000"], done.stderr
