-- A database as version 0.1.0 (layout 3) left it, by pg_dump --inserts; test_layouts.py loads and upgrades it.

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
CREATE FUNCTION vectordb.bm25_branch(parts text[], bounds double precision[], weights double precision[], reach double precision[], i integer, need double precision) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    n integer := cardinality(weights);
    without text;  -- the condition on the others where the i-th is missing
    others text;
    previous text;
    groups text;
    result text := '';
BEGIN
    IF need <= 0 THEN
        RETURN '';
    ELSIF i > n OR need > reach[i] THEN
        RETURN NULL;
    END IF;
    without := "vectordb".bm25_branch(parts, bounds, weights, reach, i + 1, need);
    IF without = '' THEN
        RETURN '';
    END IF;
    FOR g IN 1..cardinality(bounds) LOOP
        others := "vectordb".bm25_branch(parts, bounds, weights, reach, i + 1, need - weights[i] * bounds[g]);
        CONTINUE WHEN others IS NULL OR others = without;
        IF others = previous THEN
            groups := groups || '|' || parts[(g - 1) * n + i];
            CONTINUE;
        END IF;
        result := result || coalesce('|(' || groups || ')' || coalesce('&(' || nullif(previous, '') || ')', ''), '');
        groups := parts[(g - 1) * n + i];
        previous := others;
        EXIT WHEN g = 1 AND others = '';  -- the first group stands for all
    END LOOP;
    result := result || coalesce('|(' || groups || ')' || coalesce('&(' || nullif(previous, '') || ')', ''), '');
    RETURN nullif(substr(result || coalesce('|' || without, ''), 2), '');
END
$$;
CREATE FUNCTION vectordb.bm25_condition(lexemes text[], weights double precision[], average double precision, k1 double precision, b double precision, threshold double precision) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    need float8 := threshold * (1 - 1e-9);
    last integer := cardinality(lexemes);
    keys text[];
    head integer := 0;  -- so many lexemes are looked at one by one
    rest float8 := (SELECT sum(weight) FROM unnest(weights) AS weight);  -- what the others may add
    splits float8[];
    tiers float8[];
    bounds float8[] := '{}';
    parts text[] := '{}';
    reach float8[];
    low integer;
    high integer := 0;
    result text := '';
