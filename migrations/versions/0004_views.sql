-- What there is and how it is doing, for people and BI tools. {schema} is the quoted schema of the library.

CREATE VIEW {schema}.collection_overview AS
SELECT
    c.name,
    c.documents_table,
    c.chunks_table,
    c.dimensions,
    c.metric,
    c.storage,
    c.vector_index ->> 'method' AS index_method,
    c.vector_index - 'method' AS index_options,
    c.text_config,
    c.text_index IS NOT NULL AS has_text_index,
    c.embedder ->> 'model' AS embedder_model,
    c.fields,
    CASE WHEN documents.reltuples >= 0 THEN documents.reltuples::bigint END AS estimated_documents,
    CASE WHEN chunks.reltuples >= 0 THEN chunks.reltuples::bigint END AS estimated_chunks,
    pg_table_size(documents.oid) + pg_table_size(chunks.oid) AS table_bytes,
    pg_indexes_size(documents.oid) + pg_indexes_size(chunks.oid) AS index_bytes,
    c.layout_version,
    c.created_at
FROM {schema}.collections AS c
LEFT JOIN pg_class AS documents ON documents.oid = to_regclass(format('{schema}.%I', c.documents_table))
LEFT JOIN pg_class AS chunks ON chunks.oid = to_regclass(format('{schema}.%I', c.chunks_table));

CREATE VIEW {schema}.index_health AS
WITH collection_tables AS (
    SELECT c.name AS collection, side.table_name, to_regclass(format('{schema}.%I', side.table_name)) AS table_id
    FROM {schema}.collections AS c
    CROSS JOIN LATERAL (VALUES (c.documents_table), (c.chunks_table)) AS side(table_name)
), expected AS (
    SELECT name AS collection, chunks_table AS table_name, 'vector' AS kind, vector_index ->> 'method' AS method,
        format('%s_embedding_%s_idx', chunks_table, vector_index ->> 'method') AS index_name,
        format('%s_%s_ops', storage, CASE metric WHEN 'inner_product' THEN 'ip' ELSE metric END) AS operator_class
    FROM {schema}.collections WHERE vector_index IS NOT NULL
    UNION ALL
    SELECT name, chunks_table, 'text', 'gin', chunks_table || '_content_tsv_idx', 'tsvector_ops'
    FROM {schema}.collections WHERE text_index IS NOT NULL
    UNION ALL
    SELECT collection, table_name, 'metadata', 'gin', table_name || '_metadata_idx', 'jsonb_path_ops'
    FROM collection_tables
    UNION ALL
    -- A name that PostgreSQL would cut off has a hash at its end.
    SELECT c.name, side.table_name, 'field', 'btree', CASE
            WHEN length(whole.name) <= 63 THEN whole.name
            ELSE left(whole.name, 50) || '_' || left(encode(sha256(whole.name::bytea), 'hex'), 8) || '_idx' END,
        CASE field.value WHEN 'str' THEN 'text_ops' WHEN 'int' THEN 'int8_ops' WHEN 'float' THEN 'numeric_ops'
            WHEN 'bool' THEN 'bool_ops' WHEN 'datetime' THEN 'timestamptz_ops' END
    FROM {schema}.collections AS c
    CROSS JOIN LATERAL jsonb_each_text(c.fields) AS field(name, value)
    CROSS JOIN LATERAL (VALUES (c.documents_table), (c.chunks_table)) AS side(table_name)
    CROSS JOIN LATERAL (SELECT format('%s_%s_idx', side.table_name, field.name)) AS whole(name)
), found AS (
    SELECT t.collection, t.table_name, i.relname::text AS index_name, a.amname::text AS method,
        o.opcname::text AS operator_class, x.*
    FROM collection_tables AS t
    JOIN pg_index AS x ON x.indrelid = t.table_id
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_am AS a ON a.oid = i.relam
    JOIN pg_opclass AS o ON o.oid = x.indclass[0]
)
SELECT
    collection,
    table_name,
    index_name,
    coalesce(expected.kind, CASE
        WHEN found.indisprimary THEN 'key' WHEN found.method IN ('hnsw', 'ivfflat') THEN 'vector' ELSE 'other'
    END) AS kind,
    found.indexrelid IS NOT NULL AS present,
    expected.kind IS NOT NULL OR found.indisprimary AS declared,
    found.indisvalid AS valid,
    found.indisready AS ready,
    coalesce(found.method, expected.method) AS method,
    found.operator_class,
    expected.operator_class AS expected_operator_class,
    found.method = expected.method AND found.operator_class = expected.operator_class AS fits,
    pg_get_indexdef(found.indexrelid) AS definition,
    pg_relation_size(found.indexrelid) AS bytes,
    s.idx_scan AS scans,
    round(t.n_dead_tup / nullif(t.n_live_tup + t.n_dead_tup, 0)::numeric, 3) AS dead_share,
    greatest(t.last_analyze, t.last_autoanalyze) AS analyzed_at
FROM expected
FULL JOIN found USING (collection, table_name, index_name)
LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = found.indexrelid
LEFT JOIN pg_stat_all_tables AS t ON t.relid = to_regclass(format('{schema}.%I', table_name));
