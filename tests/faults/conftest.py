"""What tests of faults stand on, beside what every test does."""

import pytest


@pytest.fixture(autouse=True)
def uncounted_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes are many, or die before they could say what they executed.

    Other tests count those lines.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
