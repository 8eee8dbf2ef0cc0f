import random
import re

import pytest
from training.starter import repository

STORE = '''
def open_store(path):
    """Open it."""
    settings = read_settings(path)
    return Store(path, settings.compression_level)


def close_store(store):
    """Close it."""
    store.flush_everything()
    store.release_lock()
    return None
'''
USER = '''
def copy_all(source, target):
    """Copy."""
    first = source.iterate()
    for key in first:
        target.put(key)
    target.flush_everything()
    return target


def finish(store):
    """Finish."""
    names = list(store)
    store.release_lock()
    return names
'''
FILLER = "\n".join(f"def filler_{n}(alpha):\n    beta = alpha + {n}\n    return beta\n" for n in range(8))


@pytest.fixture
def package() -> repository.Package:
    (package,) = repository.packages(
        ("kept", path, text) for path, text in (("store.py", STORE), ("user.py", USER), ("filler.py", FILLER))
    )
    return package


def test_a_hole_wants_a_name_that_stands_in_front_of_it_and_nowhere_around_it(
    package: repository.Package,
) -> None:
    found = [one for seed in range(60) if (one := package.hole(random.Random(seed), 900))]
    assert len(found) > 10
    for hole, near in found:
        around = set(re.findall(r"\w+", hole.prefix + hole.suffix))
        shown = {name for one in near for name in re.findall(r"\w+", one.text)}
        assert (set(re.findall(r"\w+", hole.middle)) & shown) - around


def test_what_is_shown_is_ordered_and_keeps_to_its_room(package: repository.Package) -> None:
    for seed in range(60):
        found = package.hole(random.Random(seed), 300)
        if found:
            paths = [one.path for one in found[1]]
            assert paths == sorted(paths)
            assert sum(len(one.text) for one in found[1]) <= 300


def test_a_docstring_is_no_hole(package: repository.Package) -> None:
    holes = [one[0] for seed in range(200) if (one := package.hole(random.Random(seed), 900))]
    assert not any(hole.middle.strip().startswith('"""') for hole in holes)


def test_a_package_of_few_functions_is_left_out() -> None:
    assert repository.packages(iter([("small", "a.py", "def f(x):\n    y = x\n    return y\n")])) == []
