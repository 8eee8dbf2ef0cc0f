"""The static encoder: a small one made here, and the bundled one."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeweft.errors import NotFound, StorageFailed
from codeweft.retrieval.encode import BundledEncoder, StaticEncoder
from codeweft.retrieval.tokens import runs
from codeweft.retrieval.vocabulary import Vocabulary
from codeweft.types import Encoder, Vectors


def joined(parts: list[str]) -> np.ndarray:
    return np.frombuffer("\n".join(parts).encode(), dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An encoder of four words and three pieces; `read` and `load` point the same way, `write` across."""
    table = np.array([[127, 0], [127, 0], [0, 127], [64, 64], [10, 0], [0, 10], [5, 5]], dtype=np.int8)
    path = tmp_path / "small.npz"
    np.savez(
        path,
        name=np.array("small"),
        words=joined(["read", "load", "write", "readfile"]),
        pieces=joined(["ab", "abc", "d"]),
        table=table,
        scale=np.full(7, 1 / 127, dtype=np.float32),
        query_weight=np.array([1, 1, 3, 1, 1, 1, 1], dtype=np.float16),
        query_map=np.eye(2, dtype=np.float16),
        count_power=np.array(0.5, dtype=np.float32),
    )
    return path


@pytest.fixture(scope="module")
def bundled() -> StaticEncoder:
    return StaticEncoder.load()


def nearest(encoder: StaticEncoder, query: str, codes: list[str]) -> int:
    return int(np.argmax(encoder.encode(codes) @ encoder.encode_query([query])[0]))


def test_a_text_is_the_unit_sum_of_its_terms_with_repeats_damped(file: Path) -> None:
    encoder = StaticEncoder.load(file)
    assert (encoder.name, encoder.dimensions) == ("small", 2)
    expected = np.array([2.0, 1.0]) / np.sqrt(5)  # four reads count as two
    np.testing.assert_allclose(encoder.encode(["read(read, read) + read; write"])[0], expected, atol=1e-6)


def test_a_question_weighs_its_terms_in_its_own_way(file: Path) -> None:
    encoder = StaticEncoder.load(file)
    np.testing.assert_allclose(
        encoder.encode_query(["how to read, write"])[0], np.array([1, 3]) / np.sqrt(10), atol=1e-3
    )


def test_texts_without_a_known_term_give_zeros_and_disturb_no_neighbour(file: Path) -> None:
    vectors = StaticEncoder.load(file).encode(["", "read", "???", "write", ""])
    np.testing.assert_array_equal(vectors.round(6), [[0, 0], [1, 0], [0, 0], [0, 1], [0, 0]])


def test_no_texts_give_no_rows(file: Path) -> None:
    assert StaticEncoder.load(file).encode([]).shape == (0, 2)


def test_many_texts_give_what_each_gives_alone(file: Path) -> None:
    encoder = StaticEncoder.load(file)
    texts = ["read", "write read", "abc", "", "load"] * 200
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-6)


def test_an_unknown_word_is_read_in_its_longest_known_pieces() -> None:
    vocabulary = Vocabulary(["read"], ["ab", "abc", "d"])
    assert vocabulary.rows("abcd") == [2, 3]
    assert vocabulary.rows("xabz") == [1]


def test_a_compound_counts_as_its_parts_and_as_itself_where_it_is_known() -> None:
    vocabulary = Vocabulary(["read", "file", "readfile"], ["re"])
    assert vocabulary.rows("readFile") == [0, 1, 2]
    assert vocabulary.rows("fileRead") == [1, 0]


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_gives_a_finite_row_of_length_one_or_zero(bundled: StaticEncoder, text: str) -> None:
    for row in (bundled.encode([text])[0], bundled.encode_query([text])[0]):
        assert np.isfinite(row).all()
        assert abs(float(np.linalg.norm(row)) - 1) < 1e-3 or not row.any()


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no encoder file"):
        StaticEncoder.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"not an encoder", b"PK\x03\x04" + bytes(40)])
def test_a_file_that_is_no_encoder_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "encoder.npz"
    path.write_bytes(content)
    with pytest.raises(StorageFailed, match="not an encoder file"):
        StaticEncoder.load(path)


