"""Who is refused before anything is stored."""

import pytest

from tina.assistant.asking import check_provider
from tina.domain.failures import (
    InvalidInputFailure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
)
from tina.domain.ports import Provider
from tina.testing.provider import ScriptedProvider


class Known:
    """Fulfils `Providers`: one can answer, one cannot be made here."""

    def get(self, name: str) -> Provider:
        if name == "here":
            return ScriptedProvider()
        if name == "gone":
            raise ModelUnavailableFailure("Its package is broken.")
        raise ModelNotFoundFailure("There is no such provider.")

    def names(self) -> tuple[str, ...]:
        return ("gone", "here")


def test_one_that_can_answer_passes() -> None:
    check_provider(Known(), "here:m")


def test_one_that_cannot_answer_is_refused_unless_others_are_named() -> None:
    with pytest.raises(ModelUnavailableFailure):
        check_provider(Known(), "gone:m")

    check_provider(Known(), "gone:m", fallback=("here:m",))


def test_one_that_nobody_knows_is_refused_in_any_case() -> None:
    with pytest.raises(ModelNotFoundFailure):
        check_provider(Known(), "nobody:m", fallback=("here:m",))
    with pytest.raises(InvalidInputFailure):
        check_provider(Known(), "no model", fallback=("here:m",))
