"""The provider `local`: weights on this machine, asked through llama.cpp.

The engine speaks OpenAI's chat completions, so requests and answers are encoded and
decoded as for any server of that kind.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.events import KeepAlive, StreamEvent
from tina.domain.failures import (
    ClosedFailure,
    Failure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    ProviderFailure,
)
from tina.domain.ports import Clock
from tina.domain.tools import HostedTool
from tina.providers.batches import decode_batch, with_ends
from tina.providers.local.body import NAME, encode
from tina.providers.local.engine import Engine
from tina.providers.local.generation import Generation
from tina.providers.local.gguf import NoGgufError, read_head
from tina.providers.local.llama import Setup, require_engine
from tina.providers.local.waiting import Wait
from tina.providers.local.weights import (
    KNOWN_WEIGHTS,
    KnownWeights,
    Weights,
    find_weights,
    list_weights,
)
from tina.providers.openai.chat.decode import ChatDecoder

CONTEXT_TOKENS = 8192


class LocalProvider:
    """Fulfils `Provider`. Nothing is loaded before the first question."""

    def __init__(
        self,
        *,
        models: Path,
        clock: Clock,
        context_tokens: int = CONTEXT_TOKENS,
        engine: Engine | None = None,
    ) -> None:
        """Make it.

        Args:
            models: the folder of the weights; it need not exist.
            clock: for the total deadline.
            context_tokens: the largest window for weights that Tina does not know; the
                memory for it is taken when they are loaded.
            engine: to answer with; closed with this. None means one of its own.
        """
        self._models = models
        self._clock = clock
        self._context_tokens = context_tokens
        self._engine = engine or Engine()

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent], None]]:
        """Open the answer: load the weights if need be, wait for earlier answers.

        Leaving stops the model within one token, or one batch of the prompt.

        Raises:
            ModelNotFoundFailure: there are no such weights, and none are known.
            ModelUnavailableFailure: the weights or the engine are missing or damaged.
            ContextOverflowFailure: the conversation is longer than the window.
            TimeoutFailure: a deadline of the request passed.
            ClosedFailure: the provider was closed.
        """
        try:
            setup = await anyio.to_thread.run_sync(self._find, request.model)
            wait = Wait(self._clock, request.deadlines)
            body = encode(request, KNOWN_WEIGHTS.get(setup.name))
            with self._engine.answer(setup, body) as generation:
                first = await wait.for_first_chunks(generation)
                decoder = ChatDecoder(provider=NAME, model=setup.name)
                batches = _batches(generation, first, wait, decoder)
                async with aclosing(with_ends(batches, decoder)) as answer:
                    yield answer
        except ProviderFailure as failure:
            failure.provider = failure.provider or NAME
            raise

    async def models(self) -> tuple[ModelInfo, ...]:
        return await anyio.to_thread.run_sync(self._list)

    def available_tools(self) -> tuple[HostedTool, ...]:
        return ()

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """By the model's own tokenizer; waits for earlier answers, but not for ever.

        None if there are no such weights or the engine is busy for too long.

        Raises:
            ProviderFailure: the engine cannot work with the request.
        """
        with anyio.move_on_after(request.deadlines.headers_timeout_s):
            try:
                return await self._count(request)
            except (ClosedFailure, ModelUnavailableFailure):
                return None
            except ProviderFailure as failure:
                failure.provider = failure.provider or NAME
                raise
        return None

    async def check(self) -> None:
        """Return if there are weights and an engine; none of them is loaded for it.

        Raises:
            ModelUnavailableFailure: one of them is missing.
        """
        await anyio.to_thread.run_sync(self._check)

    async def close(self) -> None:
        await self._engine.close()

    async def _count(self, request: ChatRequest) -> int | None:
        setup = await anyio.to_thread.run_sync(self._find, request.model)
        body = encode(request, KNOWN_WEIGHTS.get(setup.name))
        with self._engine.count_tokens(setup, body) as generation:
            return int("".join(await generation.take()))

    def _check(self) -> None:
        if not list_weights(models=self._models):
            raise ModelUnavailableFailure(
                "There are no weights on this machine. "
                f"Fetch some with: tina models pull {next(iter(KNOWN_WEIGHTS))}"
            )
        require_engine()

    def _find(self, model: str) -> Setup:
        path = find_weights(model, models=self._models)
        if path is None:
            raise self._missing(model)
        is_name = Path(model).name == model
        name = model.removesuffix(".gguf") if is_name else path.stem
        tokens = self._context_of(name, path)
        return Setup(name=name, path=path, context_tokens=tokens)

    def _context_of(self, name: str, path: Path) -> int:
        known = KNOWN_WEIGHTS.get(name)
        most = known.context_tokens if known else self._context_tokens
        return min(most, read_window(path) or most)

    def _missing(self, model: str) -> Failure:
        if model in KNOWN_WEIGHTS:
            return ModelUnavailableFailure(
                f"The weights of {model} are not on this machine. "
                f"Fetch them with: tina models pull {model}"
            )
        here = ", ".join(weights.name for weights in list_weights(models=self._models))
        return ModelNotFoundFailure(
            f"There are no weights {model!r} in {str(self._models)!r}. "
            f"Here: {here or 'none'}. To fetch: {', '.join(KNOWN_WEIGHTS)}."
        )

    def _list(self) -> tuple[ModelInfo, ...]:
        here = list_weights(models=self._models)
        missing = sorted(KNOWN_WEIGHTS.keys() - {weights.name for weights in here})
        return (
            *(self._describe(weights) for weights in here),
            *(_describe_missing(KNOWN_WEIGHTS[name]) for name in missing),
        )

    def _describe(self, weights: Weights) -> ModelInfo:
        known = KNOWN_WEIGHTS.get(weights.name)
        info = ModelInfo(
            provider=NAME,
            model=weights.name,
            capabilities=known.capabilities if known else None,
        )
        try:
            tokens = self._context_of(weights.name, weights.path)
        except ModelUnavailableFailure:
            return msgspec.structs.replace(info, note="here, but damaged")
        note = f"here, {weights.size_bytes / 1e6:.0f} MB"
        return msgspec.structs.replace(info, context_tokens=tokens, note=note)


async def _batches(
    generation: Generation, chunks: list[str], wait: Wait, decoder: ChatDecoder
) -> AsyncGenerator[Sequence[StreamEvent], None]:
    while chunks:
        events, failure = decode_batch(decoder.feed, chunks)
        if events or failure is None:
            yield events or [KeepAlive()]
        if failure is not None:
            raise failure
        chunks = await wait.for_chunks(generation)
    yield decoder.finish()


def _describe_missing(known: KnownWeights) -> ModelInfo:
    return ModelInfo(
        provider=NAME,
        model=known.name,
        context_tokens=known.context_tokens,
        capabilities=known.capabilities,
        note=f"not here; fetch it with: tina models pull {known.name}",
    )


def read_window(path: Path) -> int | None:
    """The window of the weights in a file, in tokens; None if it does not say.

    Raises:
        ModelUnavailableFailure: it cannot be read, or is no GGUF file.
    """
    try:
        with path.open("rb") as file:
            return read_head(file).context_tokens
    except OSError as error:
        raise ModelUnavailableFailure(
            f"The weights {str(path)!r} cannot be read: {error.strerror}."
        ) from error
    except NoGgufError as error:
        raise ModelUnavailableFailure(
            f"{str(path)!r} is no whole GGUF file: {error}. "
            "Delete it and fetch the weights again."
        ) from error
