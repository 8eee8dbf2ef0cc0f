"""What an editor knows beside the document at hand."""

from __future__ import annotations

from codeweft.flows.surroundings import PLACES, Edits, most_alike, near, part_around


def test_the_latest_edit_comes_first_and_goes_on_where_it_was() -> None:
    edits = Edits()
    edits.note("a", 10)
    edits.note("b", 10)
    edits.note("a", 200)
    edits.note("a", 15)
    assert list(edits) == [("a", 15), ("a", 200), ("b", 10)]
    edits.forget("a")
    assert list(edits) == [("b", 10)]


def test_only_the_last_places_are_remembered() -> None:
    edits = Edits()
    for line in range(0, 100 * PLACES, 100):
        edits.note("a", line)
    edits.note("b", 1)
    assert len(list(edits)) == PLACES
    assert ("a", 0) not in list(edits)


def test_a_part_is_cut_at_the_documents_ends() -> None:
    text = "\n".join(map(str, range(100)))
    assert part_around(text, 50) == (40, "\n".join(map(str, range(40, 61))))
    assert part_around(text, 2)[0] == 0
    assert part_around(text, 500)[1].endswith("99")


def test_the_most_alike_part_shares_the_most_names() -> None:
    filler = [f"nothing_{number} = {number}" for number in range(60)]
    text = "\n".join([*filler, "def area(width, height):", "    return width * height", *filler])
    first, part = most_alike(text, "volume = area(width, height)")
    assert "def area" in part
    assert first > 0
    assert most_alike(text, "xyz")[0] == 0
    assert most_alike("", "xyz") == (0, "")


def test_the_line_being_typed_does_not_count() -> None:
    assert near("one = 1\ntwo = 2\nthr") == "one = 1\ntwo = 2"
    assert near("thr") == ""
