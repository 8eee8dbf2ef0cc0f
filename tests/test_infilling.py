"""What an editor's hole is looked up by, and what of it the model is shown."""

from __future__ import annotations

from codeweft.flows.infilling import NEIGHBOURS, neighbours, query
from codeweft.types import Chunk, Infill, SearchResult

PREFIX = (
    "from shop.cart import total\nimport os\n"
    + "# unrelated\n" * 30
    + "def bill(prices):\n    amount = total("
)


def result(path: str, text: str, line: int = 1) -> SearchResult:
    return SearchResult(Chunk("shop", path, line, line + 2, "python", "function", "f", text), 0.5)


def test_the_lines_around_and_the_imports_they_use_are_looked_up() -> None:
    asked = query(Infill(PREFIX, ")\n    return amount\n"))
    assert asked.startswith("from shop.cart import total\n") and "import os" not in asked
    assert "def bill(prices):" in asked and "return amount" in asked
    assert asked.count("# unrelated") == 10


def test_the_code_being_edited_is_no_neighbour_of_itself() -> None:
    hole = Infill("def bill(prices):\n    amount = 0\n    for price in prices:\n", "    return amount\n")
    own = result(
        "bill.py", "def bill(prices):\n    amount = 0\n    for price in prices:\n        x\n    return amount"
    )
    other = result("cart.py", "def total(prices):\n    return sum(prices)")
    assert neighbours([own, other], hole, 4096) == (other,)


def test_neighbours_stand_in_the_order_of_their_place_so_that_prompts_begin_alike() -> None:
    found = [
        result("c.py", "def c(): ..."),
        result("a.py", "def a2(): ...", 9),
        result("a.py", "def a1(): ..."),
    ]
    shown = neighbours(found, Infill("x", "y"), 4096)
    assert shown == neighbours(found[::-1], Infill("x1", "y"), 4096)
    assert [(one.chunk.path, one.chunk.start_line) for one in shown] == [
        ("a.py", 1),
        ("a.py", 9),
        ("c.py", 1),
    ]


def test_a_few_neighbours_share_part_of_the_context() -> None:
    found = [result(f"{n}.py", f"def f{n}():\n" + f"    call_number({n})\n" * 400) for n in range(9)]
    shown = neighbours(found, Infill("x", "y"), 1000)
    assert len(shown) == NEIGHBOURS
    assert sum(len(one.chunk.text) for one in shown) <= 1000 * 0.4 * 3
    assert all(one.chunk.text.endswith(")") for one in shown)
