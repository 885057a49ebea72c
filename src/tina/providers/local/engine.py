"""llama.cpp in a thread of this process.

Theory. One thread does everything that touches the engine: it loads weights at their
first use, generates one answer after the other, and unloads. Nothing of it needs a
lock, because nothing of it is shared. The executor's queue is the order of answers; a
request that is cancelled while it waits there is taken out or passed over.
"""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import anyio

from tina.domain.failures import ClosedFailure, ModelUnavailableFailure
from tina.providers.local.generation import Generation
from tina.providers.local.llama import Model, Setup

CLOSE_LIMIT_S = 10.0
_READ_BYTES = 1 << 22

Work: TypeAlias = Callable[[Model, Generation], None]


class Engine:
    """Answers one request at a time; the weights in memory are those last used."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tina-local")
        self._open: set[Generation] = set()
        self._is_closed = False
        # Touched by the executor's thread only.
        self._loaded: Model | None = None

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

        def work(model: Model, generation: Generation) -> None:
            model.answer(body, generation.offer)

        with self._queue(setup, work) as generation:
            yield generation

    @contextmanager
    def count_tokens(self, setup: Setup, body: str) -> Generator[Generation]:
        """Queue the question how large a prompt is; what is taken is the number.

        Args and failures are those of `answer`.
        """

        def work(model: Model, generation: Generation) -> None:
            generation.offer(str(model.count_tokens(body)))

        with self._queue(setup, work) as generation:
            yield generation

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

    @contextmanager
    def _queue(self, setup: Setup, work: Work) -> Generator[Generation]:
        if self._is_closed:
            raise ClosedFailure("The local engine is closed.")
        generation = Generation()
        future = self._executor.submit(self._run, setup, work, generation)
        future.add_done_callback(generation.end)
        self._open.add(generation)
        try:
            yield generation
        finally:
            generation.stop()
            future.cancel()
            self._open.discard(generation)

    def _run(self, setup: Setup, work: Work, generation: Generation) -> None:
        loaded = self._load(setup, generation)
        if loaded is not None:
            work(loaded, generation)

    def _load(self, setup: Setup, generation: Generation) -> Model | None:
        """The wanted weights in memory; None if nobody wants them any more."""
        if self._loaded is None or self._loaded.setup != setup:
            self._unload()
            _read_ahead(setup.path, generation)
            if generation.is_stopped:
                return None
            self._loaded = Model(setup)
        return self._loaded

    def _unload(self) -> None:
        if self._loaded is not None:
            self._loaded.come_to_rest()
            self._loaded = None


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
