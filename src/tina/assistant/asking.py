"""From a turn to the requests that it makes: who is asked, what fits, what it may cost.

Each model of the chain gets a request of its own, since windows differ. A spending
limit stops before the request, for whatever is not free.
"""

from collections.abc import Sequence

import msgspec

from tina.assistant.context import (
    Fitted,
    budget_tokens,
    fit,
    history_for,
    request_for,
)
from tina.assistant.ports import Ports
from tina.assistant.purse import Purse
from tina.assistant.rules import Rules
from tina.domain.chat import ChatRequest, ModelRef, Usage, parse_model_ref
from tina.domain.failures import ModelUnavailableFailure, ProviderFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message
from tina.domain.ports import Provider, Providers
from tina.domain.turns import TurnRequest

DOUBT = 0.7
"""From this share of the budget on the provider is asked to count, if it can."""


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn is about: `history` is oldest first, the prompt last."""

    conversation_id: ConversationId
    system: str | None
    history: tuple[Message, ...]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request to one model, ready to be sent."""

    provider: Provider
    request: ChatRequest
    fitted: Fitted


class Asking:
    """The requests of one turn."""

    def __init__(
        self,
        ports: Ports,
        rules: Rules,
        purse: Purse,
        *,
        material: Material,
        request: TurnRequest,
    ) -> None:
        self._ports = ports
        self._rules = rules
        self._purse = purse
        self._material = material
        self._request = request

    @property
    def models(self) -> tuple[str, ...]:
        """`provider:model` of each that is asked, in this order."""
        return tuple(dict.fromkeys((self._request.model, *self._request.fallback)))

    async def prepare(self, model: str) -> Prepared:
        """The request to one model of the chain.

        Raises:
            ModelNotFoundFailure: there is no such provider.
            SpendingLimitFailure: it would cost more than a person allowed.
            StorageFailure: it cannot be read what was spent.
        """
        ref = parse_model_ref(model)
        provider = self._ports.providers.get(ref.provider)
        prepared = await self._fit(provider, ref)
        await self._check_spending(ref, prepared.fitted)
        return prepared

    async def priced(self, model: str, usage: Usage, *, may_load: bool) -> Usage:
        """The usage with what it costs, if that is known (`ModelFacts`)."""
        cost = await self._ports.facts.cost_micros(
            parse_model_ref(model), usage, may_load=may_load
        )
        return msgspec.structs.replace(usage, cost_micros=cost)

    def close(self) -> None:
        """Give back what was set aside: its cost is in the ledger, or there is none."""
        self._purse.release(self)

    async def enter_cost(self, answer_id: MessageId, cost_micros: int) -> None:
        """Store what an answer cost that has ended.

        Raises:
            StorageFailure: it could not be stored.
        """
        await self._ports.ledger.enter_cost(answer_id, cost_micros)

    async def _fit(self, provider: Provider, ref: ModelRef) -> Prepared:
        system = self._material.system
        history = history_for(self._material.history)
        fitted = fit(history, system=system, budget=None)
        window = await self._ports.facts.window_tokens(ref, prompt_tokens=fitted.tokens)
        if window is None:
            return self._prepared(provider, ref, fitted)
        budget = budget_tokens(window, answer_tokens=self._request.options.max_tokens)
        fitted = fit(history, system=system, budget=budget)
        prepared = self._prepared(provider, ref, fitted)
        if fitted.tokens < budget * DOUBT:
            return prepared
        counted = await _count(provider, prepared.request)
        if counted is None or counted <= budget:
            return prepared
        # It is larger than it was guessed, by so much.
        lesser = max(1, int(budget * fitted.tokens / counted))
        fitted = fit(history, system=system, budget=lesser)
        return self._prepared(provider, ref, fitted)

    def _prepared(self, provider: Provider, ref: ModelRef, fitted: Fitted) -> Prepared:
        request = request_for(
            self._request,
            model=str(ref),
            system=self._material.system,
            messages=fitted.messages,
            cache_key=self._material.conversation_id,
        )
        return Prepared(provider=provider, request=request, fitted=fitted)

    async def _check_spending(self, ref: ModelRef, fitted: Fitted) -> None:
        rules = self._rules
        if rules.day_limit_micros is None and rules.conversation_limit_micros is None:
            return
        coming = await self._ports.facts.cost_micros(
            ref, Usage(input_tokens=fitted.tokens), may_load=True
        )
        if coming == 0:
            return
        conversation_id = self._material.conversation_id
        await self._purse.reserve(self, conversation_id, coming or 0, rules)


def check_provider(
    providers: Providers, model: str, *, fallback: Sequence[str] = ()
) -> None:
    """Refuse, before anything is stored, a model that no provider here can have.

    One that is known and cannot answer here is what a fallback is for.

    Raises:
        InvalidInputFailure: it is no model's name.
        ModelNotFoundFailure: there is no such provider.
        ModelUnavailableFailure: it cannot answer here, and there is nobody else.
    """
    try:
        providers.get(parse_model_ref(model).provider)
    except ModelUnavailableFailure:
        if not fallback:
            raise


async def _count(provider: Provider, request: ChatRequest) -> int | None:
    """The provider's own count; without one the guess has to do."""
    try:
        return await provider.count_tokens(request)
    except (ModelUnavailableFailure, ProviderFailure):
        return None
