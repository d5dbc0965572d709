-- A database as version 0.1.0 (layout 2) left it, by pg_dump --inserts; test_layouts.py loads and upgrades it.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA vectordb;
COMMENT ON SCHEMA vectordb IS 'tables of vectordb; created by vectordb';
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods; created by vectordb';
CREATE FUNCTION vectordb.iso_timestamp(value text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN value COLLATE "C" ~ '^(([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?$' THEN
        CASE
            WHEN octet_length(value) = 10 THEN make_timestamp(substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int, 0, 0, 0)
            WHEN left(right(value, 6), 1) NOT IN ('+', '-') THEN make_timestamp(substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int, substr(value, 12, 2)::int, substr(value, 15, 2)::int, CASE WHEN substr(value, 17, 1) = ':' THEN split_part(translate(substr(value, 18), '-Z', '+') COLLATE "C", '+', 1)::double precision ELSE 0 END)
            -- An offset can lead out of the years 1 to 9999.
            WHEN left(value, 10) = '0001-01-01' AND 60 * (substr(value, 12, 2)::int - left(right(value, 6), 3)::int) + substr(value, 15, 2)::int - (left(right(value, 6), 1) || right(value, 2))::int < 0 THEN NULL
            WHEN left(value, 10) = '9999-12-31' AND 60 * (substr(value, 12, 2)::int - left(right(value, 6), 3)::int) + substr(value, 15, 2)::int - (left(right(value, 6), 1) || right(value, 2))::int >= 1440 THEN NULL
            ELSE make_timestamp(substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int, substr(value, 12, 2)::int, substr(value, 15, 2)::int, CASE WHEN substr(value, 17, 1) = ':' THEN split_part(translate(substr(value, 18), '-Z', '+') COLLATE "C", '+', 1)::double precision ELSE 0 END)
                - make_interval(hours => left(right(value, 6), 3)::int, mins => (left(right(value, 6), 1) || right(value, 2))::int)
        END
    END AT TIME ZONE 'UTC'
$_$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE vectordb.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE vectordb.chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    embedding public.vector(3) NOT NULL,
    content_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, "left"(content, 100000))) STORED,
    ordinal integer NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    span_start integer NOT NULL,
    span_end integer NOT NULL,
    tokens integer,
    metadata jsonb NOT NULL
);
ALTER TABLE ONLY vectordb.chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TABLE vectordb.collections (
    name text NOT NULL COLLATE pg_catalog."C",
    documents_table text NOT NULL,
    chunks_table text NOT NULL,
    dimensions integer NOT NULL,
    metric text NOT NULL,
    storage text NOT NULL,
    vector_index jsonb,
    text_config text NOT NULL,
    chunking jsonb NOT NULL,
    embedder jsonb,
    layout_version smallint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    fields jsonb DEFAULT '{}'::jsonb NOT NULL
);
CREATE TABLE vectordb.documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE vectordb.halves_chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    embedding public.halfvec(4) NOT NULL,
    content_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, "left"(content, 100000))) STORED,
    ordinal integer NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    span_start integer NOT NULL,
    span_end integer NOT NULL,
    tokens integer,
    metadata jsonb NOT NULL
);
ALTER TABLE ONLY vectordb.halves_chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TABLE vectordb.halves_documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE vectordb.papers_chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    embedding public.vector(3) NOT NULL,
    content_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, "left"(content, 100000))) STORED,
    ordinal integer NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    span_start integer NOT NULL,
    span_end integer NOT NULL,
    tokens integer,
    metadata jsonb NOT NULL,
    lang text GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'lang'::text)) = 'string'::text) THEN
    CASE
        WHEN (octet_length((metadata ->> 'lang'::text)) <= 2000) THEN (metadata ->> 'lang'::text)
        ELSE NULL::text
    END
    ELSE NULL::text
END) STORED COLLATE pg_catalog."C",
    open boolean GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'open'::text)) = 'boolean'::text) THEN ((metadata -> 'open'::text))::boolean
    ELSE NULL::boolean
END) STORED,
    rate numeric GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'rate'::text)) = 'number'::text) THEN
    CASE
        WHEN (octet_length((metadata ->> 'rate'::text)) <= 2000) THEN ((metadata -> 'rate'::text))::numeric
        ELSE NULL::numeric
    END
    ELSE NULL::numeric
