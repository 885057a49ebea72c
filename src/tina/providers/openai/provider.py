"""The `Provider` that talks to OpenAI and to every compatible server."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    suppress,
)
from functools import partial

from tina.domain.chat import ChatRequest, Deadlines, ModelInfo
from tina.domain.events import StreamEvent
from tina.domain.failures import (
    NoKeyFailure,
    ProtocolFailure,
    ProviderFailure,
    TimeoutFailure,
    TruncatedFailure,
)
from tina.domain.ports import Clock, SecretStore
from tina.domain.secret import Secret, variable_for
from tina.networking.http import MAX_BODY_BYTES, HttpClient, HttpRequest, HttpResponse
from tina.networking.origin import join_url
from tina.networking.sse import ServerSentEvent, SseDecoder
from tina.providers.openai.batches import decode_batch, with_ends
from tina.providers.openai.chunks import read_json
from tina.providers.openai.decode import ChatDecoder
from tina.providers.openai.encode import encode_request, quirks_for
from tina.providers.openai.errors import failure_for_response
from tina.providers.openai.models import parse_models

_ERROR_BYTES = 64 * 1024
_MODELS_BYTES = 8 * 1024 * 1024
_MODELS_DEADLINES = Deadlines(
    headers_timeout_s=20, idle_timeout_s=20, total_timeout_s=30
)
_DRAIN_S = 0.25
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")


class OpenAiProvider:
    """Talks to the Chat Completions API below `base_url`, which ends in its version.

    A key is sent if the store has one by `name`. `http` stays the caller's to close.
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        base_url: str,
        secrets: SecretStore,
        clock: Clock,
        name: str = "openai",
        key_required: bool,
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._secrets = secrets
        self._clock = clock
        self._name = name
        self._key_required = key_required

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncGenerator[Sequence[StreamEvent], None]]:
        return self._stream(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        """What the server lists; nothing, if it has no list."""
        key = await self._find_key()
        try:
            request = self._request("GET", "models", key)
            async with self._http.open(
                request, deadlines=_MODELS_DEADLINES
            ) as response:
                if response.status == 404:
                    return ()
                await self._raise_for_status(response, "", key)
                body = await response.read(limit_bytes=_MODELS_BYTES)
                return parse_models(body, provider=self._name)
        except ProviderFailure as failure:
            self._sign(failure, key)
            raise

    async def close(self) -> None:
        """Nothing to do: the connections belong to the HTTP client."""

    @asynccontextmanager
    async def _stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent], None], None]:
        key = await self._find_key()
        body = encode_request(request, quirks=quirks_for(self._base_url))
        try:
            sent = self._request("POST", "chat/completions", key, body)
            async with self._http.open(sent, deadlines=request.deadlines) as response:
                await self._raise_for_status(response, request.model, key)
                events = self._events(response, request.model, key)
                async with aclosing(events):
                    yield events
        except ProviderFailure as failure:
            self._sign(failure, key)
            raise

    async def _events(
        self, response: HttpResponse, model: str, key: Secret | None
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        request_id = response.headers.get("x-request-id")
        decoder = ChatDecoder(
            provider=self._name, model=model, request_id=_masked(request_id, key)
        )
        try:
            answer = with_ends(self._batches(response, decoder), decoder)
            async with aclosing(answer) as batches:
                async for batch in batches:
                    yield batch
        except ProviderFailure as failure:
            self._sign(failure, key)
            raise
        await response.drain(limit_s=_DRAIN_S)

    def _batches(
        self, response: HttpResponse, decoder: ChatDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        media_type = media_type.strip().lower()
        if media_type == "text/event-stream":
            return self._streamed(response, decoder)
        if media_type == "application/json":
            return self._in_one_piece(response, decoder)
        shown = media_type if _MEDIA_TYPE.fullmatch(media_type) else "something else"
        raise ProtocolFailure(
            f"{self._name} answered with {shown} instead of a stream. "
            "Check that the base URL is that of an OpenAI-compatible API.",
            status=response.status,
        )

    async def _streamed(
        self, response: HttpResponse, decoder: ChatDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        sse, feed = SseDecoder(), partial(_feed, decoder)
        is_empty = True
        failure: ProviderFailure | None = None
        lost: ProviderFailure | None = None
        try:
            async with aclosing(response.chunks()) as chunks:
                async for chunk in chunks:
                    is_empty = False
                    events, failure = decode_batch(feed, sse.feed(chunk))
                    if events:
                        yield events
                    if failure is not None or decoder.is_done:
                        break
        except (TruncatedFailure, TimeoutFailure) as error:
            lost = error
        if failure is None:
            events, failure = decode_batch(feed, _unfinished(sse))
            if events:
                yield events
        # Once the model has ended its answer, only the server's goodbye was lost.
        failure = failure or (None if decoder.is_whole else lost)
        if failure is not None:
            raise failure
        yield self._finish(decoder, is_empty=is_empty)

    async def _in_one_piece(
        self, response: HttpResponse, decoder: ChatDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """A server that does not stream, or that refuses with status 200."""
        body = await response.read(limit_bytes=MAX_BODY_BYTES)
        if body.strip():
            yield decoder.feed(body)
            decoder.feed("[DONE]")
        yield self._finish(decoder, is_empty=not body.strip())

    def _finish(self, decoder: ChatDecoder, *, is_empty: bool) -> list[StreamEvent]:
        if is_empty:
            raise ProtocolFailure(
                f"{self._name} answered with nothing. Try again; if it stays so, "
                "check the base URL."
            )
        return decoder.finish()

    async def _raise_for_status(
        self, response: HttpResponse, model: str, key: Secret | None
    ) -> None:
        if 200 <= response.status < 300:
            return
        body = b""
        with suppress(ProviderFailure):  # the status says enough without its text
            body = await response.read(limit_bytes=_ERROR_BYTES)
        if key is not None:
            # Before it is shortened: half a key would not be recognized.
            body = key.mask(body.decode("utf-8", "replace")).encode()
        raise failure_for_response(
            response.status,
            body,
            response.headers,
            model=model,
            now=self._clock.now(),
            provider=self._name,
        )

    async def _find_key(self) -> Secret | None:
        key = await self._secrets.find(self._name)
        if key is None and self._key_required:
            raise NoKeyFailure(
                f"{self._name} wants a key and there is none. "
                f"Set {variable_for(self._name)}, "
                "or use a model that needs none: `tina models list`."
            )
        return key

    def _request(
        self, method: str, path: str, key: Secret | None, body: bytes | None = None
    ) -> HttpRequest:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers = {
                "Accept": "text/event-stream",
                "Content-Type": "application/json",
            }
        if key is not None:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        url = join_url(self._base_url, path)
        return HttpRequest(method=method, url=url, headers=headers, body=body)

    def _sign(self, failure: ProviderFailure, key: Secret | None) -> None:
        """Name the provider, and take out the key if the server repeated it."""
        failure.provider = self._name
        if key is not None:
            failure.message = key.mask(failure.message)
            failure.args = (failure.message,)
            failure.code = _masked(failure.code, key)
            failure.request_id = _masked(failure.request_id, key)


def _feed(decoder: ChatDecoder, event: ServerSentEvent) -> list[StreamEvent]:
    if event.event == "error":
        raise decoder.failure_in(event.data)
    return decoder.feed(event.data)


def _masked(text: str | None, key: Secret | None) -> str | None:
    return text if text is None or key is None else key.mask(text)


def _unfinished(sse: SseDecoder) -> list[ServerSentEvent]:
    """The last event of a server that omits the blank line after it."""
    data = sse.pending
    if data is None:
        return []
    is_whole = read_json(data.encode("utf-8", "replace")) is not None
    return [ServerSentEvent(data)] if is_whole else []
