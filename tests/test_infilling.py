"""What an editor's hole is looked up by, and what of it the model is shown."""

from __future__ import annotations

from codeweft.flows.infilling import NEIGHBOURS, SMALLEST_NEIGHBOUR, neighbours, query
from codeweft.types import Chunk, Infill, SearchResult

PREFIX = (
    "from shop.cart import total\nimport os\n"
    + "# unrelated\n" * 30
    + "def bill(prices):\n    amount = total("
)


def result(path: str, text: str, line: int = 1) -> SearchResult:
    return SearchResult(Chunk("shop", path, line, line + 2, "python", "function", "f", text), 0.5)


def test_the_function_around_a_hole_is_looked_up_and_not_the_one_before() -> None:
    asked = query(Infill(PREFIX, ")\n    return amount\n"))
    assert asked.startswith("def bill(prices):\n") and "return amount" in asked
    assert "unrelated" not in asked and "import" not in asked


def test_a_function_is_found_above_its_long_body_and_its_signature_of_several_lines() -> None:
    prefix = "def other():\n    pass\n\ndef join(\n    left: Frame,\n    right: Frame,\n) -> Frame:\n"
    body = "".join(f"    step{n} = left.step({n})\n" for n in range(30))
    asked = query(Infill(prefix + body + "    if step3:\n        ", ""))
    assert asked.splitlines()[0] == "def join("
    assert "step29" in asked and "step5 " not in asked


def test_functions_of_languages_with_braces_are_found_and_control_flow_is_none() -> None:
    for head in (
        "fn merge(a: &[u8]) -> Vec<u8> {",
        "  public int merge(int[] a) {",
        "const merge = async (a) => {",
    ):
        asked = query(Infill(f"int before = 1;\n{head}\n    for (x in a) {{\n      ", ""))
        assert asked.splitlines()[0] == head


def test_outside_any_function_the_lines_before_the_hole_are_looked_up() -> None:
    assert query(Infill("import os\n\nLIMIT = 3\nNAMES = [", "]\n")) == "import os\nLIMIT = 3\nNAMES = [\n]"


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
    shown = neighbours(found, Infill("x", "y"), 4096)
    assert len(shown) == NEIGHBOURS
    assert sum(len(one.chunk.text) for one in shown) <= 4096 * 0.4 * 3
    assert all(one.chunk.text.endswith(")") for one in shown)


def test_a_small_context_shows_fewer_neighbours_rather_than_scraps_of_many() -> None:
    found = [result(f"{n}.py", f"def f{n}():\n" + f"    call_number({n})\n" * 400) for n in range(9)]
    shown = neighbours(found, Infill("x", "y"), 512)
    assert [one.chunk.path for one in shown] == ["0.py", "1.py"]
    assert all(len(one.chunk.text) > SMALLEST_NEIGHBOUR for one in shown)


def test_of_a_long_neighbour_the_lines_most_like_those_around_the_hole_are_shown() -> None:
    lines = [f"    step_{n}(frame)" for n in range(200)]
    lines[120:122] = ["    basket = open_basket(customer)", "    basket.add_voucher(customer.voucher)"]
    found = [result("shop.py", "\n".join(["def ship(frame):", *lines]), line=10)]
    (shown,) = neighbours(
        found, Infill("def bill(customer):\n    basket = open_basket(customer)\n    ", ""), 512
    )
    shown_lines = shown.chunk.text.split("\n")
    assert "    basket.add_voucher(customer.voucher)" in shown_lines
    assert (shown.chunk.start_line, shown.chunk.end_line) == (
        10 + 1 + lines.index(shown_lines[0]),
        10 + lines.index(shown_lines[0]) + len(shown_lines),
    )


def test_a_neighbour_of_which_no_line_fits_is_left_out() -> None:
    assert neighbours([result("a.py", "x" * 9000)], Infill("x", "y"), 1000) == ()
