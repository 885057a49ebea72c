from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import InvalidInputFailure
from tina.domain.tables import Table
from tina.providers.catalog import Catalog, build_catalog, shipped_tables
from tina.providers.entries import KeyHeader, KeyUse, Protocol, ProviderEntry
from tina.providers.entry_tables import check_address, check_key, check_name, read_entry
from tina.providers.openai.chat.quirks import ReasoningField, ResponseFormat

SHIPPED = shipped_tables()
WITH_ADDRESS = {name: table for name, table in SHIPPED.items() if name != "azure"}
ELSEWHERE = "https://elsewhere.example/v1"


def build(tables: Mapping[str, Table] | None = None, **environment: str) -> Catalog:
    return build_catalog(SHIPPED, tables or {}, environment=environment)


def refusal(tables: Mapping[str, Table], **environment: str) -> str:
    with pytest.raises(InvalidInputFailure) as refused:
        build(tables, **environment)
    return str(refused.value)


@pytest.mark.parametrize("name", WITH_ADDRESS)
def test_what_is_shipped_passes_the_checks_of_what_people_write(name: str) -> None:
    keys = ("providers", name)

    check_name(name, where=".".join, keys=keys)
    entry = read_entry(SHIPPED[name], where=".".join, keys=keys)
    check_address(entry, where=".".join, keys=keys)
    check_key(entry, where=".".join, keys=keys, variable="")

    assert entry.title
    assert not entry.base_url.endswith("/")
    assert entry.key is KeyUse.NONE or entry.key_env


