from collections.abc import Mapping

import pytest

from tina.domain.failures import InvalidInputFailure
from tina.providers.entries import (
    KeyHeader,
    KeyUse,
    Protocol,
    ProviderEntry,
)
from tina.providers.entry_tables import (
    check_address,
    check_headers,
    check_key,
    check_name,
    overlaid,
    read_entry,
    text_at,
)
from tina.providers.openai.chat.quirks import ChatQuirks

KEYS = ("providers", "mine")
CANARY = "sk-canary1234567890"
LEAST: Mapping[str, object] = {
    "protocol": "openai-chat",
    "base_url": "https://llm.example.org/v1",
    "key": "none",
}


def read(**fields: object) -> ProviderEntry:
    return read_entry({**LEAST, **fields}, where=".".join, keys=KEYS)


def check(entry: ProviderEntry) -> None:
    check_headers(entry, where=".".join, keys=KEYS)
    check_address(entry, where=".".join, keys=KEYS)


def refusal(**fields: object) -> str:
    with pytest.raises(InvalidInputFailure) as refused:
        check(read(**fields))
    assert CANARY not in str(refused.value)
    return str(refused.value)


def test_a_table_becomes_an_entry() -> None:
    entry = read(
        title="Mine",
        key="required",
        key_env=["A_KEY", "B_KEY"],
        key_header="api-key",
        headers={"X-Team": "red"},
        headers_timeout_s=600,
        requests_per_minute=30,
        chat={"store": False},
    )

    assert entry == ProviderEntry(
        protocol=Protocol.CHAT,
        base_url="https://llm.example.org/v1",
        title="Mine",
        key=KeyUse.REQUIRED,
        key_env=("A_KEY", "B_KEY"),
        key_header=KeyHeader.API_KEY,
        headers={"X-Team": "red"},
        headers_timeout_s=600,
        requests_per_minute=30,
        chat=ChatQuirks(store=False),
    )


def test_one_variable_needs_no_brackets() -> None:
    assert read(key_env="A_KEY").key_env == ("A_KEY",)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {CANARY}"},
        {"X-Api-Key": CANARY},
        {"api-key": "1"},
        {"x-goog-api-key": "1"},
        {"Cookie": "a=b"},
        {"X-Auth-Token": "1"},
        {"X-Team": CANARY},
        {"X-Team": "Basic dXNlcjpwYXNz"},
        {"X-Goog": "ya29.a0AfH6SMB_canary"},
        {"X-Team": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.canary"},
    ],
    ids=str,
)
def test_a_key_among_the_headers_is_refused(headers: dict[str, str]) -> None:
    told = refusal(headers=headers)

    assert told.startswith(f"providers.mine.headers.{next(iter(headers))}: ")
    assert "looks like a key" in told
    assert "key_env" in told


@pytest.mark.parametrize("name", ["Host", "content-length", "Accept"])
def test_a_header_that_tina_writes_is_refused(name: str) -> None:
    assert "Tina writes this header herself" in refusal(headers={name: "x"})


@pytest.mark.parametrize(
    "headers",
    [{"X Team": "red"}, {"": "red"}, {"X-Team": "red\r\nX-Evil: 1"}, {"X-Team": "röt"}],
    ids=str,
)
def test_a_header_that_cannot_be_sent_is_refused(headers: dict[str, str]) -> None:
    assert refusal(headers=headers).startswith("providers.mine.headers: ")


@pytest.mark.parametrize(
    "name", ["anthropic-beta", "HTTP-Referer", "X-Title", "X-Monkey", "max-tokens-hint"]
)
def test_other_headers_are_taken(name: str) -> None:
    check(read(headers={name: "some text"}))


