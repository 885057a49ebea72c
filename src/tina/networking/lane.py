"""What the requests to one model have in common: whose turn it is, and whether to ask.

A thin driver of the policies, for one origin and model.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import contextmanager

import anyio

from tina.domain.failures import (
    CircuitOpenFailure,
    ProviderFailure,
    RateLimitFailure,
)
from tina.domain.ports import Clock
from tina.networking.circuit import CircuitBreaker, counts, proves_life
from tina.networking.origin import Origin
from tina.networking.rate_headers import read_limits
from tina.networking.rate_limit import RateLimiter
from tina.networking.retry import RetryBudget, RetryPolicy, plan_retry
from tina.networking.retry_after import wait_in_words

_logger = logging.getLogger(__name__)


class Lane:
    """One origin and model."""

    def __init__(
        self,
        origin: Origin,
        model: str,
        *,
        budget: RetryBudget,
        limiter: RateLimiter,
        clock: Clock,
    ) -> None:
        self._where = {"host": origin.host, "model": model}
        self._budget = budget
        self._limiter = limiter
        self._circuit = CircuitBreaker()
        self._clock = clock
        self._eased = anyio.Event()
        """Set, and replaced, when those who wait should look again."""

    @property
    def is_left_alone(self) -> bool:
        """Whether the server failed so often that it is not asked now."""
        return self._circuit.wait_s(self._clock.monotonic()) > 0

    def note_request(self) -> None:
        """Count a request, once, however often it is tried."""
        self._budget.note_request()

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take what the headers of an answer say of rate limits."""
        if limits := read_limits(headers, now=self._clock.now()):
            self._limiter.learn(limits, now=self._clock.monotonic())
            self._wake()

    def plan_retry(
        self,
        failure: ProviderFailure,
        *,
        attempt: int,
        policy: RetryPolicy,
        draw: float,
    ) -> float | None:
        """As the function `plan_retry`, paid from the budget of the origin."""
        wait_s = plan_retry(
            failure, attempt=attempt, policy=policy, budget=self._budget, draw=draw
        )
        if wait_s is not None:
            facts = {"attempt": attempt, "wait_s": wait_s}
            _logger.info("retry", extra={**self._facts(failure), **facts})
        return wait_s

    async def wait_for_turn(
        self, name: str, *, ends_at: float
    ) -> AsyncGenerator[float]:
        """Yield seconds, each time before they are waited; at its end, go at once.

        Consume under `aclosing`: closing it, or a cancellation, gives the turn up.

        Args:
            name: of the provider, for people.
            ends_at: no turn after that helps, in seconds of the monotonic clock.

        Raises:
            CircuitOpenFailure: the server is left alone; nobody needs to wait for that.
            RateLimitFailure: the turn comes after `ends_at`, or the server names a
                time that nobody waits for.
        """
        place = self._limiter.reserve(self._clock.monotonic())
        try:
            while True:
                now, eased = self._clock.monotonic(), self._eased
                _refuse_for(self._circuit.wait_s(now), name)
                wait_s = self._limiter.wait_s(place, now)
                if wait_s == 0.0:
                    self._limiter.use(place, now)
                    return
                hopeless_s = self._limiter.hopeless_s(place, now)
                if hopeless_s is not None:
                    raise _limited(name, hopeless_s)
                if now + wait_s > ends_at:
                    raise _limited(name, wait_s)
                yield wait_s
                await self._sleep_until(now + wait_s, eased)
        finally:
            self._limiter.release(place)
            self._wake()

    @contextmanager
    def watched(self, name: str) -> Generator["Watch"]:
        """Hold one request; how it ends tells the circuit and the limiter.

        Raises:
            CircuitOpenFailure: on entering; the server is left alone.
        """
        began = self._clock.monotonic()
        _refuse_for(self._circuit.enter(began), name)
        watch = Watch(lambda: self._succeeded(name))
        try:
            yield watch
            watch.succeeded()
        except ProviderFailure as failure:
            if isinstance(failure, RateLimitFailure):
                self._limiter.note_refusal(
                    failure.retry_after_s, self._clock.monotonic()
                )
            if counts(failure):
                self._failed(failure, name, began)
            elif proves_life(failure):
                watch.succeeded()
            raise
        finally:
            self._circuit.abandoned(began=began)

    def _succeeded(self, name: str) -> None:
        was = self._circuit.state
        self._circuit.succeeded(self._clock.monotonic())
        if was is not self._circuit.state:
            _logger.info("circuit_closed", extra={**self._where, "provider": name})

    def _failed(self, failure: ProviderFailure, name: str, began: float) -> None:
        was = self._circuit.state
        self._circuit.failed(self._clock.monotonic(), began=began)
        if was is not self._circuit.state:
            facts = {**self._facts(failure), "provider": name}
            _logger.warning("circuit_opened", extra=facts)

    def _facts(self, failure: ProviderFailure) -> dict[str, object]:
        return {
            **self._where,
            "provider": failure.provider,
            "failure": failure.kind,
            "status": failure.status,
        }

    async def _sleep_until(self, time: float, eased: anyio.Event) -> None:
        """Sleep, unless things are eased before."""
        async with anyio.create_task_group() as tasks:

            async def sleep() -> None:
                await self._clock.sleep(max(0.0, time - self._clock.monotonic()))
                tasks.cancel_scope.cancel()

            tasks.start_soon(sleep)
            await eased.wait()
            tasks.cancel_scope.cancel()

    def _wake(self) -> None:
        if self._limiter.is_eased(self._clock.monotonic()):
            self._eased.set()
            self._eased = anyio.Event()


class Watch:
    """One request on its way."""

    def __init__(self, on_answer: Callable[[], None]) -> None:
        self._on_answer = on_answer
        self.is_answered = False

    def succeeded(self) -> None:
        """The server answers; how the answer ends says nothing more. Idempotent."""
        if not self.is_answered:
            self.is_answered = True
            self._on_answer()


def _refuse_for(wait_s: float, name: str) -> None:
    """Raise, unless nobody has to wait."""
    if wait_s > 0:
        raise CircuitOpenFailure(
            f"{name} failed several times in a row just now, so Tina leaves it alone "
            f"for {wait_in_words(wait_s)}. Try again then, or ask another model: "
            "`tina models list` shows them.",
            retry_after_s=wait_s,
        )


def _limited(name: str, wait_s: float) -> RateLimitFailure:
    return RateLimitFailure(
        f"{name} takes no more requests for {wait_in_words(wait_s)}; that is too long "
        "to wait for. Try again then, or ask another model: "
        "`tina models list` shows them.",
        retry_after_s=wait_s,
    )