END) STORED,
    seen timestamp with time zone GENERATED ALWAYS AS (vectordb.iso_timestamp((metadata ->> 'seen'::text))) STORED,
    year bigint GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'year'::text)) = 'number'::text) THEN
    CASE
        WHEN ((((metadata -> 'year'::text))::numeric = trunc(((metadata -> 'year'::text))::numeric)) AND (((metadata -> 'year'::text))::numeric >= ('-9223372036854775808'::bigint)::numeric) AND (((metadata -> 'year'::text))::numeric <= ('9223372036854775807'::bigint)::numeric)) THEN (((metadata -> 'year'::text))::numeric)::bigint
        ELSE NULL::bigint
    END
    ELSE NULL::bigint
END) STORED
);
ALTER TABLE ONLY vectordb.papers_chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TABLE vectordb.papers_documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    lang text GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'lang'::text)) = 'string'::text) THEN
    CASE
        WHEN (octet_length((metadata ->> 'lang'::text)) <= 2000) THEN (metadata ->> 'lang'::text)
        ELSE NULL::text
    END
    ELSE NULL::text
END) STORED COLLATE pg_catalog."C",
    open boolean GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'open'::text)) = 'boolean'::text) THEN ((metadata -> 'open'::text))::boolean
    ELSE NULL::boolean
END) STORED,
    rate numeric GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'rate'::text)) = 'number'::text) THEN
    CASE
        WHEN (octet_length((metadata ->> 'rate'::text)) <= 2000) THEN ((metadata -> 'rate'::text))::numeric
        ELSE NULL::numeric
    END
    ELSE NULL::numeric
