"""Mentions of a name in a source text, language by language."""

from __future__ import annotations

import pytest

from codeweft.retrieval.mentions import Mention, Source

CODE = {
    "python": """
        from shop import target, other
        class Cart:
            def target(self):
                '''target is no mention here'''
                # nor is target here
                return "target" + f"{target}"
        @target
        def use(store, target=1):
            target(1)
            store.target(target=2)
            return [target]
    """,
    "javascript": """
        import { target } from 'shop';
        class Cart { target() { return 'target'; } }
        exports.target = function () { return 1; };
        target(1); store.target(2); new target(); // target
        const list = [target];
    """,
    "typescript": """
        import { target } from 'shop';
        export class Cart { target(): void { } }
        target<number>(1); this.target(2);
        let kept: target = 1;
    """,
    "tsx": """
        export function target() { return null; }
        const page = <target kind="target" />;
    """,
    "go": """
        package shop
        // target
        func (c *Cart) target() int { return 1 }
        func Use() { target(1); cart.target(2); go target(); var kept target }
    """,
    "rust": """
        use shop::target;
        fn target() -> u8 { 1 }
        fn user() { target(1); cart.target(2); shop::target(3); target::<u8>(); target!(4); assert!(target(5)); let x: target = y; }
    """,
    "java": """
        import shop.target;
        class Cart {
          /** target */
          void target() { target(1); this.target(2); new target(); Cart::target; }
        }
    """,
    "csharp": """
        using shop.target;
        class Cart { void target() { target(1); cart?.target(2); new target(); target<int>(3); } }
    """,
    "c": """
        #include <target.h>
        int target(int x) { return x; }
        int user() { /* target */ target(1); cart->target(2); return target; }
    """,
    "cpp": """
        int Cart::target() { shop::target(1); this->target(2); target<int>(3); return target; }
    """,
    "ruby": """
        class Cart
          def target
            target(1)
            store.target(2)
            self.target = 3
          end
        end
    """,
    "php": """<?php
        use shop\\target;
        function target() { return 1; }
        function user() { target(1); $cart->target(2); Cart::target(3); new target(); $target = 'target'; }
    """,
    "kotlin": """
        import shop.target
        private fun target(): Int { return 1 }
        fun user() { target(1); cart.target(2); cart?.target { }; val kept: target = x }
    """,
    "swift": """
        import target
        public func target() -> Int { return 1 }
        func user() { target(1); cart.target(2); let kept: target = x }
    """,
    "scala": """
        import shop.target
        object Cart { def target(x: Int) = { target(1); store.target(2); new target(); target[Int](1) } }
    """,
    "lua": """
        function Cart.target() return 1 end
        target(1)
        store.target(2)
        store:target(3)
        local kept = target
    """,
    "elixir": """
        defmodule Cart do
          import Target
          def target(x) do
            target(1)
            Store.target(2)
            x |> target()
          end
        end
    """,
    "haskell": """module Cart where
import Shop (target)
target x = 1
user x = target x + Shop.target x
kept = map target []
""",
    "zig": """
        fn target() void { }
        fn user() void { target(1); cart.target(2); const x: target = 3; }
    """,
    "bash": """
        target() { :; }
        target 1
        kept=$(target 2)
        echo target
    """,
}
EXPECTED = {
    # definition, call, import, reference
    "python": (1, 3, 1, 3),
    "javascript": (2, 3, 1, 1),
    "typescript": (1, 2, 1, 1),
    "tsx": (1, 1, 0, 0),
    "go": (1, 3, 0, 1),
    "rust": (1, 6, 1, 1),
    "java": (1, 3, 1, 1),
    "csharp": (1, 4, 1, 0),
    "c": (1, 2, 0, 1),
    "cpp": (1, 3, 0, 1),
    "ruby": (1, 3, 0, 0),
    "php": (1, 4, 1, 0),
    "kotlin": (1, 3, 1, 1),
    "swift": (1, 2, 1, 1),
    "scala": (1, 4, 1, 0),
    "lua": (1, 3, 0, 1),
    "elixir": (1, 3, 0, 0),
    "haskell": (1, 2, 1, 1),
    "zig": (1, 2, 0, 1),
    "bash": (1, 2, 0, 0),
}


def of(text: str, language: str, name: str = "target") -> list[Mention]:
    return list(Source(text, language).mentions(name))


@pytest.mark.parametrize("language", CODE)
def test_definitions_calls_imports_and_other_uses_are_told_apart(language: str) -> None:
    found = of(CODE[language], language)
    roles = [mention.role for mention in found]
    counts = tuple(roles.count(role) for role in ("definition", "call", "import", "reference"))
    assert counts == EXPECTED[language], [(m.line, m.role, m.text.strip()) for m in found]
    lines = CODE[language].split("\n")
    assert all(lines[m.line - 1][m.column - 1 :].startswith("target") for m in found)


def test_a_mention_says_what_stands_before_it_and_what_it_stands_in() -> None:
    text = (
        "class Store:\n    def open(self):\n        return self.load(key)\n\n    def load(self, key):\n"
        "        return pick().load(\n            cache[0].load)\n\n\nstore.load(1)\n"
    )
    found = of(text, "python", "load")
    assert [(m.line, m.role, m.qualifier, m.within) for m in found] == [
        (3, "call", "self", "Store.open"),
        (5, "definition", "", "Store"),
        (6, "call", "()", "Store.load"),
        (7, "reference", "()", "Store.load"),
        (10, "call", "store", ""),
    ]
    assert (found[1].defines, found[1].kind, found[1].end_line) == ("Store.load", "method", 7)
    assert found[0].within_line == 2


def test_parts_of_longer_names_are_no_mentions() -> None:
    assert of("load_all(); preload(); $load; load2; löad", "javascript", "load") == []


def test_a_column_counts_characters_not_bytes() -> None:
    (found,) = of("이름 = load(1)\n", "python", "load")
    assert found.column == 6


def test_a_language_without_a_grammar_has_no_mentions() -> None:
    assert of("load: load\n", "yaml", "load") == []


def test_broken_text_is_read_as_far_as_it_can_be() -> None:
    found = of("def f(:\n    load(1\n  load.(((\n\udcff load(2)\n", "python", "load")
    assert found and all(m.line in (2, 3, 4) for m in found)


def test_what_a_function_calls_is_listed_once_with_its_first_line() -> None:
    text = "def a():\n    b()\n    x.c(d(1))\n    b()\n\ndef other():\n    e()\n"
    assert Source(text, "python").calls(1, 5) == {"b": 2, "c": 3, "d": 3}
