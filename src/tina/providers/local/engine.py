"""llama.cpp in a thread of this process.

Theory. One thread does everything that touches the engine: it loads weights at their
first use, generates one answer after the other, and unloads. Nothing of it needs a
lock, because nothing of it is shared. The executor's queue is the order of answers; a
request that is cancelled while it waits there is taken out or passed over.

The server can be told to stop only when it calls back: at each token, and with
`return_progress` at each batch of the prompt.

Its destructor holds the interpreter's lock while it waits for the server's own thread:
for ever if that thread has just begun and wants the lock, and up to a batch if it still
calculates. So the last thing it is asked is a single token: that is waited for with the
lock released, and after it the thread is idle and the destructor takes some 40 ms.
"""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio

from tina.domain.failures import (
    ClosedFailure,
    InvalidRequestFailure,
    ModelUnavailableFailure,
)
from tina.providers.local.generation import Generation
from tina.providers.local.llama import Setup, load_server

CLOSE_LIMIT_S = 10.0
_READ_BYTES = 1 << 22
_SHORTEST = '{"prompt":"Hi","n_predict":1,"stream":true}'


class Engine:
    """Answers one request at a time; the weights in memory are those last used."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tina-local")
        self._open: set[Generation] = set()
        self._is_closed = False
        # Touched by the executor's thread only.
        self._loaded: _Loaded | None = None

    @contextmanager
    def answer(self, setup: Setup, body: str) -> Generator[Generation]:
        """Queue a request; leaving the context stops it, and waits for nothing.

        Args:
            setup: loaded first if it is not in memory.
            body: JSON of a streaming chat completion.

        Raises:
            ClosedFailure: after `close`.
            ModelUnavailableFailure: from `Generation.take`; it cannot be loaded.
            InvalidRequestFailure: from `Generation.take`; the engine refuses `body`.
        """
        if self._is_closed:
            raise ClosedFailure("The local engine is closed.")
        generation = Generation()
        future = self._executor.submit(self._generate, setup, body, generation)
        future.add_done_callback(generation.end)
        self._open.add(generation)
        try:
            yield generation
        finally:
            generation.stop()
            future.cancel()
            self._open.discard(generation)

    async def close(self) -> None:
        """Stop every answer and free the memory; waits for it, but not for ever."""
        if self._is_closed:
            return
        self._is_closed = True
        for generation in self._open:
            generation.stop()
        unloading = self._executor.submit(self._unload)
        self._executor.shutdown(wait=False)
        with anyio.move_on_after(CLOSE_LIMIT_S, shield=True):
            await asyncio.wrap_future(unloading)

    def _generate(self, setup: Setup, body: str, generation: Generation) -> None:
        loaded = self._load(setup, generation)
        if loaded is not None:
            loaded.answer(body, generation.offer)

    def _load(self, setup: Setup, generation: Generation) -> "_Loaded | None":
        """The wanted weights in memory; None if nobody wants them any more."""
        if self._loaded is None or self._loaded.setup != setup:
            self._unload()
            _read_ahead(setup.path, generation)
            if generation.is_stopped:
                return None
            self._loaded = _Loaded(setup)
        return self._loaded

    def _unload(self) -> None:
        if self._loaded is not None:
            self._loaded.come_to_rest()
            self._loaded = None


class _Loaded:
    """Weights in memory; lives and dies in the engine's thread."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._server = load_server(setup)

    def answer(self, body: str, offer: Callable[[str], bool]) -> None:
        try:
            self._server.handle_chat_completions(body, offer)
        except (ValueError, RuntimeError) as error:
            raise InvalidRequestFailure(
                f"{self.setup.name} cannot work with this request: "
                f"{_first_line(error)}."
            ) from error

    def come_to_rest(self) -> None:
        """Wait until the server's thread is idle: only then may it be freed."""
        self._server.handle_completions(_SHORTEST, lambda _: False)


def _read_ahead(path: Path, generation: Generation) -> None:
    """Bring the file into the page cache, so that loading holds nobody up for long.

    Raises:
        ModelUnavailableFailure: it cannot be read.
    """
    buffer = bytearray(_READ_BYTES)
    try:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer) and not generation.is_stopped:
                pass
    except OSError as error:
        raise ModelUnavailableFailure(
            f"The weights {str(path)!r} cannot be read: {error.strerror}."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
