import pytest

from tina.domain.failures import ModelNotFoundFailure
from tina.domain.ports import Provider
from tina.providers.registry import ProviderRegistry
from tina.testing.provider import ScriptedProvider

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


def test_an_unknown_provider_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelNotFoundFailure, match="one of: given, made, unset"):
        registry(given=Closable()).get("opneai")
