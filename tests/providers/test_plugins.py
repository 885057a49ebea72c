"""Real entry points: folders on the path with a module and its metadata."""

import logging
import sys
from pathlib import Path

import pytest

from tina.domain.failures import ModelNotFoundFailure, ModelUnavailableFailure
from tina.networking.http import HttpClient
from tina.providers.plugin_guard import GuardedProvider
from tina.providers.plugins import PluginContext, Plugins
from tina.providers.registry import ProviderRegistry
from tina.testing.clock import FakeClock
from tina.testing.provider import ScriptedProvider
from tina.testing.secrets import FakeSecretStore

pytestmark = pytest.mark.anyio

GOOD = """
from tina.testing.provider import ScriptedProvider

class Made(ScriptedProvider):
    def __init__(self, context):
        super().__init__()
        self.context = context

make = Made
"""


class Packages:
    """Installs what a package would bring, without a tool."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._monkeypatch = monkeypatch

    def install(self, package: str, points: str, code: str = GOOD) -> None:
        site = self._root / package
        site.mkdir()
        module = package.replace("-", "_")
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            f"[tina.providers]\n{points}\n", encoding="utf-8"
        )
        self._monkeypatch.setattr(sys, "path", [str(site), *sys.path])
        self._monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    return Packages(tmp_path, monkeypatch)


def plugins(**options: dict[str, object]) -> Plugins:
    clock = FakeClock()
    return Plugins(
        http=HttpClient(clock=clock, user_agent="test"),
        secrets=FakeSecretStore(echo="secret"),
        clock=clock,
        options=options,
    )


def registry(found: Plugins) -> ProviderRegistry:
    return ProviderRegistry(
        {"known": ScriptedProvider}, given={}, offered=frozenset(), plugins=found
    )


async def test_a_package_adds_a_provider(packages: Packages) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")

    made = plugins(echo={"greeting": "Hi"}).make("echo")

    assert isinstance(made, GuardedProvider)
    context = getattr(made.provider, "context", None)
    assert isinstance(context, PluginContext)
    assert (context.name, context.options) == ("echo", {"greeting": "Hi"})
    secret = await context.secrets.find("echo")
    assert secret is not None
    assert secret.reveal() == "secret"
    assert "Hi" not in repr(context)


def test_a_package_without_options_gets_none(packages: Packages) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")

    made = plugins().make("echo")

    assert isinstance(made, GuardedProvider)
    context = getattr(made.provider, "context", None)
    assert isinstance(context, PluginContext)
    assert context.options == {}


def test_names_are_listed_without_loading_anything(packages: Packages) -> None:
    packages.install("tina-echo", "Echo = tina_echo:make", "raise SystemExit")

    assert "echo" in plugins().names()
    assert "tina_echo" not in sys.modules


def test_a_name_that_no_package_offers_is_nobodys() -> None:
    assert plugins().make("nobody") is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("make = 3", "TypeError"),
        ("def make(context): raise RuntimeError('sk-canary')", "RuntimeError"),
        ("other = 1", "AttributeError"),
        ("def make(context): raise SystemExit(7)", "SystemExit"),
    ],
)
def test_a_package_that_fails_is_named_and_breaks_nobody_else(
    packages: Packages, code: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    packages.install("tina-broken", "broken = tina_broken:make", code)
    packages.install("tina-echo", "echo = tina_echo:make")
    found = plugins()

    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ModelUnavailableFailure) as refused,
    ):
        found.make("broken")

    assert str(refused.value) == (
        "The package tina-broken offers the provider 'broken', but could not make it "
        f"({kind}). Update or uninstall it."
    )
    assert [record.message for record in caplog.records] == ["broken_plugin"]
    assert caplog.records[0].exc_info is not None
    assert found.make("echo") is not None
    assert found.names() >= {"broken", "echo"}


def test_what_is_no_provider_is_refused(packages: Packages) -> None:
    packages.install(
        "tina-odd", "odd = tina_odd:make", "make = lambda context: object()"
    )

    with pytest.raises(ModelUnavailableFailure, match=r"tina-odd .* is no provider"):
        plugins().make("odd")


def test_two_packages_of_one_name_are_both_named(packages: Packages) -> None:
    packages.install("tina-one", "echo = tina_one:make")
    packages.install("tina-two", "echo = tina_two:make")

    with pytest.raises(ModelUnavailableFailure, match="tina-two and tina-one both"):
        plugins().make("echo")


def test_the_first_of_two_copies_of_a_package_counts(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")
    copy = tmp_path / "copy"
    (tmp_path / "tina-echo").rename(copy)
    packages.install("tina-echo", "echo = tina_echo:make")
    monkeypatch.setattr(sys, "path", [str(copy), *sys.path])

    assert plugins().make("echo") is not None


def test_damaged_metadata_of_one_package_hides_only_that(
    packages: Packages, tmp_path: Path
) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")
    packages.install("tina-cut", "")
    (cut,) = (tmp_path / "tina-cut").glob("*.dist-info")
    (cut / "entry_points.txt").write_bytes(b"[tina.providers]\nno equals sign\n\xff")

    assert "echo" in plugins().names()


# --- Through the registry.


def test_a_known_name_is_never_taken_by_a_package(packages: Packages) -> None:
    packages.install("tina-evil", "known = tina_evil:make", "raise SystemExit")
    providers = registry(plugins())

    assert type(providers.get("known")) is ScriptedProvider
    assert "known" not in providers.names()


def test_a_packages_provider_is_made_once_and_listed(packages: Packages) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")
    providers = registry(plugins())

    assert "echo" in providers.names()
    assert providers.get("echo") is providers.get("echo")


def test_names_of_packages_are_among_those_that_may_be_meant(
    packages: Packages,
) -> None:
    packages.install("tina-echo", "echo = tina_echo:make")

    with pytest.raises(ModelNotFoundFailure, match="Did you mean echo:model"):
        registry(plugins()).get("ehco")
