"""WebSockets that are kept open between two questions.

One answer has a socket for itself, and gives it back only when it is whole: whatever
else happens the socket is closed, so that nothing of one answer can reach another. (The
protocol also has lanes, many answers on one socket. They would save a handshake where
answers run side by side, and cost that certainty: what was cancelled goes on talking.)

Source: OpenAI API reference, "Responses", "WebSocket mode": an hour for a connection.
"""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio

from tina.domain.chat import Deadlines
from tina.domain.ports import Clock
from tina.domain.secret import Secret
from tina.networking.http import HttpClient, HttpRequest
from tina.networking.websocket import WebSocket
from tina.providers.openai.responses.continuing import Remembered, continues

if TYPE_CHECKING:
    from tina.networking.handshake import Refusal

MAX_IDLE = 4
MAX_AGE_S = 55 * 60.0
"""Servers end a connection after an hour, also in the middle of an answer."""

_GOODBYE_S = 0.05


class Connection:
    """A socket, and what its server remembers of the answer before."""

    def __init__(
        self,
        socket: WebSocket,
        stack: AsyncExitStack,
        *,
        key: Secret | None,
        deadlines: Deadlines,
        opened_at: float,
    ) -> None:
        self.socket = socket
        self.key = key
        self.deadlines = deadlines
        self.opened_at = opened_at
        self.remembered: Remembered | None = None
        self.is_used = False
        """Whether an answer came over it before."""
        self._stack = stack

    def remembers(self, digests: tuple[bytes, ...]) -> bool:
        """Whether items with these digests go on from the answer before."""
        return self.remembered is not None and continues(digests, self.remembered)

    async def close(self) -> None:
        """Close it, within a second; again does nothing."""
        await self._stack.aclose()

    async def abandon(self) -> None:
        """Close it at once: its server may be talking on, or deaf."""
        with anyio.move_on_after(_GOODBYE_S, shield=True):
            await self.socket.close()
        await self._stack.aclose()


class Connections:
    """Those of one provider that nobody uses now; closed by who made it."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._idle: list[Connection] = []
        self._is_closed = False

    async def open(
        self,
        request: HttpRequest,
        *,
        key: Secret | None,
        deadlines: Deadlines,
        refusal: "Refusal",
    ) -> Connection:
        """A new one, for one answer.

        Raises:
            ProviderFailure: it cannot be opened.
        """
        async with AsyncExitStack() as stack:
            socket = await stack.enter_async_context(
                self._http.websocket(request, deadlines=deadlines, refusal=refusal)
            )
            return Connection(
                socket,
                stack.pop_all(),
                key=key,
                deadlines=deadlines,
                opened_at=self._clock.monotonic(),
            )

    def take(
        self, *, key: Secret | None, deadlines: Deadlines, digests: tuple[bytes, ...]
    ) -> Connection | None:
        """One that is open still, and made with this key and for such waits.

        The one whose server remembers what the digests go on from comes first.
        """
        fit = [
            each
            for each in self._idle
            if each.key == key
            and _waits_alike(each.deadlines, deadlines)
            and not self._has_ended(each)
        ]
        if not fit:
            return None
        chosen = max(fit, key=lambda each: each.remembers(digests))
        self._idle.remove(chosen)
        return chosen

    async def give_back(self, connection: Connection) -> None:
        """Keep it for the next answer; or close it, if there are enough."""
        self._idle.append(connection)
        await self._close_down_to(0 if self._is_closed else MAX_IDLE)

    async def sweep(self) -> None:
        """Close those that have ended, would soon, or said something unasked."""
        while ended := next(filter(self._has_ended, self._idle), None):
            self._idle.remove(ended)
            await ended.close()

    async def close(self) -> None:
        """Close them all; what is given back later is closed, too."""
        self._is_closed = True
        await self._close_down_to(0)

    async def _close_down_to(self, count: int) -> None:
        while len(self._idle) > count:
            await self._idle.pop(0).close()

    def _has_ended(self, connection: Connection) -> bool:
        age_s = self._clock.monotonic() - connection.opened_at
        # What came unasked is no answer to the next question, however it looks.
        is_usable = connection.socket.close_code is None and (
            not connection.socket.has_unread
        )
        return not is_usable or age_s > MAX_AGE_S


def _waits_alike(one: Deadlines, other: Deadlines) -> bool:
    """Whether a socket waits as long for both; the others bound single answers."""
    return (one.idle_timeout_s, one.heartbeat_timeout_s) == (
        other.idle_timeout_s,
        other.heartbeat_timeout_s,
    )