BEGIN
    SELECT array_agg("vectordb".open_lexeme(left(lexeme, 200)) ORDER BY place) INTO keys
    FROM unnest(lexemes) WITH ORDINALITY AS given(lexeme, place);
    IF need > 0 THEN
        WHILE head < least(last, 8) AND (head < 2 OR rest > 0.4 * need) LOOP
            head := head + 1;
            rest := rest - weights[head];
        END LOOP;
        -- Fine groups leave few texts to score, but with many lexemes make a condition that takes longer than these.
        splits := CASE
            WHEN head <= 2 THEN ARRAY[0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
            WHEN head = 3 THEN ARRAY[0.5, 0.7]
            ELSE ARRAY[0.7]
        END;
        tiers := "vectordb".tier_bounds(k1, b, average);
        FOR g IN 1..cardinality(splits) + 1 LOOP
            low := high + 1;
            EXIT WHEN low > cardinality(tiers);
            high := low;
            WHILE high < cardinality(tiers) AND (g > cardinality(splits) OR tiers[high + 1] <= splits[g]) LOOP
                high := high + 1;
            END LOOP;
            bounds := bounds || tiers[high];
            FOR i IN 1..head LOOP
                -- The first group is written as all tiers, which is one key.
                parts := parts || CASE WHEN low = 1 THEN keys[i] || '''' ELSE (
                    SELECT string_agg(keys[i] || chr(1) || chr(47 + tier) || '''', '|')
                    FROM generate_series(low, high) AS tier
                ) END;
            END LOOP;
        END LOOP;
        reach := array_fill(0::float8, ARRAY[head + 1]);
        FOR i IN REVERSE head..1 LOOP
            reach[i] := reach[i + 1] + weights[i];
        END LOOP;
        result := "vectordb".bm25_branch(parts, bounds, weights[1:head], reach, 1, need - rest);
    END IF;
    IF result = '' THEN
        -- One of the lexemes without which the others do not add up to enough.
        rest := 0;
        WHILE last > 1 AND rest + weights[last] < need LOOP
            rest := rest + weights[last];
            last := last - 1;
        END LOOP;
        SELECT string_agg(key || '''', '|') INTO result FROM unnest(keys[1:last]) AS key;
    END IF;
    RETURN (coalesce(result || '|', '') || '''' || chr(1) || '''')::tsquery;
END
$$;
CREATE FUNCTION vectordb.bm25_guess(weights double precision[], shares double precision[], texts double precision, wanted double precision) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    n integer := least(cardinality(weights), 8);
    step float8 := (SELECT sum(weight) FROM unnest(weights[1:8]) AS weight) / 48;
    chance float8[] := array_fill(0::float8, ARRAY[64]);  -- of a score of 0, 1, 2 ... steps
    before float8[];
    places integer[];
    highest integer := 0;
    reached float8 := 0;
BEGIN
    chance[1] := 1;
    FOR i IN 1..n LOOP
        before := chance;
        -- Most texts are not much shorter than the average and have a lexeme once.
        places := ARRAY[0.4 * weights[i] / step, 0.55 * weights[i] / step, 0.7 * weights[i] / step]::integer[];
        FOR j IN 1..highest + 1 LOOP
            chance[j] := before[j] * (1 - shares[i]);
        END LOOP;
        FOR j IN 1..highest + 1 LOOP
            CONTINUE WHEN before[j] = 0;
            chance[j + places[1]] := chance[j + places[1]] + 0.55 * shares[i] * before[j];
            chance[j + places[2]] := chance[j + places[2]] + 0.35 * shares[i] * before[j];
            chance[j + places[3]] := chance[j + places[3]] + 0.1 * shares[i] * before[j];
        END LOOP;
        highest := highest + places[3];
    END LOOP;
    FOR j IN REVERSE highest + 1..2 LOOP
        reached := reached + texts * chance[j];
        IF reached >= wanted THEN
            -- Texts with many common lexemes are long, so that each weighs less.
            RETURN (j - 1) * step * CASE WHEN (SELECT sum(share) FROM unnest(shares) AS share) > 1 THEN 0.93 ELSE 1 END;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;
CREATE FUNCTION vectordb.bm25_next(lexemes text[], weights double precision[], average double precision, k1 double precision, b double precision, guess double precision, hits bigint, lowest double precision, wanted bigint, INOUT threshold double precision, INOUT proven double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    IF hits = wanted THEN
        proven := greatest(proven, lowest);
    END IF;
    IF threshold <= proven THEN
        RETURN;
    END IF;
    threshold := CASE
        WHEN threshold = 'infinity' THEN greatest(guess, proven)
        WHEN hits = wanted THEN proven
        WHEN threshold > guess / 4 THEN greatest(threshold / 2, proven)
        ELSE proven
    END;
    condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, threshold);
END
$$;
CREATE FUNCTION vectordb.chunks_text_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE "vectordb"."chunks_lexemes", "vectordb"."chunks_text_changes";
        INSERT INTO "vectordb"."chunks_lexemes" VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO "vectordb"."chunks_text_changes" (sign, length, content)
            SELECT -1, "vectordb".text_length(OLD."content_tsv"), OLD."content_tsv" WHERE OLD."content_tsv" <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO "vectordb"."chunks_text_changes" (sign, length, content)
            SELECT 1, "vectordb".text_length(NEW."content_tsv"), NEW."content_tsv" WHERE NEW."content_tsv" <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM "vectordb"."chunks_text_changes" ORDER BY id LIMIT 128) AS waiting) = 128
        AND pg_try_advisory_xact_lock(1986356084, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM "vectordb"."chunks_text_changes" RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO "vectordb"."chunks_lexemes" AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION vectordb.chunks_text_plan(query text, wanted double precision, config regconfig DEFAULT 'english'::regconfig, OUT lexemes text[], OUT weights double precision[], OUT average double precision, OUT k1 double precision, OUT b double precision, OUT required tsquery, OUT guess double precision, OUT threshold double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := 1.2;
    b := 0.75;
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM "vectordb".text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM "vectordb"."chunks_lexemes" AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM "vectordb"."chunks_text_changes") AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM "vectordb"."chunks_lexemes" AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM "vectordb"."chunks_text_changes" AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{a}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:64];
    weights := weights[1:64];
    counts := counts[1:64];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= 200 + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := "vectordb".bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= 200 + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := "vectordb".bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$;
CREATE FUNCTION vectordb.halves_chunks_text_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE "vectordb"."halves_chunks_lexemes", "vectordb"."halves_chunks_text_changes";
        INSERT INTO "vectordb"."halves_chunks_lexemes" VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO "vectordb"."halves_chunks_text_changes" (sign, length, content)
            SELECT -1, "vectordb".text_length(OLD."content_tsv"), OLD."content_tsv" WHERE OLD."content_tsv" <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO "vectordb"."halves_chunks_text_changes" (sign, length, content)
            SELECT 1, "vectordb".text_length(NEW."content_tsv"), NEW."content_tsv" WHERE NEW."content_tsv" <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM "vectordb"."halves_chunks_text_changes" ORDER BY id LIMIT 128) AS waiting) = 128
        AND pg_try_advisory_xact_lock(1986356084, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM "vectordb"."halves_chunks_text_changes" RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO "vectordb"."halves_chunks_lexemes" AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION vectordb.halves_chunks_text_plan(query text, wanted double precision, config regconfig DEFAULT 'english'::regconfig, OUT lexemes text[], OUT weights double precision[], OUT average double precision, OUT k1 double precision, OUT b double precision, OUT required tsquery, OUT guess double precision, OUT threshold double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := 1.2;
    b := 0.75;
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM "vectordb".text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM "vectordb"."halves_chunks_lexemes" AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM "vectordb"."halves_chunks_text_changes") AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM "vectordb"."halves_chunks_lexemes" AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM "vectordb"."halves_chunks_text_changes" AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{a}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:64];
    weights := weights[1:64];
    counts := counts[1:64];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= 200 + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := "vectordb".bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= 200 + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := "vectordb".bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$;
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
CREATE FUNCTION vectordb.tier_edges() RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[(0.00000268175604)::double precision, (0.00000357567472)::double precision, (0.0000047675663)::double precision, (0.00000635675507)::double precision, (0.00000847567342)::double precision, (0.0000113008979)::double precision, (0.0000150678639)::double precision, (0.0000200904851)::double precision, (0.0000267873135)::double precision, (0.000035716418)::double precision, (0.0000476218907)::double precision, (0.0000634958543)::double precision, (0.000084661139)::double precision, (0.000112881519)::double precision, (0.000150508692)::double precision, (0.000200678256)::double precision, (0.000267571007)::double precision, (0.000356761343)::double precision, (0.000475681791)::double precision, (0.000634242388)::double precision, (0.000845656517)::double precision, (0.00112754202)::double precision, (0.00150338936)::double precision, (0.00200451915)::double precision, (0.0026726922)::double precision, (0.0035635896)::double precision, (0.0047514528)::double precision, (0.0063352704)::double precision, (0.00844702721)::double precision, (0.0112627029)::double precision, (0.0150169373)::double precision, (0.020022583)::double precision, (0.0266967773)::double precision, (0.0355957031)::double precision, (0.0474609375)::double precision, (0.06328125)::double precision, (0.084375)::double precision, (0.1125)::double precision, (0.15)::double precision, (0.2)::double precision];
CREATE FUNCTION vectordb.lexeme_tiers(content tsvector) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (sum(((2 * octet_length(counted.lexeme)) + 2)) < 1000000) THEN array_to_tsvector((array_agg("left"(counted.lexeme, 200)) || array_agg((("left"(counted.lexeme, 200) || chr(1)) || chr((48 + width_bucket((counted.tf / ((counted.length + 5))::double precision), vectordb.tier_edges())))))))
             WHEN (count(*) > 0) THEN array_to_tsvector(ARRAY[chr(1)])
             ELSE ''::tsvector
         END AS "case"
    FROM ( SELECT unnest.lexeme,
             (cardinality(unnest.positions))::double precision AS tf,
             sum(cardinality(unnest.positions)) OVER () AS length
            FROM unnest(lexeme_tiers.content) unnest(lexeme, positions, weights)) counted;
END;
CREATE FUNCTION vectordb.open_lexeme(lexeme text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (''''::text || replace(replace(lexeme, '\'::text, '\\'::text), ''''::text, ''''''::text));
CREATE FUNCTION vectordb.papers_chunks_text_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE "vectordb"."papers_chunks_lexemes", "vectordb"."papers_chunks_text_changes";
        INSERT INTO "vectordb"."papers_chunks_lexemes" VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO "vectordb"."papers_chunks_text_changes" (sign, length, content)
            SELECT -1, "vectordb".text_length(OLD."content_tsv"), OLD."content_tsv" WHERE OLD."content_tsv" <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO "vectordb"."papers_chunks_text_changes" (sign, length, content)
            SELECT 1, "vectordb".text_length(NEW."content_tsv"), NEW."content_tsv" WHERE NEW."content_tsv" <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM "vectordb"."papers_chunks_text_changes" ORDER BY id LIMIT 128) AS waiting) = 128
        AND pg_try_advisory_xact_lock(1986356084, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM "vectordb"."papers_chunks_text_changes" RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO "vectordb"."papers_chunks_lexemes" AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION vectordb.papers_chunks_text_plan(query text, wanted double precision, config regconfig DEFAULT 'english'::regconfig, OUT lexemes text[], OUT weights double precision[], OUT average double precision, OUT k1 double precision, OUT b double precision, OUT required tsquery, OUT guess double precision, OUT threshold double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := 1.2;
    b := 0.75;
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM "vectordb".text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM "vectordb"."papers_chunks_lexemes" AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM "vectordb"."papers_chunks_text_changes") AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM "vectordb"."papers_chunks_lexemes" AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM "vectordb"."papers_chunks_text_changes" AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{a}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:64];
    weights := weights[1:64];
    counts := counts[1:64];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= 200 + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := "vectordb".bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= 200 + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := "vectordb".bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$;
CREATE FUNCTION vectordb.spare_parts_chunks_text_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE "vectordb"."spare_parts_chunks_lexemes", "vectordb"."spare_parts_chunks_text_changes";
        INSERT INTO "vectordb"."spare_parts_chunks_lexemes" VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO "vectordb"."spare_parts_chunks_text_changes" (sign, length, content)
            SELECT -1, "vectordb".text_length(OLD."content_tsv"), OLD."content_tsv" WHERE OLD."content_tsv" <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO "vectordb"."spare_parts_chunks_text_changes" (sign, length, content)
            SELECT 1, "vectordb".text_length(NEW."content_tsv"), NEW."content_tsv" WHERE NEW."content_tsv" <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM "vectordb"."spare_parts_chunks_text_changes" ORDER BY id LIMIT 128) AS waiting) = 128
        AND pg_try_advisory_xact_lock(1986356084, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM "vectordb"."spare_parts_chunks_text_changes" RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO "vectordb"."spare_parts_chunks_lexemes" AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION vectordb.spare_parts_chunks_text_plan(query text, wanted double precision, config regconfig DEFAULT 'english'::regconfig, OUT lexemes text[], OUT weights double precision[], OUT average double precision, OUT k1 double precision, OUT b double precision, OUT required tsquery, OUT guess double precision, OUT threshold double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := 1.2;
    b := 0.75;
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM "vectordb".text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM "vectordb"."spare_parts_chunks_lexemes" AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM "vectordb"."spare_parts_chunks_text_changes") AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM "vectordb"."spare_parts_chunks_lexemes" AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM "vectordb"."spare_parts_chunks_text_changes" AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{a}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:64];
    weights := weights[1:64];
    counts := counts[1:64];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= 200 + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := "vectordb".bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= 200 + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := "vectordb".bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$;
CREATE FUNCTION vectordb.text_length(content tsvector) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT (COALESCE(sum(cardinality(unnest.positions)), (0)::bigint))::integer AS "coalesce"
    FROM unnest(text_length.content) unnest(lexeme, positions, weights);
END;
CREATE FUNCTION vectordb.text_query(config regconfig, query text, OUT lexemes text[], OUT frequencies integer[], OUT required tsquery, OUT needed tsquery) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
DECLARE
    token text[];
    part tsquery;
    clause tsquery;
    phrases tsquery;
    anything boolean := false;
    words text := '';
    wanted text := '';
    demanding boolean := false;
    parts integer := 0;
    lone tsquery;
BEGIN
    FOR token IN
        SELECT pieces FROM regexp_matches(
            translate(left(query, 4000), '“”„', '"""'), '(-?)"([^"]*)"?|([^\s"]+)', 'g') AS pieces
        UNION ALL SELECT ARRAY[NULL, NULL, 'or']
    LOOP
        IF lower(token[3]) = 'or' THEN
            part := (
                SELECT string_agg("vectordb".open_lexeme(lexeme) || '''', '|')::tsquery
                FROM unnest(to_tsvector(config, words)) WHERE phrases IS NULL
            );
            part := coalesce(part && clause, part, clause);
            required := coalesce(required || part, required, part);
            parts := parts + (part IS NOT NULL)::integer;
            lone := coalesce(clause, lone);
            needed := coalesce(needed || phrases, needed, phrases);
            anything := anything OR part IS NOT NULL AND coalesce(numnode(phrases), 0) = 0;
            words := '';
            clause := NULL;
            phrases := NULL;
        ELSIF token[3] IS NULL OR token[3] ~ '^-.' THEN
            part := phraseto_tsquery(config, coalesce(token[2], substr(token[3], 2)));
            CONTINUE WHEN numnode(part) = 0;
            demanding := true;
            IF token[1] = '-' OR token[3] IS NOT NULL THEN
                part := !! part;
            ELSE
                wanted := wanted || ' ' || token[2];
                -- The index knows no order, and lexemes no further than to their 200th character.
                phrases := coalesce(phrases && "vectordb".unordered(part), phrases, "vectordb".unordered(part));
            END IF;
            clause := coalesce(clause && part, part);
        ELSE
            words := words || ' ' || token[3];
            wanted := wanted || ' ' || token[3];
        END IF;
    END LOOP;
    IF NOT demanding THEN
        required := NULL;
    ELSIF parts = 1 THEN
        -- Texts that are near by their vector need none of the words.
        required := lone;
    END IF;
    needed := CASE WHEN NOT anything THEN needed || ('''' || chr(1) || '''')::tsquery END;
    SELECT array_agg(lexeme), array_agg(cardinality(positions)) INTO lexemes, frequencies
    FROM unnest(to_tsvector(config, wanted));
END
$$;
CREATE FUNCTION vectordb.texts_chunks_text_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE "vectordb"."texts_chunks_lexemes", "vectordb"."texts_chunks_text_changes";
        INSERT INTO "vectordb"."texts_chunks_lexemes" VALUES ('', 0, 0);
    ELSIF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO "vectordb"."texts_chunks_text_changes" (sign, length, content)
            SELECT -1, "vectordb".text_length(OLD."content_tsv"), OLD."content_tsv" WHERE OLD."content_tsv" <> '';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO "vectordb"."texts_chunks_text_changes" (sign, length, content)
            SELECT 1, "vectordb".text_length(NEW."content_tsv"), NEW."content_tsv" WHERE NEW."content_tsv" <> '';
        END IF;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Under a snapshot older than another writer's counts, adding to them would fail; and serializable writers that
        -- so much as looked at the changes would be at odds with each other.
        RETURN NULL;
    ELSIF (SELECT count(*) FROM (SELECT FROM "vectordb"."texts_chunks_text_changes" ORDER BY id LIMIT 128) AS waiting) = 128
        AND pg_try_advisory_xact_lock(1986356084, TG_RELID::integer)
    THEN
        WITH moved AS (
            DELETE FROM "vectordb"."texts_chunks_text_changes" RETURNING sign, length, content
        ), counted AS (
            SELECT lexeme, sum(sign) AS texts, sum(sign * cardinality(positions)) AS occurrences
            FROM moved CROSS JOIN unnest(content) GROUP BY lexeme
            UNION ALL
            SELECT '', sum(sign), sum(sign * length) FROM moved
        )
        INSERT INTO "vectordb"."texts_chunks_lexemes" AS known (lexeme, texts, occurrences)
        SELECT lexeme, texts, occurrences FROM counted WHERE texts <> 0 OR occurrences <> 0
        ON CONFLICT (lexeme) DO UPDATE
        SET texts = known.texts + excluded.texts, occurrences = known.occurrences + excluded.occurrences;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION vectordb.texts_chunks_text_plan(query text, wanted double precision, config regconfig DEFAULT 'german'::regconfig, OUT lexemes text[], OUT weights double precision[], OUT average double precision, OUT k1 double precision, OUT b double precision, OUT required tsquery, OUT guess double precision, OUT threshold double precision, OUT condition tsquery) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    asked text[];
    frequencies integer[];
    needed tsquery;
    total float8;
    counts float8[];
    seen float8;
BEGIN
    k1 := 1.2;
    b := 0.75;
    SELECT q.lexemes, q.frequencies, q.required, q.needed INTO asked, frequencies, required, needed
    FROM "vectordb".text_query(config, query) AS q;
    SELECT known.texts + coalesce(changed.texts, 0),
        (known.occurrences + coalesce(changed.length, 0)) / nullif(known.texts + coalesce(changed.texts, 0), 0)::float8
        INTO total, average
    FROM "vectordb"."texts_chunks_lexemes" AS known
    CROSS JOIN (SELECT sum(sign) AS texts, sum(sign * length) AS length FROM "vectordb"."texts_chunks_text_changes") AS changed
    WHERE known.lexeme = '';
    SELECT array_agg(lexeme ORDER BY weight DESC, lexeme), array_agg(weight ORDER BY weight DESC, lexeme),
        array_agg(texts ORDER BY weight DESC, lexeme)
        INTO lexemes, weights, counts
    FROM (
        SELECT lexeme, texts, frequency * ln(1 + (total - texts + 0.5) / (texts + 0.5)) AS weight
        FROM (
            SELECT lexeme, sum(texts)::float8 AS texts
            FROM (
                SELECT known.lexeme, known.texts FROM "vectordb"."texts_chunks_lexemes" AS known WHERE known.lexeme = ANY(asked)
                UNION ALL
                SELECT occurring.lexeme, changed.sign
                FROM "vectordb"."texts_chunks_text_changes" AS changed
                CROSS JOIN unnest(ts_filter(setweight(changed.content, 'A', asked), '{a}')) AS occurring
                WHERE occurring.lexeme = ANY(asked)
            ) AS counted
            GROUP BY lexeme HAVING sum(texts) > 0
        ) AS summed
        JOIN unnest(asked, frequencies) AS given(lexeme, frequency) USING (lexeme)
    ) AS weighted;
    IF lexemes IS NULL THEN
        RETURN;
    END IF;
    lexemes := lexemes[1:64];
    weights := weights[1:64];
    counts := counts[1:64];
    IF numnode(needed) > 0 OR (SELECT sum(texts) FROM unnest(counts) AS texts) <= 200 + 4 * wanted THEN
        -- So few are scored more quickly than told apart.
        threshold := 0;
        condition := "vectordb".bm25_condition(lexemes, weights, average, k1, b, 0);
        condition := coalesce(condition && needed, condition);
        RETURN;
    END IF;
    guess := "vectordb".bm25_guess(
        weights, (SELECT array_agg(texts / total) FROM unnest(counts) AS texts), total, 10 * wanted);
    -- The texts with the rarest lexemes are few, and often prove that the best ones score more than guessed.
    SELECT array_agg(lexeme), max(running) INTO asked, seen
    FROM (
        SELECT lexeme, sum(texts) OVER (ORDER BY texts, lexeme) AS running
        FROM unnest(lexemes, counts) AS counted(lexeme, texts)
    ) AS rarest
    WHERE running <= 200 + 4 * wanted;
    threshold := CASE WHEN seen >= wanted THEN 'infinity' ELSE guess END;
    condition := "vectordb".bm25_condition(
        CASE WHEN seen >= wanted THEN asked ELSE lexemes END, weights, average, k1, b,
        CASE WHEN seen >= wanted THEN 0 ELSE guess END);
END
$$;
CREATE FUNCTION vectordb.tier_bounds(k1 double precision, b double precision, average double precision) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT array_agg(LEAST((1)::double precision, ((1)::double precision / GREATEST((0.000000001)::double precision, (((1)::double precision + ((tier_bounds.k1 * tier_bounds.b) / (tier_bounds.average * edge.edge))) + LEAST((0)::double precision, (tier_bounds.k1 * (((1)::double precision - tier_bounds.b) - (((5)::double precision * tier_bounds.b) / tier_bounds.average)))))))) ORDER BY edge.edge) AS array_agg
    FROM unnest((vectordb.tier_edges() || 'Infinity'::double precision)) edge(edge);
END;
CREATE FUNCTION vectordb.unordered(phrase tsquery) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (CASE WHEN (length((phrase)::text) > 200) THEN ''::text ELSE regexp_replace((phrase)::text, '(['')]) <(-|\d+)> (?=[''(])'::text, '\1 & '::text, 'g'::text) END)::tsquery;
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
CREATE TABLE vectordb.chunks_lexemes (
    lexeme text NOT NULL COLLATE pg_catalog."C",
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
);
CREATE TABLE vectordb.chunks_text_changes (
    id bigint NOT NULL,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
);
ALTER TABLE vectordb.chunks_text_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vectordb.chunks_text_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
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
    fields jsonb DEFAULT '{}'::jsonb NOT NULL,
    text_index jsonb
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
CREATE TABLE vectordb.halves_chunks_lexemes (
    lexeme text NOT NULL COLLATE pg_catalog."C",
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
);
CREATE TABLE vectordb.halves_chunks_text_changes (
    id bigint NOT NULL,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
);
ALTER TABLE vectordb.halves_chunks_text_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vectordb.halves_chunks_text_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
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
CREATE TABLE vectordb.papers_chunks_lexemes (
    lexeme text NOT NULL COLLATE pg_catalog."C",
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
);
CREATE TABLE vectordb.papers_chunks_text_changes (
    id bigint NOT NULL,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
);
ALTER TABLE vectordb.papers_chunks_text_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vectordb.papers_chunks_text_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
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
CREATE TABLE vectordb.spare_parts_chunks_lexemes (
    lexeme text NOT NULL COLLATE pg_catalog."C",
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
);
CREATE TABLE vectordb.spare_parts_chunks_text_changes (
    id bigint NOT NULL,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
);
ALTER TABLE vectordb.spare_parts_chunks_text_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vectordb.spare_parts_chunks_text_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
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
CREATE TABLE vectordb.texts_chunks_lexemes (
    lexeme text NOT NULL COLLATE pg_catalog."C",
    texts bigint NOT NULL,
    occurrences bigint NOT NULL
);
CREATE TABLE vectordb.texts_chunks_text_changes (
    id bigint NOT NULL,
    sign smallint NOT NULL,
    length integer NOT NULL,
    content tsvector NOT NULL
);
ALTER TABLE vectordb.texts_chunks_text_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vectordb.texts_chunks_text_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE vectordb.texts_documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text,
    uri text,
    content_hash bytea NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
INSERT INTO vectordb.alembic_version VALUES ('0003');
INSERT INTO vectordb.chunks VALUES ('a', '[1.25,0.25,0.25]', DEFAULT, 0, 'one', '\xce38172cd094f3ac1d5ff8795f3f45ea', 0, 3, NULL, '{"lang": "en", "year": 2019}');
INSERT INTO vectordb.chunks VALUES ('b', '[0.25,1.25,0.25]', DEFAULT, 0, 'two', '\x45fbbd530dd6c10b925d3b32586ef6ba', 0, 3, NULL, '{"lang": "de", "year": 2020}');
INSERT INTO vectordb.chunks VALUES ('c', '[0.25,0.25,1.25]', DEFAULT, 0, 'three', '\xc50373b791dd6d5c01743b02060d0266', 0, 5, NULL, '{}');
INSERT INTO vectordb.chunks_lexemes VALUES ('', 0, 0);
INSERT INTO vectordb.chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, '''one'':1');
INSERT INTO vectordb.chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (2, 1, 1, '''two'':1');
INSERT INTO vectordb.chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (3, 1, 1, '''three'':1');
INSERT INTO vectordb.collections VALUES ('default', 'documents', 'chunks', 3, 'cosine', 'vector', '{"m": 16, "method": "hnsw", "ef_construction": 64}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 3, '2026-11-22 06:33:33.436372+00', '{}', '{"b": 0.75, "k1": 1.2}');
INSERT INTO vectordb.collections VALUES ('texts', 'texts_documents', 'texts_chunks', 16, 'cosine', 'vector', '{"m": 8, "method": "hnsw", "ef_construction": 32}', 'german', '{"size": 60, "unit": "characters", "overlap": 0}', '{"model": "hashed words", "provider": "callable", "dimensions": 16, "normalized": false, "fingerprint": null, "query_prompt": "", "truncate_dim": null, "document_prompt": ""}', 3, '2026-11-22 06:33:33.516847+00', '{}', '{"b": 0.75, "k1": 1.2}');
INSERT INTO vectordb.collections VALUES ('halves', 'halves_documents', 'halves_chunks', 4, 'l2', 'halfvec', '{"lists": 2, "method": "ivfflat"}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 3, '2026-11-22 06:33:33.550323+00', '{}', '{"b": 0.75, "k1": 1.2}');
INSERT INTO vectordb.collections VALUES ('spare_parts', 'spare_parts_documents', 'spare_parts_chunks', 9, 'hamming', 'bit', NULL, 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 3, '2026-11-22 06:33:33.576064+00', '{}', '{"b": 0.75, "k1": 1.2}');
INSERT INTO vectordb.collections VALUES ('papers', 'papers_documents', 'papers_chunks', 3, 'cosine', 'vector', '{"m": 16, "method": "hnsw", "ef_construction": 64}', 'english', '{"size": null, "unit": "tokens", "overlap": 0}', NULL, 3, '2026-11-22 06:33:33.598074+00', '{"lang": "str", "open": "bool", "rate": "float", "seen": "datetime", "year": "int"}', '{"b": 0.75, "k1": 1.2}');
INSERT INTO vectordb.documents VALUES ('a', NULL, NULL, '\xce38172cd094f3ac1d5ff8795f3f45ea', '{"lang": "en", "year": 2019}', '2026-11-22 06:33:33.640395+00', '2026-11-22 06:33:33.640395+00');
INSERT INTO vectordb.documents VALUES ('b', NULL, NULL, '\x45fbbd530dd6c10b925d3b32586ef6ba', '{"lang": "de", "year": 2020}', '2026-11-22 06:33:33.640395+00', '2026-11-22 06:33:33.640395+00');
INSERT INTO vectordb.documents VALUES ('c', NULL, NULL, '\xc50373b791dd6d5c01743b02060d0266', '{}', '2026-11-22 06:33:33.640395+00', '2026-11-22 06:33:33.640395+00');
INSERT INTO vectordb.halves_chunks VALUES ('0', '[0,1,2,3]', DEFAULT, 0, '', '\x932bc745825e2fd5b9e81ebb272104e7', 0, 0, NULL, '{"n": 0, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('1', '[4,5,6,7]', DEFAULT, 0, '', '\x5c0ed3ad65c064014b8294e2562484d7', 0, 0, NULL, '{"n": 1, "even": false}');
INSERT INTO vectordb.halves_chunks VALUES ('2', '[8,9,10,11]', DEFAULT, 0, '', '\xbc50ae5c5ca473037bd60ca3f063ea72', 0, 0, NULL, '{"n": 2, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('3', '[12,13,14,15]', DEFAULT, 0, '', '\x98ca0ead64d2a63a8a70703240354cc7', 0, 0, NULL, '{"n": 3, "even": false}');
INSERT INTO vectordb.halves_chunks VALUES ('4', '[16,17,18,19]', DEFAULT, 0, '', '\x4c3ec21fc5e3d44be9508ca4c93a7f45', 0, 0, NULL, '{"n": 4, "even": true}');
INSERT INTO vectordb.halves_chunks VALUES ('5', '[20,21,22,23]', DEFAULT, 0, '', '\x976248a2cae519b380fdaa8b4b8c8c82', 0, 0, NULL, '{"n": 5, "even": false}');
INSERT INTO vectordb.halves_chunks_lexemes VALUES ('', 0, 0);
INSERT INTO vectordb.halves_documents VALUES ('0', NULL, NULL, '\x932bc745825e2fd5b9e81ebb272104e7', '{"n": 0, "even": true}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.halves_documents VALUES ('1', NULL, NULL, '\x5c0ed3ad65c064014b8294e2562484d7', '{"n": 1, "even": false}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.halves_documents VALUES ('2', NULL, NULL, '\xbc50ae5c5ca473037bd60ca3f063ea72', '{"n": 2, "even": true}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.halves_documents VALUES ('3', NULL, NULL, '\x98ca0ead64d2a63a8a70703240354cc7', '{"n": 3, "even": false}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.halves_documents VALUES ('4', NULL, NULL, '\x4c3ec21fc5e3d44be9508ca4c93a7f45', '{"n": 4, "even": true}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.halves_documents VALUES ('5', NULL, NULL, '\x976248a2cae519b380fdaa8b4b8c8c82', '{"n": 5, "even": false}', '2026-11-22 06:33:33.684534+00', '2026-11-22 06:33:33.684534+00');
INSERT INTO vectordb.papers_chunks VALUES ('p', '[1,0,0]', DEFAULT, 0, 'Cats purr', '\xf7b28583b3d8b606983457c5c4f4f2b2', 0, 9, NULL, '{"lang": "en", "open": true, "rate": 0.5, "seen": "2020-05-06T07:08:09Z", "year": 2020}', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_chunks VALUES ('q', '[0,1,0]', DEFAULT, 0, 'Trains run on rails, cats do not', '\x7dda51bd7a44279b5cc504001cf0a2a3', 0, 32, NULL, '{"other": 1}', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_chunks_lexemes VALUES ('', 0, 0);
INSERT INTO vectordb.papers_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (1, 1, 2, '''cat'':1 ''purr'':2');
INSERT INTO vectordb.papers_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (2, 1, 4, '''cat'':5 ''rail'':4 ''run'':2 ''train'':1');
INSERT INTO vectordb.papers_documents VALUES ('p', NULL, NULL, '\xf7b28583b3d8b606983457c5c4f4f2b2', '{"lang": "en", "open": true, "rate": 0.5, "seen": "2020-05-06T07:08:09Z", "year": 2020}', '2026-11-22 06:33:33.68942+00', '2026-11-22 06:33:33.68942+00', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.papers_documents VALUES ('q', NULL, NULL, '\x7dda51bd7a44279b5cc504001cf0a2a3', '{"other": 1}', '2026-11-22 06:33:33.68942+00', '2026-11-22 06:33:33.68942+00', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO vectordb.spare_parts_chunks_lexemes VALUES ('', 0, 0);
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,0.01,0.01,0.01,1.01,0.01,2.01,0.01,0.01,0.01,1.01,0.01,1.01,0.01,1.01,1.01]', DEFAULT, 0, 'The kitten sleeps in the warm kitchen.

', '\xdf2333410785d59e0730089dd3892d57', 0, 40, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,1.01,0.01,1.01,0.01,0.01,1.01,1.01,2.01,0.01,0.01,0.01,1.01,0.01,2.01,0.01]', DEFAULT, 1, 'A cat hunts mice at night in the barn.

', '\x3dc887567e64cce7ea18f9e9f667f0b4', 40, 80, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('animals', '[0.01,1.01,1.01,0.01,1.01,0.01,2.01,1.01,1.01,1.01,1.01,0.01,1.01,1.01,0.01,0.01]', DEFAULT, 2, 'The dog of the neighbour barks at every cat it sees.', '\x57be81d8e731263b90153d11cdf03fc4', 80, 132, NULL, '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}');
INSERT INTO vectordb.texts_chunks VALUES ('bread', '[0.01,0.01,0.01,0.01,0.01,1.01,0.01,1.01,0.01,0.01,1.01,1.01,0.01,1.01,1.01,0.01]', DEFAULT, 0, 'Bread needs flour, water and salt.

', '\xc2344f6a2211bd69115962bd0b65e5b4', 0, 36, NULL, '{"lang": "en", "tags": ["food"], "year": 2021}');
INSERT INTO vectordb.texts_chunks VALUES ('bread', '[0.01,0.01,0.01,0.01,0.01,0.01,3.01,1.01,0.01,1.01,0.01,1.01,0.01,1.01,2.01,1.01]', DEFAULT, 1, 'The oven must be hot before the bread goes in.', '\x0aa70ea559f8ed916b145114c56f6cf7', 36, 82, NULL, '{"lang": "en", "tags": ["food"], "year": 2021}');
INSERT INTO vectordb.texts_chunks VALUES ('garten', '[1.01,2.01,0.01,0.01,1.01,0.01,0.01,0.01,0.01,0.01,1.01,0.01,0.01,0.01,1.01,0.01]', DEFAULT, 0, 'Äpfel und Birnen wachsen im Garten.', '\x959107ff471b2f8f71ddce4746c355aa', 0, 35, NULL, '{"lang": "de", "rate": 0.5, "year": "unknown"}');
INSERT INTO vectordb.texts_chunks_lexemes VALUES ('', 0, 0);
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (1, 1, 6, '''kitch'':7 ''kitt'':2 ''sleeps'':3 ''the'':1,5 ''warm'':6');
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (2, 1, 8, '''a'':1 ''at'':5 ''barn'':9 ''cat'':2 ''hunt'':3 ''mic'':4 ''night'':6 ''the'':8');
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (3, 1, 11, '''at'':7 ''bark'':6 ''cat'':9 ''dog'':2 ''every'':8 ''it'':10 ''neighbour'':5 ''of'':3 ''sees'':11 ''the'':1,4');
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (4, 1, 6, '''and'':5 ''bread'':1 ''flour'':3 ''need'':2 ''salt'':6 ''wat'':4');
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (5, 1, 9, '''be'':4 ''befor'':6 ''bread'':8 ''gos'':9 ''hot'':5 ''must'':3 ''oven'':2 ''the'':1,7');
INSERT INTO vectordb.texts_chunks_text_changes OVERRIDING SYSTEM VALUE VALUES (6, 1, 4, '''apfel'':1 ''birn'':3 ''gart'':6 ''wachs'':4');
INSERT INTO vectordb.texts_documents VALUES ('animals', 'Animals', 'file:///animals.txt', '\xc62a616736aa602f88fa5a8e486322c3', '{"seen": "2020-05-06", "tags": ["cat", "dog"], "year": 2020, "author": {"name": "Ada"}}', '2026-11-22 06:33:33.677125+00', '2026-11-22 06:33:33.677125+00');
INSERT INTO vectordb.texts_documents VALUES ('bread', NULL, NULL, '\xcfb37ff82a85df54f4ae178263de08dc', '{"lang": "en", "tags": ["food"], "year": 2021}', '2026-11-22 06:33:33.677125+00', '2026-11-22 06:33:33.677125+00');
INSERT INTO vectordb.texts_documents VALUES ('empty', NULL, NULL, '\xe3b0c44298fc1c149afbf4c8996fb924', '{"lang": null}', '2026-11-22 06:33:33.677125+00', '2026-11-22 06:33:33.677125+00');
INSERT INTO vectordb.texts_documents VALUES ('garten', NULL, NULL, '\x959107ff471b2f8f71ddce4746c355aa', '{"lang": "de", "rate": 0.5, "year": "unknown"}', '2026-11-22 06:33:33.677125+00', '2026-11-22 06:33:33.677125+00');
SELECT pg_catalog.setval('vectordb.chunks_text_changes_id_seq', 3, true);
SELECT pg_catalog.setval('vectordb.halves_chunks_text_changes_id_seq', 1, false);
SELECT pg_catalog.setval('vectordb.papers_chunks_text_changes_id_seq', 2, true);
SELECT pg_catalog.setval('vectordb.spare_parts_chunks_text_changes_id_seq', 1, false);
SELECT pg_catalog.setval('vectordb.texts_chunks_text_changes_id_seq', 6, true);
ALTER TABLE ONLY vectordb.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY vectordb.chunks_lexemes
    ADD CONSTRAINT chunks_lexemes_pkey PRIMARY KEY (lexeme);
ALTER TABLE ONLY vectordb.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.chunks_text_changes
    ADD CONSTRAINT chunks_text_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_chunks_table_key UNIQUE (chunks_table);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_documents_table_key UNIQUE (documents_table);
ALTER TABLE ONLY vectordb.collections
    ADD CONSTRAINT collections_pkey PRIMARY KEY (name);
ALTER TABLE ONLY vectordb.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.halves_chunks_lexemes
    ADD CONSTRAINT halves_chunks_lexemes_pkey PRIMARY KEY (lexeme);
ALTER TABLE ONLY vectordb.halves_chunks
    ADD CONSTRAINT halves_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.halves_chunks_text_changes
    ADD CONSTRAINT halves_chunks_text_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.halves_documents
    ADD CONSTRAINT halves_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.papers_chunks_lexemes
    ADD CONSTRAINT papers_chunks_lexemes_pkey PRIMARY KEY (lexeme);
ALTER TABLE ONLY vectordb.papers_chunks
    ADD CONSTRAINT papers_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.papers_chunks_text_changes
    ADD CONSTRAINT papers_chunks_text_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.papers_documents
    ADD CONSTRAINT papers_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.spare_parts_chunks_lexemes
    ADD CONSTRAINT spare_parts_chunks_lexemes_pkey PRIMARY KEY (lexeme);
ALTER TABLE ONLY vectordb.spare_parts_chunks
    ADD CONSTRAINT spare_parts_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.spare_parts_chunks_text_changes
    ADD CONSTRAINT spare_parts_chunks_text_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.spare_parts_documents
    ADD CONSTRAINT spare_parts_documents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.texts_chunks_lexemes
    ADD CONSTRAINT texts_chunks_lexemes_pkey PRIMARY KEY (lexeme);
ALTER TABLE ONLY vectordb.texts_chunks
    ADD CONSTRAINT texts_chunks_pkey PRIMARY KEY (document_id, ordinal);
ALTER TABLE ONLY vectordb.texts_chunks_text_changes
    ADD CONSTRAINT texts_chunks_text_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vectordb.texts_documents
    ADD CONSTRAINT texts_documents_pkey PRIMARY KEY (id);
CREATE INDEX chunks_content_tsv_idx ON vectordb.chunks USING gin (vectordb.lexeme_tiers(content_tsv));
CREATE INDEX chunks_embedding_hnsw_idx ON vectordb.chunks USING hnsw (embedding public.vector_cosine_ops) WITH (m='16', ef_construction='64');
CREATE INDEX chunks_metadata_idx ON vectordb.chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX documents_metadata_idx ON vectordb.documents USING gin (metadata jsonb_path_ops);
CREATE INDEX halves_chunks_content_tsv_idx ON vectordb.halves_chunks USING gin (vectordb.lexeme_tiers(content_tsv));
CREATE INDEX halves_chunks_embedding_ivfflat_idx ON vectordb.halves_chunks USING ivfflat (embedding public.halfvec_l2_ops) WITH (lists='2');
CREATE INDEX halves_chunks_metadata_idx ON vectordb.halves_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX halves_documents_metadata_idx ON vectordb.halves_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX papers_chunks_content_tsv_idx ON vectordb.papers_chunks USING gin (vectordb.lexeme_tiers(content_tsv));
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
CREATE INDEX spare_parts_chunks_content_tsv_idx ON vectordb.spare_parts_chunks USING gin (vectordb.lexeme_tiers(content_tsv));
CREATE INDEX spare_parts_chunks_metadata_idx ON vectordb.spare_parts_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX spare_parts_documents_metadata_idx ON vectordb.spare_parts_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX texts_chunks_content_tsv_idx ON vectordb.texts_chunks USING gin (vectordb.lexeme_tiers(content_tsv));
CREATE INDEX texts_chunks_embedding_hnsw_idx ON vectordb.texts_chunks USING hnsw (embedding public.vector_cosine_ops) WITH (m='8', ef_construction='32');
CREATE INDEX texts_chunks_metadata_idx ON vectordb.texts_chunks USING gin (metadata jsonb_path_ops);
CREATE INDEX texts_documents_metadata_idx ON vectordb.texts_documents USING gin (metadata jsonb_path_ops);
CREATE TRIGGER text_deleted AFTER DELETE ON vectordb.chunks FOR EACH ROW WHEN ((old.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.chunks_text_changed();
CREATE TRIGGER text_deleted AFTER DELETE ON vectordb.halves_chunks FOR EACH ROW WHEN ((old.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.halves_chunks_text_changed();
CREATE TRIGGER text_deleted AFTER DELETE ON vectordb.papers_chunks FOR EACH ROW WHEN ((old.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.papers_chunks_text_changed();
CREATE TRIGGER text_deleted AFTER DELETE ON vectordb.spare_parts_chunks FOR EACH ROW WHEN ((old.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.spare_parts_chunks_text_changed();
CREATE TRIGGER text_deleted AFTER DELETE ON vectordb.texts_chunks FOR EACH ROW WHEN ((old.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.texts_chunks_text_changed();
CREATE TRIGGER text_inserted AFTER INSERT ON vectordb.chunks FOR EACH ROW WHEN ((new.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.chunks_text_changed();
CREATE TRIGGER text_inserted AFTER INSERT ON vectordb.halves_chunks FOR EACH ROW WHEN ((new.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.halves_chunks_text_changed();
CREATE TRIGGER text_inserted AFTER INSERT ON vectordb.papers_chunks FOR EACH ROW WHEN ((new.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.papers_chunks_text_changed();
CREATE TRIGGER text_inserted AFTER INSERT ON vectordb.spare_parts_chunks FOR EACH ROW WHEN ((new.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.spare_parts_chunks_text_changed();
CREATE TRIGGER text_inserted AFTER INSERT ON vectordb.texts_chunks FOR EACH ROW WHEN ((new.content_tsv <> ''::tsvector)) EXECUTE FUNCTION vectordb.texts_chunks_text_changed();
CREATE TRIGGER text_truncated AFTER TRUNCATE ON vectordb.chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.chunks_text_changed();
CREATE TRIGGER text_truncated AFTER TRUNCATE ON vectordb.halves_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.halves_chunks_text_changed();
CREATE TRIGGER text_truncated AFTER TRUNCATE ON vectordb.papers_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.papers_chunks_text_changed();
CREATE TRIGGER text_truncated AFTER TRUNCATE ON vectordb.spare_parts_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.spare_parts_chunks_text_changed();
CREATE TRIGGER text_truncated AFTER TRUNCATE ON vectordb.texts_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.texts_chunks_text_changed();
CREATE TRIGGER text_updated AFTER UPDATE ON vectordb.chunks FOR EACH ROW WHEN ((old.content_tsv IS DISTINCT FROM new.content_tsv)) EXECUTE FUNCTION vectordb.chunks_text_changed();
CREATE TRIGGER text_updated AFTER UPDATE ON vectordb.halves_chunks FOR EACH ROW WHEN ((old.content_tsv IS DISTINCT FROM new.content_tsv)) EXECUTE FUNCTION vectordb.halves_chunks_text_changed();
CREATE TRIGGER text_updated AFTER UPDATE ON vectordb.papers_chunks FOR EACH ROW WHEN ((old.content_tsv IS DISTINCT FROM new.content_tsv)) EXECUTE FUNCTION vectordb.papers_chunks_text_changed();
CREATE TRIGGER text_updated AFTER UPDATE ON vectordb.spare_parts_chunks FOR EACH ROW WHEN ((old.content_tsv IS DISTINCT FROM new.content_tsv)) EXECUTE FUNCTION vectordb.spare_parts_chunks_text_changed();
CREATE TRIGGER text_updated AFTER UPDATE ON vectordb.texts_chunks FOR EACH ROW WHEN ((old.content_tsv IS DISTINCT FROM new.content_tsv)) EXECUTE FUNCTION vectordb.texts_chunks_text_changed();
CREATE TRIGGER text_written AFTER INSERT OR DELETE OR UPDATE ON vectordb.chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.chunks_text_changed();
CREATE TRIGGER text_written AFTER INSERT OR DELETE OR UPDATE ON vectordb.halves_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.halves_chunks_text_changed();
CREATE TRIGGER text_written AFTER INSERT OR DELETE OR UPDATE ON vectordb.papers_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.papers_chunks_text_changed();
CREATE TRIGGER text_written AFTER INSERT OR DELETE OR UPDATE ON vectordb.spare_parts_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.spare_parts_chunks_text_changed();
CREATE TRIGGER text_written AFTER INSERT OR DELETE OR UPDATE ON vectordb.texts_chunks FOR EACH STATEMENT EXECUTE FUNCTION vectordb.texts_chunks_text_changed();
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
