"""Failures as values, for callers who prefer them.

```python
match await attempt(app.send(conversation_id, "Hello")):
    case Ok(turn): ...
    case Err(failure): ...
```
"""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from typing import Generic, TypeVar

import msgspec

from tina.domain.failures import Failure

T = TypeVar("T")


class Ok(msgspec.Struct, Generic[T], frozen=True):
    value: T


class Err(msgspec.Struct, frozen=True):
    failure: Failure


async def attempt(call: Awaitable[T]) -> Ok[T] | Err:
    """Await `call`; a `Failure` comes back as a value, anything else is raised."""
    try:
        return Ok(await call)
    except Failure as failure:
        return Err(failure)


async def attempts(stream: AsyncIterable[T]) -> AsyncGenerator[Ok[T] | Err]:
    """Each item as `Ok`; a `Failure` that ends the stream comes last, as `Err`.

    The stream is closed when the caller leaves; consume under `aclosing`.
    """
    iterator = aiter(stream)
    try:
        async for item in iterator:
            yield Ok(item)
    except Failure as failure:
        yield Err(failure)
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
