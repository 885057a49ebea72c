"""Amounts of money: whole millionths of a US dollar, so that sums are exact."""

MICROS_PER_DOLLAR = 1_000_000


def dollars(micros: int) -> str:
    """An amount for people: `$0.0031`, `$1.20`."""
    amount = micros / MICROS_PER_DOLLAR
    return f"${amount:.4f}" if amount < 1 else f"${amount:,.2f}"
