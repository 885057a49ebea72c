import pytest

from tina.domain.failures import InvalidInputFailure
from tina.domain.secret import variable_for
from tina.storage.secrets import EnvironmentSecretStore, GivenSecretStore

pytestmark = pytest.mark.anyio

KEY = "sk-Abc_123"


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("my-server.example", "MY_SERVER_EXAMPLE_API_KEY"),
    ],
)
async def test_a_key_is_found_under_its_name(name: str, variable: str) -> None:
    secret = await EnvironmentSecretStore({variable: KEY}).find(name)

    assert variable_for(name) == variable
    assert secret is not None
    assert secret.reveal() == KEY


@pytest.mark.parametrize("padded", [f"{KEY}\n", f"  {KEY}\r\n", f"\t{KEY} "])
async def test_blanks_around_a_key_are_not_part_of_it(padded: str) -> None:
    secret = await EnvironmentSecretStore({"OPENAI_API_KEY": padded}).find("openai")

    assert secret is not None
    assert secret.reveal() == KEY


@pytest.mark.parametrize(
    "environment", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " \n"}]
)
async def test_an_empty_key_is_none(environment: dict[str, str]) -> None:
    assert await EnvironmentSecretStore(environment).find("openai") is None


@pytest.mark.parametrize(
    "value", ["sk-a\nb", "sk-a b", "sk-\N{EN DASH}a", "sk-ä", "sk-a\0", "sk-\x7f"]
)
async def test_a_key_that_no_header_can_carry_is_refused_unseen(value: str) -> None:
    store = EnvironmentSecretStore({"OPENAI_API_KEY": value})

    with pytest.raises(InvalidInputFailure, match="OPENAI_API_KEY") as caught:
        await store.find("openai")

    assert "sk-" not in str(caught.value)


@pytest.mark.anyio
async def test_a_key_that_was_given_is_everybodys() -> None:
    store = GivenSecretStore(" sk-1\n")

    found = await store.find("openai")

    assert found is not None
    assert found.reveal() == "sk-1"
    assert await GivenSecretStore("").find("openai") is None
    with pytest.raises(InvalidInputFailure, match="--key") as refused:
        await GivenSecretStore("sk 1").find("openai")
    assert "sk 1" not in str(refused.value)
