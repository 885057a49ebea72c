import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from tina.domain.chat import Capability, Effort, ModelInfo
from tina.providers import model_cache
from tina.providers.model_cache import LOCAL_TTL_S, LOOK_AGAIN_S, ModelCache
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

DAY_S = 86_400
URL = "https://api.groq.com/openai/v1"
LARGE = ModelInfo(
    provider="groq",
    model="org/large:free",
    title="Large ✓",
    context_tokens=131_072,
    capabilities=(Capability.TOOLS,),
    efforts=(Effort.LOW,),
)
SMALL = ModelInfo(provider="groq", model="small")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


def cache(folder: Path | None, clock: FakeClock, url: str = URL) -> ModelCache:
    """As another process would open it."""
    return ModelCache(folder, clock=clock, base_urls={"groq": url})


async def test_nothing_is_known_before_it_was_asked(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock)

    assert await models.fresh("groq") is None
    assert await models.find("groq", "small") is None
    assert not folder.exists()


async def test_a_list_is_kept_for_the_next_process(
    folder: Path, clock: FakeClock
) -> None:
    await cache(folder, clock).put("groq", (LARGE, SMALL))

    models = cache(folder, clock)
    assert await models.fresh("groq") == (LARGE, SMALL)
    assert await models.find("groq", "org/large:free") == LARGE
    assert await models.find("groq", "medium") is None


async def test_an_empty_list_is_a_list(folder: Path, clock: FakeClock) -> None:
    await cache(folder, clock).put("groq", ())

    assert await cache(folder, clock).fresh("groq") == ()


@pytest.mark.parametrize(
    ("url", "ttl_s"), [(URL, DAY_S), ("http://127.0.0.1:8080/v1", LOCAL_TTL_S)]
)
async def test_a_list_is_fresh_until_its_time_is_over(
    folder: Path, clock: FakeClock, url: str, ttl_s: float
) -> None:
    models = cache(folder, clock, url)
    await models.put("groq", (SMALL,))

    clock.advance(ttl_s - 1)
    assert await models.fresh("groq") == (SMALL,)
    clock.advance(1)
    assert await models.fresh("groq") is None
    assert await models.find("groq", "small") == SMALL
    assert await cache(folder, clock, url).find("groq", "small") == SMALL


async def test_a_list_from_the_future_is_not_fresh(
    folder: Path, clock: FakeClock
) -> None:
    later = FakeClock()
    later.advance(10)
    await cache(folder, later).put("groq", (SMALL,))

    assert await cache(folder, clock).fresh("groq") is None


async def test_another_process_that_asked_is_heard(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock)
    await models.put("groq", (SMALL,))
    clock.advance(DAY_S)

    await cache(folder, clock).put("groq", (LARGE,))

    assert await models.fresh("groq") == (LARGE,)
    assert await models.find("groq", "small") is None


async def test_another_process_that_asked_first_is_heard_after_a_while(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock)
    missed = await models.find("groq", "small")
    await cache(folder, clock).put("groq", (SMALL,))

    at_once = await models.find("groq", "small")
    clock.advance(LOOK_AGAIN_S)
    later = await models.find("groq", "small")

    assert (missed, at_once, later) == (None, None, SMALL)


async def test_a_file_is_not_heard_against_what_was_said_since(
    folder: Path, clock: FakeClock
) -> None:
    await cache(folder, FakeClock()).put("groq", (LARGE,))
    models = cache(folder, clock)
    clock.advance(1)
    await models.put("groq", (SMALL,))
    await cache(folder, FakeClock()).put("groq", (LARGE,))
    clock.advance(DAY_S)

    await models.fresh("groq")

    assert await models.find("groq", "small") == SMALL


async def test_another_address_has_said_nothing_yet(
    folder: Path, clock: FakeClock
) -> None:
    await cache(folder, clock).put("groq", (SMALL,))

    models = cache(folder, clock, "https://elsewhere.example/v1")
    assert await models.fresh("groq") is None
    assert await models.find("groq", "small") is None


async def test_only_providers_with_an_address_are_kept(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock)
    await models.put("plugin", (SMALL,))

    assert await models.fresh("plugin") is None
    assert await models.find("plugin", "small") is None
    assert not folder.exists()


async def test_without_a_folder_it_is_remembered_all_the_same(
    clock: FakeClock,
) -> None:
    models = cache(None, clock)
    await models.put("groq", (SMALL,))

    assert await models.fresh("groq") == (SMALL,)
    assert await models.find("groq", "small") == SMALL
    clock.advance(DAY_S)
    assert await models.fresh("groq") is None
    await models.clear()
    assert await models.find("groq", "small") is None


