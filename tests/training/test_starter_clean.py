import random

import pytest

pytest.importorskip("datasketch", reason="training needs the packages of training/requirements.txt")

from training.starter.clean import Repeats, clean
from training.starter.prepare import Text

WORDS = [f"word{n}" for n in range(400)]


def prose(seed: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=600)


def test_a_nearly_equal_file_is_dropped_and_another_is_kept() -> None:
    repeats, words = Repeats(), prose(0)
    assert not repeats.seen(" ".join(words))
    assert repeats.seen(" ".join([*words[:300], "changed", *words[301:]]))
    assert not repeats.seen(" ".join(prose(1)))


def test_a_file_with_a_key_is_dropped(module: str) -> None:
    key = "AKIA" + "Z7Q4XW2M5N8P3R6T"
    texts = [
        Text("a", "a.py", module),
        Text("a", "b.py", f'aws_access_key_id = "{key}"\n' + " ".join(prose(2))),
    ]
    assert [why for _, why in clean(texts)] == [None, "holds a secret"]