END) STORED,
    seen timestamp with time zone GENERATED ALWAYS AS (vectordb.iso_timestamp((metadata ->> 'seen'::text))) STORED,
    year bigint GENERATED ALWAYS AS (
CASE
    WHEN (jsonb_typeof((metadata -> 'year'::text)) = 'number'::text) THEN
    CASE
        WHEN ((((metadata -> 'year'::text))::numeric = trunc(((metadata -> 'year'::text))::numeric)) AND (((metadata -> 'year'::text))::numeric >= ('-9223372036854775808'::bigint)::numeric) AND (((metadata -> 'year'::text))::numeric <= ('9223372036854775807'::bigint)::numeric)) THEN (((metadata -> 'year'::text))::numeric)::bigint
        ELSE NULL::bigint
    END
    ELSE NULL::bigint
END) STORED
);
CREATE TABLE vectordb.spare_parts_chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    embedding bit(9) NOT NULL,
    content_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, "left"(content, 100000))) STORED,
    ordinal integer NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    span_start integer NOT NULL,
    span_end integer NOT NULL,
    tokens integer,
    metadata jsonb NOT NULL
);
ALTER TABLE ONLY vectordb.spare_parts_chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TABLE vectordb.spare_parts_documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE vectordb.texts_chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    embedding public.vector(16) NOT NULL,
    content_tsv tsvector GENERATED ALWAYS AS (to_tsvector('german'::regconfig, "left"(content, 100000))) STORED,
    ordinal integer NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    span_start integer NOT NULL,
    span_end integer NOT NULL,
    tokens integer,
    metadata jsonb NOT NULL
);
ALTER TABLE ONLY vectordb.texts_chunks ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TABLE vectordb.texts_documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
INSERT INTO vectordb.alembic_version VALUES ('0002');
INSERT INTO vectordb.chunks VALUES ('a', '[1.25,0.25,0.25]', DEFAULT, 0, 'one', '\xce38172cd094f3ac1d5ff8795f3f45ea', 0, 3, NULL, '{"lang": "en", "year": 2019}');
INSERT INTO vectordb.chunks VALUES ('b', '[0.25,1.25,0.25]', DEFAULT, 0, 'two', '\x45fbbd530dd6c10b925d3b32586ef6ba', 0, 3, NULL, '{"lang": "de", "year": 2020}');
INSERT INTO vectordb.chunks VALUES ('c', '[0.25,0.25,1.25]', DEFAULT, 0, 'three', '\xc50373b791dd6d5c01743b02060d0266', 0, 5, NULL, '{}');
INSERT INTO vectordb.collections VALUES ('default', 'documents', 'chunks', 3, 'cosine', 'vector', '{"m": 16, "method": "hnsw", "ef_construction": 64}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 2, '2026-11-22 03:45:06.232012+00', '{}');
INSERT INTO vectordb.collections VALUES ('texts', 'texts_documents', 'texts_chunks', 16, 'cosine', 'vector', '{"m": 8, "method": "hnsw", "ef_construction": 32}', 'german', '{"size": 60, "unit": "characters", "overlap": 0}', '{"model": "hashed words", "provider": "callable", "dimensions": 16, "normalized": false, "fingerprint": null, "query_prompt": "", "truncate_dim": null, "document_prompt": ""}', 2, '2026-11-22 03:45:06.359953+00', '{}');
INSERT INTO vectordb.collections VALUES ('halves', 'halves_documents', 'halves_chunks', 4, 'l2', 'halfvec', '{"lists": 2, "method": "ivfflat"}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 2, '2026-11-22 03:45:06.407513+00', '{}');
INSERT INTO vectordb.collections VALUES ('spare_parts', 'spare_parts_documents', 'spare_parts_chunks', 9, 'hamming', 'bit', NULL, 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 2, '2026-11-22 03:45:06.428992+00', '{}');
INSERT INTO vectordb.collections VALUES ('papers', 'papers_documents', 'papers_chunks', 3, 'cosine', 'vector', '{"m": 16, "method": "hnsw", "ef_construction": 64}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 2, '2026-11-22 03:45:06.446226+00', '{"lang": "str", "open": "bool", "rate": "float", "seen": "datetime", "year": "int"}');
INSERT INTO vectordb.documents VALUES ('a', NULL, NULL, '\xce38172cd094f3ac1d5ff8795f3f45ea', '{"lang": "en", "year": 2019}', '2026-11-22 03:45:06.349902+00', '2026-11-22 03:45:06.349902+00');
INSERT INTO vectordb.documents VALUES ('b', NULL, NULL, '\x45fbbd530dd6c10b925d3b32586ef6ba', '{"lang": "de", "year": 2020}', '2026-11-22 03:45:06.349902+00', '2026-11-22 03:45:06.349902+00');
INSERT INTO vectordb.documents VALUES ('c', NULL, NULL, '\xc50373b791dd6d5c01743b02060d0266', '{}', '2026-11-22 03:45:06.349902+00', '2026-11-22 03:45:06.349902+00');
INSERT INTO vectordb.halves_chunks VALUES ('0', '[0,1,2,3]', DEFAULT, 0, '', '\x932bc745825e2fd5b9e81ebb272104e7', 0, 0, NULL, '{"n": 0, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('1', '[4,5,6,7]', DEFAULT, 0, '', '\x5c0ed3ad65c064014b8294e2562484d7', 0, 0, NULL, '{"n": 1, "even": false}');
INSERT INTO vectordb.halves_chunks VALUES ('2', '[8,9,10,11]', DEFAULT, 0, '', '\xbc50ae5c5ca473037bd60ca3f063ea72', 0, 0, NULL, '{"n": 2, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('3', '[12,13,14,15]', DEFAULT, 0, '', '\x98ca0ead64d2a63a8a70703240354cc7', 0, 0, NULL, '{"n": 3, "even": false}');
INSERT INTO vectordb.halves_chunks VALUES ('4', '[16,17,18,19]', DEFAULT, 0, '', '\x4c3ec21fc5e3d44be9508ca4c93a7f45', 0, 0, NULL, '{"n": 4, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('5', '[20,21,22,23]', DEFAULT, 0, '', '\x976248a2cae519b380fdaa8b4b8c8c82', 0, 0, NULL, '{"n": 5, "even": false}');
INSERT INTO vectordb.halves_documents VALUES ('0', NULL, NULL, '\x932bc745825e2fd5b9e81ebb272104e7', '{"n": 0, "even": true}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.halves_documents VALUES ('1', NULL, NULL, '\x5c0ed3ad65c064014b8294e2562484d7', '{"n": 1, "even": false}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.halves_documents VALUES ('2', NULL, NULL, '\xbc50ae5c5ca473037bd60ca3f063ea72', '{"n": 2, "even": true}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.halves_documents VALUES ('3', NULL, NULL, '\x98ca0ead64d2a63a8a70703240354cc7', '{"n": 3, "even": false}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.halves_documents VALUES ('4', NULL, NULL, '\x4c3ec21fc5e3d44be9508ca4c93a7f45', '{"n": 4, "even": true}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.halves_documents VALUES ('5', NULL, NULL, '\x976248a2cae519b380fdaa8b4b8c8c82', '{"n": 5, "even": false}', '2026-11-22 03:45:06.427163+00', '2026-11-22 03:45:06.427163+00');
INSERT INTO vectordb.papers_chunks VALUES ('p', '[1,0,0]', DEFAULT, 0, 'Cats purr', '\xf7b28583b3d8b606983457c5c4f4f2b2', 0, 9, NULL, '{"lang": "en", "open": true, "rate": 0.5, "seen": "2020-05-06T07:08:09Z", "year": 2020}', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_chunks VALUES ('q', '[0,1,0]', DEFAULT, 0, 'Trains run on rails, cats do not', '\x7dda51bd7a44279b5cc504001cf0a2a3', 0, 32, NULL, '{"other": 1}', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_documents VALUES ('p', NULL, NULL, '\xf7b28583b3d8b606983457c5c4f4f2b2', '{"lang": "en", "open": true, "rate": 0.5, "seen": "2020-05-06T07:08:09Z", "year": 2020}', '2026-11-22 03:45:06.475144+00', '2026-11-22 03:45:06.475144+00', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_documents VALUES ('q', NULL, NULL, '\x7dda51bd7a44279b5cc504001cf0a2a3', '{"other": 1}', '2026-11-22 03:45:06.475144+00', '2026-11-22 03:45:06.475144+00', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,0.01,0.01,0.01,1.01,0.01,2.01,0.01,0.01,0.01,1.01,0.01,1.01,0.01,1.01,1.01]', DEFAULT, 0, 'The kitten sleeps in the warm kitchen.

', '\xdf2333410785d59e0730089dd3892d57', 0, 40, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,1.01,0.01,1.01,0.01,0.01,1.01,1.01,2.01,0.01,0.01,0.01,1.01,0.01,2.01,0.01]', DEFAULT, 1, 'A cat hunts mice at night in the barn.

', '\x3dc887567e64cce7ea18f9e9f667f0b4', 40, 80, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,1.01,1.01,0.01,1.01,0.01,2.01,1.01,1.01,1.01,1.01,0.01,1.01,1.01,0.01,0.01]', DEFAULT, 2, 'The dog of the neighbour barks at every cat it sees.', '\x57be81d8e731263b90153d11cdf03fc4', 80, 132, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('bread', '[0.01,0.01,0.01,0.01,0.01,1.01,0.01,1.01,0.01,0.01,1.01,1.01,0.01,1.01,1.01,0.01]', DEFAULT, 0, 'Bread needs flour, water and salt.

', '\xc2344f6a2211bd69115962bd0b65e5b4', 0, 36, NULL, '{"lang": "en", "tags": ["food"], "year": 2021}');
INSERT INTO vectordb.texts_chunks VALUES ('bread', '[0.01,0.01,0.01,0.01,0.01,0.01,3.01,1.01,0.01,1.01,0.01,1.01,0.01,1.01,2.01,1.01]', DEFAULT, 1, 'The oven must be hot before the bread goes in.', '\x0aa70ea559f8ed916b145114c56f6cf7', 36, 82, NULL, '{"lang": "en", "tags": ["food"], "year": 2021}');
INSERT INTO vectordb.texts_chunks VALUES ('garten', '[1.01,2.01,0.01,0.01,1.01,0.01,0.01,0.01,0.01,0.01,1.01,0.01,0.01,0.01,1.01,0.01]', DEFAULT, 0, 'Äpfel und Birnen wachsen im Garten.', '\x959107ff471b2f8f71ddce4746c355aa', 0, 35, NULL, '{"lang": "de", "rate": 0.5, "year": "unknown"}');
INSERT INTO vectordb.texts_documents VALUES ('animals', 'Animals', 'file:///animals.txt', '\xc62a616736aa602f88fa5a8e486322c3', '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}', '2026-11-22 03:45:06.403366+00', '2026-11-22 03:45:06.403366+00');
INSERT INTO vectordb.texts_documents VALUES ('bread', NULL, NULL, '\xcfb37ff82a85df54f4ae178263de08dc', '{"lang": "en", "tags": ["food"], "year": 2021}', '2026-11-22 03:45:06.403366+00', '2026-11-22 03:45:06.403366+00');
INSERT INTO vectordb.texts_documents VALUES ('empty', NULL, NULL, '\xe3b0c44298fc1c149afbf4c8996fb924', '{"lang": null}', '2026-11-22 03:45:06.403366+00', '2026-11-22 03:45:06.403366+00');
INSERT INTO vectordb.texts_documents VALUES ('garten', NULL, NULL, '\x959107ff471b2f8f71ddce4746c355aa', '{"lang": "de", "rate": 0.5, "year": "unknown"}', '2026-11-22 03:45:06.403366+00', '2026-11-22 03:45:06.403366+00');
ALTER TABLE ONLY vectordb.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY vectordb.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_chunks_table_key UNIQUE (chunks_table);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_documents_table_key UNIQUE (documents_table);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_pkey PRIMARY KEY (name);
ALTER TABLE ONLY vectordb.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.halves_chunks
    ADD CONSTRAINT halves_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.halves_documents
    ADD CONSTRAINT halves_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.papers_chunks
    ADD CONSTRAINT papers_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.papers_documents
    ADD CONSTRAINT papers_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.spare_parts_chunks
    ADD CONSTRAINT spare_parts_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.spare_parts_documents
    ADD CONSTRAINT spare_parts_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.texts_chunks
    ADD CONSTRAINT texts_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.texts_documents
    ADD CONSTRAINT texts_documents_pkey PRIMARY KEY (id);
CREATE INDEX chunks_embedding_hnsw_idx ON vectordb.chunks USING hnsw (embedding public.vector_cosine_ops) WITH (m='16', ef_construction='64');
CREATE INDEX chunks_metadata_idx ON vectordb.chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX documents_metadata_idx ON vectordb.documents USING gin (metadata jsonb_path_ops);
CREATE INDEX halves_chunks_embedding_ivfflat_idx ON vectordb.halves_chunks USING ivfflat (embedding public.halfvec_l2_ops) WITH (lists='2');
CREATE INDEX halves_chunks_metadata_idx ON vectordb.halves_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX halves_documents_metadata_idx ON vectordb.halves_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX papers_chunks_embedding_hnsw_idx ON vectordb.papers_chunks USING hnsw (embedding public.vector_cosine_ops) WITH (m='16', ef_construction='64');
CREATE INDEX papers_chunks_lang_idx ON vectordb.papers_chunks USING btree (lang);
CREATE INDEX papers_chunks_metadata_idx ON vectordb.papers_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX papers_chunks_open_idx ON vectordb.papers_chunks USING btree (open);
CREATE INDEX papers_chunks_rate_idx ON vectordb.papers_chunks USING btree (rate);
CREATE INDEX papers_chunks_seen_idx ON vectordb.papers_chunks USING btree (seen);
CREATE INDEX papers_chunks_year_idx ON vectordb.papers_chunks USING btree (year);
CREATE INDEX papers_documents_lang_idx ON vectordb.papers_documents USING btree (lang);
CREATE INDEX papers_documents_metadata_idx ON vectordb.papers_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX papers_documents_open_idx ON vectordb.papers_documents USING btree (open);
CREATE INDEX papers_documents_rate_idx ON vectordb.papers_documents USING btree (rate);
CREATE INDEX papers_documents_seen_idx ON vectordb.papers_documents USING btree (seen);
CREATE INDEX papers_documents_year_idx ON vectordb.papers_documents USING btree (year);
CREATE INDEX spare_parts_chunks_metadata_idx ON vectordb.spare_parts_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX spare_parts_documents_metadata_idx ON vectordb.spare_parts_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX texts_chunks_embedding_hnsw_idx ON vectordb.texts_chunks USING hnsw (embedding public.vector_cosine_ops) WITH (m='8', ef_construction='32');
CREATE INDEX texts_chunks_metadata_idx ON vectordb.texts_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX texts_documents_metadata_idx ON vectordb.texts_documents USING gin (metadata jsonb_path_ops);
ALTER TABLE ONLY vectordb.chunks
    ADD CONSTRAINT chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES vectordb.documents(id) ON DELETE CASCADE DEFERRABLE;
ALTER TABLE ONLY vectordb.halves_chunks
    ADD CONSTRAINT halves_chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES vectordb.halves_documents(id) ON DELETE CASCADE DEFERRABLE;
ALTER TABLE ONLY vectordb.papers_chunks
    ADD CONSTRAINT papers_chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES vectordb.papers_documents(id) ON DELETE CASCADE DEFERRABLE;
ALTER TABLE ONLY vectordb.spare_parts_chunks
    ADD CONSTRAINT spare_parts_chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES vectordb.spare_parts_documents(id) ON DELETE CASCADE DEFERRABLE;
ALTER TABLE ONLY vectordb.texts_chunks
    ADD CONSTRAINT texts_chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES vectordb.texts_documents(id) ON DELETE CASCADE DEFERRABLE;
