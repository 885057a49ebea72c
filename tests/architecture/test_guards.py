"""The guards of tests/conftest.py: each catches what it is for."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import conftest
from tests.architecture.tree import ROOT
from tests.conftest import NetworkGuard, NetworkGuardError

OTHER_MACHINE = "192.0.2.1"  # RFC 5737: for documentation, nobody's

PYTEST = (
    *(sys.executable, "-m", "pytest", "-rE", "--tb=no"),
    *("-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist"),
)

GUILTY_TESTS = """
import os, socket, subprocess, sys, threading

forever = threading.Event()
kept = []

def test_it_leaves_a_thread():
    threading.Thread(target=forever.wait, name="left behind").start()

def test_it_leaves_a_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1))

def test_it_leaves_a_file():
    kept.append(os.open(__file__, os.O_RDONLY))

def test_it_swallows_the_refusal():
    try:
        socket.create_connection(("192.0.2.1", 9))
    except AssertionError:
        pass

def test_it_is_innocent():
    assert "SAMPLE_API_KEY" not in os.environ

def test_the_end():
    forever.set()
    kept[0].communicate(timeout=5)
"""


@pytest.mark.requirement("architecture:tests:leave-nothing")
def test_each_guilty_test_fails_and_the_innocent_passes(tmp_path: Path) -> None:
    sample = tmp_path / "test_sample.py"
    sample.write_text(GUILTY_TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    result = subprocess.run(
        [*PYTEST, "-c", str(tmp_path / "pytest.ini"), str(sample)],
        cwd=ROOT,
        env={**os.environ, "SAMPLE_API_KEY": "sk-sample", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    errors = [line for line in result.stdout.splitlines() if line.startswith("ERROR")]
    assert "6 passed, 4 errors" in result.stdout
    assert [error.split("::")[1].split(" ")[0] for error in errors] == [
        "test_it_leaves_a_thread",
        "test_it_leaves_a_process",
        "test_it_leaves_a_file",
        "test_it_swallows_the_refusal",
    ]


@pytest.mark.requirement("architecture:tests:no-network")
def test_another_machine_is_refused_by_name_and_by_address(
    network_guard: NetworkGuard,
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as link:
        with pytest.raises(NetworkGuardError):
            link.connect((OTHER_MACHINE, 9))
        with pytest.raises(NetworkGuardError):
            link.sendto(b"x", (OTHER_MACHINE, 9))
    with pytest.raises(NetworkGuardError):
        socket.getaddrinfo("example.invalid", 443)

    assert len(network_guard.refused) == 3
    network_guard.refused.clear()


@pytest.mark.requirement("architecture:tests:no-network")
def test_this_machine_is_reached(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as link,
    ):
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        link.connect(str(tmp_path / "s"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        (b"localhost", True),
        ("::1%lo", True),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: object, *, expected: bool) -> None:
    assert conftest.is_loopback(host) is expected


@pytest.mark.requirement("architecture:tests:no-secrets")
def test_the_home_is_empty_and_no_key_is_seen(environment: Path) -> None:
    assert os.environ["TINA_HOME"] == str(environment)
    assert list(environment.iterdir()) == []
    assert [name for name in os.environ if conftest.is_scrubbed(name)] == ["TINA_HOME"]


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "openai_base_url", "OLLAMA_HOST", "TINA_MODEL", "https_proxy"],
)
def test_what_would_change_a_test_is_scrubbed(name: str) -> None:
    assert conftest.is_scrubbed(name)


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    before = set(threading.enumerate())
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    threading.Timer(0.01, ending.set).start()

    assert conftest.leaked_threads(before) == []


def test_a_few_sockets_are_forgiven_and_more_are_not() -> None:
    before = conftest.list_descriptors()
    links = [socket.socket() for _ in range(conftest.DESCRIPTOR_SLACK)]
    forgiven = conftest.leaked_descriptors(before)
    links.append(socket.socket())

    leaked = conftest.leaked_descriptors(before)
    for link in links:
        link.close()

    assert forgiven == []
    assert len(leaked) == conftest.DESCRIPTOR_SLACK + 1
