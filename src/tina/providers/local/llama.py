"""How llama.cpp is loaded through its binding, xllamacpp.

What the binding does, and what follows (each seen, not guessed):
- Its constructor holds the interpreter's lock until the model is loaded. So it is kept
  short: no fitting of parameters, no warm-up.
- It opens a port on the loopback address, with no way to refuse it. So a random key is
  demanded there, and what the port would show is switched off.
- Its threads spin while they wait for each other. On a busy machine two threads on two
  cores were slower than one (15 tokens/s against 75), so one core stays free.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tina.domain.failures import Failure, ModelUnavailableFailure

if TYPE_CHECKING:
    import xllamacpp

# A stop during the prompt takes effect after a batch; larger ones were not faster.
_BATCH_TOKENS = 64
_MOST_THREADS = 8


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded, and how."""

    name: str
    path: Path
    context_tokens: int


def load_server(setup: Setup) -> "xllamacpp.Server":
    """Load the weights; holds up every thread of the process meanwhile.

    Raises:
        ModelUnavailableFailure: the library is missing, or the weights are no good.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise failure_for_import(error) from error
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
    _seal_port(params)
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelUnavailableFailure(
            f"The weights {str(setup.path)!r} cannot be loaded: the file is damaged, "
            "not a model that answers, or too large for this machine's memory."
        ) from error


def _seal_port(params: "xllamacpp.CommonParams") -> None:
    # Nobody is told this key, nobody needs it: it shuts the port that cannot be closed.
    params.api_keys = [secrets.token_hex(32)]
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
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
