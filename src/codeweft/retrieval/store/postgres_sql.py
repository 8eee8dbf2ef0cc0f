"""The tables of the PostgreSQL store and what is asked of them. `{s}` is the schema of one index.

Words: a row of `postings` holds, for one term and one file, the packed postings of the file's chunks
(`postings.POSTING`). Vectors: unit vectors as halfvec, compared by inner product.
"""

from typing import Final, LiteralString

LAYOUT: Final = 1
"""Of the tables below; an index with another number cannot be opened."""

CATALOGUE: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS codeweft;
CREATE TABLE IF NOT EXISTS codeweft.indexes (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, layout integer NOT NULL,
    made timestamptz NOT NULL DEFAULT now());
"""

TABLES: Final[LiteralString] = """
CREATE SCHEMA {s};
CREATE SEQUENCE {s}.file_ids AS integer;
CREATE TABLE {s}.settings (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE {s}.files (
    id integer PRIMARY KEY, path text COLLATE "C" NOT NULL UNIQUE, status text NOT NULL, reason text NOT NULL,
    digest bytea NOT NULL, size bigint NOT NULL, mtime_ns bigint NOT NULL, checked_ns bigint NOT NULL,
    language text NOT NULL, lines integer NOT NULL, chunks integer NOT NULL, summarised integer NOT NULL,
    secrets integer NOT NULL, terms bigint[] NOT NULL);
CREATE TABLE {s}.chunks (
    id bigint PRIMARY KEY, file integer NOT NULL, start_line integer NOT NULL, end_line integer NOT NULL,
    kind text NOT NULL, name text NOT NULL, scope text NOT NULL, digest bigint NOT NULL, defines text NOT NULL,
    signature text NOT NULL, docstring text NOT NULL, summary text NOT NULL, text text NOT NULL);
CREATE INDEX ON {s}.chunks (file);
CREATE TABLE {s}.symbols (folded text COLLATE "C" NOT NULL, chunk bigint NOT NULL, file integer NOT NULL);
CREATE INDEX ON {s}.symbols (folded);
CREATE INDEX ON {s}.symbols (file);
CREATE TABLE {s}.postings (term text COLLATE "C" NOT NULL, file integer NOT NULL, data bytea NOT NULL);
CREATE INDEX ON {s}.postings (term);
CREATE INDEX ON {s}.postings (file);
CREATE TABLE {s}.secrets (file integer NOT NULL, rule text NOT NULL, line integer NOT NULL);
CREATE INDEX ON {s}.secrets (file);
CREATE TABLE {s}.summaries (
    digest bigint NOT NULL, language text NOT NULL, text text NOT NULL, model text NOT NULL,
    PRIMARY KEY (digest, language));
CREATE TABLE {s}.totals (chunks bigint NOT NULL, files bigint NOT NULL, terms bigint[] NOT NULL);
INSERT INTO {s}.totals VALUES (0, 0, ARRAY[0, 0, 0, 0]);
"""
VECTORS: Final[LiteralString] = """
CREATE TABLE {s}.vectors (
    chunk bigint PRIMARY KEY, file integer NOT NULL, kind smallint NOT NULL, v halfvec({d}) NOT NULL);
ALTER TABLE {s}.vectors ALTER v SET STORAGE PLAIN;
CREATE INDEX ON {s}.vectors (file);
CREATE INDEX ON {s}.vectors (kind);
"""
"""Plain storage: whatever the encoder's length, a scan must not fetch every vector from elsewhere."""
GRAPH: Final[LiteralString] = (
    "CREATE INDEX IF NOT EXISTS vectors_graph ON {s}.vectors USING hnsw (v halfvec_ip_ops)"
    " WITH (m = 16, ef_construction = 64)"
)
CLEAR: Final[LiteralString] = """
TRUNCATE {s}.files, {s}.chunks, {s}.symbols, {s}.postings, {s}.secrets;
DROP TABLE {s}.vectors;
UPDATE {s}.totals SET chunks = 0, files = 0, terms = ARRAY[0, 0, 0, 0];
"""
ANALYZE: Final[LiteralString] = (
    "ANALYZE {s}.files, {s}.chunks, {s}.symbols, {s}.postings, {s}.vectors, {s}.secrets"
)

FILE_PARTS: Final = ("chunks", "symbols", "postings", "vectors", "secrets", "files")
"""Tables with rows of a file, each with a column for it."""
FILE_COLUMNS: Final[LiteralString] = (
    "id, path, status, reason, digest, size, mtime_ns, checked_ns, language, lines, chunks, summarised, secrets"
)

FILES: Final[LiteralString] = f"SELECT {FILE_COLUMNS} FROM {{s}}.files ORDER BY path"
FILE: Final[LiteralString] = f"SELECT {FILE_COLUMNS} FROM {{s}}.files WHERE path = %s"
FILTERED: Final[LiteralString] = "SELECT id, path, language FROM {s}.files WHERE chunks > 0"
REPLACED: Final[LiteralString] = "SELECT id, chunks, terms FROM {s}.files WHERE path = ANY(%s)"
NEW_IDS: Final[LiteralString] = "SELECT nextval('{s}.file_ids') FROM generate_series(1, %s)"
ADD_TOTALS: Final[LiteralString] = (
    "UPDATE {s}.totals SET chunks = chunks + %s, files = files + %s,"
    " terms = ARRAY(SELECT a + b FROM unnest(terms, %s::bigint[]) AS u(a, b))"
)
TOTALS: Final[LiteralString] = "SELECT chunks, files, terms FROM {s}.totals"
TOUCH: Final[LiteralString] = "UPDATE {s}.files SET size = %s, mtime_ns = %s, checked_ns = %s WHERE path = %s"
SET: Final[LiteralString] = (
    "INSERT INTO {s}.settings VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
SECRETS: Final[LiteralString] = (
    "SELECT f.path, x.rule, x.line FROM {s}.secrets x JOIN {s}.files f ON f.id = x.file ORDER BY f.path, x.line"
)
SUMMARIES: Final[LiteralString] = (
    "SELECT digest, text FROM {s}.summaries WHERE language = %s AND digest = ANY(%s)"
)
PUT_SUMMARY: Final[LiteralString] = (
    "INSERT INTO {s}.summaries (digest, language, text, model) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (digest, language) DO UPDATE SET text = excluded.text, model = excluded.model"
)

_SHORT: Final[LiteralString] = (
    "c.id, c.file, f.path, f.language, c.start_line, c.end_line, c.kind, c.name, c.scope"
)
ROWS: Final[LiteralString] = (
    f"SELECT {_SHORT}, '', '', c.digest, c.defines FROM {{s}}.chunks c JOIN {{s}}.files f ON f.id = c.file"
    " WHERE c.id = ANY(%s)"
)
FULL_ROWS: Final[LiteralString] = (
    f"SELECT {_SHORT}, c.signature, c.docstring, c.digest, c.defines, c.text, c.summary"
    " FROM {s}.chunks c JOIN {s}.files f ON f.id = c.file WHERE c.id = ANY(%s)"
)
OF_FILE: Final[LiteralString] = (
    "SELECT c.id FROM {s}.chunks c JOIN {s}.files f ON f.id = c.file WHERE f.path = %s ORDER BY c.id"
)
POSTINGS: Final[LiteralString] = (
    "SELECT term, string_agg(data, '') FROM {s}.postings WHERE term = ANY(%s) GROUP BY term"
)
DEFINING: Final[LiteralString] = (
    "SELECT chunk FROM {s}.symbols WHERE folded = ANY(%s) ORDER BY chunk LIMIT %s"
)
SIMILARITIES: Final[LiteralString] = "SELECT chunk, -(v <#> %s) FROM {s}.vectors WHERE chunk = ANY(%s)"
VECTORS_OF: Final[LiteralString] = "SELECT chunk, v FROM {s}.vectors WHERE chunk = ANY(%s)"
SCAN: Final[LiteralString] = (
    "SELECT c.id, f.id, f.path, f.language, c.kind FROM {s}.chunks c JOIN {s}.files f ON f.id = c.file"
    " WHERE position(%s IN c.text) > 0 ORDER BY f.path, c.id"
)

NEAR: Final[LiteralString] = "SELECT chunk, -(v <#> %(v)s) FROM {s}.vectors"
IN_FILES: Final[LiteralString] = "file = ANY(%(files)s)"
NOT_IN_FILES: Final[LiteralString] = "file <> ALL(%(files)s)"
IN_KINDS: Final[LiteralString] = "kind = ANY(%(kinds)s)"
COUNT: Final[LiteralString] = "SELECT count(*) FROM (SELECT FROM {s}.vectors"
UP_TO: Final[LiteralString] = " LIMIT %(most)s) AS passing"
BY_GRAPH: Final[LiteralString] = " ORDER BY v <#> %(v)s LIMIT %(k)s"
EXACTLY: Final[LiteralString] = " ORDER BY (v <#> %(v)s) + 0 LIMIT %(k)s"
"""An expression that no index serves, so that every row that passes is compared."""

INDEX: Final[LiteralString] = "SELECT id, layout FROM codeweft.indexes WHERE name = %s"
UPDATER: Final[LiteralString] = (
    "SELECT a.application_name FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
