"""Asking servers, as a person does: choosing, waiting, falling back, paying."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tina.testing.server import (
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    playback_thread,
)

GIVE_UP_S = 60.0
JSON = ("Content-Type", "application/json")
PNG = b"\x89PNG\r\n\x1a\n rest"
PRICED = "gpt-4o"


def refusal(status: int, message: str, *headers: tuple[str, str]) -> Recording:
    body = json.dumps({"error": {"message": message}}).encode()
    return Recording(status=status, headers=(JSON, *headers), chunks=(body,))


def tina(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tina", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )


def told(*arguments: str) -> Any:
    done = tina(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def body_of(request: ReceivedRequest) -> Any:
    return json.loads(request.body)


class Config:
    """The file that people edit."""

    def __init__(self, home: Path) -> None:
        self._path = home / "config.toml"
        self._text = ""

    def add(self, text: str) -> None:
        self._text += text + "\n"
        self._path.write_text(self._text)

    def add_provider(self, name: str, server: PlaybackServer, more: str = "") -> None:
        self.add(
            f'[providers.{name}]\nprotocol = "openai-chat"\n'
            f'base_url = "{server.base_url}"\nkey = "optional"\n{more}'
        )


@pytest.fixture
def config(environment: Path) -> Config:
    return Config(environment)


@pytest.fixture
def good() -> Iterator[PlaybackServer]:
    with playback_thread(chat_recording(["Because ", "of ice."])) as server:
        yield server


@pytest.mark.requirement("providers:own-server")
@pytest.mark.parametrize("name", ["mine:any", "mine/any"])
def test_a_server_of_ones_own_is_an_entry_in_a_file(
    config: Config, good: PlaybackServer, name: str
) -> None:
    config.add_provider("mine", good)

    answer = told("-m", name, "Why?")

    assert (answer["text"], answer["model"]) == ("Because of ice.", "mine:any")


@pytest.mark.requirement("turn:fallback:before-output")
def test_the_next_model_answers_and_it_is_said_why(
    config: Config, good: PlaybackServer
) -> None:
    with playback_thread(refusal(401, "No such key.")) as bad:
        config.add_provider("first", bad)
        config.add_provider("second", good)

        done = tina("-m", "first:a", "--fallback", "second:b", "Why?")
        shown = tina("show").stdout
        again = tina("-c", "And now?")

    assert done.returncode == 0
    assert done.stdout == "Because of ice.\n"
    assert "No such key" in done.stderr
    assert "Asking second:b instead" in done.stderr
    assert "## Tina (second:b)" in shown
    assert "[first:a did not answer: " in shown
    # The conversation keeps its fallback, as it keeps its model.
    assert again.stdout == "Because of ice.\n"
    assert len(bad.requests) == 2


def test_a_fallback_can_be_configured_for_a_model(
    config: Config, good: PlaybackServer
) -> None:
    with playback_thread(refusal(400, "Never.")) as bad:
        config.add_provider("first", bad)
        config.add_provider("second", good)
        config.add('[models."first:a"]\nfallback = ["second:b"]')

        assert told("-m", "first:a", "Why?")["model"] == "second:b"


def test_after_the_first_word_nobody_else_is_asked(
    config: Config, good: PlaybackServer
) -> None:
    whole = chat_recording(["Be", "cause"])
    with playback_thread(Recording(chunks=whole.chunks[:-1])) as bad:
        config.add_provider("first", bad)
        config.add_provider("second", good)

        done = tina("-m", "first:a", "--fallback", "second:b", "Why?")

    assert done.returncode == 1
    assert done.stdout == "Because\n"
    assert good.requests == []


@pytest.mark.requirement("providers:retry:visible")
def test_a_person_sees_that_tina_waits(config: Config) -> None:
    busy = refusal(429, "Slow down.", ("Retry-After", "1"))
    with playback_thread(busy, chat_recording(["Ice."])) as server:
        config.add_provider("mine", server)

        done = tina("-m", "mine:a", "Why?")

    assert (done.returncode, done.stdout) == (0, "Ice.\n")
    assert re.search("^tina: mine takes no more.* Waiting [12] s;", done.stderr)
    assert len(server.requests) == 2


def test_a_wait_that_is_too_long_is_named_and_not_waited(config: Config) -> None:
    busy = refusal(429, "Slow down.", ("Retry-After", "7200"))
    with playback_thread(busy) as server:
        config.add_provider("mine", server)

        done = tina("-m", "mine:a", "Why?")

    assert done.returncode == 1
    assert "2 h" in done.stderr or "7200 s" in done.stderr
    assert len(server.requests) == 1


@pytest.mark.requirement("turn:spending-limit")
def test_a_spending_limit_stops_before_the_request(
    config: Config, good: PlaybackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", good.base_url)
    first = told("-m", f"openai:{PRICED}", "Why?")
    spent = told("usage")
    config.add("[limits]\nusd_per_day = 0.00000001")

    done = tina("-m", f"openai:{PRICED}", "Why not?")
    shown = tina("show", first["conversation_id"]).stdout

    assert first["usage"]["cost_micros"] > 0
    assert spent["today_micros"] == first["usage"]["cost_micros"]
    assert done.returncode == 4
    assert "usd_per_day" in done.stderr
    assert len(good.requests) == 1
    assert "so far]" in shown


def test_what_was_spent_is_shown_as_money() -> None:
    done = tina("usage")

    assert done.stdout.splitlines() == [
        "today              $0.0000",
        "last 30 days       $0.0000",
        "in all             $0.0000",
    ]


def test_images_and_documents_are_sent_and_kept(
    config: Config, good: PlaybackServer, tmp_path: Path
) -> None:
    config.add_provider("mine", good)
    image, document = tmp_path / "a.png", tmp_path / "b.pdf"
    image.write_bytes(PNG)
    document.write_bytes(b"%PDF-1.7")

    tina("-m", "mine:a", "What is it?", "-a", str(image), "-a", str(document))
    shown = tina("show").stdout

    # Before a long prompt, a server of this machine is asked how much its model takes.
    kinds = [
        part["type"] for part in body_of(good.requests[-1])["messages"][-1]["content"]
    ]
    assert sorted(kinds) == ["file", "image_url", "text"]
    assert "[image, 1 kB]" in shown
    assert "[file b.pdf, 1 kB]" in shown


def test_an_answer_gets_the_shape_of_a_schema(
    config: Config, good: PlaybackServer, tmp_path: Path
) -> None:
    config.add_provider("mine", good)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    path = tmp_path / "fruit.json"
    path.write_text(json.dumps(schema))

    done = tina("-m", "mine:a", "A fruit?", "--schema", str(path))

    assert done.returncode == 0, done.stderr
    asked = body_of(good.requests[0])["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["properties"] == schema["properties"]


@pytest.mark.requirement("providers:key:bound-to-origin")
def test_a_vendors_key_goes_to_nobody_else(
    config: Config, good: PlaybackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "canary-12345678")
    config.add(f'[providers.groq]\nbase_url = "{good.base_url}"')

    done = tina("-m", "groq:any", "Why?")

    sent = b"".join(
        str(request.headers).encode() + request.body for request in good.requests
    )
    assert b"canary" not in sent
    assert done.returncode != 0
    assert "key_env" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[providers.mine]\nbase_url = 3", ["providers.mine", "base_url"]),
        ("[providers.mine]\nbase_ulr = 'x'", ["base_ulr", "base_url"]),
        ("[limits]\nusd_per_day = 'much'", ["limits", "usd_per_day"]),
        ("[limits", ["line 1"]),
    ],
)
def test_a_mistake_in_the_file_is_named(
    config: Config, text: str, words: list[str]
) -> None:
    config.add(text)

    done = tina("-m", "mine:a", "Why?")

    assert done.returncode == 2
    assert "config.toml" in done.stderr
    for word in words:
        assert word in done.stderr


def test_providers_are_checked_without_asking_a_question(
    config: Config, good: PlaybackServer
) -> None:
    with (
        playback_thread(refusal(401, "No such key.")) as bad,
        playback_thread(
            Recording(headers=(JSON,), chunks=(b'{"data":[{"id":"m"}]}',))
        ) as listing,
    ):
        config.add_provider("first", bad)
        config.add_provider("second", listing)

        done = tina("models", "check", "first", "second")

    assert done.returncode == 1
    assert done.stdout == "second: ready\n"
    assert done.stderr.startswith("tina: first: first refused the key.")


def test_models_are_listed_from_the_cache_until_refreshed(config: Config) -> None:
    listing = Recording(headers=(JSON,), chunks=(b'{"data":[{"id":"large"}]}',))
    with playback_thread(listing) as server:
        config.add_provider("mine", server)

        first = tina("models", "list").stdout
        second = tina("models", "list").stdout
        asked = len(server.requests)
        tina("models", "list", "--refresh")

    assert "mine:large" in first
    assert second == first
    assert (asked, len(server.requests)) == (1, 2)


def test_a_pinned_message_is_marked_and_taken_back(
    config: Config, good: PlaybackServer
) -> None:
    config.add_provider("mine", good)
    answer = told("-m", "mine:a", "Why?")

    pinned = tina("pin", "--message", answer["message_id"])
    unpinned = tina("unpin", "--message", answer["message_id"])

    assert (pinned.returncode, unpinned.returncode) == (0, 0)
    assert "goes with every request" in pinned.stdout
    assert tina("pin").returncode == 2
