import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture
def shared_data() -> Path:
    folder = Path(os.environ.get("CODEWEFT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.exists():
        pytest.skip(f"no third-party benchmark data at {folder}; set CODEWEFT_SHARED_DATA")
    return folder


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


@pytest.fixture
def module() -> str:
    return MODULE
