"""Changing one value of a YAML file leaves every other byte of it alone."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from codeweft.errors import Conflict
from codeweft.runtime.yaml_edit import GONE, Change, edited

FILE = """\
# The team's server. Ask Ada before changing it.
server:   # where it listens
  port: 9000   # the proxy knows it
  # all addresses
  host: 0.0.0.0

# who writes
models:
  gpt-4.1:
    base_url: https://x/v1   # Europe
    api_key: ${KEY}

  # the machine in the cellar
  local: {base_url: "http://h/v1", model: m}
limits:
  max_tokens: 5 # five
note: |
  a
  b

# the end
"""


def changed(text: str, path: str, value: Any) -> str:
    return edited(text, [Change(tuple(path.split("/")), value)])


def test_a_value_is_replaced_where_it_stands_and_its_comment_stays() -> None:
    assert changed(FILE, "server/port", 8000) == FILE.replace("port: 9000   #", "port: 8000   #")
    assert changed(FILE, "limits/max_tokens", 7) == FILE.replace("max_tokens: 5 #", "max_tokens: 7 #")


def test_a_value_is_taken_out_with_its_line_and_nothing_else() -> None:
    assert changed(FILE, "server/port", GONE) == FILE.replace("  port: 9000   # the proxy knows it\n", "")
    entry = "  gpt-4.1:\n    base_url: https://x/v1   # Europe\n    api_key: ${KEY}\n"
    assert changed(FILE, "models/gpt-4.1", GONE) == FILE.replace(entry, "")


def test_the_last_value_of_a_section_takes_the_section_along() -> None:
    assert changed(FILE, "limits/max_tokens", GONE) == FILE.replace("limits:\n  max_tokens: 5 # five\n", "")
    assert changed("a:\n  b:\n    c: 1\nd: 2\n", "a/b/c", GONE) == "d: 2\n"


def test_what_is_not_there_is_taken_out_without_a_trace() -> None:
    assert changed(FILE, "models/none/api_key", GONE) == FILE
    assert changed("", "a", GONE) == ""
    assert changed("a:\n  b: 1\n", "a/c", GONE) == "a:\n  b: 1\n"


def test_something_new_comes_at_the_end_of_its_section() -> None:
    assert changed(FILE, "server/public_url", "https://w") == FILE.replace(
        "  host: 0.0.0.0\n", "  host: 0.0.0.0\n  public_url: https://w\n"
    )
    assert changed("", "a/b", [1, "x"]) == "a:\n  b: [1, x]\n"
    assert changed("# nothing yet\n", "a", "b") == "# nothing yet\na: b\n"
    assert changed("a: 1", "b", True) == "a: 1\nb: true\n"
    assert (
        changed("models:\nother: 1\n", "models/m/base_url", "u")
        == "models:\n  m:\n    base_url: u\nother: 1\n"
    )


def test_sections_written_on_one_line_are_written_anew_on_one_line() -> None:
    assert "  local: {base_url: 'http://h/v1', model: m, context: 8192}\n" in changed(
        FILE, "models/local/context", 8192
    )


@pytest.mark.parametrize(
    "value", ["on", "null", "1e3", "a: b # c", "012", "é한", "", " x ", "- y", "2026-01-01"]
)
def test_a_text_is_read_back_as_that_text(value: str) -> None:
    assert yaml.safe_load(changed(FILE, "server/host", value))["server"]["host"] == value
    assert yaml.safe_load(changed(FILE, "note", value))["note"] == value


def test_line_ends_stay_what_they_are() -> None:
    text = changed("a:\r\n  b: 1\r\n  c: 2\r\n", "a/d", 3)
    assert text == "a:\r\n  b: 1\r\n  c: 2\r\n  d: 3\r\n"


def test_a_value_shared_by_an_anchor_is_not_changed_behind_ones_back() -> None:
    with pytest.raises(Conflict, match="without changing something else") as caught:
        changed("x: &k {a: 1}\ny: *k\n", "y/a", 2)
    assert "by hand" in caught.value.fix
    merged = changed("base: &b\n  a: 1\nuse:\n  <<: *b\n  c: 2\n", "use/a", 5)
    assert yaml.safe_load(merged) == {"base": {"a": 1}, "use": {"a": 5, "c": 2}}
