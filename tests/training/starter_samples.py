"""A small module to learn from."""

MODULE = '''"""Small tools."""

import math


def mean(values):
    """Return the mean of some values."""
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)


def deviation(values):
    """Return the standard deviation of some values."""
    middle = mean(values)
    squares = [(value - middle) ** 2 for value in values]
    return math.sqrt(mean(squares))


class Counter:
    """Counts."""

    def add(self, key):
        """Add one to the count of a key."""
        if key not in self.counts:
            self.counts[key] = 0
        self.counts[key] += 1
'''
