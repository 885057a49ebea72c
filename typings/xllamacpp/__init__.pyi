"""What Tina uses of xllamacpp; the library ships no types of its own."""

from collections.abc import Callable

class CpuParams:
    n_threads: int

class CommonParamsModel:
    path: str

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    cpuparams: CpuParams
    n_ctx: int
    n_batch: int
    n_ubatch: int
    n_parallel: int
    n_threads_http: int
    chat_template: str
    cache_ram_mib: int
    verbosity: int
    warmup: bool
    fit_params: bool
    ui: bool
    endpoint_slots: bool
    endpoint_props: bool
    api_keys: list[str]

class Server:
    listening_address: str
    def __init__(self, params: CommonParams) -> None: ...
    def handle_chat_completions(
        self, body: str, callback: Callable[[str], bool]
    ) -> None: ...
    def handle_completions(
        self, body: str, callback: Callable[[str], bool]
    ) -> None: ...
