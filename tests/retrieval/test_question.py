"""What is read out of a question, an issue or a stack trace."""

from __future__ import annotations

from codeweft.retrieval.question import CODE_WEIGHT, REPORT_TERMS, Place, read_question

REPORT = """Reading a chunked body raises a raw socket error

When the peer resets the connection, `iter_content` lets the error through instead of a `ConnectionError`.
See https://example.com/issues/12/tests.py for the discussion of this.

### Versions
numpy: 1.17.3

```
Traceback (most recent call last):
  File "/home/me/app.py", line 67, in fetch
    body = client.download(url)
  File "/usr/lib/python3/site-packages/wire/models.py", line 627, in generate
    chunk = raw.stream(size)
  File "/usr/lib/python3/socket.py", line 447, in readinto
```
"""


def test_a_bare_identifier_is_a_symbol_and_a_lower_case_word_is_not() -> None:
    assert read_question("parseHeader").is_symbol
    assert not read_question("router").is_symbol


def test_a_question_in_one_line_is_its_own_gist_and_all_its_terms_count_fully() -> None:
    question = read_question("where are routes registered")
    assert question.gist == question.text
    assert set(question.terms.values()) == {1.0}


def test_the_gist_of_a_report_is_its_title_and_names_are_looked_for_in_its_words() -> None:
    question = read_question(REPORT)
    assert question.gist == "Reading a chunked body raises a raw socket error"
    assert "socket" in question.keywords
    assert "connection" not in question.keywords


def test_what_only_the_output_of_a_report_says_counts_less() -> None:
    terms = read_question(REPORT).terms
    assert terms["connection"] == 1.0
    assert terms["download"] == CODE_WEIGHT


def test_lists_of_versions_and_headings_of_a_report_say_nothing() -> None:
    assert not {"numpy", "versions"} & read_question(REPORT).terms.keys()


def test_a_long_report_is_looked_up_by_a_limited_number_of_terms_of_which_the_title_is_first() -> None:
    question = read_question(
        REPORT + "\n```\n" + "\n".join(f"output{n} line{n}" for n in range(500)) + "\n```\n"
    )
    assert len(question.terms) == REPORT_TERMS
    assert {"chunked", "socket"} <= question.terms.keys()


def test_frames_of_a_python_trace_come_innermost_first_with_their_functions() -> None:
    assert read_question(REPORT).places == (
        Place("/usr/lib/python3/socket.py", "readinto"),
        Place("/usr/lib/python3/site-packages/wire/models.py", "generate"),
        Place("/home/me/app.py", "fetch"),
    )


def test_frames_of_other_languages_and_paths_in_words_are_places_too() -> None:
    java = read_question("it fails at com.acme.Pool.take (Pool.java:31) called from src/main/App.kt")
    assert java.places == (Place("Pool.java", "take"), Place("src/main/App.kt"))
    assert (
        read_question("TypeError at Object.run (/srv/app/lib/queue.js:12:5)")
        .places[0]
        .path.endswith("queue.js")
    )


def test_members_are_symbols_and_file_names_are_places() -> None:
    question = read_question("why does Session.send ignore what config.py says")
    assert "send" in question.symbols
    assert "py" not in question.symbols
    assert question.places == (Place("config.py"),)


def test_a_symbol_knows_what_it_is_qualified_by() -> None:
    assert read_question("why does Session.send fail where send_all does not").owners == {"send": "session"}
    assert read_question("kept::TokenList::open").owners == {"open": "tokenlist"}
    assert read_question("parse_header").owners == {}


def test_code_around_a_hole_is_not_read_as_a_report() -> None:
    code = "    total = 0\n" + "\n".join(f"    total += price(item{n}, rate)" for n in range(20))
    question = read_question("def invoice(items, rate):\n" + code)
    assert question.gist == question.text
    assert set(question.terms.values()) == {1.0}


def test_a_title_that_says_nothing_leaves_it_to_the_rest() -> None:
    question = read_question("How do I fix this here?\n\n```\n" + "reconnect(pool, timeout)\n" * 20 + "```\n")
    assert question.gist == question.text
    assert question.terms["reconnect"] == 1.0


def test_titles_may_begin_with_an_option_in_quotes_or_a_label() -> None:
    for title in ('"--notes" option ignores some note tags', "[Bug] option ignores some note tags"):
        assert read_question(f"{title}\n\n" + "It happens every day. " * 20).gist == title