@pytest.mark.parametrize(
    "base_url",
    [
        f"https://user:{CANARY}@llm.example.org/v1",
        f"https://llm.example.org/v1?api_key={CANARY}",
        "https://llm.example.org/v1?key=x",
        "https://llm.example.org/v1?token=",
        f"https://llm.example.org/{CANARY}/v1",
    ],
)
def test_a_key_in_the_address_is_refused(base_url: str) -> None:
    assert refusal(base_url=base_url).startswith("providers.mine.base_url: ")


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "llm.example.org/v1",
        "ftp://llm.example.org",
        "https://",
        "https://[::1",
        "https://llm.example.org/a b",
        "https://llm.example.org/v1#top",
    ],
)
def test_an_address_that_is_none_is_refused(base_url: str) -> None:
    assert refusal(base_url=base_url).startswith("providers.mine.base_url: ")


def test_plain_http_to_another_machine_needs_a_switch() -> None:
    assert "allow_http = true" in refusal(base_url="http://llm.example.org/v1")

    for fields in (
        {"base_url": "http://llm.example.org/v1", "allow_http": True},
        {"base_url": "http://127.0.0.1:8080/v1"},
        {"base_url": "https://llm.example.org/v1?api-version=2026-01-01"},
    ):
        check_address(read(**fields), where=".".join, keys=KEYS)


def test_another_fault_of_an_address_is_no_reason_for_the_switch() -> None:
    assert "allow_http" not in refusal(
        base_url="http://user@llm.example.org", allow_http=True
    )
    for unreadable in ("http://llm.example.org:99999/v1", "http://[::1", "http://a b/"):
        assert "allow_http" not in refusal(base_url=unreadable)


@pytest.mark.parametrize(
    "variable",
    [CANARY, "A KEY", "1KEY", "", "gsk_abcdefghijklmn", "c0ffee00c0ffee00c0ffee00"],
)
def test_a_key_in_the_place_of_its_variable_is_refused(variable: str) -> None:
    told = refusal(key_env=[variable])

    assert told == (
        "providers.mine.key_env: these are names of environment variables, such as "
        "'MINE_API_KEY', not the key itself."
    )


def test_only_one_protocol_has_a_websocket() -> None:
    assert read(protocol="openai-responses", websocket=True).websocket
    assert "'openai-responses'" in refusal(websocket=True)


def test_a_key_that_is_wanted_must_be_named() -> None:
    with pytest.raises(InvalidInputFailure, match=r"key_env = \['OTHER_KEY'\]"):
        check_key(read(key="required"), where=".".join, keys=KEYS, variable="OTHER_KEY")

    for fields in ({"key": "required", "key_env": "A"}, {"key": "optional"}, {}):
        check_key(read(**fields), where=".".join, keys=KEYS, variable="OTHER_KEY")


@pytest.mark.parametrize("name", ["a", "my-server", "lab_2", "llm.example.org", "7b"])
def test_names_of_small_letters_are_taken(name: str) -> None:
    check_name(name, where=".".join, keys=("providers", name))


@pytest.mark.parametrize(
    "name", ["", "Mine", "a:b", "a/b", "a b", ".", "-a", "a-", "a" * 65, "ä"]
)
def test_a_name_that_cannot_stand_before_a_colon_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputFailure, match="cannot name a provider"):
        check_name(name, where=".".join, keys=("providers", name))


def test_the_model_on_this_machine_keeps_its_name() -> None:
    with pytest.raises(InvalidInputFailure, match="Choose another name"):
        check_name("local", where=".".join, keys=("providers", "local"))


def test_a_table_lies_over_another_field_by_field() -> None:
    below = {"title": "A", "key": "none", "chat": {"store": True, "strict": True}}

    assert overlaid(below, {"title": "B", "chat": {"store": False}}) == {
        "title": "B",
        "key": "none",
        "chat": {"store": False, "strict": True},
    }
    assert overlaid(below, {"chat": 3})["chat"] == 3
    assert overlaid({}, {"chat": {}}) == {"chat": {}}


def test_a_text_is_told_from_other_values() -> None:
    assert text_at({"a": "b"}, "a") == "b"
    assert text_at({"a": 1}, "a") is None
    assert text_at({}, "a") is None
