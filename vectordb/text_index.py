"""The text index of a table: DDL of the objects that BM25 needs beside a `tsvector` column.

An index over the tiers of lexemes finds candidates; two tables hold the statistics. `…_lexemes` counts the texts that
have a lexeme, and under the empty lexeme all texts. Triggers append what changes to `…_text_changes`, which no two
writers contend for; now and then one writer adds it to the counts. Both together are exact in every snapshot.
The functions that all text indexes share come with revision 0003.
"""

from __future__ import annotations

from vectordb.indexes import BM25
from vectordb.tables import quote, text_plan_name

# So many changed texts wait before a writer adds them to the counts; every search reads those that wait.
_WAITING = 128
# So many texts are scored in about a millisecond.
_FEW = 200
# Of a longer query the heaviest lexemes count, the rarest ones. Time grows with their number, scores hardly do.
_MOST_LEXEMES = 64

_TABLES = (
    """
CREATE TABLE {lexemes} (
    lexeme text COLLATE "C" PRIMARY KEY,
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
)""",
    """
CREATE TABLE {changes} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
)""",
)

_CHANGED = """
CREATE FUNCTION {changed}() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE {lexemes}, {changes};
        INSERT INTO {lexemes} VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO {changes} (sign, length, content)
            SELECT -1, {functions}.text_length(OLD.{column}), OLD.{column} WHERE OLD.{column} <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO {changes} (sign, length, content)
            SELECT 1, {functions}.text_length(NEW.{column}), NEW.{column} WHERE NEW.{column} <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM {changes} ORDER BY id LIMIT {waiting}) AS waiting) = {waiting}
        AND pg_try_advisory_xact_lock({lock}, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM {changes} RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO {lexemes} AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$"""

_TRIGGERS = {
    "text_inserted": "AFTER INSERT ON {table} FOR EACH ROW WHEN (NEW.{column} <> '')",
    "text_updated": "AFTER UPDATE ON {table} FOR EACH ROW WHEN (OLD.{column} IS DISTINCT FROM NEW.{column})",
    "text_deleted": "AFTER DELETE ON {table} FOR EACH ROW WHEN (OLD.{column} <> '')",
    "text_truncated": "AFTER TRUNCATE ON {table} FOR EACH STATEMENT",
    "text_written": "AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT",
}

_FILL = (
    """
INSERT INTO {lexemes} (lexeme, texts, occurrences)
SELECT lexeme, count(*), sum(cardinality(positions)) FROM {table} CROSS JOIN unnest({column}) GROUP BY lexeme
UNION ALL
SELECT '', count(*), coalesce(sum({functions}.text_length({column})), 0) FROM {table} WHERE {column} <> ''""",
    "CREATE INDEX {index_name} ON {table} USING gin ({functions}.lexeme_tiers({column}))",
    "ANALYZE {lexemes}",
)

# The configuration is the default of an argument, because as such it is kept by its oid, whatever the search_path.
_PLAN = """
CREATE FUNCTION {plan}(
    query text, wanted float8, config regconfig DEFAULT {config},
    OUT lexemes text[], OUT weights float8[], OUT average float8, OUT k1 float8, OUT b float8,
    OUT required tsquery, OUT guess float8, OUT threshold float8, OUT condition tsquery)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off
AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := {k1};
    b := {b};
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM {functions}.text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM {lexemes} AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM {changes}) AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM {lexemes} AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM {changes} AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{{a}}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:{most}];
    weights := weights[1:{most}];
    counts := counts[1:{most}];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= {few} + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := {functions}.bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := {functions}.bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= {few} + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := {functions}.bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$"""

_COMMENTS = {
    "TABLE {lexemes}": "Text index: how many texts have each lexeme; the empty lexeme stands for all texts",
    "COLUMN {lexemes}.lexeme": "Lexeme, as the text search configuration makes it",
    "COLUMN {lexemes}.texts": "Texts that have it",
    "COLUMN {lexemes}.occurrences": "How often it occurs in all texts together",
    "TABLE {changes}": "Text index: texts that were written since the lexemes were counted",
    "COLUMN {changes}.id": "Number of the change",
    "COLUMN {changes}.sign": "1 for a text that came, -1 for one that went",
    "COLUMN {changes}.length": "Lexemes in the text, each as often as it occurs",
    "COLUMN {changes}.content": "Lexemes of the text",
    "FUNCTION {changed}()": "Trigger of a text index: keeps count of the lexemes",
    "FUNCTION {plan}(text, float8, regconfig)": "What BM25 needs to look for a text: lexemes, weights, where to begin",
}

# A key of advisory locks, beside the table's oid.
_LOCK = 1_986_356_084


def create_text_index(
    schema: str,
    table: str,
    *,
    column: str = "content_tsv",
    config: str,
    index: BM25,
    functions: str | None = None,
    index_name: str | None = None,
) -> list[str]:
    """Return the DDL that gives a table a text index, and its statistics from the rows that it has.

    Args:
        schema: Of the table, checked.
        table: Its name, checked.
        column: Of type `tsvector`.
        config: Text search configuration that queries are read with, checked.
        index: The parameters of BM25.
        functions: Schema of the shared functions, checked; None is that of the table.
        index_name: Checked; None has the name of table and column.
    """
    values = {
        **_names(schema, table, column, index_name),
        "functions": quote(functions or schema),
        "column": quote(column),
        "config": f"'{config}'::regconfig",
        "k1": repr(float(index.k1)),
        "b": repr(float(index.b)),
        "waiting": str(_WAITING),
        "few": str(_FEW),
        "most": str(_MOST_LEXEMES),
        "lock": str(_LOCK),
    }
    triggers = [f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {{changed}}()" for name, event in _TRIGGERS.items()]
    # The triggers come before the count: they keep other writers out until both hold.
    return [part.format(**values).strip() for part in (*_TABLES, _CHANGED, *triggers, *_FILL, _PLAN, *_comments())]


def comment_text_index(schema: str, table: str) -> list[str]:
    """Return the DDL that says in the catalogue what each part of a table's text index is."""
    names = _names(schema, table, "content_tsv", None)
    return [part.format(**names) for part in _comments()]


def _comments() -> list[str]:
    return [f"COMMENT ON {name} IS '{comment}'" for name, comment in _COMMENTS.items()]


def drop_text_index(
    schema: str, table: str, *, column: str = "content_tsv", index_name: str | None = None
) -> list[str]:
    """Return the DDL that takes a table's text index away, whatever is left of it."""
    names = _names(schema, table, column, index_name)
    return [
        part.format(**names)
        for part in (
            *(f"DROP TRIGGER IF EXISTS {name} ON {{table}}" for name in _TRIGGERS),
            "DROP INDEX IF EXISTS {index}",
            "DROP FUNCTION IF EXISTS {plan}(text, float8, regconfig)",
            "DROP FUNCTION IF EXISTS {changed}()",
            "DROP TABLE IF EXISTS {lexemes}, {changes}",
        )
    ]


def default_text_index_name(table: str, column: str) -> str:
    """Return the name of a text index that was given none."""
    return f"{table}_{column}_idx"


def _names(schema: str, table: str, column: str, index_name: str | None) -> dict[str, str]:
    index = index_name or default_text_index_name(table, column)
    return {
        "table": quote(schema, table),
        "index": quote(schema, index),
        "index_name": quote(index),
        "lexemes": quote(schema, f"{table}_lexemes"),
        "changes": quote(schema, f"{table}_text_changes"),
        "changed": quote(schema, f"{table}_text_changed"),
        "plan": text_plan_name(schema, table),
    }
