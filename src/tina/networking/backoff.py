"""How long to wait before trying again, if the server does not say.

Pure. Many clients that failed together must not come back together, so that the wait
is anything from nothing to a bound that doubles.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog
(full jitter).
"""

_MOST_DOUBLINGS = 64  # more is beyond any cap, and later beyond a float


def full_jitter_s(retry: int, *, base_s: float, cap_s: float, draw: float) -> float:
    """Seconds to wait before a retry; the first is 1.

    Args:
        retry: how many attempts have failed.
        base_s: the most for the first.
        cap_s: the most for any.
        draw: chance, from 0 to below 1.
    """
    return draw * min(cap_s, base_s * 2.0 ** min(retry - 1, _MOST_DOUBLINGS))