# Of the vendors' documentation: what must never change by accident, since a key
# is sent there.
ADDRESSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "openai": ("https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    "anthropic": ("https://api.anthropic.com", ("ANTHROPIC_API_KEY",)),
    "ollama": ("http://127.0.0.1:11434", ()),
    "ollama-cloud": ("https://ollama.com", ("OLLAMA_API_KEY",)),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    "openrouter": ("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "groq": ("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "deepseek": ("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    "xai": ("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "mistral": ("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "together": ("https://api.together.ai/v1", ("TOGETHER_API_KEY",)),
    "fireworks": ("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    "cerebras": ("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "perplexity": ("https://api.perplexity.ai/v1", ("PERPLEXITY_API_KEY",)),
    "moonshot": ("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    "zai": ("https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",)),
    "qwen": (
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY",),
    ),
    "nvidia": ("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",)),
    "huggingface": ("https://router.huggingface.co/v1", ("HF_TOKEN",)),
    "llamacpp": ("http://127.0.0.1:8080/v1", ("LLAMA_API_KEY",)),
    "vllm": ("http://127.0.0.1:8000/v1", ("VLLM_API_KEY",)),
    "lmstudio": ("http://127.0.0.1:1234/v1", ("LM_API_TOKEN",)),
}


def test_each_shipped_address_has_the_key_that_was_made_for_it() -> None:
    entries = build().entries

    assert {
        name: (entry.base_url, entry.key_env) for name, entry in entries.items()
    } == ADDRESSES


def test_what_makes_servers_different_is_read() -> None:
    entries = build().entries

    assert [entries[name].key_header.prefix for name in ("groq", "anthropic")] == [
        "Bearer ",
        "",
    ]
    assert entries["openai"].protocol is Protocol.RESPONSES
    assert entries["anthropic"].key_header is KeyHeader.X_API_KEY
    assert entries["mistral"].chat.seed_field == "random_seed"
    assert entries["mistral"].chat.short_call_ids
    assert entries["deepseek"].chat.reasoning is ReasoningField.REASONING_CONTENT
    assert entries["deepseek"].chat.response_format is ResponseFormat.JSON_OBJECT


def test_a_catalog_gives_variables_and_addresses_by_name() -> None:
    catalog = build(
        {"mine": {"protocol": "ollama", "base_url": ELSEWHERE, "key": "none"}}
    )

    assert catalog.variables["gemini"] == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    assert catalog.variables["mine"] == ()
    assert catalog.base_urls["mine"] == ELSEWHERE


def test_a_shipped_entry_is_changed_field_by_field() -> None:
    table = {"requests_per_minute": 30, "chat": {"strict": True}}

    entry = build({"mistral": table}).entries["mistral"]

    assert (entry.requests_per_minute, entry.chat.strict) == (30, True)
    assert (entry.base_url, entry.key_env) == ADDRESSES["mistral"]
    assert entry.chat.seed_field == "random_seed"


def test_a_mistake_is_told_with_its_place() -> None:
    assert refusal({"groq": {"base_ulr": "x"}}).startswith("providers.groq.base_ulr: ")
    assert refusal({"mine": {}}).startswith("providers.mine: 'protocol' is missing")
    assert refusal({"My:1": {}}).startswith("providers.My:1: ")


# --- K3: a key goes to the address that it was made for, and nowhere else.


@pytest.mark.parametrize("name", [n for n, (_, keys) in ADDRESSES.items() if keys])
def test_another_address_does_not_get_the_vendors_key(name: str) -> None:
    variable = ADDRESSES[name][1][0]
    table = {"base_url": ELSEWHERE}

    if SHIPPED[name].get("key") == "optional":
        assert build({name: table}, **{variable: "k"}).variables[name] == ()
    else:
        told = refusal({name: table}, **{variable: "k"})
        assert told.startswith(f"providers.{name}: a key is only sent to the address")
        assert "key_env" in told
        assert variable not in told.replace(f"MY_{variable}", "")


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.groq.com:8443/openai/v1",
        "http://api.groq.com/openai/v1",
        "https://api.groq.com.evil.example/openai/v1",
        "https://evil.example/api.groq.com",
    ],
)
def test_an_address_is_another_if_scheme_host_or_port_are(base_url: str) -> None:
    told = refusal({"groq": {"base_url": base_url, "allow_http": True}})

    assert "key_env" in told


def test_another_path_of_the_same_origin_keeps_the_key() -> None:
    url = "https://API.groq.com:443/openai/v2"

    assert build({"groq": {"base_url": url}}).variables["groq"] == ("GROQ_API_KEY",)


@pytest.mark.parametrize(
    ("fields", "variables"),
    [({"key_env": ["MY_KEY"]}, ("MY_KEY",)), ({"key": "none"}, ())],
)
def test_another_address_is_asked_with_a_key_of_its_own(
    fields: Table, variables: tuple[str, ...]
) -> None:
    catalog = build({"groq": {"base_url": ELSEWHERE, **fields}}, GROQ_API_KEY="k")

    assert catalog.variables["groq"] == variables
    assert catalog.entries["groq"].chat.max_tokens_field == "max_completion_tokens"


def test_an_address_that_is_no_text_is_told_as_such() -> None:
    assert refusal({"groq": {"base_url": 3}}) == (
        "providers.groq.base_url: must be text in quotes."
    )


def test_a_new_name_guesses_no_key() -> None:
    table = {"protocol": "openai-chat", "base_url": ELSEWHERE}

    assert "key_env = ['COHERE_API_KEY']" in refusal(
        {"cohere": table}, COHERE_API_KEY="k"
    )


def test_the_environments_key_goes_to_the_environments_address() -> None:
    catalog = build(OPENAI_BASE_URL=ELSEWHERE, OPENAI_API_KEY="k")

    entry = catalog.entries["openai"]
    assert (entry.base_url, entry.key_env) == (ELSEWHERE, ("OPENAI_API_KEY",))
    assert (entry.protocol, entry.key) == (Protocol.CHAT, KeyUse.OPTIONAL)


def test_a_table_goes_before_the_environment_and_gets_no_key_of_it() -> None:
    table = {"base_url": "https://third.example/v1"}
    environment = {
        "ANTHROPIC_BASE_URL": ELSEWHERE,
        "ANTHROPIC_AUTH_TOKEN": "k",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Gateway: secret",
    }

    assert "key_env" in refusal({"anthropic": table}, **environment)
    named = {**table, "key_env": "MY_KEY"}
    entry = build({"anthropic": named}, **environment).entries["anthropic"]
    assert (entry.base_url, entry.key_env) == (table["base_url"], ("MY_KEY",))
    assert entry.headers == {}
    assert entry.key_header is KeyHeader.X_API_KEY


def test_the_key_for_a_gateway_is_not_sent_to_the_vendor() -> None:
    table = {"base_url": "https://api.openai.com/v1"}

    assert "key_env" in refusal(
        {"openai": table}, OPENAI_BASE_URL=ELSEWHERE, OPENAI_API_KEY="gateway"
    )


def test_a_table_of_the_environments_address_keeps_its_key() -> None:
    table = {"base_url": f"{ELSEWHERE}/more", "requests_per_minute": 5}

    entry = build({"openai": table}, OPENAI_BASE_URL=ELSEWHERE).entries["openai"]

    assert (entry.key_env, entry.protocol) == (("OPENAI_API_KEY",), Protocol.CHAT)


def test_a_wrong_address_in_the_environment_stops_nobody_before_it_is_asked() -> None:
    catalog = build(OPENAI_BASE_URL="http://plain.example", OLLAMA_HOST="box")

    assert catalog.base_urls["openai"] == "http://plain.example"
    assert catalog.base_urls["ollama"] == "http://box:11434"


# --- What is worth listing.


OFFERED: list[tuple[Mapping[str, Table], dict[str, str], set[str]]] = [
    ({}, {}, set()),
    ({}, {"GROQ_API_KEY": "k"}, {"groq"}),
    ({}, {"GROQ_API_KEY": " "}, set()),
    ({}, {"GOOGLE_API_KEY": "k"}, {"gemini"}),
    ({}, {"ANTHROPIC_AUTH_TOKEN": "k"}, {"anthropic"}),
    ({}, {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"}, {"openai"}),
    ({}, {"OPENAI_BASE_URL": "https://api.openai.com/v1"}, set()),
    ({}, {"OLLAMA_HOST": "127.0.0.1"}, {"ollama"}),
    ({}, {"OLLAMA_API_KEY": "k"}, {"ollama-cloud"}),
    ({}, {"LM_API_TOKEN": "k"}, {"lmstudio"}),
    ({"llamacpp": {"headers_timeout_s": 60}}, {}, {"llamacpp"}),
    ({"ollama": {"headers_timeout_s": 60}}, {}, {"ollama"}),
    ({"groq": {"requests_per_minute": 1}}, {}, set()),
    (
        {"mine": {"protocol": "ollama", "base_url": ELSEWHERE, "key": "none"}},
        {},
        {"mine"},
    ),
    (
        {"mine": {"protocol": "ollama", "base_url": ELSEWHERE, "key_env": "MINE"}},
        {},
        set(),
    ),
]


@pytest.mark.parametrize(("tables", "environment", "offered"), OFFERED)
def test_what_has_a_key_or_was_set_up_is_offered(
    tables: Mapping[str, Table], environment: dict[str, str], offered: set[str]
) -> None:
    assert build(tables, **environment).offered == offered


def test_azure_wants_an_address_first() -> None:
    catalog = build(AZURE_OPENAI_API_KEY="k")

    assert "azure" not in catalog.entries
    assert "base_url and key_env in [providers.azure]" in catalog.lacking["azure"]


def test_azure_is_asked_where_its_own_variable_says() -> None:
    catalog = build(
        AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com", AZURE_OPENAI_API_KEY="k"
    )

    entry = catalog.entries["azure"]
    assert entry.base_url == "https://mine.openai.azure.com/openai/v1"
    assert (entry.key_env, entry.key_header) == (
        ("AZURE_OPENAI_API_KEY",),
        KeyHeader.API_KEY,
    )
    assert catalog.lacking == {}
    assert catalog.offered == {"azure"}


def test_options_for_another_packages_provider_are_kept_as_they_are() -> None:
    catalog = build({"echo": {"options": {"greeting": "Hi", "loud": True}}})

    assert catalog.options == {"echo": {"greeting": "Hi", "loud": True}}
    assert "echo" not in catalog.entries


@pytest.mark.parametrize(
    "table", [{"options": 3}, {"options": {}, "base_url": ELSEWHERE}]
)
def test_options_beside_an_entry_are_refused(table: Table) -> None:
    assert "'options'" in refusal({"echo": table})


# --- Whatever a file holds, it is taken or refused.

FIELDS = st.sampled_from(
    [
        *ProviderEntry.__struct_fields__,
        "options",
        "store",
        "reasoning",
        "X-Team",
        "",
    ]
)
VALUES: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.datetimes()
    | st.text(max_size=8)
    | st.sampled_from(
        ["openai-chat", "ollama", "none", "optional", ELSEWHERE, "http://[", "A_KEY"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(FIELDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
TABLES = st.dictionaries(
    st.sampled_from(["openai", "azure", "groq", "mine", "A:b", "local"]),
    st.dictionaries(FIELDS, VALUES, max_size=6),
    max_size=3,
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(
        [
            "OPENAI_BASE_URL",
            "OPENAI_ORG_ID",
            "OPENAI_API_KEY",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "OLLAMA_HOST",
            "AZURE_OPENAI_ENDPOINT",
        ]
    ),
    st.text(max_size=12) | st.sampled_from([ELSEWHERE, "http://[", "box:1", "a:b\n:"]),
)


@given(TABLES, ENVIRONMENTS)
def test_any_table_is_taken_or_refused_in_words(
    tables: Mapping[str, Table], environment: dict[str, str]
) -> None:
    try:
        catalog = build_catalog(SHIPPED, tables, environment=environment)
    except InvalidInputFailure as failure:
        told = failure.message
    else:
        told = "providers."
        assert catalog.offered <= catalog.entries.keys()

    assert told.startswith("providers.")


@given(ENVIRONMENTS)
def test_no_environment_stops_tina(environment: dict[str, str]) -> None:
    catalog = build_catalog(SHIPPED, {}, environment=environment)

    assert catalog.entries.keys() >= ADDRESSES.keys()


def test_headers_of_the_environment_may_be_keys_of_a_gateway() -> None:
    catalog = build(ANTHROPIC_CUSTOM_HEADERS="Authorization: Bearer x")

    headers = catalog.entries["anthropic"].headers
    assert headers == {"Authorization": "Bearer x"}


def test_headers_of_a_table_may_not() -> None:
    table = {"headers": {"Authorization": "Bearer x"}}

    assert "looks like a key" in refusal({"anthropic": table})


def test_servers_of_this_machine_are_known() -> None:
    catalog = build_catalog(
        shipped_tables(), {}, environment={"OPENAI_BASE_URL": "nonsense"}
    )

    assert catalog.is_near("llamacpp")
    assert not catalog.is_near("anthropic")
    assert not catalog.is_near("openai")
