"""The worker: how long it stays, what it leaves, how it is started."""

import fcntl
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

import tina
from tina.domain.failures import (
    InvalidInputFailure,
    StorageFailure,
    UnwritableFailure,
)
from tina.domain.messages import MessageStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.provider import HANG, ScriptedProvider
from tina.testing.stores import MemoryStores
from tina.wiring.worker import TRIES, TRY_INTERVAL_S, start_worker, work
from tina.wiring.worker_lock import hold, noted, refuse_other_settings

pytestmark = pytest.mark.anyio

MODEL = "scripted:parrot"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def app(clock: FakeClock, environment: Path) -> AsyncIterator[tina.App]:
    stores = MemoryStores(clock=clock, ids=FakeIds())
    providers = {
        "scripted": ScriptedProvider("Ice", " age."),
        "slow": ScriptedProvider("Once upon", HANG),
    }
    async with tina.open(
        environment, stores=stores, clock=clock, providers=providers
    ) as app:
        with anyio.fail_after(20):
            yield app


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What standard output of each process led to that was started as a worker.

    The real start, of a program that says so and ends.
    """
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\nto=$(readlink /proc/$$/fd/1)\necho "$to" >"$0.out"\n'
    )
    program.chmod(0o700)
    outputs: list[str] = []
    spawn = os.posix_spawn

    def spawn_and_wait(*arguments: Any, **more: Any) -> int:
        pid = spawn(*arguments, **more)
        _, status = os.waitpid(pid, 0)
        assert status == 0
        outputs.append((tmp_path / "python.out").read_text().strip())
        return pid

    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(os, "posix_spawn", spawn_and_wait)
    return outputs


async def test_a_worker_answers_what_was_left_and_leaves(app: tina.App) -> None:
    conversation = await app.conversations.create("Fjords", model=MODEL)
    asked = [await app.send_later(conversation.id, "Why?") for _ in range(3)]

    has_worked = await work(app, linger_s=0.0)

    branch = await app.conversations.messages(conversation.id)
    answers = [message for message in branch if message.status != "streaming"][1::2]
    assert has_worked
    assert [each.id for each in answers] == [each.message_id for each in asked]
    assert {each.text for each in answers} == {"Ice age."}
    assert await app.open_turns() == ()


@pytest.mark.requirement("cli:worker:waits-for-others")
async def test_a_worker_stays_for_what_waits_behind_an_answer_written_elsewhere(
    app: tina.App, clock: FakeClock
) -> None:
    conversation = await app.conversations.create("Fjords", model=MODEL)
    slow = await app.send(conversation.id, "A tale.", model="slow:parrot")
    behind = await app.send_later(conversation.id, "And then?")
    left: list[bool] = []
    was_there = False

    async def serve() -> None:
        left.append(await work(app, linger_s=0.0))

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        while not left and clock.slept.count(TRY_INTERVAL_S) < 3 * TRIES:
            await anyio.lowlevel.checkpoint()
        was_there = left == []
        await slow.stop()

    answer = (await app.conversations.messages(conversation.id))[-1]
    assert was_there
    assert left == [True]
    assert (answer.id, answer.text) == (behind.message_id, "Ice age.")
    assert answer.status is MessageStatus.COMPLETE


async def test_a_second_worker_leaves_the_work_to_the_first(
    app: tina.App, clock: FakeClock
) -> None:
    conversation = await app.conversations.create("Fjords", model=MODEL)
    await app.send_later(conversation.id, "Why?")
    descriptor = os.open(app.paths.worker_lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        has_worked = await work(app, linger_s=0.0)
    finally:
        os.close(descriptor)

    assert not has_worked
    assert len(await app.open_turns()) == 1
    assert clock.slept.count(TRY_INTERVAL_S) == TRIES


def test_a_worker_that_cannot_be_started_leaves_a_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(environment / "nothing"))

    with pytest.raises(StorageFailure, match="`tina worker` answers it"):
        start_worker()


def test_no_worker_is_started_beside_one_that_runs(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(environment / "nothing"))
    descriptor = os.open(environment / "worker.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        start_worker()
    finally:
        os.close(descriptor)

    assert not (environment / "worker.log").exists()


OBSTACLES: list[Callable[[Path], None]] = [
    Path.mkdir,
    os.mkfifo,
    lambda path: path.symlink_to("nowhere"),
]


@pytest.mark.parametrize("put", OBSTACLES)
def test_a_lock_that_cannot_be_made_is_named(
    environment: Path, put: Callable[[Path], None]
) -> None:
    lock = environment / "worker.lock"
    put(lock)

    with pytest.raises(StorageFailure) as raised:
        start_worker()

    assert raised.value.message == (
        "The question is stored, but no worker could be started. Tina cannot use the "
        f"file {str(lock)!r}: it is not an ordinary file; move it away. "
        "When that is mended, `tina worker` answers it."
    )


@pytest.mark.parametrize("put", OBSTACLES)
async def test_a_worker_without_a_lock_names_the_file(
    app: tina.App, put: Callable[[Path], None]
) -> None:
    put(app.paths.worker_lock)

    with pytest.raises(UnwritableFailure, match=r"worker\.lock': it is not an ord"):
        await work(app, linger_s=0.0)


@pytest.mark.requirement("database:side-files:hold-nobody-up")
@pytest.mark.parametrize("put", OBSTACLES)
def test_a_worker_starts_although_there_can_be_no_log(
    environment: Path, put: Callable[[Path], None], started: list[str]
) -> None:
    put(environment / "worker.log")

    start_worker()

    assert started == [os.devnull]
    assert not (environment / "worker.log").is_file()


def test_a_worker_starts_although_its_folder_cannot_be_made(
    tmp_path: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("TINA_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    start_worker()

    assert started == [os.devnull]


def test_a_worker_writes_its_log_beside_the_rest(
    environment: Path, started: list[str]
) -> None:
    start_worker()

    assert started == [str(environment / "worker.log")]
    assert (environment / "worker.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("started")
def test_a_descriptor_above_the_limit_is_not_handed_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reading, writing = os.pipe()
    high = fcntl.fcntl(writing, fcntl.F_DUPFD, 200)
    os.set_inheritable(high, True)  # noqa: FBT003 - it has no name
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (150, hard))
        start_worker()
        is_inheritable = os.get_inheritable(high)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in (reading, writing, high):
            os.close(descriptor)

    assert not is_inheritable


@pytest.mark.requirement("worker:settings:same")
async def test_a_question_is_not_left_to_a_worker_that_would_ask_somebody_else(
    app: tina.App,
) -> None:
    mine = {"OPENAI_API_KEY": "sk-canary", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    lock = app.paths.worker_lock

    refuse_other_settings(lock, mine)
    with hold(lock) as is_mine, noted(lock, mine):
        refuse_other_settings(lock, mine)
        refuse_other_settings(lock, {})
        with pytest.raises(InvalidInputFailure, match="another OPENAI_BASE_URL;"):
            refuse_other_settings(lock, {"OPENAI_BASE_URL": "http://127.0.0.1:2/v1"})
        note = lock.read_text()
    refuse_other_settings(lock, {"OPENAI_API_KEY": "sk-other"})

    assert is_mine
    assert "canary" not in note
    assert "127.0.0.1" not in note


async def test_what_a_worker_noted_may_be_anything(app: tina.App) -> None:
    with hold(app.paths.worker_lock):
        app.paths.worker_lock.write_bytes(b"\xff no note")

        refuse_other_settings(app.paths.worker_lock, {"OPENAI_API_KEY": "sk-1"})


async def test_a_working_worker_has_noted_its_settings(app: tina.App) -> None:
    conversation = await app.conversations.create("Fjords", model="slow:model")
    asked = await app.send_later(conversation.id, "Why?")
    during = None

    async with anyio.create_task_group() as group:
        group.start_soon(partial(work, app, linger_s=None))
        while (await app.open_turns())[0].lease_id is None:
            await anyio.lowlevel.checkpoint()
        during = app.paths.worker_lock.read_bytes()
        await app.stop(asked.message_id)
        group.cancel_scope.cancel()

    assert during is not None
    assert msgspec.json.decode(during)["digests"] == {}
    assert app.paths.worker_lock.read_bytes() == b""
