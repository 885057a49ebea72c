import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import InvalidInputFailure
from tina.storage.configuration import (
    MAX_CONFIG_BYTES,
    MAX_FALLBACKS,
    Configuration,
    Limits,
    ModelSettings,
    find_line,
    read_configuration,
)

WHOLE = """
model = "anthropic/claude-opus-5-5"
fallback = ["local:smollm2"]

[providers.lab]  # a server of one's own
protocol = "openai-chat"
base_url = "https://llm.example.org/v1"

[providers.echo.options]
greeting = "Hi"

[models."Anthropic:claude-opus-5-5"]
fallback = ["openai/gpt-6", "local:smollm2"]
context_tokens = 200_000
headers_timeout_s = 600
requests_per_minute = 30.5

[models."lab:small"]
context_tokens = 8192

[limits]
usd_per_day = 5
usd_per_conversation = 0.25
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def refusal(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputFailure) as refused:
        read_configuration(path)
    told = str(refused.value)
    assert told.startswith(f"{str(path)!r}")
    return told.removeprefix(repr(str(path)))


def test_no_file_sets_nothing(path: Path) -> None:
    configuration, _ = read_configuration(path)

    assert configuration == Configuration()
    assert configuration.fallbacks == configuration.windows == {}
    assert configuration.limits.day_micros is None
    assert configuration.limits.conversation_micros is None


def test_the_whole_file_is_read(path: Path) -> None:
    path.write_text(WHOLE, encoding="utf-8")

    configuration, _ = read_configuration(path)

    assert configuration == Configuration(
        model="anthropic:claude-opus-5-5",
        fallback=("local:smollm2",),
        limits=Limits(usd_per_day=5, usd_per_conversation=0.25),
        models={
            "anthropic:claude-opus-5-5": ModelSettings(
                fallback=("openai:gpt-6", "local:smollm2"),
                context_tokens=200_000,
                headers_timeout_s=600,
                requests_per_minute=30.5,
            ),
            "lab:small": ModelSettings(context_tokens=8192),
        },
        providers={
            "lab": {
                "protocol": "openai-chat",
                "base_url": "https://llm.example.org/v1",
            },
            "echo": {"options": {"greeting": "Hi"}},
        },
    )


def test_what_holds_for_models_is_given_by_name(path: Path) -> None:
    path.write_text(WHOLE, encoding="utf-8")

    configuration, _ = read_configuration(path)

    assert configuration.fallbacks == {
        "anthropic:claude-opus-5-5": ("openai:gpt-6", "local:smollm2")
    }
    assert configuration.windows == {
        "anthropic:claude-opus-5-5": 200_000,
        "lab:small": 8192,
    }
    assert configuration.limits.day_micros == 5_000_000
    assert configuration.limits.conversation_micros == 250_000


def test_a_mark_of_the_encoding_and_foreign_line_ends_are_read(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbfmodel = "a:b"\r\n[limits]\r\nusd_per_day = 1\r\n')

    configuration, where = read_configuration(path)

    assert configuration.model == "a:b"
    assert configuration.limits.usd_per_day == 1
    assert ", line 3, " in where(("limits", "usd_per_day"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "\n[limits]\nusd_per_day = 'much'",
            ", line 3, limits.usd_per_day: must be a number from 0, at most 1,000,000.",
            id="a-text-for-a-number",
        ),
        pytest.param(
            "[limits]\nusd_per_day = -1",
            ", line 2, limits.usd_per_day: must be a number from 0, at most 1,000,000.",
            id="less-than-nothing",
        ),
        pytest.param(
            "[limits]\nusd_per_day = nan",
            ", line 2, limits.usd_per_day: must be a number from 0, at most 1,000,000.",
            id="no-number-at-all",
        ),
        pytest.param(
            "[limits]\nusd_a_day = 1",
            ", line 2, limits.usd_a_day: there is no field 'usd_a_day' here. "
            "Did you mean 'usd_per_day'?",
            id="unknown",
        ),
        pytest.param(
            "\n\n[limit]\nusd_per_day = 1",
            ", line 3, limit: there is no field 'limit' here. Did you mean 'limits'?",
            id="unknown-table",
        ),
        pytest.param(
            "fallback = 'local:smollm2'",
            ', line 1, fallback: must be a list of texts, like ["one", "two"].',
            id="no-list",
        ),
        pytest.param(
            "providers = 3", ", line 1, providers: must be a table.", id="no-table"
        ),
        pytest.param(
            "[providers]\nlab = 3",
            ", line 1, providers: must be a table.",
            id="a-provider-that-is-no-table",
        ),
        pytest.param(
            "[models.'a:b']\ncontext_tokens = 0.5",
            ", line 2, models.a:b.context_tokens: "
            "must be a whole number from 1, at most 1,000,000,000.",
            id="a-model",
        ),
        pytest.param(
            '[models."a:b"]\nrequests_per_minute = 1e-300\n',
            ", line 2, models.a:b.requests_per_minute: "
            "must be a number from 0.01, at most 1,000,000.",
            id="a-rate-that-is-next-to-nothing",
        ),
        pytest.param(
            '[models."a:b"]\nwindow = 1\n',
            ", line 2, models.a:b.window: there is no field 'window' here. There are: "
            "context_tokens, fallback, headers_timeout_s, requests_per_minute.",
            id="unknown-at-a-model",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(
    path: Path, text: str, told: str
) -> None:
    assert refusal(path, text) == told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model = 'gpt'", ", line 1, model: 'gpt' is not a model's name."),
        (
            "fallback = ['a:b', 'gpt']",
            ", line 1, fallback: 'gpt' is not a model's name",
        ),
        ("[models.gpt]", ", line 1, models.gpt: 'gpt' is not a model's name."),
        (
            "[models.'a:b']\nfallback = ['']",
            ", line 2, models.a:b.fallback: '' is not a model's name.",
        ),
    ],
)
def test_what_is_no_models_name_is_told(path: Path, text: str, place: str) -> None:
    assert refusal(path, text).startswith(place)


def test_one_model_has_one_table(path: Path) -> None:
    told = refusal(path, "[models.'a:b']\n[models.'A/b']\n")

    assert told == (
        ", line 2, models.A/b: 'a:b' stands there twice. Make one table of the two."
    )


def test_a_chain_of_models_has_an_end(path: Path) -> None:
    models = [f"a:{number}" for number in range(MAX_FALLBACKS + 1)]
    path.write_text(f"fallback = {models[:-1]}", encoding="utf-8")

    configuration, _ = read_configuration(path)

    assert configuration.fallback == tuple(models[:-1])
    assert refusal(path, f"fallback = {models}").startswith(
        ", line 1, fallback: there are 9 models, and at most 8 "
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model = 'a:b'\nlimits]", ", line 2, column 7: this is not TOML ("),
        ("[limits", ", line 1, at the end: this is not TOML ("),
        ("a = 1\na = 2", ", line 2, "),
        ("\x00", ", line 1, column 1: this is not TOML ("),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(
    path: Path, text: str, place: str
) -> None:
    told = refusal(path, text)

    assert told.startswith(place)
    assert "this is not TOML" in told


@pytest.mark.parametrize(
    "text", [f"a = {'[' * 100_000}", f"a = {'{a=' * 50_000}", f"a = {'9' * 5_000}"]
)
def test_what_cannot_be_parsed_at_all_is_a_mistake_too(path: Path, text: str) -> None:
    assert "Write it in a simpler way" in refusal(path, text)


def test_a_file_that_is_no_text_is_told_with_its_line(path: Path) -> None:
    path.write_bytes(b"model = 'a:b'\n# caf\xe9\n")

    with pytest.raises(InvalidInputFailure, match=r"line 2: this is not UTF-8"):
        read_configuration(path)


def test_a_file_has_a_largest_size(path: Path) -> None:
    path.write_bytes(b"#" * MAX_CONFIG_BYTES)
    assert read_configuration(path)[0] == Configuration()

    path.write_bytes(b"#" * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(InvalidInputFailure, match="larger than 1024 kB"):
        read_configuration(path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_waited_for(path: Path, make: object) -> None:
    assert callable(make)
    make(path)

    with pytest.raises(InvalidInputFailure, match="is not a file"):
        read_configuration(path)


def test_a_file_that_may_not_be_read_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("", encoding="utf-8")

    def refuse(*_: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(InvalidInputFailure, match=r"Permission denied\. Look at"):
            read_configuration(path)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("model",), 2),
        (("providers",), None),
        (("providers", "lab"), 5),
        (("providers", "lab", "base_url"), 7),
        (("providers", "lab", "title"), 5),
        (("providers", "echo", "options", "greeting"), 10),
        (("models", "Anthropic:claude-opus-5-5", "fallback"), 13),
        (("models", "lab:small", "context_tokens"), 19),
        (("limits", "usd_per_day"), 22),
        (("nothing", "like", "it"), None),
    ],
)
def test_the_line_of_a_key_is_found(keys: tuple[str, ...], line: int | None) -> None:
    assert find_line(WHOLE, keys) == line


def test_the_line_of_a_dotted_key_is_found() -> None:
    text = "[providers]\nlab.chat.'store' = 1\n[other]\nlab.chat.store = 2\n"

    assert find_line(text, ("providers", "lab", "chat", "store")) == 2
    assert find_line(text, ("other", "lab", "chat", "store")) == 4


PIECES = st.sampled_from(
    [
        *("model", "fallback", "[limits]", "[models.'a:b']", "[providers.x]"),
        *("usd_per_day", "context_tokens", "'a:b'", "1", "nan", "2026-01-01"),
        *("[[", "]", "=", "\n", ".", " ", '"', "'", "{", "}", ",", "#", "\\"),
        *("\x00", "\u2028", "\r"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=24).map("".join))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))

        told = repr(str(path))
        try:
            read_configuration(path)
        except InvalidInputFailure as failure:
            told = failure.message

    assert told.startswith(repr(str(path)))


def test_the_largest_file_is_read_in_a_moment(path: Path) -> None:
    line = "# nothing\n"
    text = f"model = 3\n{line * ((MAX_CONFIG_BYTES - 64) // len(line))}"

    assert refusal(path, text) == ", line 1, model: must be text in quotes."
