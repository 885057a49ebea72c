"""Answers that need no terminal: left to a worker, followed and found again."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
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
from tina.wiring.worker import WORKER_SLOTS

GIVE_UP_S = 60.0
TALE = [f"word{number} " for number in range(60)]
LONG_TALE = [f"word{number} " for number in range(1_000)]


def answer(request: ReceivedRequest) -> Recording:
    asked = json.loads(request.body)["messages"][-1]["content"]
    if "slowly" in asked:
        tale = LONG_TALE if "very" in asked else TALE
        return chat_recording(tale, pause=paced(40))
    return chat_recording(["Ice", " age."], pause=paced(20))


@pytest.fixture
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


class Tina:
    def __init__(self, base_url: str, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []
        self.command = [sys.executable, "-m", "tina"]
        self.environment = {
            **os.environ,
            "OPENAI_BASE_URL": base_url,
            "TINA_MODEL": "openai:recorded",
        }

    def run(self, *arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        streams = {} if "input" in more else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            capture_output="stdout" not in more,
            text=True,
            timeout=GIVE_UP_S,
            **streams,
            **more,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, **pipes: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self.command, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            **pipes,
        )
        self.started.append(process)
        return process

    def answers(self) -> list[dict[str, Any]]:
        """The last message of each conversation."""
        return [
            self.json("show", each["id"])["messages"][-1] for each in self.json("log")
        ]

    def workers(self) -> list[int]:
        """Process ids of the workers of this home; Linux only."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self._is_worker(entry)
        ]

    def _is_worker(self, entry: Path) -> bool:
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False
        mine = f"TINA_HOME={self.home}".encode()
        return b"worker" in words and mine in environment


@pytest.fixture
def tina(server: PlaybackServer, environment: Path) -> Iterator[Tina]:
    tina = Tina(server.base_url, environment)
    yield tina
    for process in tina.started:
        process.kill()  # only where a test failed before its end
        process.wait()
    for pid in tina.workers():
        os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < give_up_s, "it did not happen"
        time.sleep(0.02)


def read_until(descriptor: int, wanted: bytes) -> None:
    """Read a terminal until it shows this."""
    seen = b""
    while wanted not in seen:
        ready, _, _ = select.select([descriptor], [], [], GIVE_UP_S)
        assert ready, f"{wanted!r} never came, but {seen!r}"
        seen += os.read(descriptor, 4096)


@pytest.mark.requirement("cli:detach:answered")
def test_a_detached_question_is_answered_by_a_worker(tina: Tina) -> None:
    asked = tina.run("ask", "--detach", "Why?", "-o", "temperature", "0.5")

    words = dict(line.split() for line in asked.stdout.splitlines())
    followed = tina.run("show", "-f", words["conversation"])
    (shown,) = tina.answers()
    assert asked.returncode == 0
    assert "tina show -f" in asked.stderr
    assert followed.returncode == 0
    assert followed.stdout.endswith("Ice age.\n")
    assert (shown["id"], shown["status"]) == (words["message"], "complete")


def test_a_program_gets_the_ids_as_an_object(tina: Tina) -> None:
    queued = tina.json("ask", "--detach", "Why?")
    until(lambda: tina.answers()[0]["status"] == "complete")

    assert queued["status"] == "queued"
    assert queued["model"] == "openai:recorded"
    assert tina.answers()[0]["id"] == queued["message_id"]


@pytest.mark.requirement("cli:detach:outlives-terminal")
def test_the_worker_outlives_the_terminal_it_came_from(tina: Tina) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execve(  # noqa: S606 - the program itself, no shell
            sys.executable,
            [*tina.command, "ask", "--detach", "--no-stdin", "Tell it slowly."],
            tina.environment,
        )
    read_until(terminal, b"message")
    os.waitpid(child, 0)
    until(lambda: bool(tina.workers()))
    (worker,) = tina.workers()

    os.close(terminal)  # hangs up

    links = [os.readlink(link) for link in Path(f"/proc/{worker}/fd").iterdir()]
    until(lambda: tina.answers()[0]["status"] != "streaming")
    assert not any(link.startswith("/dev/pts") for link in links)
    assert tina.answers()[0]["text"] == "".join(TALE)
    assert tina.answers()[0]["status"] == "complete"


