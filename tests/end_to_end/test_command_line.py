"""The program as a person runs it: real processes, real files, a server on loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest

from tina.testing.server import (
    Ending,
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

GIVE_UP_S = 60.0
FRUITS = ["1. Apples\n", "2. Pears\n", "3. Plums"]


def answer(request: ReceivedRequest) -> Recording:
    """One server for all: what was asked last decides how it answers."""
    asked = json.loads(request.body)["messages"][-1]["content"]
    return next(
        (recording for word, recording in RECORDINGS.items() if word in asked),
        chat_recording(FRUITS),
    )


WHOLE = chat_recording(["Once ", "upon "])
SLOW_DOWN = {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}
RECORDINGS = {
    "slowly": chat_recording([f"word{n} " for n in range(500)], pause=paced(50)),
    "break off": Recording(chunks=WHOLE.chunks[:-1], ending=Ending.RESET),
    "refuse": Recording(
        status=429,
        headers=(("Content-Type", "application/json"), ("Retry-After", "700")),
        chunks=(json.dumps(SLOW_DOWN).encode(),),
    ),
    "fail": Recording(
        status=400,
        headers=(("Content-Type", "application/json"),),
        chunks=(b'{"error":{"message":"No."}}',),
    ),
    "long": chat_recording(["word"], finish_reason="length"),
    "code": chat_recording(["Look:\n\n```python\n", "print(1)\n", "```\n\nDone."]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


class Tina:
    """Runs the program in the test's home."""

    def __init__(self, base_url: str, home: Path) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "OPENAI_BASE_URL": base_url,
            "TINA_MODEL": "openai:recorded",
        }

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        **pipes: Any,
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tina", *arguments],
            env={**self.environment, **(environment or {})},
            text=True,
            **pipes,
        )

    def run(
        self,
        *arguments: str,
        typed: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "tina", *arguments],
            env={**self.environment, **(environment or {})},
            input=typed,
            stdin=subprocess.DEVNULL if typed is None else None,
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def newest(self) -> dict[str, Any]:
        return dict(self.json("show"))


@pytest.fixture
def tina(server: PlaybackServer, environment: Path) -> Tina:
    return Tina(server.base_url, environment)


def test_a_question_is_answered(tina: Tina) -> None:
    done = tina.run("ask", "Name three fruits.")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1. Apples\n2. Pears\n3. Plums\n"


def test_a_bare_question_is_asked(tina: Tina) -> None:
    done = tina.run("Name", "three", "fruits.")

    assert done.returncode == 0
    assert tina.newest()["messages"][0]["text"] == "Name three fruits."


def test_the_version_is_told(tina: Tina) -> None:
    done = tina.run("--version")

    assert done.returncode == 0
    assert done.stdout.startswith("tina ")


def test_json_is_one_object_with_every_key(tina: Tina) -> None:
    done = tina.run("ask", "Name three fruits.", "--json")

    answer = json.loads(done.stdout)
    assert list(answer) == [
        "status",
        "text",
        "conversation_id",
        "message_id",
        "model",
        "stop_reason",
        "usage",
        "failure",
    ]
    assert (answer["status"], answer["text"]) == ("complete", "".join(FRUITS))
    assert (answer["model"], answer["stop_reason"]) == ("openai:recorded", "stop")
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (7, 3)
    assert answer["failure"] is None
    assert tina.newest()["id"] == answer["conversation_id"]


def test_stream_json_is_a_line_per_event(tina: Tina) -> None:
    done = tina.run("ask", "Name three fruits.", "--output-format", "stream-json")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["t"] == "turn"
    said = "".join(line["text"] for line in lines if line["t"] == "text")
    assert said == "".join(FRUITS)
    assert (lines[-1]["t"], lines[-1]["status"]) == ("answer", "complete")


def test_piped_text_stands_below_the_question(tina: Tina) -> None:
    done = tina.run("Sum up", typed="One.\nTwo.\n")

    assert done.returncode == 0
    shown = tina.newest()
    assert shown["messages"][0]["text"] == "Sum up\n\nOne.\nTwo."
    assert shown["title"] == "Sum up"


def test_piped_text_alone_is_the_question(tina: Tina) -> None:
    tina.run("ask", typed="Name three fruits.\n")

    assert tina.newest()["messages"][0]["text"] == "Name three fruits."


