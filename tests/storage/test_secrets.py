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


async def test_a_vendors_own_variables_are_read_in_their_order() -> None:
    variables = {"gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "none": ()}

    async def found(name: str, **environment: str) -> str | None:
        store = EnvironmentSecretStore(environment, variables=variables)
        secret = await store.find(name)
        return None if secret is None else secret.reveal()

    assert await found("gemini", GOOGLE_API_KEY="b", GEMINI_API_KEY="a") == "a"
    assert await found("gemini", GOOGLE_API_KEY="b", GEMINI_API_KEY=" ") == "b"
    assert await found("other", OTHER_API_KEY="c") == "c"
    assert await found("none", NONE_API_KEY="d") is None


async def test_a_value_that_is_no_key_is_told_with_its_variable() -> None:
    store = EnvironmentSecretStore({"HF_TOKEN": "a b"}, variables={"hf": ("HF_TOKEN",)})

    with pytest.raises(InvalidInputFailure, match="HF_TOKEN"):
        await store.find("hf")


async def test_a_given_key_is_for_its_own_name() -> None:
    others = EnvironmentSecretStore({"ANTHROPIC_API_KEY": "sk-2"})
    store = GivenSecretStore(" sk-1\n", name="openai", others=others)

    second = await store.find("anthropic")
    first = await store.find("openai")

    assert first is not None
    assert first.reveal() == "sk-1"
    assert second is not None
    assert second.reveal() == "sk-2"
    assert await store.find("openai") is not None
    assert await store.find("groq") is None


async def test_a_given_key_is_checked_too() -> None:
    others = EnvironmentSecretStore({})

    blank = GivenSecretStore("", name="openai", others=others)
    assert await blank.find("openai") is None
    with pytest.raises(InvalidInputFailure, match="--key") as refused:
        await GivenSecretStore("sk 1", name="openai", others=others).find("openai")
    assert "sk 1" not in str(refused.value)
