"""The `Provider` for every model that is asked through a server.

Theory. A question is asked until it is answered, by rules that are written elsewhere:
the lane of its origin and model says when the next request may leave (rate limits) and
whether one may at all (the circuit), `plan_retry` whether and when a failure is worth
another attempt, the dialect whether the server would take the request without
something. All of it ends with the first output: what was handed out once is never
asked for again. Until then nothing of an attempt is shown but that Tina waits.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tina.domain.chat import ChatRequest, Deadlines, ModelInfo
from tina.domain.events import (
    KeepAlive,
    Start,
    StreamEvent,
    UsageUpdate,
    Waiting,
)
from tina.domain.failures import (
    InvalidRequestFailure,
    NoKeyFailure,
    ProviderFailure,
)
from tina.domain.ports import Clock, SecretStore
from tina.domain.secret import Secret, variable_for
from tina.domain.tools import HostedTool
from tina.networking.lane import Lane, Watch
from tina.networking.retry import RetryPolicy, with_wait_named
from tina.networking.traffic import Traffic
from tina.providers.dialect import AnswerDecoder, Call, Dialect, ModelPage
from tina.providers.entries import KeyUse, ProviderEntry
from tina.providers.exchange import HttpExchange, Question
from tina.providers.model_cache import ModelCache

MAX_MODEL_PAGES = 20
_LIST_BYTES = 8 * 1024 * 1024
_NOT_FOUND = 404
_NO_CALL = Call(path="")
_SHORT = Deadlines(headers_timeout_s=20, idle_timeout_s=20, total_timeout_s=30)
# An answer waits for it, and does without it.
_COUNTING = Deadlines(connect_timeout_s=2, total_timeout_s=5)


class OneModel(NamedTuple):
    """What goes before the entry of its provider; None where nothing was set."""

    headers_timeout_s: float | None = None
    requests_per_minute: float | None = None
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all remote providers of an app have in common; closed by who made it."""

    secrets: SecretStore
    clock: Clock
    draw: Callable[[], float]
    """Chance for the jitter: from 0 to below 1."""
    traffic: Traffic
    models: ModelCache
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    of_models: Mapping[str, OneModel] = field(default_factory=dict[str, OneModel])
    """What a person set for single models, by `provider:model`."""

    def windows_of(self, provider: str) -> Mapping[str, int]:
        """For its models that a person gave a window, the size in tokens."""
        return {
            model: each.context_tokens
            for name, each in self.of_models.items()
            for owner, _, model in [name.partition(":")]
            if owner == provider and each.context_tokens is not None
        }


