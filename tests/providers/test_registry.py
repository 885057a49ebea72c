import pytest

from tina.domain.failures import (
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    ProtocolFailure,
)
from tina.domain.ports import Provider
from tina.networking.http import HttpClient
from tina.providers.plugins import Plugins
from tina.providers.registry import ProviderRegistry
from tina.testing.clock import FakeClock
from tina.testing.provider import ScriptedProvider
from tina.testing.secrets import FakeSecretStore

pytestmark = pytest.mark.anyio


class Closable(ScriptedProvider):
    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


def registry(
    *made: Closable, offered: frozenset[str] = frozenset({"made"}), **given: Provider
) -> ProviderRegistry:
    """`made` is made of the providers in `made`, one after the other."""
    waiting = iter(made)
    factories = {"made": lambda: next(waiting), "unset": lambda: next(waiting)}
    return ProviderRegistry(factories, given=given, offered=offered)


async def test_a_provider_is_made_once_and_closed_by_who_made_it() -> None:
    made, given = Closable(), Closable()
    providers = registry(made, given=given)

    same = [providers.get("made"), providers.get("made")]
    got = providers.get("given")
    await providers.close()
    await providers.close()

    assert same == [made, made]
    assert got is given
    assert (made.is_closed, given.is_closed) == (True, False)


def test_what_is_given_goes_before_what_could_be_made() -> None:
    given = Closable()

    assert registry(made=given).get("made") is given


def test_only_what_is_set_up_or_given_is_listed() -> None:
    assert registry(given=Closable()).names() == ("given", "made")


def test_an_unknown_provider_is_refused_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(ModelNotFoundFailure) as refused:
        registry(openai=Closable()).get("opneai")

    assert str(refused.value) == (
        "There is no provider 'opneai'. Did you mean openai:model?"
    )


def test_an_unknown_provider_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelNotFoundFailure, match="one of: given, made, unset"):
        registry(given=Closable()).get("xyz")


def test_packages_are_asked_for_what_nobody_here_knows() -> None:
    clock = FakeClock()
    plugins = Plugins(
        http=HttpClient(clock=clock, user_agent="test"),
        secrets=FakeSecretStore(),
        clock=clock,
        options={},
    )
    providers = ProviderRegistry(
        {}, given={"one": Closable()}, offered=frozenset(), plugins=plugins
    )

    with pytest.raises(ModelNotFoundFailure, match="There is no provider 'xyz'"):
        providers.get("xyz")

    assert "one" in providers.names()


def test_a_provider_that_lacks_something_says_what() -> None:
    providers = ProviderRegistry(
        {}, given={}, offered=frozenset(), lacking={"azure": "It wants an address."}
    )

    with pytest.raises(ModelUnavailableFailure, match="It wants an address"):
        providers.get("azure")

    assert providers.names() == ()


async def test_all_are_closed_although_one_cannot_be() -> None:
    class Stuck(Closable):
        async def close(self) -> None:
            raise ProtocolFailure("stuck")

    good, bad, last = Closable(), Stuck(), Closable()
    factories = {"a": lambda: good, "b": lambda: bad, "c": lambda: last}
    providers = ProviderRegistry(factories, given={}, offered=frozenset())
    for name in factories:
        providers.get(name)

    with pytest.raises(ProtocolFailure, match="stuck"):
        await providers.close()

    assert good.is_closed
    assert last.is_closed
