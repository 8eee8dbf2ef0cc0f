import random
import re

import pytest
from training.starter import layout, repository

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
        ("kept", path, text, "python")
        for path, text in (("store.py", STORE), ("user.py", USER), ("filler.py", FILLER))
    )
    return package


def holes_of(package: repository.Package, room: int) -> list[tuple[layout.Hole, list[layout.Near]]]:
    return [one for seed in range(60) if (one := package.hole(random.Random(seed), room))]


def new_names(hole: layout.Hole, near: list[layout.Near]) -> set[str]:
    """Names of the middle that stand in what is shown, and not around the hole."""
    around = set(re.findall(r"\w+", hole.prefix + hole.suffix))
    shown = {name for one in near for name in re.findall(r"\w+", one.text)}
    return (set(re.findall(r"\w+", hole.middle)) & shown) - around


def test_most_holes_want_a_name_that_stands_in_front_of_them_and_nowhere_around_them(
    package: repository.Package,
) -> None:
    found = holes_of(package, 900)
    assert len(found) > 10
    assert sum(bool(new_names(*one)) for one in found) >= 0.7 * len(found)


def test_other_languages_have_such_holes_too() -> None:
    paragraphs = "\n\n".join(
        f"func filler{n}(alpha int) int {{\n" + f"\tbeta := alpha + {n}\n" * 10 + "\treturn beta\n}"
        for n in range(9)
    )
    store = paragraphs + "\n\nfunc Close(s *Store) {\n\ts.flushEverything()\n\ts.releaseLock()\n}\n"
    user = "func Copy(s *Store) {\n\tfor key := range s.keys() {\n\t\ts.put(key)\n\t}\n\ts.flushEverything()\n}\n"
    files = [("kept", "store.go", store, "go"), ("kept", "user.go", user, "go")]
    (package,) = repository.packages(iter(files))
    assert package.language == "go"
    assert any("flushEverything" in new_names(*one) for one in holes_of(package, 900))


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
    assert (
        repository.packages(iter([("small", "a.py", "def f(x):\n    y = x\n    return y\n", "python")])) == []
    )