@pytest.mark.requirement("cli:detach:bounded")
def test_many_at_once_are_all_answered_once_and_so_many_at_a_time(
    tina: Tina, server: PlaybackServer
) -> None:
    asking = [
        tina.start("ask", "--detach", f"Question {number}?", stdout=subprocess.DEVNULL)
        for number in range(20)
    ]
    most_at_once = 0
    is_over = threading.Event()

    def count() -> None:
        nonlocal most_at_once
        while not is_over.wait(0.005):
            running = [one for one in server.deliveries if not one.is_over.is_set()]
            most_at_once = max(most_at_once, len(running))

    counting = threading.Thread(target=count)
    counting.start()
    codes = [process.wait(GIVE_UP_S) for process in asking]
    until(lambda: all(shown["status"] == "complete" for shown in tina.answers()))
    is_over.set()
    counting.join()

    asked = sorted(
        json.loads(request.body)["messages"][-1]["content"]
        for request in server.requests
    )
    assert codes == [0] * 20
    assert len(tina.workers()) <= 1
    assert asked == sorted(f"Question {number}?" for number in range(20))
    assert 1 < most_at_once <= WORKER_SLOTS


@pytest.mark.requirement("cli:detach:survives-kill")
def test_what_a_killed_worker_left_is_interrupted_or_still_queued(
    tina: Tina, server: PlaybackServer
) -> None:
    first = tina.json("ask", "--detach", "Tell it very slowly.")
    until(lambda: bool(server.deliveries) and len(server.deliveries[0].sent) > 3)
    tina.json("ask", "--detach", "--cid", first["conversation_id"], "And then?")
    for pid in tina.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not tina.workers())

    page = tina.run("show").stdout
    left = tina.json("show")["messages"]
    done = tina.run("worker")

    messages = tina.json("show")["messages"]
    assert "[waits for a worker" in page
    assert [message["status"] for message in left][1::2] == ["interrupted", "streaming"]
    assert "".join(LONG_TALE).startswith(left[1]["text"])
    assert done.returncode == 0
    assert messages[1] == left[1]
    assert (messages[3]["status"], messages[3]["text"]) == ("complete", "Ice age.")


def test_a_worker_that_is_ended_leaves_its_answer_interrupted(
    tina: Tina, server: PlaybackServer
) -> None:
    working = tina.start("worker", "--stay", stderr=subprocess.PIPE)
    until(lambda: (tina.home / "worker.lock").exists())
    tina.json("ask", "--detach", "Tell it slowly.")
    until(lambda: bool(server.deliveries) and len(server.deliveries[0].sent) > 10)

    working.terminate()
    _, told = working.communicate(timeout=GIVE_UP_S)

    (left,) = tina.answers()
    assert (working.returncode, told) == (143, "")
    assert left["status"] == "interrupted"
    assert left["text"]
    assert "".join(TALE).startswith(left["text"])


@pytest.mark.requirement("cli:detach:no-foreign-code")
def test_the_worker_runs_nothing_that_lies_where_somebody_asks(
    tina: Tina, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "apsw.py").write_text(f"open({str(trap)!r}, 'w').close()\n")
    # Asked as the installed program asks, which does not look there either.
    tina.command = [sys.executable, "-P", "-m", "tina"]

    asked = tina.run("ask", "--detach", "Why?", cwd=tmp_path)

    assert asked.returncode == 0
    until(lambda: tina.answers()[0]["status"] == "complete")
    assert not trap.exists()


@pytest.mark.requirement("cli:detach:holds-nothing")
def test_the_worker_holds_nothing_that_was_handed_on(tina: Tina) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        asked = tina.run("ask", "--detach", "Tell it slowly.", pass_fds=[writing])
        os.close(writing)
        until(lambda: bool(tina.workers()))

        rest = pipe.read()  # ends when nobody has the other end

        assert (asked.returncode, rest) == (0, b"")
        assert tina.workers() != []


@pytest.mark.requirement("cli:detach:always-a-worker")
def test_a_question_is_answered_although_nobody_reads_its_ids(tina: Tina) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    asked = tina.run("ask", "--detach", "Why?", stdout=writing)

    os.close(writing)
    assert asked.returncode == 141
    until(lambda: tina.answers()[0]["status"] == "complete")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_question_is_kept_although_no_worker_can_be_started(
    tina: Tina, flags: list[str]
) -> None:
    lock = tina.home / "worker.lock"
    lock.mkdir()

    asked = tina.run("ask", "--detach", "Why?", *flags)
    refused = tina.run("worker")
    lock.rmdir()
    done = tina.run("worker")

    (answer,) = tina.answers()
    assert asked.returncode == 1
    assert answer["id"] in asked.stdout
    assert "`tina worker` answers it" in asked.stderr
    assert str(lock) in asked.stderr
    assert "Asked." not in asked.stderr
    assert asked.stderr.count("\n") == 1
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"tina: Tina cannot use the file {str(lock)!r}: ")
    assert done.returncode == 0
    assert (answer["status"], answer["text"]) == ("complete", "Ice age.")


