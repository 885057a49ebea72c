"""The real model, in the thread of the test."""

import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import pytest

from tina.domain.failures import ModelUnavailableFailure
from tina.providers.local.llama import Model, Setup, failure_for_import, thread_count
from tina.providers.local.weights import find_weights

LISTENS = "0A"
"""A state in the kernel's table of sockets."""


@pytest.fixture(scope="module")
def model() -> Generator[Model]:
    path = find_weights("smollm2", models=Path("nowhere"))
    assert path is not None
    model = Model(Setup(name="smollm2", path=path, context_tokens=2048))
    yield model
    model.come_to_rest()


def chunks_until(
    model: Model, text: str, is_enough: Callable[[str], bool]
) -> list[str]:
    """Every chunk that is handed over, when it is told to stop at one of them."""
    chunks: list[str] = []

    def offer(chunk: str) -> bool:
        chunks.append(chunk)
        return is_enough(chunk)

    body = {
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "temperature": 0.0,
        "return_progress": True,
    }
    model.answer(msgspec.json.encode(body).decode(), offer)
    return chunks


@pytest.mark.requirement("providers:local-stop:one-token")
def test_not_one_token_comes_after_a_stop(model: Model) -> None:
    chunks = chunks_until(model, "Tell me of a fox.", lambda chunk: "fox" in chunk)

    assert len(chunks) > 3
    assert ["fox" in chunk for chunk in chunks[-2:]] == [False, True]


def test_a_stop_takes_effect_in_the_middle_of_the_prompt(model: Model) -> None:
    """Without a report of progress at each batch, nothing could stop it before."""
    chunks = chunks_until(
        model, "A fox. " * 300, lambda chunk: '"processed":0' not in chunk
    )

    progress = msgspec.json.decode(chunks[-1])["prompt_progress"]
    assert 0 < progress["processed"] < progress["total"] / 2


def test_no_path_of_this_machine_is_in_what_it_says(model: Model) -> None:
    chunks = chunks_until(model, "Hello", lambda _: False)

    assert {msgspec.json.decode(chunk)["model"] for chunk in chunks} == {"smollm2"}


def listening_ports() -> list[int]:
    """Those of this process; Linux only."""
    sockets: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists the folder
            sockets.add(str(descriptor.readlink()))
    table = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in table]
    return [
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == LISTENS and f"socket:[{row[9]}]" in sockets
    ]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("key", ["", "Bearer ", "Bearer guessed"])
def test_the_port_that_it_opens_answers_nobody(key: str) -> None:
    (port,) = listening_ports()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)

    connection.request(
        "POST", "/v1/chat/completions", "{}", headers={"Authorization": key}
    )
    status = connection.getresponse().status
    connection.close()

    assert status == HTTPStatus.UNAUTHORIZED


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.gguf"
    path.write_bytes(b"Dear reader")

    with pytest.raises(ModelUnavailableFailure, match="cannot be loaded"):
        Model(Setup(name="letter", path=path, context_tokens=512))


@pytest.mark.parametrize(
    ("cores", "threads"), [(1, 1), (2, 1), (3, 2), (9, 8), (10, 8), (128, 8)]
)
def test_one_core_is_left_to_everything_else(cores: int, threads: int) -> None:
    assert thread_count(cores) == threads


def test_a_missing_system_library_is_named_in_one_line() -> None:
    error = ImportError("libgomp.so.1: cannot open shared object file: No such file")

    assert str(failure_for_import(error)) == (
        "The local engine needs libgomp.so.1: "
        "install it with `apt-get install libgomp1`."
    )


def test_a_missing_engine_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(ModelUnavailableFailure, match=r"tina-assistant\[local\]"):
        Model(Setup(name="any", path=tmp_path / "any.gguf", context_tokens=512))
