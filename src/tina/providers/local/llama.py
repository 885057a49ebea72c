"""How llama.cpp is loaded through its binding, xllamacpp.

What the binding does, and what follows (each seen, not guessed):
- Its constructor holds the interpreter's lock until the model is loaded. So it is kept
  short: no fitting of parameters, no warm-up.
- It opens a port on the loopback address, with no way to refuse it. So a random key is
  demanded there, and what the port would show is switched off. Some questions are
  answered there and nowhere else (`port.py`).
- Its threads spin while they wait for each other. On a busy machine two threads on two
  cores were slower than one (15 tokens/s against 75), so one core stays free.
- It can be told to stop only when it calls back: at each token, and with
  `return_progress` at each batch of the prompt.
- Its destructor holds the interpreter's lock while it waits for the server's thread:
  for ever if that has just begun and wants the lock, up to a batch if it calculates.
  So the last thing it is asked is a single token, which is waited for with the lock
  released; after that the thread is idle, and the destructor takes some 40 ms.
"""

import os
import secrets
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tina.domain.failures import (
    Failure,
    InvalidRequestFailure,
    ModelUnavailableFailure,
)
from tina.domain.secret import Secret
from tina.providers.local.port import Port

if TYPE_CHECKING:
    import xllamacpp

_SHORTEST = '{"prompt":"Hi","n_predict":1,"stream":true}'
# A stop during the prompt takes effect after a batch; larger ones were not faster.
_BATCH_TOKENS = 64
_MOST_THREADS = 8


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded, and how."""

    name: str
    path: Path
    context_tokens: int


class _Asked(msgspec.Struct):
    """What of a request is looked at before the engine gets it."""

    tools: list[msgspec.Raw] = []


class Model:
    """Weights in memory. All of its calls block, and belong to one thread."""

    def __init__(self, setup: Setup) -> None:
        """Load the weights; holds up every thread of the process meanwhile.

        Raises:
            ModelUnavailableFailure: the library is missing, or the weights are no
                good.
        """
        self.setup = setup
        key = Secret(secrets.token_hex(32))
        self._server = _load_server(setup, key)
        self._port = Port(self._server.listening_address, key)
        self._can_call_tools: bool | None = None

    def answer(self, body: str, offer: Callable[[str], bool]) -> None:
        """Generate one answer.

        Args:
            body: JSON of a streaming chat completion.
            offer: is given each chunk of it, as JSON; returns True to stop. What it
                raises is lost.

        Raises:
            InvalidRequestFailure: the engine refuses `body`, or the model would never
                hear of the tools in it.
        """
        if msgspec.json.decode(body, type=_Asked).tools:
            self._require_tools()
        try:
            self._server.handle_chat_completions(body, offer)
        except (ValueError, RuntimeError) as error:
            raise InvalidRequestFailure(
                f"{self.setup.name} cannot work with this request: "
                f"{_first_line(error)}."
            ) from error

    def count_tokens(self, body: str) -> int:
        """The size of the prompt that a chat completion would begin with.

        Raises:
            ProviderFailure: the engine refuses `body`, or does not answer.
        """
        return self._port.count_tokens(body)

    def come_to_rest(self) -> None:
        """Wait until it is idle; without this it must not be let go."""
        self._server.handle_completions(_SHORTEST, lambda _: False)

    def _require_tools(self) -> None:
        """The engine drops tools in silence if the template has no place for them."""
        if self._can_call_tools is None:
            self._can_call_tools = self._port.can_call_tools()
        if not self._can_call_tools:
            raise InvalidRequestFailure(
                f"{self.setup.name} cannot call tools: it was never taught to. Ask "
                "without tools, or ask another model: `tina models list`."
            )


def _load_server(setup: Setup, key: Secret) -> "xllamacpp.Server":
    require_engine()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(setup.path)
    params.model_alias = {setup.name}
    params.n_ctx = setup.context_tokens
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = thread_count(_cores())
    params.cache_ram_mib = 0  # otherwise up to 8 GB of earlier conversations
    params.fit_params = False
    params.warmup = False
    params.verbosity = -1
    _seal_port(params, key)
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelUnavailableFailure(
            f"The weights {str(setup.path)!r} cannot be loaded: the file is damaged, "
            "not a model that answers, or too large for this machine's memory."
        ) from error


def require_engine() -> None:
    """Return if the library is here and can be used.

    Raises:
        ModelUnavailableFailure: it is not.
    """
    try:
        import_module("xllamacpp")
    except ImportError as error:
        raise failure_for_import(error) from error


def _seal_port(params: "xllamacpp.CommonParams", key: Secret) -> None:
    # Nobody else is told this key: it shuts the port that cannot be closed.
    params.api_keys = [key.reveal()]
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False


def thread_count(cores: int) -> int:
    """How many threads calculate: one core is left to everything else."""
    return max(1, min(_MOST_THREADS, cores - 1))


def failure_for_import(error: ImportError) -> Failure:
    """What is missing on this machine, and the command that brings it."""
    if "libgomp" in str(error):
        return ModelUnavailableFailure(
            "The local engine needs libgomp.so.1: "
            "install it with `apt-get install libgomp1`."
        )
    return ModelUnavailableFailure(
        "The local engine is not installed: pip install 'tina-assistant[local]'"
    )


def _cores() -> int:
    """Those this process may use: a container has fewer than the machine."""
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
