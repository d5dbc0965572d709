-- BM25 in plain PostgreSQL: the functions that every text index uses. {schema} is the quoted schema of the library.
--
-- A text index is a GIN index over `lexeme_tiers(content_tsv)`: each lexeme of a text, alone and with the tier of its
-- weight there. From the tiers follows how much a text can score at most, so that a search need look only at texts that may
-- be among the best, and still finds exactly these (Broder et al., "Efficient query evaluation using a two-level
-- retrieval process", 2003; Ding and Suel, "Faster top-k document retrieval using block-max indexes", 2011).
--
-- The weight of a lexeme in a text is tf / (tf + k1 * (1 - b + b * length / average)). The tier is that of
-- tf / (length + 5), which bounds the weight for every k1, b and average: the index depends on none of them.

CREATE FUNCTION {schema}.tier_edges() RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
        2.68175604e-06, 3.57567472e-06, 4.7675663e-06, 6.35675507e-06, 8.47567342e-06, 1.13008979e-05,
        1.50678639e-05, 2.00904851e-05, 2.67873135e-05, 3.5716418e-05, 4.76218907e-05, 6.34958543e-05,
        8.4661139e-05, 0.000112881519, 0.000150508692, 0.000200678256, 0.000267571007, 0.000356761343,
        0.000475681791, 0.000634242388, 0.000845656517, 0.00112754202, 0.00150338936, 0.00200451915,
        0.0026726922, 0.0035635896, 0.0047514528, 0.0063352704, 0.00844702721, 0.0112627029, 0.0150169373,
        0.020022583, 0.0266967773, 0.0355957031, 0.0474609375, 0.06328125, 0.084375, 0.1125, 0.15, 0.2
    ]::float8[];

CREATE FUNCTION {schema}.lexeme_tiers(content tsvector) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100
BEGIN ATOMIC
    -- A key of GIN has less room than a lexeme. Two lexemes that share a key cost time, never a result. Neither do texts
    -- of so many lexemes that the keys find no room in a tsvector: they have a key of their own, and always count.
    SELECT CASE
        WHEN sum(2 * octet_length(lexeme) + 2) < 1000000 THEN array_to_tsvector(
            array_agg(left(lexeme, 200))
            || array_agg(
                left(lexeme, 200) || chr(1) || chr(48 + width_bucket(tf / (length + 5), {schema}.tier_edges()))))
        WHEN count(*) > 0 THEN array_to_tsvector(ARRAY[chr(1)])
        ELSE ''::tsvector
    END
    FROM (
        SELECT lexeme, cardinality(positions)::float8 AS tf, sum(cardinality(positions)) OVER () AS length
        FROM unnest(content)
    ) AS counted;
END;

-- The most that a lexeme weighs in each tier, ascending.
CREATE FUNCTION {schema}.tier_bounds(k1 float8, b float8, average float8) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- 1 / weight = 1 + k1 * b / (average * edge) + k1 * (1 - b - 5 * b / average) / tf, where tf is 1 or more.
    SELECT array_agg(
        least(1, 1 / greatest(1e-9, 1 + k1 * b / (average * edge) + least(0, k1 * (1 - b - 5 * b / average))))
        ORDER BY edge)
    FROM unnest({schema}.tier_edges() || 'infinity'::float8) AS edge;
END;

-- A lexeme as it is written in a tsquery, but for the quote at its end.
CREATE FUNCTION {schema}.open_lexeme(lexeme text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '''' || replace(replace(lexeme, '\', '\\'), '''', '''''');

-- The lexemes of a phrase in any order; nothing where one of them is longer than a key.
CREATE FUNCTION {schema}.unordered(phrase tsquery) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN length(phrase::text) > 200 THEN ''
    ELSE regexp_replace(phrase::text, '(['')]) <(-|\d+)> (?=[''(])', '\1 & ', 'g')
END::tsquery;

-- The number of lexemes in a text, each as often as it occurs.
CREATE FUNCTION {schema}.text_length(content tsvector) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(sum(cardinality(positions)), 0)::integer FROM unnest(content);
END;

-- What a query asks for, in the syntax of websearch_to_tsquery: words are alternatives, which score, a "phrase" has to be
-- there, -word and -"phrase" must not. Of parts with `or` between them one has to match so. `required` is NULL where
-- any of the lexemes will do; `needed` is what the index can tell of it, lexemes that stand in every such text. Of the
-- query the first 4,000 characters count.
CREATE FUNCTION {schema}.text_query(
    config regconfig, query text, OUT lexemes text[], OUT frequencies integer[], OUT required tsquery,
    OUT needed tsquery)
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
                SELECT string_agg({schema}.open_lexeme(lexeme) || '''', '|')::tsquery
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
                phrases := coalesce(phrases && {schema}.unordered(part), phrases, {schema}.unordered(part));
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

-- A score that about `wanted` texts reach, supposing that lexemes occur independently of each other. `weights` are those
-- of the lexemes, heaviest first, `shares` how many of all texts have them. A wrong guess costs time, never a result.
CREATE FUNCTION {schema}.bm25_guess(weights float8[], shares float8[], texts float8, wanted float8) RETURNS float8
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

-- A condition over tiers that holds wherever the lexemes from the i-th on may add up to `need`: NULL where they never
-- do, empty where they always do. `parts` are the conditions that a lexeme is in a group of tiers, `bounds` the most
-- that it weighs there, `reach` what the lexemes from each on can add up to.
CREATE FUNCTION {schema}.bm25_branch(
    parts text[], bounds float8[], weights float8[], reach float8[], i integer, need float8) RETURNS text
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
    without := {schema}.bm25_branch(parts, bounds, weights, reach, i + 1, need);
    IF without = '' THEN
        RETURN '';
    END IF;
    FOR g IN 1..cardinality(bounds) LOOP
        others := {schema}.bm25_branch(parts, bounds, weights, reach, i + 1, need - weights[i] * bounds[g]);
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

-- A condition for the index that holds wherever a text may score `threshold` or more. The lexemes come heaviest first.
CREATE FUNCTION {schema}.bm25_condition(
    lexemes text[], weights float8[], average float8, k1 float8, b float8, threshold float8) RETURNS tsquery
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
    SELECT array_agg({schema}.open_lexeme(left(lexeme, 200)) ORDER BY place) INTO keys
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
        tiers := {schema}.tier_bounds(k1, b, average);
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
        result := {schema}.bm25_branch(parts, bounds, weights[1:head], reach, 1, need - rest);
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

-- What to look at after a pass that found `hits` of the `wanted` best texts, the last of them with the score `lowest`.
-- The pass has seen every text of the score `threshold` or more; `proven` is a score that so many texts are known to
-- reach. `condition` is NULL where the best texts are found.
CREATE FUNCTION {schema}.bm25_next(
    lexemes text[], weights float8[], average float8, k1 float8, b float8, guess float8,
    hits bigint, lowest float8, wanted bigint,
    INOUT threshold float8, INOUT proven float8, OUT condition tsquery)
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
    condition := {schema}.bm25_condition(lexemes, weights, average, k1, b, threshold);
END
$$;
