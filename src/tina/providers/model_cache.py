"""What providers said of their models, kept for a day: on disk, so for all processes.

One file for each provider, bound to its address: what another server said is not
known. A file that cannot be read or written is as good as none; no answer fails of it.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec

from tina.domain.chat import ModelInfo
from tina.domain.failures import RefusedOriginFailure
from tina.domain.ports import Clock
from tina.networking.origin import check_url, is_loopback

MAX_LIST_BYTES = 8 * 1024 * 1024
LOCAL_TTL_S = 60.0
"""Models come and go on one's own machine, and asking for them costs nothing."""
LOOK_AGAIN_S = 60.0
"""A file that was not there may be by then: another process may have asked."""
_THREADS = 2


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str
    listed_at: datetime
    models: tuple[ModelInfo, ...]


class ModelCache:
    """Lists of models, by provider.

    Args:
        folder: made when something is put; None keeps nothing on disk.
        clock: tells the age of a list.
        base_urls: where the providers are, by name; nothing is kept of others.
        ttl_s: how long a list is fresh; those of this machine are for a minute.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Clock,
        base_urls: Mapping[str, str],
        ttl_s: float = 86_400,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._base_urls = base_urls
        self._ttl_s = ttl_s
        self._lists: dict[str, _List] = {}
        self._missed_at: dict[str, float] = {}
        """When no file was found, in seconds of the monotonic clock."""
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def fresh(self, provider: str) -> tuple[ModelInfo, ...] | None:
        """What it offers, if it was asked lately."""
        held = await self._held(provider)
        if not self._is_fresh(held, provider):
            # Another process may have asked since.
            held = await self._load(provider)
        return held.models if held and self._is_fresh(held, provider) else None

    async def find(self, provider: str, model: str) -> ModelInfo | None:
        """What it said of one model, however long ago."""
        held = await self._held(provider)
        return None if held is None else held.by_name.get(model)

    async def put(self, provider: str, models: tuple[ModelInfo, ...]) -> None:
        """Keep what it offers now."""
        base_url = self._base_urls.get(provider)
        if base_url is None:
            return
        kept = _Kept(base_url=base_url, listed_at=self._clock.now(), models=models)
        self._lists[provider] = _List(kept)
        if self._folder is not None:
            path = _path(self._folder, provider)
            await anyio.to_thread.run_sync(_write, path, kept, limiter=self._threads)

    async def clear(self) -> None:
        """Forget everything, on disk too."""
        self._lists.clear()
        self._missed_at.clear()
        if self._folder is not None:
            await anyio.to_thread.run_sync(_remove, self._folder, limiter=self._threads)

    async def _held(self, provider: str) -> "_List | None":
        held = self._lists.get(provider)
        if held is not None or self._was_missed_lately(provider):
            return held
        return await self._load(provider)

    def _was_missed_lately(self, provider: str) -> bool:
        missed_at = self._missed_at.get(provider)
        if missed_at is None:
            return False
        return self._clock.monotonic() - missed_at < LOOK_AGAIN_S

    async def _load(self, provider: str) -> "_List | None":
        base_url = self._base_urls.get(provider)
        if self._folder is None or base_url is None:
            return self._lists.get(provider)
        path = _path(self._folder, provider)
        kept = await anyio.to_thread.run_sync(_read, path, limiter=self._threads)
        held = self._lists.get(provider)  # since then it may have been asked here
        if kept is None or kept.base_url != base_url:
            self._missed_at[provider] = self._clock.monotonic()
        elif held is None or kept.listed_at > held.listed_at:
            held = self._lists[provider] = _List(kept)
        return held

    def _is_fresh(self, held: "_List | None", provider: str) -> bool:
        if held is None:
            return False
        is_here = _is_here(self._base_urls[provider])
        ttl_s = min(self._ttl_s, LOCAL_TTL_S) if is_here else self._ttl_s
        # A list from the future is one that a clock has jumped away from.
        age_s = (self._clock.now() - held.listed_at).total_seconds()
        return 0 <= age_s < ttl_s


class _List:
    def __init__(self, kept: _Kept) -> None:
        self.models = kept.models
        self.listed_at = kept.listed_at
        self.by_name = {model.model: model for model in kept.models}


def _path(folder: Path, provider: str) -> Path:
    return folder / f"{quote(provider, safe='')}.json"


def _is_here(base_url: str) -> bool:
    try:
        return is_loopback(check_url(base_url, allow_http=True).host)
    except RefusedOriginFailure:
        return False


def _read(path: Path) -> _Kept | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_LIST_BYTES:
            return None
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None if kept.listed_at.tzinfo is None else kept


def _write(path: Path, kept: _Kept) -> None:
    with suppress(OSError, UnicodeError):
        data = msgspec.json.encode(kept)
        if len(data) > MAX_LIST_BYTES:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever reads sees the old list or the new one; mode 0600 from the start.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _remove(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.glob("*.json"):
            path.unlink(missing_ok=True)