class RemoteProvider:
    """Fulfils `Provider`: one entry, one dialect, one exchange."""

    def __init__(
        self,
        name: str,
        entry: ProviderEntry,
        *,
        dialect: Dialect,
        exchange: HttpExchange,
        shared: Shared,
    ) -> None:
        self._name = name
        self._entry = entry
        self._dialect = dialect
        self._exchange = exchange
        self._shared = shared

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncGenerator[Sequence[StreamEvent]]]:
        return self._stream(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        """What the server lists; nothing, if it has no list. Cached on disk."""
        listed = await self._shared.models.fresh(self._name)
        if listed is None:
            listed = await self._list_models()
            await self._shared.models.put(self._name, listed)
        return listed

    def available_tools(self) -> tuple[HostedTool, ...]:
        return self._dialect.hosted_tools

    async def count_tokens(self, request: ChatRequest) -> int | None:
        counting = self._dialect.count_tokens(request)
        if counting is None or self._lane(request.model).is_left_alone:
            return None
        body = await self._read(counting.call, request.model, deadlines=_COUNTING)
        with self._named():
            return counting.read(body)

    async def check(self) -> None:
        try:
            self._read_page(await self._read(self._dialect.list_models(None)))
        except InvalidRequestFailure as failure:
            if failure.status == _NOT_FOUND:
                failure.message = (
                    f"{self._name} answers, but has no list of models at this "
                    "address (404): nobody can tell whether the base URL and the key "
                    "are right. "
                    f'Ask it something: `tina -m {self._name}:MODEL "Hi"`.'
                )
                failure.args = (failure.message,)
            raise

    async def close(self) -> None:
        await self._exchange.close()

    async def _list_models(self) -> tuple[ModelInfo, ...]:
        page = await self._first_page()
        models = list(page.models)
        for _ in range(MAX_MODEL_PAGES - 1):
            if page.after is None:
                break
            body = await self._read(self._dialect.list_models(page.after))
            page = self._read_page(body)
            models += page.models
        return tuple(models)

    async def _first_page(self) -> ModelPage:
        try:
            body = await self._read(self._dialect.list_models(None))
        except InvalidRequestFailure as failure:
            if failure.status == _NOT_FOUND:  # there is a server, but it has no list
                return ModelPage(())
            raise
        return self._read_page(body)

    def _read_page(self, body: bytes) -> ModelPage:
        with self._named():
            return self._dialect.read_models(body)

    @contextmanager
    def _named(self) -> Generator[None]:
        """What a dialect cannot read is the fault of this provider."""
        try:
            yield
        except ProviderFailure as failure:
            failure.provider = self._name
            raise

    async def _read(
        self, call: Call, model: str = "", *, deadlines: Deadlines = _SHORT
    ) -> bytes:
        key = await self._find_key()
        try:
            body = await self._exchange.read(
                call, key, deadlines=deadlines, limit_bytes=_LIST_BYTES, model=model
            )
        except ProviderFailure as failure:
            self._sign(failure, key)
            raise
        # It is shown and kept: a server may repeat the key there, too.
        return body if key is None else key.mask(body.decode(errors="replace")).encode()

    @asynccontextmanager
    async def _stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        key = await self._find_key()
        try:
            lane = self._lane(request.model)
            known = await self._shared.models.find(self._name, request.model)
            course = self._course(request, self._dialect.ask(request, known), lane)
            async with aclosing(self._ask(request, course, key)) as answer:
                yield answer
        except ProviderFailure as failure:
            self._sign(failure, key)
            raise

    async def _ask(
        self, request: ChatRequest, course: "_Course", key: Secret | None
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        """Attempts, until one is answered or the rules say that it is enough."""
        lane = course.lane
        lane.note_request()
        while True:
            said = _Said(course)
            try:
                waiting = lane.wait_for_turn(self._name, ends_at=course.ends_at)
                async with aclosing(waiting) as waits:
                    async for wait_s in waits:
                        yield [Waiting(wait_s)]
                with lane.watched(self._name) as watched:
                    # One generator for all batches to pass: another costs as much
                    # as decoding them.
                    asked = self._exchange.answer(self._question(request, course, key))
                    async with aclosing(asked):
                        async for batch in asked:
                            if shown := said.take(batch, watched):
                                yield shown
                return  # noqa: TRY300 - it was answered; the rest is about failures
            except ProviderFailure as failure:
                self._sign(failure, key)
                if said.is_out:
                    raise
                refusal = failure
            pause_s = course.go_on(refusal)
            if pause_s is not None:
                yield [Waiting(pause_s, refusal.as_record())]
                await self._shared.clock.sleep(pause_s)

    def _course(self, request: ChatRequest, call: Call, lane: Lane) -> "_Course":
        ends_at = self._shared.clock.monotonic() + request.deadlines.total_timeout_s
        return _Course(self._dialect, self._shared, call, lane, ends_at)

    def _question(
        self, request: ChatRequest, course: "_Course", key: Secret | None
    ) -> Question:
        return Question(
            call=course.call,
            key=key,
            model=request.model,
            deadlines=self._deadlines(request),
            left_s=max(0.0, course.ends_at - self._shared.clock.monotonic()),
            make_decoder=lambda request_id: self._decoder(request, request_id, key),
            learn=course.lane.learn,
        )

    def _decoder(
        self, request: ChatRequest, request_id: str | None, key: Secret | None
    ) -> AnswerDecoder:
        return self._dialect.decoder(request, request_id=_masked(request_id, key))

    def _deadlines(self, request: ChatRequest) -> Deadlines:
        """Those of the request, unless a person said that this model begins later."""
        asked = request.deadlines
        begin_s = self._settings(request.model).headers_timeout_s or 0.0
        return msgspec.structs.replace(
            asked, headers_timeout_s=max(begin_s, asked.headers_timeout_s)
        )

    def _lane(self, model: str) -> Lane:
        return self._shared.traffic.lane(
            self._exchange.origin,
            model,
            requests_per_minute=self._settings(model).requests_per_minute,
        )

    def _settings(self, model: str) -> OneModel:
        """What a person set for this model, or for its provider."""
        own = self._shared.of_models.get(f"{self._name}:{model}", OneModel())
        entry = self._entry
        return OneModel(
            own.headers_timeout_s or entry.headers_timeout_s,
            own.requests_per_minute or entry.requests_per_minute,
        )

    async def _find_key(self) -> Secret | None:
        if self._entry.key is KeyUse.NONE:
            return None
        key = await self._shared.secrets.find(self._name)
        if key is None and self._entry.key is KeyUse.REQUIRED:
            variable = next(iter(self._entry.key_env), variable_for(self._name))
            raise NoKeyFailure(
                f"{self._name} wants a key and there is none. "
                f"Set {variable}, "
                "or use a model that needs none: `tina models list`."
            )
        return key

    def _sign(self, failure: ProviderFailure, key: Secret | None) -> None:
        """Name the provider, and take out the key if the server repeated it."""
        failure.provider = self._name
        if key is not None:
            failure.message = key.mask(failure.message)
            failure.args = (failure.message,)
            failure.code = _masked(failure.code, key)
            failure.param = _masked(failure.param, key)
            failure.request_id = _masked(failure.request_id, key)


class _Course:
    """How often a question was asked already, and how to go on."""

    def __init__(
        self, dialect: Dialect, shared: Shared, call: Call, lane: Lane, ends_at: float
    ) -> None:
        self.call = call
        self.lane = lane
        self.ends_at = ends_at
        self._dialect = dialect
        self._shared = shared
        self._attempt = 1
        self._is_downgraded = False

    def forget(self) -> None:
        """Nothing is asked again: an answer may last long, and a prompt be large."""
        self.call = _NO_CALL

    def go_on(self, refusal: ProviderFailure) -> float | None:
        """Seconds to wait before the next attempt; None asks for less, and at once.

        Raises:
            ProviderFailure: the refusal, if it is not worth another attempt.
        """
        lesser = None if self._is_downgraded else self._lesser(refusal)
        if lesser is not None:
            self.call, self._is_downgraded = lesser, True
            return None
        shared = self._shared
        wait_s = self.lane.plan_retry(
            refusal, attempt=self._attempt, policy=shared.policy, draw=shared.draw()
        )
        if wait_s is None or shared.clock.monotonic() + wait_s > self.ends_at:
            raise with_wait_named(refusal)
        self._attempt += 1
        return wait_s

    def _lesser(self, refusal: ProviderFailure) -> Call | None:
        """The same question without what the server does not know."""
        if self.call.body is None:
            return None
        body = self._dialect.without(self.call.body, refusal)
        return None if body is None else msgspec.structs.replace(self.call, body=body)


class _Said:
    """What of one attempt may be shown: nothing before its first output.

    A `Start` or a count that a failed attempt sent would stand there twice.
    """

    def __init__(self, course: _Course) -> None:
        self._course = course
        self._held: list[StreamEvent] = []
        self.is_out = False

    def take(self, batch: Sequence[StreamEvent], watch: Watch) -> Sequence[StreamEvent]:
        """What to show now; with the first output what was held back, too."""
        if self.is_out:
            return batch
        waits: list[StreamEvent] = []
        for event in batch:
            if isinstance(event, Waiting | KeepAlive):
                waits.append(event)
                continue
            self._held.append(event)
            self.is_out |= not isinstance(event, Start | UsageUpdate)
        if not self.is_out:
            return waits
        watch.succeeded()
        self._course.forget()
        held, self._held = self._held, []
        return [*waits, *held]


def _masked(text: str | None, key: Secret | None) -> str | None:
    return text if text is None or key is None else key.mask(text)