def test_no_stdin_never_reads_standard_input(tina: Tina) -> None:
    process = tina.start(
        "ask",
        "--no-stdin",
        "Name three fruits.",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    code = process.wait(GIVE_UP_S)  # its standard input is open all the time

    process.communicate()
    assert code == 0


def test_an_attached_file_is_part_of_the_question(tina: Tina, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("```\ncode\n```", encoding="utf-8")

    tina.run("ask", "What is this?", "-a", str(notes))

    prompt = tina.newest()["messages"][0]["text"]
    assert prompt == "What is this?\n\nnotes.md:\n````\n```\ncode\n```\n````"


def test_the_first_code_block_is_extracted(tina: Tina) -> None:
    assert tina.run("ask", "Write code.", "-x").stdout == "print(1)\n"


def test_without_streaming_the_answer_comes_whole(tina: Tina) -> None:
    done = tina.run("ask", "Name three fruits.", "--no-stream", "--usage")

    assert done.stdout == "1. Apples\n2. Pears\n3. Plums\n"
    assert done.stderr.startswith("tokens: 7 input, 3 output")


def test_options_reach_the_request(tina: Tina, server: PlaybackServer) -> None:
    tina.run("ask", "Hi", "-o", "temperature", "0.5", "-o", "max_tokens", "9")

    request = json.loads(server.requests[-1].body)
    assert (request["temperature"], request["max_tokens"]) == (0.5, 9)


def test_a_deadline_can_be_set(tina: Tina) -> None:
    done = tina.run("ask", "Go slowly", "-o", "total_timeout_s", "0.3", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["failure"]["kind"] == "timeout"


def test_the_key_goes_to_the_server_and_nowhere_else(
    tina: Tina, server: PlaybackServer
) -> None:
    key = "sk-canary-0123456789"
    done = tina.run("ask", "Hi", environment={"OPENAI_API_KEY": key})

    sent = server.requests[-1].headers["authorization"]
    stored = b"".join(
        path.read_bytes() for path in tina.home.rglob("*") if path.is_file()
    )
    assert sent == f"Bearer {key}"
    assert key not in done.stdout + done.stderr
    assert key.encode() not in stored


def test_a_key_can_be_given_for_one_call(tina: Tina, server: PlaybackServer) -> None:
    done = tina.run("ask", "Hi", "--key", "sk-for-once")

    assert done.returncode == 0
    assert server.requests[-1].headers["authorization"] == "Bearer sk-for-once"


def test_no_log_keeps_nothing(tina: Tina) -> None:
    done = tina.run("ask", "Name three fruits.", "--no-log")

    assert done.stdout == "1. Apples\n2. Pears\n3. Plums\n"
    assert tina.json("log", "-n", "0") == []


def test_a_conversation_goes_on(tina: Tina, server: PlaybackServer) -> None:
    first = tina.json("ask", "Name three fruits.", "-s", "Be brief.")
    tina.run("ask", "-c", "And three more?")
    tina.run("ask", "--cid", first["conversation_id"][:13], "Once more?")

    request = json.loads(server.requests[-1].body)
    assert [message["role"] for message in request["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert len(tina.json("log", "-n", "0")) == 1


def test_log_lists_the_newest_first_and_all_on_request(tina: Tina) -> None:
    ids = [tina.json("ask", f"Question {n}")["conversation_id"] for n in range(3)]

    assert [row["id"] for row in tina.json("log", "-n", "0")] == ids[::-1]
    assert [row["id"] for row in tina.json("log", "-n", "2")] == ids[:0:-1]
    assert tina.run("log").stdout.split()[0] == ids[2][:16]
    assert "Question 2" in tina.run("log").stdout.splitlines()[0]


def test_show_prints_what_was_said(tina: Tina) -> None:
    asked = tina.json("ask", "Name three fruits.")

    shown = tina.json("show", asked["conversation_id"])
    page = tina.run("show", asked["conversation_id"]).stdout

    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"]
    answer = shown["messages"][1]
    assert {"id", "role", "status", "text", "parts"} <= answer.keys()
    assert (answer["id"], answer["status"]) == (asked["message_id"], "complete")
    assert answer["parts"] == [{"type": "text", "text": "".join(FRUITS)}]
    assert "Name three fruits." in page
    assert "3. Plums" in page


@pytest.mark.requirement("cli:ctrl-c:keeps-text")
def test_ctrl_c_stops_the_answer_and_keeps_it(tina: Tina) -> None:
    process = start_slow_answer(tina)

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=GIVE_UP_S)

    answer = tina.newest()["messages"][1]
    assert process.returncode == 130
    assert answer["status"] == "stopped"
    assert answer["text"].startswith("word0 ")
    assert "tina continue" in told
    assert "Traceback" not in told


@pytest.mark.requirement("cli:sigterm:keeps-text")
def test_sigterm_leaves_the_answer_interrupted(tina: Tina) -> None:
    process = start_slow_answer(tina)

    process.terminate()
    process.communicate(timeout=GIVE_UP_S)

    answer = tina.newest()["messages"][1]
    assert process.returncode == 143
    assert answer["status"] == "interrupted"
    assert answer["text"].startswith("word0 ")


@pytest.mark.requirement("cli:pipe-closed:keeps-text")
def test_a_closed_pipe_stops_the_answer_and_keeps_it(tina: Tina) -> None:
    process = start_slow_answer(tina)
    assert process.stdout is not None

    process.stdout.close()
    code = process.wait(GIVE_UP_S)

    assert process.stderr is not None
    told = process.stderr.read()
    process.stderr.close()
    answer = tina.newest()["messages"][1]
    assert code == 141
    assert answer["status"] == "stopped"
    assert answer["text"].startswith("word0 ")
    assert told == ""


def test_a_full_disk_behind_the_output_is_told(tina: Tina) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = tina.start(
            "ask", "Hi", stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE
        )
        _, told = process.communicate(timeout=GIVE_UP_S)

    assert process.returncode == 1
    assert told == "tina: The output cannot be written: No space left on device.\n"


def test_a_cut_answer_says_so_and_can_be_continued(
    tina: Tina, server: PlaybackServer
) -> None:
    done = tina.run("ask", "Please break off.", "--json")
    failed = json.loads(done.stdout)
    shown = tina.newest()["messages"][1]

    continued = tina.json("continue")

    assert done.returncode == 1
    assert (failed["status"], failed["text"]) == ("failed", "Once upon ")
    assert failed["failure"]["kind"] in {"truncated", "connection"}
    assert (shown["status"], shown["text"]) == ("failed", "Once upon ")
    assert continued["status"] == "complete"
    assert b"Once upon " in server.requests[-1].body


def test_a_refusal_is_told_with_what_it_asks_for(tina: Tina) -> None:
    done = tina.run("ask", "Please refuse.", "--json")
    told = tina.run("ask", "Please refuse.")

    failure = json.loads(done.stdout)["failure"]
    assert (failure["kind"], failure["retryable"]) == ("rate_limit", True)
    assert failure["retry_after_s"] == 700
    assert told.returncode == 1
    assert told.stderr.startswith("tina: ")
    assert "12 minutes" in told.stderr
    assert "Traceback" not in told.stderr


def start_slow_answer(tina: Tina) -> "subprocess.Popen[str]":
    """Start an answer and wait until some of it was printed and stored."""
    process = tina.start(
        "ask",
        "Go slowly",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 100)
    return process


def test_chat_answers_each_piped_line_in_one_conversation(tina: Tina) -> None:
    done = tina.run("chat", typed="Name three fruits.\n\nAnd now?\n/exit\nNot asked\n")

    assert done.returncode == 0
    assert done.stdout == "1. Apples\n2. Pears\n3. Plums\n" * 2
    messages = tina.newest()["messages"]
    assert [message["text"] for message in messages[::2]] == [
        "Name three fruits.",
        "And now?",
    ]


def test_chat_obeys_slash_commands(tina: Tina) -> None:
    done = tina.run(
        "chat", typed="Hi\n/new\nHo\n/help\n/model openai:other\n/nonsense\nHa\n"
    )

    assert done.returncode == 0
    assert len(tina.json("log", "-n", "0")) == 2
    assert tina.newest()["messages"][-1]["model"] == "openai:other"
    assert "There is no /nonsense." in done.stderr


def test_chat_says_what_failed_and_goes_on(tina: Tina) -> None:
    done = tina.run("chat", typed="Please fail.\nName three fruits.\n")

    assert done.returncode == 1
    assert "tina: " in done.stderr
    assert "3. Plums" in done.stdout


def test_a_piped_line_that_fails_ends_no_chat(tina: Tina) -> None:
    done = tina.run("chat", typed="/model nobody:x\n/model nonsense\nHi\n")

    assert done.returncode == 2
    assert done.stderr.count("tina: ") == 2
    assert done.stdout == "1. Apples\n2. Pears\n3. Plums\n"


def test_a_piped_line_that_is_too_long_is_refused(tina: Tina) -> None:
    done = tina.run("chat", typed="x" * (10 * 1024 * 1024 + 1))

    assert done.returncode == 2
    assert done.stderr == "tina: A piped line is longer than 10 MiB.\n"


def test_chat_without_standard_input_ends_at_once(tina: Tina) -> None:
    assert tina.run("chat").returncode == 0


def test_a_person_is_told_what_is_waited_for(tina: Tina) -> None:
    process = tina.start(
        "ask",
        "Hi",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None

    told = process.stderr.readline()
    said, _ = process.communicate("And this.\n", timeout=GIVE_UP_S)

    assert told == "tina: waiting for standard input; < /dev/null skips it\n"
    assert said == "1. Apples\n2. Pears\n3. Plums\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\xfd", "is neither UTF-8 text"),
        (b"x" * (10 * 1024**2 + 1), "is larger than"),
    ],
)
def test_a_file_that_cannot_be_attached_is_named(
    content: bytes, says: str, tina: Tina, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)

    done = tina.run("ask", "Hi", "-a", str(path))

    assert done.returncode == 2
    assert f"The file {str(path)!r} {says}" in done.stderr


def test_models_of_a_server_that_fails_are_missed(tina: Tina) -> None:
    done = tina.run(
        "models", "list", environment={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    )

    assert done.returncode == 1
    assert done.stdout.startswith("local:smollm2 ")
    assert done.stderr.startswith("tina: openai: ")


def test_a_whole_database_passes_its_check(tina: Tina) -> None:
    tina.run("ask", "Hi")

    checked = tina.json("db", "check")

    assert checked["ok"] is True
    assert Path(checked["path"]).is_file()
    assert tina.run("db", "check").stdout.endswith("is whole.\n")


def test_models_are_listed(tina: Tina) -> None:
    done = tina.run("models", "list", "--json", environment={"OPENAI_BASE_URL": ""})

    assert "local:smollm2" in {model["id"] for model in json.loads(done.stdout)}


def test_several_programs_share_one_database(tina: Tina) -> None:
    processes = [
        tina.start("ask", "Hi", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]

    codes = [process.wait(GIVE_UP_S) for process in processes]

    assert codes == [0, 0, 0, 0]
    assert len(tina.json("log", "-n", "0")) == 4


def test_an_answer_that_cannot_be_stored_is_shown_all_the_same(tina: Tina) -> None:
    """Another program holds the database from the middle of the answer on."""
    process = tina.start(
        "ask",
        "Go slowly",
        "-o",
        "total_timeout_s",
        "1",
        "--output-format",
        "stream-json",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    while b'"t":"text"' not in os.read(process.stdout.fileno(), 65_536):
        pass
    holder = apsw.Connection(str(tina.home / "tina.db"))
    holder.execute("BEGIN IMMEDIATE")

    out, told = process.communicate(timeout=GIVE_UP_S)

    holder.close()
    answer = json.loads(out.splitlines()[-1])
    assert process.returncode == 1
    assert (answer["t"], answer["status"]) == ("answer", "failed")
    assert answer["text"].startswith("word0 ")
    assert answer["message_id"]
    assert answer["failure"]["kind"] == "busy"
    assert "Another process has held the database" in told
    assert tina.newest()["messages"][1]["status"] == "interrupted"


def test_sigterm_prints_the_object_too(tina: Tina) -> None:
    process = tina.start(
        "ask",
        "Go slowly",
        "--json",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not tina.json("log"):
        pass
    while not tina.newest()["messages"]:
        pass

    process.terminate()
    out, _ = process.communicate(timeout=GIVE_UP_S)

    assert process.returncode == 143
    assert json.loads(out)["status"] == "interrupted"


def test_an_answer_that_was_cut_by_its_limit_says_so(tina: Tina) -> None:
    done = tina.run("ask", "Please be long.")

    assert (done.returncode, done.stdout) == (0, "word\n")
    assert "max_tokens" in done.stderr
