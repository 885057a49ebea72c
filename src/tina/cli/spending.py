"""`tina usage`: what was spent."""

from datetime import timedelta

from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import to_json
from tina.domain.money import dollars
from tina.wiring import open_for

MONTH = timedelta(days=30)


async def usage(*, as_json: bool) -> int:
    """Print the sums; days are those of UTC, as the limits count them."""
    async with open_for() as app:
        now = app.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        today = await app.spent_micros(since=midnight)
        month = await app.spent_micros(since=now - MONTH)
        whole = await app.spent_micros()
    if as_json:
        sums = {
            "today_micros": today,
            "last_30_days_micros": month,
            "in_all_micros": whole,
        }
        write_out([to_json(sums), "\n"])
    else:
        write_out(
            [
                f"today         {dollars(today):>12}\n",
                f"last 30 days  {dollars(month):>12}\n",
                f"in all        {dollars(whole):>12}\n",
            ]
        )
    return Exit.OK