async def test_what_is_cleared_is_forgotten_on_disk_too(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock)
    await models.put("groq", (SMALL,))
    await models.clear()

    assert await models.fresh("groq") is None
    assert await cache(folder, clock).find("groq", "small") is None
    assert list(folder.iterdir()) == []


async def test_clearing_nothing_is_harmless(folder: Path, clock: FakeClock) -> None:
    await cache(folder, clock).clear()

    assert not folder.exists()


async def test_the_files_are_for_their_owner_alone(
    folder: Path, clock: FakeClock
) -> None:
    await cache(folder, clock).put("groq", (SMALL,))
    await cache(folder, clock).put("groq", (LARGE,))

    (path,) = folder.iterdir()
    assert path.name == "groq.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_name_stays_inside_the_folder(folder: Path, clock: FakeClock) -> None:
    name = "../../evil"
    models = ModelCache(folder, clock=clock, base_urls={name: URL})
    await models.put(name, (SMALL,))

    (path,) = folder.iterdir()
    assert path.name == "..%2F..%2Fevil.json"


def written(listed_at: str) -> bytes:
    return b'{"base_url":"%s","listed_at":"%s","models":[]}' % (
        URL.encode(),
        listed_at.encode(),
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"base_url":"', id="cut"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"listed_at":"2026-01-01T00:00:00Z","models":[]}', id="less"),
        pytest.param(b'{"base_url":"\xff"}', id="no-text"),
        pytest.param(written("2026-01-01T00:00:00"), id="a-time-of-no-zone"),
        pytest.param(written("9" * 5_000), id="no-time"),
        pytest.param(
            b'{"base_url":1,"listed_at":2,"models":{"a":NaN}}', id="wrong-types"
        ),
    ],
)
async def test_a_damaged_file_is_as_good_as_none(
    folder: Path, clock: FakeClock, content: bytes
) -> None:
    folder.mkdir(parents=True)
    (folder / "groq.json").write_bytes(content)
    models = cache(folder, clock)

    assert await models.fresh("groq") is None
    assert await models.find("groq", "small") is None
    await models.put("groq", (SMALL,))
    assert await cache(folder, clock).fresh("groq") == (SMALL,)


async def test_a_file_with_a_zone_is_read(folder: Path, clock: FakeClock) -> None:
    folder.mkdir(parents=True)
    (folder / "groq.json").write_bytes(written("2026-01-01T00:00:00Z"))

    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert await cache(folder, clock).fresh("groq") == ()


async def test_what_is_no_file_is_not_waited_for(
    folder: Path, clock: FakeClock
) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "groq.json")

    with anyio.fail_after(5):
        assert await cache(folder, clock).fresh("groq") is None


async def test_a_list_has_a_largest_size(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache(folder, clock).put("groq", (SMALL,))
    size = (folder / "groq.json").stat().st_size

    monkeypatch.setattr(model_cache, "MAX_LIST_BYTES", size)
    assert await cache(folder, clock).fresh("groq") == (SMALL,)
    await cache(folder, clock).put("groq", (SMALL, SMALL))
    assert await cache(folder, clock).fresh("groq") == (SMALL,)
    monkeypatch.setattr(model_cache, "MAX_LIST_BYTES", size - 1)
    assert await cache(folder, clock).fresh("groq") is None


async def test_a_disk_that_takes_nothing_spoils_no_answer(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "taken").write_text("a file in the way", encoding="utf-8")
    models = cache(tmp_path / "taken" / "models", clock)

    await models.put("groq", (SMALL,))
    assert await models.fresh("groq") == (SMALL,)
    await models.clear()
    assert await models.fresh("groq") is None


async def test_a_write_that_fails_leaves_the_old_list_and_no_litter(
    folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache(folder, clock).put("groq", (SMALL,))

    def refuse(*_: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        await cache(folder, clock).put("groq", (LARGE,))

    assert await cache(folder, clock).fresh("groq") == (SMALL,)
    assert [path.name for path in folder.iterdir()] == ["groq.json"]


async def test_text_that_no_file_holds_is_not_written(
    folder: Path, clock: FakeClock
) -> None:
    odd = ModelInfo(provider="groq", model="\ud800")
    models = cache(folder, clock)
    await models.put("groq", (odd,))

    assert await models.find("groq", "\ud800") == odd
    assert await cache(folder, clock).fresh("groq") is None


async def test_an_address_that_is_none_is_not_of_this_machine(
    folder: Path, clock: FakeClock
) -> None:
    models = cache(folder, clock, "https://[")
    await models.put("groq", (SMALL,))
    clock.advance(LOCAL_TTL_S * 2)

    assert await models.fresh("groq") == (SMALL,)
