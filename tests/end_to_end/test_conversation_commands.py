"""Answers that are stopped, given again and asked anew, by several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tina.testing.server import (
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

GIVE_UP_S = 30.0
WORDS = [f"word{number} " for number in range(2000)]


def answer(request: ReceivedRequest) -> Recording:
    messages = json.loads(request.body)["messages"]
    if "slowly" in messages[-1]["content"]:
        return chat_recording(WORDS, pause=paced(50))
    return chat_recording([f"You said: {messages[-1]['content']}"])


@pytest.fixture
def server(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("TINA_MODEL", "openai:recorded")
        yield server


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


def ask_slowly(server: PlaybackServer) -> "subprocess.Popen[str]":
    """A process that writes an answer; some words of it were sent."""
    number = len(server.deliveries)
    process = subprocess.Popen(
        [sys.executable, "-m", "tina", "ask", "--no-stdin", "Speak slowly."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up:
        if len(server.deliveries) > number and len(server.deliveries[number].sent) > 20:
            return process
        time.sleep(0.01)
    process.kill()
    process.communicate()
    pytest.fail("no word was delivered")


@pytest.mark.requirement("cli:stop:any-process")
def test_an_answer_is_stopped_from_another_process(server: PlaybackServer) -> None:
    asking = ask_slowly(server)

    stopped = tina("stop")
    out, err = asking.communicate(timeout=GIVE_UP_S)

    shown = told("show")
    kept = shown["messages"][-1]
    words = len(kept["text"].split())
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout == (
        f"Stopped; {words} words are kept. "
        f"`tina continue {shown['id'][:16]}` goes on.\n"
    )
    assert asking.returncode == 130
    assert "Stopped; `tina continue` goes on from here." in err
    assert out.rstrip("\n") == kept["text"].rstrip("\n")
    assert kept["status"] == "stopped"
    assert words >= 10
    assert "".join(WORDS).startswith(kept["text"])
    assert tina("stop").returncode == 2


def test_what_a_killed_process_left_is_no_longer_to_be_stopped(
    server: PlaybackServer,
) -> None:
    asking = ask_slowly(server)
    os.kill(asking.pid, signal.SIGKILL)
    asking.communicate(timeout=GIVE_UP_S)

    done = tina("stop")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert told("show")["messages"][-1]["status"] == "interrupted"


def test_an_answer_is_given_once_more(server: PlaybackServer) -> None:
    first = told("ask", "Why?")

    again = tina("regenerate")
    third = told("regenerate", first["conversation_id"][:20])
    listed = told("versions", third["message_id"])

    assert (again.returncode, again.stdout) == (0, "You said: Why?\n")
    assert [row["is_active"] for row in listed] == [False, False, True]
    assert listed[0]["id"] == first["message_id"]
    assert len(told("show")["messages"]) == 2


def test_a_question_is_asked_in_other_words(server: PlaybackServer) -> None:
    first = told("ask", "Why?")
    prompt = told("show")["messages"][0]["id"]

    edited = tina("edit", prompt, "Why", "not?")
    shown = told("show")["messages"]
    back = tina("choose", first["message_id"])

    assert (edited.returncode, edited.stdout) == (0, "You said: Why not?\n")
    assert [message["text"] for message in shown] == ["Why not?", "You said: Why not?"]
    assert back.returncode == 0
    assert told("show")["messages"][0]["text"] == "Why?"
    wrong = tina("edit", first["message_id"], "Why not?")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "regenerate it" in wrong.stderr


def test_an_answer_that_is_still_written_is_not_given_again(
    server: PlaybackServer,
) -> None:
    asking = ask_slowly(server)

    refused, forked = tina("regenerate"), tina("fork")

    stopped = told("stop")
    asking.communicate(timeout=GIVE_UP_S)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "still being written" in refused.stderr
    assert (forked.returncode, forked.stdout) == (2, "")
    assert [each["status"] for each in stopped["answers"]] == ["stopped"]