@pytest.mark.requirement("database:side-files:hold-nobody-up")
@pytest.mark.parametrize("name", ["worker.log", "tina.db-bell", "tina.db-reserve"])
def test_a_pipe_with_the_name_of_a_file_of_tina_s_holds_nobody_up(
    tina: Tina, name: str
) -> None:
    os.mkfifo(tina.home / name)

    asked = tina.json("ask", "--detach", "Why?")
    followed = tina.run("show", "-f")

    (answer,) = tina.answers()
    assert followed.returncode == 0, followed.stderr
    assert (answer["id"], answer["text"]) == (asked["message_id"], "Ice age.")
    assert (tina.home / name).is_fifo()


def test_few_descriptors_are_enough_to_leave_a_question_to_a_worker(
    tina: Tina,
) -> None:
    """One that was handed on from before the limit has a number above it."""
    reading, writing = os.pipe()
    high = fcntl.fcntl(writing, fcntl.F_DUPFD, 200)
    os.close(writing)
    limited = ["sh", "-c", 'ulimit -n 64 && exec "$0" "$@"', *tina.command]

    asked = subprocess.run(
        [*limited, "ask", "--detach", "--json", "Why?"],
        env=tina.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        pass_fds=(high,),
    )
    os.close(high)

    ended = os.read(reading, 1)  # the worker does not hold it open
    os.close(reading)
    assert asked.returncode == 0, asked.stderr
    assert ended == b""
    until(lambda: tina.answers()[0]["status"] == "complete")