def test_a_truncated_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(StorageFailed):
        StaticEncoder.load(file)


def test_parts_that_do_not_fit_together_are_refused(file: Path) -> None:
    with np.load(file) as parts:
        broken = {**parts, "words": joined(["read"])}
    np.savez(file, **broken)
    with pytest.raises(StorageFailed):
        StaticEncoder.load(file)


def test_the_bundled_encoder_is_read_when_it_is_first_asked_and_says_the_same(bundled: StaticEncoder) -> None:
    later = pickle.loads(pickle.dumps(BundledEncoder()))
    assert (later.name, later.dimensions) == (bundled.name, bundled.dimensions)
    assert later._encoder is None
    code, question = ["def read_lines(path): ..."], ["read the lines of a file"]
    assert np.array_equal(later.encode(code), bundled.encode(code))
    assert np.array_equal(later.encode_query(question), bundled.encode_query(question))


def test_the_bundled_encoder_is_an_encoder_of_256_dimensions(bundled: StaticEncoder) -> None:
    encoder: Encoder = bundled
    assert encoder.dimensions == 256
    vectors: Vectors = encoder.encode(["def f(): pass"])
    assert vectors.dtype == np.float32


CODES = [
    "def dump(obj, fp):\n    fp.write(json.dumps(obj))",
    'func (s *Server) ListenAndServe(addr string) error {\n\tln, err := net.Listen("tcp", addr)',
    "def quick(xs):\n    if len(xs) < 2: return xs\n    p = xs[0]\n    return quick([x for x in xs if x < p]) + [p]",
    "static size_t crc(const uint8_t *data, size_t length) { uint32_t checksum = 0; }",
    "def login(request, user, password):\n    if not user.verify(password): raise AuthenticationError()",
]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("write an object to a file as JSON", 0),
        ("start an HTTP server on a port", 1),
        ("sort a list", 2),
        ("compute the checksum of a buffer", 3),
        ("where are users authenticated", 4),
        ("사용자 인증은 어디서 하나요", 4),
        ("서버를 시작하는 함수", 1),
    ],
)
def test_the_bundled_encoder_finds_code_by_what_it_does(
    bundled: StaticEncoder, query: str, code: int
) -> None:
    assert nearest(bundled, query, CODES) == code


def test_short_chunks_are_encoded_by_the_ten_thousand_a_second(bundled: StaticEncoder) -> None:
    chunks = [f"def get_{i % 500}(self, key):\n    return self._cache.get(key, default)" for i in range(5000)]
    bundled.encode(chunks[:500])
    begun = time.process_time()
    bundled.encode(chunks)
    assert len(chunks) / (time.process_time() - begun) > 10_000


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab_ A1.\n\0é가", max_size=40), max_size=6))
def test_texts_together_have_the_rows_that_their_runs_have_one_by_one(texts: list[str]) -> None:
    vocabulary = Vocabulary(["a", "b", "ab", "1"], ["a", "b", "1", "é"])
    alone = Vocabulary(["a", "b", "ab", "1"], ["a", "b", "1", "é"])
    rows, text_of = vocabulary.rows_of(texts)
    for number, text in enumerate(texts):
        expected = [row for run in runs(text) for row in alone.rows(run)]
        assert rows[text_of == number].tolist() == expected


def test_more_different_identifiers_than_are_remembered_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeweft.retrieval.vocabulary._MEMO_LIMIT", 50)
    vocabulary = Vocabulary(["read"], ["re", "ad", *"0123456789"])
    for number in range(200):
        assert vocabulary.rows(f"read{number}")[0] == 0
        assert len(vocabulary.rows(f"read {number}")) == 1 + len(str(number))


def test_threads_that_read_at_once_get_what_one_alone_gets() -> None:
    texts = [[f"read{n} write{n % 7} x{n * m}" for n in range(300)] for m in range(1, 9)]
    pieces = ["re", "ad", "wr", "ite", "x", *"0123456789"]
    together = Vocabulary(["read", "write"], pieces)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(together.rows_of, texts))
    for rows, batch in zip(found, texts, strict=True):
        np.testing.assert_array_equal(rows[0], Vocabulary(["read", "write"], pieces).rows_of(batch)[0])
