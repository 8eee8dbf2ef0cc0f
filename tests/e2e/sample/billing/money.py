"""Amounts of money in minor units."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Money:
    """An amount in the smallest unit of its currency."""

    amount: int
    currency: str

    def add(self, other: "Money") -> "Money":
        """Sum of two amounts of the same currency."""
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)


def parse_amount(text: str) -> Money:
    """Read an amount such as '12.50 EUR' into minor units."""
    number, currency = text.split()
    whole, _, cents = number.partition(".")
    return Money(int(whole) * 100 + int(cents.ljust(2, "0") or 0), currency)
