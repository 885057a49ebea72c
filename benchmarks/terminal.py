"""Drawing an answer while it streams: Tina's append-only writer against `rich.live`.

    python -m benchmarks.terminal [rounds]

Both draw the same 2,000 pieces of markdown at the same pace of frames (15 a second of
an answer of 100 tokens a second) into memory; counted are CPU time and the bytes that
a terminal would have to take. `Live` shows "..." for what does not fit, so it hides
what Tina prints.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from tina.cli.terminal import MarkdownWriter
from tina.testing.clock import FakeClock

COLUMNS, LINES = 80, 24
TOKENS = 2_000
TOKENS_PER_S = 100
FRAME_S = 1 / 15

SECTION = """\
## Part {n}: what the ice left

A **fjord** is a long inlet with *steep* sides, cut by a glacier and then flooded by
the sea; its floor lies `deep` below the threshold at its mouth [see]({url}).

1. First comes the snow, and stays
2. then the ice moves, slowly
   - it carries stones
   - it grinds the valley
3. at last the sea comes in

| name | depth | length |
|------|------:|-------:|
| Sogne | 1308 m | 204 km |
| Hardanger | 860 m | 179 km |

```python
def depth(name: str, table: dict[str, int]) -> int:
    \"\"\"Metres, or zero if nobody measured it.\"\"\"
    for key, metres in table.items():
        if key.startswith(name):
            return metres  # the first one wins
    return 0
```

> Deep water is cold, and the walls above it are quiet.

"""


def pieces() -> list[str]:
    """Pieces of the size of tokens: three to five characters."""
    text = "".join(SECTION.replace("{n}", str(n)) for n in range(20))
    found: list[str] = []
    at = 0
    while len(found) < TOKENS:
        size = 3 + (len(found) * 7) % 3
        found.append(text[at : at + size])
        at += size
    return found


def draw_with_tina(tokens: list[str]) -> int:
    stream, clock = io.StringIO(), FakeClock()
    writer = MarkdownWriter(stream, size=lambda: (COLUMNS, LINES), clock=clock)
    for token in tokens:
        writer.text(token)
        clock.advance(1 / TOKENS_PER_S)
        writer.tick()
    writer.close()
    return len(stream.getvalue().encode())


def draw_with_live(tokens: list[str]) -> int:
    stream = io.StringIO()
    console = Console(
        file=stream,
        force_terminal=True,
        color_system="standard",
        width=COLUMNS,
        height=LINES,
    )
    text: list[str] = []
    due_s = 0.0
    with Live(
        console=console, auto_refresh=False, vertical_overflow="ellipsis"
    ) as live:
        for number, token in enumerate(tokens):
            text.append(token)
            if number / TOKENS_PER_S >= due_s:
                live.update(Markdown("".join(text)), refresh=True)
                due_s += FRAME_S
        live.update(Markdown("".join(text)), refresh=True)
    return len(stream.getvalue().encode())


def measure(draw: Callable[[list[str]], int], rounds: int) -> tuple[float, float, int]:
    """Median, and worst, CPU microseconds for a token; bytes of one answer."""
    tokens = pieces()
    written = draw(tokens)
    spent: list[float] = []
    for _ in range(rounds):
        started = time.process_time()
        draw(tokens)
        spent.append((time.process_time() - started) / len(tokens) * 1e6)
    return statistics.median(spent), max(spent), written


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{TOKENS} tokens, {COLUMNS}x{LINES}, {rounds} rounds")
    print(f"{'':<22}{'µs CPU/token':>14}{'worst':>10}{'bytes':>12}{'bytes/token':>13}")
    results = {
        "tina": measure(draw_with_tina, rounds),
        "rich.live (ellipsis)": measure(draw_with_live, rounds),
    }
    for name, (median, worst, written) in results.items():
        row = f"{name:<22}{median:>14.0f}{worst:>10.0f}{written:>12,}"
        print(f"{row}{written / TOKENS:>13.0f}")
    ours, theirs = results.values()
    print(f"CPU {theirs[0] / ours[0]:.1f}x, bytes {theirs[2] / ours[2]:.1f}x in favor")


if __name__ == "__main__":
    main()
