"""What every test stands on: no network, no home, nothing left behind."""

import gc
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

SCRUBBED_SUFFIXES = ("_API_KEY", "_BASE_URL", "_AUTH_TOKEN", "_PROXY", "_ENDPOINT")
SCRUBBED_PREFIXES = ("TINA_", "ANTHROPIC_", "OPENAI_")
SCRUBBED_NAMES = frozenset({"OLLAMA_HOST", "NO_COLOR", "FORCE_COLOR", "COLORTERM"})

JOIN_LIMIT_S = 2.0
DESCRIPTOR_SLACK = 8
"""Sockets and pipes that a wider fixture may open late. A file has no slack."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Hide the keys, addresses and settings of whoever runs the tests.

    Returns:
        Tina's home for this test; nothing is in it, and it is not `tmp_path`.
    """
    for name in list(os.environ):
        if is_scrubbed(name):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TINA_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def small_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests make thousands of databases; with 8 MiB each they fill the disk."""
    monkeypatch.setattr("tina.database.engine.reserve.RESERVE_BYTES", 64 * 1024)


def is_scrubbed(name: str) -> bool:
    upper = name.upper()
    return (
        upper in SCRUBBED_NAMES
        or upper.endswith(SCRUBBED_SUFFIXES)
        or upper.startswith(SCRUBBED_PREFIXES)
    )


class NetworkGuardError(AssertionError):
    """A test reached for another machine."""


class NetworkGuard:
    """Refuses and remembers. A hook of the interpreter: no library goes around it."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            self._check_address(arguments[0], arguments[1])
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            self._check_host(arguments[0])

    def _check_address(self, link: object, address: object) -> None:
        is_internet = isinstance(link, socket.socket) and link.family in {
            socket.AF_INET,
            socket.AF_INET6,
        }
        if is_internet:
            host, *_ = cast("tuple[object, ...]", address)
            self._check_host(host)

    def _check_host(self, host: object) -> None:
        if host is None or is_loopback(host):
            return
        self.refused.append(repr(host))
        raise NetworkGuardError(f"tests touch no network, this one wanted {host!r}")


def is_loopback(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


GUARD = NetworkGuard()
sys.addaudithook(GUARD)  # for the life of the process: a hook cannot be taken out


@pytest.fixture(autouse=True)
def network_guard() -> Iterator[NetworkGuard]:
    """Fail the test that reached out, also when the code swallowed the refusal."""
    GUARD.refused.clear()
    yield GUARD
    assert GUARD.refused == [], "tests touch no network"


@pytest.fixture(autouse=True)
def leak_check() -> Iterator[None]:
    """Fail the test that leaves a thread, a child process or a descriptor behind.

    What exists before a test is not its own: session and module fixtures come first.
    """
    threads = set(threading.enumerate())
    children = list_children()
    descriptors = list_descriptors()
    yield
    leaks = [
        *leaked_threads(threads),
        *(f"child process {pid}" for pid in sorted(list_children() - children)),
        *leaked_descriptors(descriptors),
    ]
    assert leaks == [], "the test left something behind"


def leaked_threads(before: set[threading.Thread]) -> list[str]:
    leaked: list[str] = []
    for thread in set(threading.enumerate()) - before:
        if thread.daemon or _serves_an_open_loop(thread):
            continue
        thread.join(JOIN_LIMIT_S)  # told to end, but not there yet
        if thread.is_alive():
            leaked.append(f"thread {thread.name}")
    return leaked


def _serves_an_open_loop(thread: threading.Thread) -> bool:
    """A worker of an event loop that a wider fixture keeps open."""
    loop = getattr(thread, "loop", None)
    return loop is not None and not loop.is_closed()


def list_children() -> set[int]:
    """This process' children, ended but unawaited ones too; Linux only."""
    found: set[int] = set()
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):  # the thread has just ended
            found.update(map(int, children.read_text(encoding="ascii").split()))
    return found


def list_descriptors() -> dict[str, str]:
    """What each descriptor of this process is open on; Linux only."""
    descriptors: dict[str, str] = {}
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.exists() else ():
        try:
            descriptors[name] = os.readlink(folder / name)
        except FileNotFoundError:  # the one that listed the folder
            continue
    return descriptors


def leaked_descriptors(before: dict[str, str]) -> list[str]:
    leaked = _new_descriptors(before)
    if leaked:
        gc.collect()  # what only a reference cycle keeps is not a leak
        leaked = _new_descriptors(before)
    files = [target for target in leaked if target.startswith("/")]
    return files if len(leaked) - len(files) <= DESCRIPTOR_SLACK else leaked


def _new_descriptors(before: dict[str, str]) -> list[str]:
    return [
        target
        for name, target in list_descriptors().items()
        if before.get(name) != target and not target.startswith("/dev/")
    ]
