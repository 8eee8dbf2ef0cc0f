from pathlib import Path

from training.starter.decontaminate import Benchmarks, problems

ANSWER = """def longest(words):
    best = None
    for word in words:
        if best is None or len(word) > len(best):
            best = word
    return best
"""


def test_a_file_with_the_answer_in_it_is_found_whatever_its_layout(module: str) -> None:
    benchmarks = Benchmarks([ANSWER])
    assert benchmarks.repeats(module + "\n\n" + ANSWER)
    assert benchmarks.repeats(ANSWER.replace("    ", "\t").replace("best = None", "best = None  # none yet"))


def test_an_answer_with_one_name_changed_is_still_found() -> None:
    assert Benchmarks([ANSWER]).repeats(ANSWER.replace("def longest", "def longest_word"))


def test_other_code_is_not_found(module: str) -> None:
    assert not Benchmarks([ANSWER]).repeats(module)


def test_every_answer_of_humaneval_is_found(shared_data: Path) -> None:
    texts = [text for text in problems(shared_data) if len(text) > 200]
    benchmarks = Benchmarks(texts)
    assert len(benchmarks) > 500
    assert all(benchmarks.repeats("import os\n\n" + text) for text in texts)