def test_all_that_is_asked_reaches_the_worker(
    tina: Tina, server: PlaybackServer, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("fjords")

    asked = tina.run(
        *("--detach", "Why?", "-s", "Be brief.", "-m", "openai:other"),
        *("-a", str(tmp_path / "notes.txt"), "-o", "temperature", "0.5"),
        input="piped text",
    )
    until(lambda: tina.answers()[0]["status"] == "complete")
    tina.run("-c", "--detach", "And then?")
    until(lambda: len(tina.json("show")["messages"]) == 4)
    until(lambda: tina.answers()[0]["status"] == "complete")

    first, second = (json.loads(request.body) for request in server.requests)
    system, prompt = first["messages"]
    assert asked.returncode == 0
    assert (first["model"], first["temperature"]) == ("other", 0.5)
    assert system["content"] == "Be brief."
    assert prompt["content"].startswith("Why?")
    assert prompt["content"].endswith("piped text")
    assert "notes.txt:\n```\nfjords\n```" in prompt["content"]
    assert [message["content"] for message in second["messages"]][2:] == [
        "Ice age.",
        "And then?",
    ]


def test_a_second_worker_leaves_the_work_to_the_first(tina: Tina) -> None:
    first = tina.start("worker", "--stay")
    until(lambda: (tina.home / "worker.lock").exists())
    tina.json("ask", "--detach", "Why?")
    until(lambda: tina.answers()[0]["status"] == "complete")

    second = tina.run("worker")
    first.terminate()

    assert "Another worker" in second.stderr
    assert second.returncode == 0
    assert first.wait(GIVE_UP_S) == 143


@pytest.mark.requirement("cli:follow:other-process")
def test_another_process_sees_the_text_grow_and_leaves_it_alone(
    tina: Tina, server: PlaybackServer
) -> None:
    asking = tina.start("ask", "Tell it slowly.", stdout=subprocess.DEVNULL)
    until(lambda: bool(server.deliveries) and len(server.deliveries[0].sent) > 3)
    following = tina.start("show", "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = ""
    assert following.stdout is not None
    while "word10 " not in seen:
        seen += following.stdout.read(1)
    was_running = asking.poll() is None

    following.send_signal(signal.SIGINT)
    _, told = following.communicate(timeout=GIVE_UP_S)

    assert was_running
    assert following.returncode == 130
    assert "tina stop" in told
    assert asking.wait(GIVE_UP_S) == 0
    assert tina.answers()[0]["text"] == "".join(TALE)


def test_who_follows_an_answer_sees_that_a_third_process_stopped_it(
    tina: Tina, server: PlaybackServer
) -> None:
    asking = tina.start("ask", "Tell it very slowly.", stdout=subprocess.DEVNULL)
    until(lambda: bool(server.deliveries) and len(server.deliveries[0].sent) > 3)
    following = tina.start("show", "-f", stdout=subprocess.PIPE)
    seen = ""
    assert following.stdout is not None
    while "word5 " not in seen:
        seen += following.stdout.read(1)

    stopped = tina.run("stop")
    # Not by `communicate`, which leaves out what was read ahead.
    seen += following.stdout.read()
    code = following.wait(GIVE_UP_S)
    following.stdout.close()

    text = tina.answers()[0]["text"]
    assert stopped.returncode == 0
    assert asking.wait(GIVE_UP_S) == 130
    assert code == 130
    assert "".join(LONG_TALE).startswith(text)
    assert f"\n{text}\n\n[stopped; `tina continue` goes on]\n" in seen


def test_a_reader_that_leaves_does_not_stop_the_answer(tina: Tina) -> None:
    tina.json("ask", "--detach", "Tell it slowly.")
    following = tina.start("show", "-f", stdout=subprocess.PIPE)
    assert following.stdout is not None
    following.stdout.readline()

    following.stdout.close()

    assert following.wait(GIVE_UP_S) == 141
    until(lambda: tina.answers()[0]["status"] != "streaming")
    assert tina.answers()[0]["text"] == "".join(TALE)


def three_words_then_silence(*, goes_on: threading.Event) -> Recording:
    """The second word comes when it may, the third within a frame of the second."""

    async def pause(chunk: int) -> None:
        if chunk == 2:
            allowed = partial(goes_on.wait, GIVE_UP_S)
            await anyio.to_thread.run_sync(allowed, abandon_on_cancel=True)
        await anyio.sleep({2: 0.3, 3: 0.035}.get(chunk, 0.0))

    said = chat_recording(TALE[:3], pause=pause)
    return msgspec.structs.replace(said, chunks=said.chunks[:4], ending=Ending.HANG)


def test_all_that_was_said_is_drawn_while_the_model_is_silent(tina: Tina) -> None:
    goes_on = threading.Event()
    with playback_thread(three_words_then_silence(goes_on=goes_on)) as server:
        tina.environment["OPENAI_BASE_URL"] = server.base_url
        tina.json("ask", "--detach", "Fall silent.")
        child, terminal = pty.fork()
        if child == 0:
            os.execve(  # noqa: S606 - the program itself, no shell
                sys.executable,
                [*tina.command, "show", "-f"],
                {**tina.environment, "TERM": "xterm"},
            )
        read_until(terminal, b"word0")

        goes_on.set()
        read_until(terminal, b"word2")

        os.kill(child, signal.SIGINT)
        read_until(terminal, b"tina stop")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(status) == 130
        assert tina.answers()[0]["status"] == "streaming"


def test_who_follows_is_told_that_nobody_answers_yet(tina: Tina) -> None:
    lock = os.open(tina.home / "worker.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as a worker that is about to leave
    tina.json("ask", "--detach", "Why?")
    os.close(lock)
    following = tina.start("show", "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert following.stderr is not None

    read_until(following.stderr.fileno(), b"`tina worker` answers it")
    working = tina.start("worker")
    said, _ = following.communicate(timeout=GIVE_UP_S)

    working.terminate()
    assert working.wait(GIVE_UP_S) in (0, 143)
    assert said.endswith("Ice age.\n")
    assert following.returncode == 0


def test_messages_are_followed_as_objects(tina: Tina) -> None:
    queued = tina.json("ask", "--detach", "Why?")

    done = tina.run("show", "-f", "--json", queued["conversation_id"])

    prompt, said = map(json.loads, done.stdout.splitlines())
    assert (prompt["role"], said["status"], said["text"]) == (
        "user",
        "complete",
        "Ice age.",
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_the_list_is_followed(tina: Tina, as_json: bool) -> None:
    tina.run("ask", "First?")
    words = ["--json"] if as_json else []
    following = tina.start("log", "-f", *words, stdout=subprocess.PIPE)
    assert following.stdout is not None
    first = following.stdout.readline()

    tina.run("ask", "Second?")
    second = following.stdout.readline()
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=GIVE_UP_S)

    assert "First?" in first
    assert "Second?" in second
    assert following.returncode == 130


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--no-log"], "--no-log"),
        (["--key", "sk-x"], "environment"),
        (["--extract"], "tina show"),
        (["--no-stream"], "tina show"),
        (["--usage"], "tina show"),
        (["--output-format", "stream-json"], "tina show"),
    ],
)
def test_what_cannot_be_left_to_another_process_is_refused(
    tina: Tina, flags: list[str], word: str
) -> None:
    done = tina.run("ask", "--detach", "Why?", *flags)

    assert done.returncode == 2
    assert word in done.stdout + done.stderr
    assert tina.json("log") == []


def test_a_list_cannot_be_followed_backwards(tina: Tina) -> None:
    assert tina.run("log", "-f", "-n", "-3").returncode == 2
