-- Search in SQL: the functions `search` and `hybrid_search`, and what they are made of. {schema} is the quoted schema of
-- the library, {extension} that of pgvector.
--
-- A filter comes as JSON and becomes a condition on the chunks `c`. Its values never are SQL text: they are elements of
-- one array, the parameter $2 of every statement that is put together here. Names in a statement are those of the
-- registry, quoted. `vectordb.search.where` and `vectordb.searching` are the same in Python; tests hold the two together.

-- Refuse a part of a filter.
CREATE FUNCTION {schema}.refuse_filter(message text, path text, advice text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = concat('filter', ' at ' || nullif(left(path, 200), ''), ': ', message),
        HINT = coalesce(advice, 'docs/filters.md has the grammar.');
END
$$;

-- The keys of a path such as author.name or "a.b".c, and whether one of them was quoted.
CREATE FUNCTION {schema}.filter_path(name text, OUT keys text[], OUT quoted boolean)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    rest text := name;
    piece text;
BEGIN
    keys := '{}';
    quoted := false;
    LOOP
        IF left(rest, 1) = '"' THEN
            piece := substring(rest FROM $re$^"(?:[^"\\]|\\.)*"$re$);
            IF piece IS NULL OR substr(rest, length(piece) + 1, 1) NOT IN ('', '.') THEN
                PERFORM {schema}.refuse_filter(
                    'a key that starts with a quote is written as a JSON string up to a dot or the end', name);
            END IF;
            rest := substr(rest, length(piece) + 1);
            -- JSON has no bare control characters, a name may have them.
            FOR code IN 1..31 LOOP
                piece := replace(piece, chr(code), '\u00' || lpad(to_hex(code), 2, '0'));
            END LOOP;
            keys := array_append(keys, piece::jsonb #>> '{}');
            quoted := true;
        ELSE
            piece := split_part(rest, '.', 1);
            rest := substr(rest, length(piece) + 1);
            keys := array_append(keys, piece);
        END IF;
        EXIT WHEN rest = '';
        rest := substr(rest, 2);
    END LOOP;
    IF cardinality(keys) > 64 THEN
        PERFORM {schema}.refuse_filter('a path has at most 64 keys', name);
    END IF;
END
$$;

-- How many characters two names have in common in matching blocks, longest first (Ratcliff and Obershelp, 1988).
CREATE FUNCTION {schema}.common_characters(a text, b text) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    start_a integer;
    start_b integer;
    longest integer := 0;
    size integer;
BEGIN
    FOR i IN 1..length(a) LOOP
        FOR j IN 1..length(b) LOOP
            size := 0;
            WHILE i + size <= length(a) AND j + size <= length(b) AND substr(a, i + size, 1) = substr(b, j + size, 1)
            LOOP
                size := size + 1;
            END LOOP;
            IF size > longest THEN
                longest := size;
                start_a := i;
                start_b := j;
            END IF;
        END LOOP;
    END LOOP;
    IF longest = 0 THEN
        RETURN 0;
    END IF;
    RETURN longest
        + {schema}.common_characters(left(a, start_a - 1), left(b, start_b - 1))
        + {schema}.common_characters(substr(a, start_a + longest), substr(b, start_b + longest));
END
$$;

-- Refuse a name that looks like a declared field, misspelt.
CREATE FUNCTION {schema}.check_spelling(name text, fields jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    given text := lower(left(name, 64));
    nearest text := (
        SELECT field FROM (
            SELECT field, 2.0 * {schema}.common_characters(lower(field), given) / (length(field) + length(given))
            FROM jsonb_object_keys(fields) AS field
            -- Characters that the other name has nowhere are in no block; counting these is quick.
            WHERE 2.0 * least(
                length(field) - length(translate(lower(field), given, '')),
                length(given) - length(translate(given, lower(field), ''))
            ) / (length(field) + length(given)) >= 0.74
        ) AS compared(field, likeness)
        WHERE likeness >= 0.74 ORDER BY likeness DESC, field LIMIT 1
    );
BEGIN
    IF nearest IS NOT NULL AND NOT fields ? name THEN
        PERFORM {schema}.refuse_filter(
            format('this is no declared field; did you mean %s?', nearest), name,
            'If it is a key of the metadata, write it in double quotes within the JSON string.');
    END IF;
END
$$;

-- A value to compare with: its type, that of JSON or `instant`, and its text. NULL is the text of null.
CREATE FUNCTION {schema}.filter_value(value jsonb, path text, OUT kind text, OUT content text)
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    kind := jsonb_typeof(value);
    content := value #>> '{}';
    IF kind = 'object' AND value ? 'datetime' AND (SELECT count(*) = 1 FROM jsonb_object_keys(value)) THEN
        kind := 'instant';
        content := CASE WHEN jsonb_typeof(value -> 'datetime') = 'string' THEN to_char(
            {schema}.iso_timestamp(value ->> 'datetime') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END;
        IF content IS NULL THEN
            PERFORM {schema}.refuse_filter(
                'the datetime is not ISO 8601', path, 'Write it as in {"datetime": "2026-01-31T12:00:00Z"}.');
        END IF;
    ELSIF kind IN ('object', 'array') THEN
        PERFORM {schema}.refuse_filter(
            format('this is an %s; compare with a string, a number, true, false, null or {"datetime": ...}', kind), path);
    ELSIF kind = 'number' AND abs(content::numeric) >= '1e1000'::numeric THEN
        PERFORM {schema}.refuse_filter('the number has over 1000 digits, as no stored number has', path);
    END IF;
END
$$;

-- A value in the type of a declared field or a column of the document, as text.
CREATE FUNCTION {schema}.typed_value(kind text, content text, field_type text, is_id boolean, path text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    typed text := CASE
        WHEN kind = 'string' AND field_type = 'str' OR kind = 'number' AND field_type IN ('int', 'float')
            OR kind = 'boolean' AND field_type = 'bool' OR kind = 'instant' AND field_type = 'datetime'
            OR kind = 'number' AND is_id AND content !~ '\.'
        THEN content
        WHEN kind = 'string' AND field_type = 'datetime' THEN
            to_char({schema}.iso_timestamp(content) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    END;
BEGIN
    IF typed IS NULL AND kind <> 'null' THEN
        PERFORM {schema}.refuse_filter(
            format('the field is of type %s, and is compared with a %s', field_type, kind), path,
            CASE WHEN field_type = 'datetime' THEN 'Write dates and times as ISO 8601, as in "2026-01-31".' END);
    END IF;
    RETURN typed;
END
$$;

-- Letters that differ only in case from the letter that stands for all of them, whatever the locale: Unicode's simple case
-- folding. Each range has a first and a last code point, the step between them, and how far away the folded one is.
CREATE FUNCTION {schema}.case_variants(OUT folded text, OUT variant text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE ROWS 1454
AS $$
    SELECT chr(code + ranges[place + 3]), chr(code)
    FROM (SELECT ARRAY[
        65,90,1,32, 181,181,1,775, 192,214,1,32, 216,222,1,32, 256,302,2,1, 306,310,2,1, 313,327,2,1, 330,374,2,1,
        376,376,1,-121, 377,381,2,1, 383,383,1,-268, 385,385,1,210, 386,388,2,1, 390,390,1,206, 391,391,1,1,
        393,394,1,205, 395,395,1,1, 398,398,1,79, 399,399,1,202, 400,400,1,203, 401,401,1,1, 403,403,1,205,
        404,404,1,207, 406,406,1,211, 407,407,1,209, 408,408,1,1, 412,412,1,211, 413,413,1,213, 415,415,1,214,
        416,420,2,1, 422,422,1,218, 423,423,1,1, 425,425,1,218, 428,428,1,1, 430,430,1,218, 431,431,1,1,
        433,434,1,217, 435,437,2,1, 439,439,1,219, 440,440,1,1, 444,444,1,1, 452,452,1,2, 453,453,1,1, 455,455,1,2,
        456,456,1,1, 458,458,1,2, 459,475,2,1, 478,494,2,1, 497,497,1,2, 498,500,2,1, 502,502,1,-97, 503,503,1,-56,
        504,542,2,1, 544,544,1,-130, 546,562,2,1, 570,570,1,10795, 571,571,1,1, 573,573,1,-163, 574,574,1,10792,
        577,577,1,1, 579,579,1,-195, 580,580,1,69, 581,581,1,71, 582,590,2,1, 837,837,1,116, 880,882,2,1, 886,886,1,1,
        895,895,1,116, 902,902,1,38, 904,906,1,37, 908,908,1,64, 910,911,1,63, 913,929,1,32, 931,939,1,32,
        962,962,1,1, 975,975,1,8, 976,976,1,-30, 977,977,1,-25, 981,981,1,-15, 982,982,1,-22, 984,1006,2,1,
        1008,1008,1,-54, 1009,1009,1,-48, 1012,1012,1,-60, 1013,1013,1,-64, 1015,1015,1,1, 1017,1017,1,-7,
        1018,1018,1,1, 1021,1023,1,-130, 1024,1039,1,80, 1040,1071,1,32, 1120,1152,2,1, 1162,1214,2,1, 1216,1216,1,15,
        1217,1229,2,1, 1232,1326,2,1, 1329,1366,1,48, 4256,4293,1,7264, 4295,4295,1,7264, 4301,4301,1,7264,
        5112,5117,1,-8, 7296,7296,1,-6222, 7297,7297,1,-6221, 7298,7298,1,-6212, 7299,7300,1,-6210, 7301,7301,1,-6211,
        7302,7302,1,-6204, 7303,7303,1,-6180, 7304,7304,1,35267, 7312,7354,1,-3008, 7357,7359,1,-3008, 7680,7828,2,1,
        7835,7835,1,-58, 7838,7838,1,-7615, 7840,7934,2,1, 7944,7951,1,-8, 7960,7965,1,-8, 7976,7983,1,-8,
        7992,7999,1,-8, 8008,8013,1,-8, 8025,8031,2,-8, 8040,8047,1,-8, 8072,8079,1,-8, 8088,8095,1,-8,
        8104,8111,1,-8, 8120,8121,1,-8, 8122,8123,1,-74, 8124,8124,1,-9, 8126,8126,1,-7173, 8136,8139,1,-86,
        8140,8140,1,-9, 8152,8153,1,-8, 8154,8155,1,-100, 8168,8169,1,-8, 8170,8171,1,-112, 8172,8172,1,-7,
        8184,8185,1,-128, 8186,8187,1,-126, 8188,8188,1,-9, 8486,8486,1,-7517, 8490,8490,1,-8383, 8491,8491,1,-8262,
        8498,8498,1,28, 8544,8559,1,16, 8579,8579,1,1, 9398,9423,1,26, 11264,11311,1,48, 11360,11360,1,1,
        11362,11362,1,-10743, 11363,11363,1,-3814, 11364,11364,1,-10727, 11367,11371,2,1, 11373,11373,1,-10780,
        11374,11374,1,-10749, 11375,11375,1,-10783, 11376,11376,1,-10782, 11378,11378,1,1, 11381,11381,1,1,
        11390,11391,1,-10815, 11392,11490,2,1, 11499,11501,2,1, 11506,11506,1,1, 42560,42604,2,1, 42624,42650,2,1,
        42786,42798,2,1, 42802,42862,2,1, 42873,42875,2,1, 42877,42877,1,-35332, 42878,42886,2,1, 42891,42891,1,1,
        42893,42893,1,-42280, 42896,42898,2,1, 42902,42920,2,1, 42922,42922,1,-42308, 42923,42923,1,-42319,
        42924,42924,1,-42315, 42925,42925,1,-42305, 42926,42926,1,-42308, 42928,42928,1,-42258, 42929,42929,1,-42282,
        42930,42930,1,-42261, 42931,42931,1,928, 42932,42946,2,1, 42948,42948,1,-48, 42949,42949,1,-42307,
        42950,42950,1,-35384, 42951,42953,2,1, 42960,42960,1,1, 42966,42968,2,1, 42997,42997,1,1,
        43888,43967,1,-38864, 65313,65338,1,32, 66560,66599,1,40, 66736,66771,1,40, 66928,66938,1,39,
        66940,66954,1,39, 66956,66962,1,39, 66964,66965,1,39, 68736,68786,1,64, 71840,71871,1,32, 93760,93791,1,32,
        125184,125217,1,34
    ]) AS given(ranges)
    CROSS JOIN generate_series(1, cardinality(ranges), 4) AS place
    CROSS JOIN generate_series(ranges[place], ranges[place + 1], ranges[place + 2]) AS code
$$;

-- A text or a pattern with upper and lower case the same.
CREATE FUNCTION {schema}.fold_case(value text) RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(translate(value, string_agg(variant, ''), string_agg(folded, '')), value)
    FROM {schema}.case_variants() WHERE strpos(value, variant) > 0
$$;

-- The SQL of one condition on a field. What it compares with is appended to `parameters`; `indexed` says whether an index
-- over fields or metadata serves it. Without `joined`, a look into the documents' table is no join.
CREATE FUNCTION {schema}.filter_condition(
    name text, operator text, operand jsonb, path text, fields jsonb, documents text, joined boolean,
    INOUT parameters text[], OUT condition text, OUT indexed boolean)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    keys text[];
    quoted boolean;
    own boolean := name IN ('id', 'title', 'uri', 'created_at', 'updated_at');
    is_id boolean := name = 'id';
    field_type text;
    word text := operator;
    negated boolean := false;
    value record;
    other record;
    kinds text[] := '{}';
    contents text[] := '{}';
    nulls boolean := false;
    instants text[] := '{}';
    wholes text[] := '{}';
    whole jsonb;
    place text := 'c.metadata';  -- the field in SQL
    list text;
    cast_type text;
    comparison text := CASE operator WHEN '==' THEN '=' WHEN '!=' THEN '=' ELSE operator END;
    first integer;
BEGIN
    indexed := false;
    SELECT p.keys, p.quoted INTO keys, quoted FROM {schema}.filter_path(name) AS p;
    field_type := CASE
        WHEN name IN ('id', 'title', 'uri') THEN 'str'
        WHEN own THEN 'datetime'
        WHEN cardinality(keys) = 1 THEN fields ->> keys[1]
    END;
    IF field_type IS NULL AND NOT quoted AND fields <> '{}' THEN
        PERFORM {schema}.check_spelling(keys[1], fields);
    END IF;

    -- Every operator is one of a few.
    IF word IN ('exists', 'missing', 'null') THEN
        IF jsonb_typeof(operand) <> 'boolean' THEN
            PERFORM {schema}.refuse_filter('the operand is true or false', path);
        END IF;
        negated := (word = 'missing') = operand::boolean;
        word := CASE word WHEN 'null' THEN '==' ELSE 'exists' END;
        IF operator = 'null' THEN
            comparison := '=';
            operand := 'null';
        END IF;
    ELSIF word IN ('!=', 'not_in') THEN
        negated := true;
        word := CASE word WHEN '!=' THEN '==' ELSE 'in' END;
    ELSIF word = 'between' THEN
        IF jsonb_typeof(operand) <> 'array' OR jsonb_array_length(operand) <> 2 THEN
            PERFORM {schema}.refuse_filter('between takes [low, high]', path);
        END IF;
        SELECT * INTO value FROM {schema}.filter_value(operand -> 0, path);
        SELECT * INTO other FROM {schema}.filter_value(operand -> 1, path);
        IF value.kind <> other.kind THEN
            PERFORM {schema}.refuse_filter('between needs two values of one type', path);
        END IF;
        SELECT c.parameters, c.condition, c.indexed INTO parameters, list, indexed
        FROM {schema}.filter_condition(name, '>=', operand -> 0, path, fields, documents, joined, parameters) AS c;
        SELECT c.parameters, format('(%s AND %s)', list, c.condition) INTO parameters, condition
        FROM {schema}.filter_condition(name, '<=', operand -> 1, path, fields, documents, joined, parameters) AS c;
        RETURN;
    ELSIF word NOT IN ('==', '<', '<=', '>', '>=', 'in', 'contains', 'any_of', 'all_of', 'like', 'ilike', 'startswith')
    THEN
        PERFORM {schema}.refuse_filter(
            format('unknown operator %s', left(word, 40)), path,
            'Known are ==, !=, <, <=, >, >=, in, not_in, between, contains, any_of, all_of, like, ilike, startswith, '
            'exists, missing, null.');
    END IF;

    -- The operand.
    IF word IN ('in', 'any_of', 'all_of') THEN
        IF jsonb_typeof(operand) <> 'array' OR operand = '[]' OR jsonb_array_length(operand) > 10000 THEN
            PERFORM {schema}.refuse_filter(format('%s takes a list of 1 to 10,000 values', word), path);
        END IF;
        SELECT array_agg(v.kind), array_agg(v.content) INTO kinds, contents
        FROM jsonb_array_elements(operand) AS item CROSS JOIN {schema}.filter_value(item, path) AS v;
        IF word <> 'in' AND 'instant' = ANY(kinds) THEN
            PERFORM {schema}.refuse_filter(format('%s takes no dates; write them as strings', word), path);
        END IF;
        word := CASE word WHEN 'all_of' THEN 'contains' ELSE word END;
    ELSIF word = 'contains' THEN
        IF operand = '[]' THEN
            PERFORM {schema}.refuse_filter('contains needs at least one element', path);
        ELSIF jsonb_typeof(operand) NOT IN ('array', 'object') THEN
            PERFORM {schema}.filter_value(operand, path);
            operand := jsonb_build_array(operand);
        ELSIF (SELECT count(*) > 10001 FROM jsonb_path_query(operand, 'strict $.**')) THEN
            PERFORM {schema}.refuse_filter('a filter has at most 10,000 values', path);
        END IF;
    ELSIF word IN ('like', 'ilike', 'startswith') THEN
        IF jsonb_typeof(operand) <> 'string' THEN
            PERFORM {schema}.refuse_filter(format('%s takes a string', word), path);
        END IF;
        contents := ARRAY[operand #>> '{}'];
        IF word <> 'startswith' AND length(contents[1]) > 1000 THEN
            PERFORM {schema}.refuse_filter('a pattern has at most 1000 characters', path);
        ELSIF word <> 'startswith' AND length(substring(contents[1] FROM $re$\\*\Z$re$)) % 2 = 1 THEN
            PERFORM {schema}.refuse_filter(
                'the pattern ends with a backslash, which escapes nothing', path, 'Write two for a backslash.');
        END IF;
    ELSIF word <> 'exists' THEN
        SELECT ARRAY[v.kind], ARRAY[v.content] INTO kinds, contents FROM {schema}.filter_value(operand, path) AS v;
        IF word <> '==' AND kinds[1] IN ('null', 'boolean') THEN
            PERFORM {schema}.refuse_filter('only numbers, strings and dates have an order', path);
        END IF;
    END IF;
    IF cardinality(parameters) + cardinality(contents) > 12000 THEN
        PERFORM {schema}.refuse_filter('a filter has at most 10,000 values', path);
    END IF;
    first := cardinality(parameters) + 1;

    -- The place in the metadata.
    IF NOT own AND (field_type IS NULL OR word = 'exists') THEN
        FOREACH list IN ARRAY keys LOOP
            parameters := array_append(parameters, list);
            place := place || format(' -> $2[%s]', cardinality(parameters));
        END LOOP;
        place := '(' || place || ')';
        first := cardinality(parameters) + 1;
    ELSIF NOT own THEN
        place := format('c.%I', keys[1]);
        indexed := word <> 'ilike' AND NOT negated;
    ELSE
        place := CASE WHEN is_id THEN 'c.document_id' ELSE format('d.%I', name) END;
        IF field_type = 'str' AND word <> 'exists' THEN
            place := place || ' COLLATE "C"';
        END IF;
        indexed := is_id AND NOT negated;
    END IF;

    IF word = 'exists' THEN
        condition := place || ' IS NOT NULL';
        indexed := false;
    ELSIF field_type IS NOT NULL AND word IN ('contains', 'any_of') THEN
        PERFORM {schema}.refuse_filter(
            format('the field holds a single %s; only arrays and objects contain', field_type), path, 'Use "in".');
    ELSIF field_type IS NOT NULL AND field_type <> 'str' AND word IN ('like', 'ilike', 'startswith') THEN
        PERFORM {schema}.refuse_filter(
            format('the field is of type %s; only strings have patterns and prefixes', field_type), path);
    ELSIF field_type IS NOT NULL AND word NOT IN ('like', 'ilike', 'startswith') THEN
        IF word NOT IN ('==', 'in') THEN
            IF field_type = 'bool' THEN
                PERFORM {schema}.refuse_filter('the field is of type bool, which has no order', path, 'Use == or !=.');
            ELSIF is_id AND kinds[1] <> 'string' THEN
                PERFORM {schema}.refuse_filter('ids are text, in the order of text; compare with a string', path);
            END IF;
        END IF;
        nulls := 'null' = ANY(kinds);
        SELECT coalesce(array_agg({schema}.typed_value(kind, content, field_type, is_id, path))
            FILTER (WHERE kind <> 'null'), '{}')
        INTO contents FROM unnest(kinds, contents) AS given(kind, content);
        cast_type := CASE field_type
            WHEN 'str' THEN 'text'
            WHEN 'float' THEN 'numeric'
            WHEN 'bool' THEN 'boolean'
            WHEN 'datetime' THEN 'timestamptz'
            WHEN 'int' THEN (
                -- The column's own type, so that its index serves, wherever the values allow it.
                SELECT CASE WHEN bool_and(
                    content !~ '\.' AND content::numeric BETWEEN -9223372036854775808 AND 9223372036854775807)
                THEN 'bigint' ELSE 'numeric' END FROM unnest(contents) AS content
            )
        END;
        parameters := parameters || contents;
        IF cardinality(contents) > 0 AND word = 'in' THEN
            condition := format(
                '%s = ANY(($2[%s:%s])::%s[])', place, first, cardinality(parameters), cast_type);
        ELSIF cardinality(contents) > 0 THEN
            condition := format('%s %s ($2[%s])::%s', place, comparison, first, cast_type);
        END IF;
        IF nulls AND own THEN
            list := place || ' IS NULL';
        ELSIF nulls THEN
            parameters := array_append(parameters, jsonb_build_object(keys[1], NULL)::text);
            list := format('c.metadata @> ($2[%s])::jsonb', cardinality(parameters));
        END IF;
        condition := format('(%s)', concat_ws(' OR ', condition, CASE WHEN nulls THEN list END));
    ELSIF word IN ('like', 'ilike', 'startswith') THEN
        list := CASE WHEN field_type IS NULL THEN format('(%s #>> ''{}'') COLLATE "C"', place) ELSE place END;
        IF word = 'ilike' THEN
            SELECT contents || coalesce(string_agg(variant, ''), '') || coalesce(string_agg(v.folded, ''), '')
            INTO contents FROM {schema}.case_variants() AS v WHERE strpos({schema}.fold_case(contents[1]), v.folded) > 0;
            contents[1] := {schema}.fold_case(contents[1]);
            list := format('translate(%s, $2[%s], $2[%s]) LIKE $2[%s]', list, first + 1, first + 2, first);
        ELSE
            list := format('%s %s $2[%s]', list, CASE word WHEN 'like' THEN 'LIKE' ELSE '^@' END, first);
        END IF;
        parameters := parameters || contents;
        condition := CASE WHEN field_type IS NULL
            THEN format('(CASE jsonb_typeof%s WHEN ''string'' THEN %s END)', place, list) ELSE list END;
    ELSIF word IN ('contains', 'any_of') OR word = '==' AND kinds[1] <> 'instant' OR word = 'in' THEN
        IF word = 'contains' THEN
            wholes := ARRAY[operand::text];
        ELSIF word = 'any_of' THEN
            SELECT array_agg(jsonb_build_array(item)::text) INTO wholes FROM jsonb_array_elements(operand) AS item;
        ELSIF word = 'in' THEN
            SELECT coalesce(array_agg(item::text) FILTER (WHERE kind <> 'instant'), '{}'),
                coalesce(array_agg(content) FILTER (WHERE kind = 'instant'), '{}')
            INTO wholes, instants
            FROM unnest(kinds, contents) WITH ORDINALITY AS given(kind, content, number)
            JOIN jsonb_array_elements(operand) WITH ORDINALITY AS items(item, number) USING (number);
        ELSE
            wholes := ARRAY[operand::text];
        END IF;
        IF cardinality(wholes) > 32 THEN
            -- So many are found by a hash of them, row by row.
            IF word = 'any_of' THEN
                SELECT array_agg(item::text) INTO wholes FROM jsonb_array_elements(operand) AS item;
            END IF;
            parameters := parameters || wholes;
            list := format('ANY(($2[%s:%s])::jsonb[])', first, cardinality(parameters));
            condition := CASE word
                WHEN 'in' THEN format('%s = %s', place, list)
                ELSE format(
                    '(CASE jsonb_typeof%1$s WHEN ''array'' THEN '
                    'EXISTS (SELECT FROM jsonb_array_elements(%1$s) AS e(value) WHERE e.value = %2$s) END)', place, list)
            END;
        ELSIF cardinality(wholes) > 0 THEN
            FOREACH list IN ARRAY wholes LOOP
                whole := list::jsonb;
                FOR number IN REVERSE cardinality(keys)..1 LOOP
                    whole := jsonb_build_object(keys[number], whole);
                END LOOP;
                parameters := array_append(parameters, whole::text);
            END LOOP;
            condition := CASE WHEN word IN ('in', 'any_of')
                THEN format('c.metadata @> ANY(($2[%s:%s])::jsonb[])', first, cardinality(parameters))
                ELSE format('c.metadata @> ($2[%s])::jsonb', first) END;
            indexed := NOT negated AND cardinality(instants) = 0;
        END IF;
        IF cardinality(instants) > 0 THEN
            parameters := parameters || instants;
            list := format(
                '(CASE jsonb_typeof%1$s WHEN ''string'' THEN {schema}.iso_timestamp(%1$s #>> ''{}'') END)'
                ' = ANY(($2[%2$s:%3$s])::timestamptz[])',
                place, cardinality(parameters) - cardinality(instants) + 1, cardinality(parameters));
            condition := format('(%s)', concat_ws(' OR ', list, condition));
        END IF;
    ELSE
        parameters := parameters || contents;
        condition := format(
            CASE kinds[1]
                WHEN 'instant' THEN '(CASE jsonb_typeof%1$s WHEN ''string'' THEN '
                    '{schema}.iso_timestamp(%1$s #>> ''{}'') END) %2$s ($2[%3$s])::timestamptz'
                WHEN 'number' THEN '(CASE jsonb_typeof%1$s WHEN ''number'' THEN (%1$s)::numeric %2$s ($2[%3$s])::numeric END)'
                ELSE '(CASE jsonb_typeof%1$s WHEN ''string'' THEN (%1$s #>> ''{}'') COLLATE "C" %2$s $2[%3$s] END)'
            END, place, comparison, first);
    END IF;

    IF own AND NOT is_id THEN
        condition := format('c.document_id IN (SELECT d.id FROM %s AS d WHERE %s)', documents, condition);
        condition := format(CASE WHEN joined THEN '(%s)' ELSE '(%s) IS TRUE' END, condition);
    END IF;
    IF negated THEN
        condition := format('(%s) IS NOT TRUE', condition);
    END IF;
END
$$;

-- The SQL of a filter. `parameters`, the number of `parts` up to here and `indexed` as for `filter_condition`.
CREATE FUNCTION {schema}.filter_sql(
    filter jsonb, path text, depth integer, fields jsonb, documents text, joined boolean,
    INOUT parameters text[], INOUT parts integer, OUT condition text, OUT indexed boolean)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    entry record;
    item record;
    part record;
    here text;
    conditions text[] := '{}';
    inner_conditions text[];
    inner_indexed boolean;
BEGIN
    indexed := false;
    IF depth > 32 THEN
        PERFORM {schema}.refuse_filter('a filter is at most 32 levels deep', path);
    ELSIF jsonb_typeof(filter) <> 'object' THEN
        PERFORM {schema}.refuse_filter(format('a filter is an object, not %s', jsonb_typeof(filter)), path);
    END IF;
    FOR entry IN SELECT key, value FROM jsonb_each(filter) LOOP
        here := concat_ws('.', nullif(path, ''), entry.key);
        parts := parts + 1;
        IF parts > 1000 THEN
            PERFORM {schema}.refuse_filter('a filter has at most 1000 parts', path);
        ELSIF entry.key IN ('and', 'or', 'not') THEN
            IF entry.key <> 'not' AND jsonb_typeof(entry.value) <> 'array' THEN
                PERFORM {schema}.refuse_filter(format('%s takes a list of filters', entry.key), here);
            END IF;
            inner_conditions := '{}';
            inner_indexed := NULL;
            FOR item IN
                SELECT given.filter, given.number - 1 AS number
                FROM jsonb_array_elements(
                    CASE entry.key WHEN 'not' THEN jsonb_build_array(entry.value) ELSE entry.value END
                ) WITH ORDINALITY AS given(filter, number)
            LOOP
                SELECT * INTO part FROM {schema}.filter_sql(
                    item.filter, CASE entry.key WHEN 'not' THEN here ELSE format('%s[%s]', here, item.number) END,
                    depth + 1, fields, documents, joined, parameters, parts);
                parameters := part.parameters;
                parts := part.parts;
                inner_conditions := array_append(inner_conditions, part.condition);
                inner_indexed := CASE entry.key
                    WHEN 'and' THEN coalesce(inner_indexed, false) OR part.indexed
                    WHEN 'or' THEN coalesce(inner_indexed, true) AND part.indexed
                    ELSE false
                END;
            END LOOP;
            conditions := array_append(conditions, CASE entry.key
                WHEN 'and' THEN format('(%s)', coalesce(nullif(array_to_string(inner_conditions, ' AND '), ''), 'true'))
                WHEN 'or' THEN format('(%s)', coalesce(nullif(array_to_string(inner_conditions, ' OR '), ''), 'false'))
                ELSE format('(%s) IS NOT TRUE', inner_conditions[1])
            END);
            indexed := indexed OR coalesce(inner_indexed, false);
        ELSE
            parts := parts - 1;  -- its conditions count instead
            IF entry.value = '{}' THEN
                PERFORM {schema}.refuse_filter('the condition is empty', here);
            END IF;
            FOR item IN
                SELECT given.operator, given.operand FROM jsonb_each(
                    CASE WHEN jsonb_typeof(entry.value) = 'object'
                        AND (NOT entry.value ? 'datetime' OR entry.value - 'datetime' <> '{}') THEN entry.value
                    ELSE jsonb_build_object('==', entry.value) END
                ) AS given(operator, operand)
            LOOP
                parts := parts + 1;
                SELECT * INTO part FROM {schema}.filter_condition(
                    entry.key, item.operator, item.operand, here, fields, documents, joined, parameters);
                parameters := part.parameters;
                conditions := array_append(conditions, part.condition);
                indexed := indexed OR part.indexed;
            END LOOP;
        END IF;
    END LOOP;
    condition := coalesce(nullif(array_to_string(conditions, ' AND '), ''), 'true');
    condition := format('(%s)', condition);
END
$$;

-- A collection's row of the registry, once the arguments of a search are checked.
CREATE FUNCTION {schema}.searched_collection(name text, query {extension}.vector, k integer)
    RETURNS {schema}.collections
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found {schema}.collections;
    length float8;
BEGIN
    IF name IS NULL OR k IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'the collection or k is NULL',
            HINT = 'Pass the name of a collection, and how many rows to return.';
    ELSIF k NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('k is a whole number from 1 to 100000, not %s', k),
            HINT = 'It is the number of rows to return.';
    END IF;
    SELECT * INTO found FROM {schema}.collections AS registered WHERE registered.name = searched_collection.name;
    IF found.name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('no collection named %L', left(name, 63)),
            HINT = coalesce('There are: ' || (
                SELECT string_agg(known.name, ', ' ORDER BY known.name)
                FROM (SELECT registered.name FROM {schema}.collections AS registered ORDER BY 1 LIMIT 20) AS known
            ), 'There is no collection yet.');
    ELSIF query IS NULL THEN
        RETURN found;
    ELSIF {extension}.vector_dims(query) <> found.dimensions THEN
        RAISE EXCEPTION USING ERRCODE = 'data_exception',
            MESSAGE = format('the query has %s dimensions, the collection has %s',
                {extension}.vector_dims(query), found.dimensions),
            HINT = 'Make it with the embedder that the collection was made with.';
    END IF;
    length := {extension}.vector_norm(query);
    IF found.metric = 'cosine' AND found.storage = 'halfvec' AND length BETWEEN 1e-18 AND 1e18 THEN
        length := {extension}.l2_norm(query::{extension}.halfvec);
    END IF;
    IF found.metric = 'cosine' AND (length < 1e-18 OR length > 1e18) THEN
        RAISE EXCEPTION USING ERRCODE = 'data_exception',
            MESSAGE = 'the query is all zeros, or so short or long that its cosine cannot be computed',
            HINT = 'Pass a vector of length 1.';
    ELSIF found.storage <> 'bit' AND length > 1e18 THEN
        RAISE EXCEPTION USING ERRCODE = 'data_exception',
            MESSAGE = format('the query is so long that its %s distance cannot be computed', found.metric),
            HINT = 'Scale all vectors down.';
    END IF;
    RETURN found;
END
$$;

-- pgvector's settings as they are, in the order of `set_search_settings`; what it has where nobody has set them.
CREATE FUNCTION {schema}.search_settings() RETURNS text[]
    LANGUAGE sql STABLE
AS $$
    SELECT ARRAY[
        coalesce(nullif(current_setting('hnsw.ef_search', true), ''), '40'),
        coalesce(nullif(current_setting('hnsw.iterative_scan', true), ''), 'off'),
        coalesce(nullif(current_setting('hnsw.max_scan_tuples', true), ''), '20000'),
        coalesce(nullif(current_setting('hnsw.scan_mem_multiplier', true), ''), '1'),
        coalesce(nullif(current_setting('ivfflat.iterative_scan', true), ''), 'off'),
        coalesce(nullif(current_setting('ivfflat.probes', true), ''), '1')]
$$;

-- Set pgvector's settings until the transaction ends, or they are set again.
CREATE FUNCTION {schema}.set_search_settings(settings text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('hnsw.ef_search', settings[1], true), set_config('hnsw.iterative_scan', settings[2], true),
        set_config('hnsw.max_scan_tuples', settings[3], true),
        set_config('hnsw.scan_mem_multiplier', settings[4], true),
        set_config('ivfflat.iterative_scan', settings[5], true), set_config('ivfflat.probes', settings[6], true);
END
$$;

-- How to use the index where a `share` of the rows match: at least so many `candidates`, and the most rows that an
-- iterative scan `visits`, NULL where one pass may do. What it costs is counted in candidates.
CREATE FUNCTION {schema}.index_access(
    method text, wanted integer, share float8, INOUT candidates integer, OUT visits integer, OUT cost float8)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    aim float8 := greatest(wanted, 10);
    needed float8 := ceil((aim + 1.4 * sqrt(aim)) / share);
BEGIN
    IF method = 'hnsw' AND needed <= 1000 THEN
        candidates := greatest(candidates, needed);
        cost := candidates;
    ELSE
        candidates := greatest(candidates, least(needed / 8, 1000));
        visits := least(greatest(20000, 2 * needed), 2147483647);
        cost := 1.1 * greatest(candidates, aim / share);
    END IF;
END
$$;

-- How to find the `wanted` nearest chunks: `candidates` of the index and the most rows that an iterative scan `visits`,
-- NULL for one pass, or no candidates for comparing every chunk that matches, which costs as much as `exact_cost`
-- candidates. `vectordb.search.planning` has the reasons, and measures what this only supposes.
CREATE FUNCTION {schema}.search_access(
    registered {schema}.collections, chunks regclass, wanted integer, condition text, parameters text[],
    indexed boolean, OUT candidates integer, OUT visits integer, OUT exact_cost float8)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    method text := registered.vector_index ->> 'method';
    least_candidates integer := least(greatest(80, wanted), 1000);
    pages float8 := pg_relation_size(chunks) / 8192;
    per_page float8;
    share float4;
    looked float8;
    matching float8;
    total float8;
    size float8 := CASE registered.storage
        WHEN 'vector' THEN 8 + 4 * registered.dimensions
        WHEN 'halfvec' THEN 8 + 2 * registered.dimensions
        WHEN 'bit' THEN 8 + registered.dimensions / 8
        ELSE 16 END / 1544.0;
    by_index record;
BEGIN
    IF method IS NULL THEN
        RETURN;
    ELSIF condition IS NULL THEN
        candidates := least_candidates;
        visits := greatest(20000, 20 * wanted);
        RETURN;
    ELSIF pages <= 128 THEN
        RETURN;
    END IF;
    SELECT CASE WHEN reltuples > 0 AND relpages > 0 THEN reltuples / relpages ELSE 12.5 END INTO per_page
    FROM pg_class WHERE oid = chunks;
    FOR sample IN 1..2 LOOP
        share := least(100, 100 * greatest(96, 1200 * (4 * sample - 3) / greatest(per_page, 2)) / pages);
        EXECUTE format(
            'SELECT count(*), count(*) FILTER (WHERE %s) FROM %s AS c TABLESAMPLE SYSTEM ($1) REPEATABLE (1)',
            condition, chunks) INTO looked, matching USING share, parameters;
        EXIT WHEN matching >= 10 OR indexed;
    END LOOP;
    IF looked = 0 OR matching / looked < 0.002 THEN
        RETURN;  -- the index would miss near ones
    END IF;
    total := looked * 100 / share;
    matching := matching / looked * total;
    exact_cost := CASE WHEN indexed THEN matching * (1.2 + 0.4 * size)
        ELSE total * 0.5 + matching * (0.2 + 0.4 * size) END / (4 + 9 * size);
    SELECT * INTO by_index FROM {schema}.index_access(method, wanted, matching / total, least_candidates);
    IF exact_cost > 1.15 * by_index.cost THEN
        candidates := by_index.candidates;
        visits := by_index.visits;
    END IF;
END
$$;

-- The same after one pass in which only `matching` of the `candidates` matched: near the query fewer do than elsewhere.
CREATE FUNCTION {schema}.search_access_again(
    method text, wanted integer, matching integer, exact_cost float8, INOUT candidates integer, OUT visits integer)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    share float8 := greatest(matching, 0.5) / candidates;
    by_index record;
BEGIN
    SELECT * INTO by_index FROM {schema}.index_access(method, wanted, share, candidates);
    -- Where next to none matched, an iterative scan finds those that happen to lie on its way.
    IF share < 0.002 OR exact_cost <= by_index.cost * (CASE WHEN matching > wanted / 3.0 THEN 1.15 ELSE 8 END) THEN
        candidates := NULL;
    ELSE
        candidates := by_index.candidates;
        visits := by_index.visits;
    END IF;
END
$$;

-- The distance of the chunk c from the parameter $1 as SQL.
CREATE FUNCTION {schema}.distance_sql(registered {schema}.collections) RETURNS text
    LANGUAGE sql IMMUTABLE
RETURN format('c.embedding OPERATOR({extension}.%s) %s',
    CASE registered.metric
        WHEN 'cosine' THEN '<=>'
        WHEN 'l2' THEN '<->'
        WHEN 'inner_product' THEN '<#>'
        WHEN 'l1' THEN '<+>'
        WHEN 'hamming' THEN '<~>'
        WHEN 'jaccard' THEN '<%>'
    END,
    CASE registered.storage
        WHEN 'vector' THEN '$1'
        WHEN 'halfvec' THEN '$1::{extension}.halfvec'
        WHEN 'sparsevec' THEN '$1::{extension}.sparsevec'
        WHEN 'bit' THEN '{extension}.binary_quantize($1)'
    END);

-- The nearest chunks, best first: `wanted` of them unless fewer match. A chunk has to match `required`, too, if that is
-- given; `most_visits` are worth looking for these along the index.
CREATE FUNCTION {schema}.nearest_chunks(
    registered {schema}.collections, query {extension}.vector, wanted integer, filter jsonb,
    required tsquery DEFAULT NULL, most_visits integer DEFAULT NULL,
    OUT document_ids text[], OUT ordinals integer[], OUT distances float8[])
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    chunks regclass := format('{schema}.%I', registered.chunks_table)::regclass;
    documents text := format('{schema}.%I', registered.documents_table);
    condition text;
    unjoined text;
    parameters text[] := '{}';
    parts integer;
    indexed boolean;
    access record;
    before text[];
    distance text := {schema}.distance_sql(registered);
    text_condition text := CASE WHEN required IS NULL THEN '' ELSE ' AND c.content_tsv @@ $3' END;
    found integer := 0;
    once boolean;
BEGIN
    IF filter IS NOT NULL AND filter NOT IN ('{}', 'null') THEN
        SELECT s.condition, s.parameters, s.indexed INTO condition, parameters, indexed
        FROM {schema}.filter_sql(filter, '', 1, registered.fields, documents, true, parameters, 0) AS s;
    END IF;
    SELECT * INTO access
    FROM {schema}.search_access(registered, chunks, wanted, condition, parameters, coalesce(indexed, false));
    IF access.candidates IS NOT NULL AND condition IS NOT NULL THEN
        SELECT s.condition INTO unjoined
        FROM {schema}.filter_sql(filter, '', 1, registered.fields, documents, false, '{}', 0) AS s;
    END IF;
    FOR attempt IN 1..2 LOOP
        EXIT WHEN access.candidates IS NULL;
        once := access.visits IS NULL;
        before := {schema}.search_settings();
        PERFORM {schema}.set_search_settings(ARRAY[
            greatest(before[1]::integer, access.candidates)::text, CASE WHEN once THEN 'off' ELSE 'relaxed_order' END,
            coalesce(nullif(least(access.visits, most_visits), 20000)::text, before[3]),
            CASE WHEN condition IS NULL OR once THEN before[4] ELSE '4' END, 'relaxed_order', '10']);
        -- No other index serves IS TRUE, so that the rows come from the index over the embeddings. They are not quite in
        -- the order that the planner takes for granted; by another expression it really sorts.
        EXECUTE format(
            'SELECT array_agg(document_id ORDER BY distance + 0, document_id, ordinal),'
            ' array_agg(ordinal ORDER BY distance + 0, document_id, ordinal),'
            ' array_agg(distance ORDER BY distance + 0, document_id, ordinal) FROM ('
            'SELECT c.document_id, c.ordinal, %1$s AS distance FROM %2$s AS c WHERE (%3$s) IS TRUE%4$s'
            ' ORDER BY %1$s LIMIT %5$s) AS near',
            distance, chunks, coalesce(unjoined, 'true'), text_condition,
            CASE WHEN condition IS NULL THEN wanted ELSE greatest(wanted, 10) END)
            INTO document_ids, ordinals, distances USING query, parameters, required;
        PERFORM {schema}.set_search_settings(before);
        found := coalesce(cardinality(document_ids), 0);
        EXIT WHEN found >= wanted OR NOT once OR most_visits IS NOT NULL;
        SELECT again.candidates, again.visits INTO access.candidates, access.visits
        FROM {schema}.search_access_again(
            registered.vector_index ->> 'method', wanted, found, access.exact_cost, access.candidates) AS again;
    END LOOP;
    IF found < wanted AND access.candidates IS NOT NULL AND condition IS NULL AND required IS NULL THEN
        EXECUTE format('SELECT least(count(*), %1$s) FROM (SELECT FROM %2$s LIMIT %1$s) AS c', wanted, chunks)
            INTO wanted;
    END IF;
    IF access.candidates IS NULL OR found < wanted AND most_visits IS NULL THEN
        -- There is no index to use, or it gave up too early. No index orders by an expression over the distance.
        EXECUTE format(
            'SELECT array_agg(document_id ORDER BY distance, document_id, ordinal),'
            ' array_agg(ordinal ORDER BY distance, document_id, ordinal),'
            ' array_agg(distance ORDER BY distance, document_id, ordinal) FROM ('
            'SELECT c.document_id, c.ordinal, (%s) + 0 AS distance FROM %s AS c WHERE (%s)%s'
            ' ORDER BY distance, c.document_id, c.ordinal LIMIT %s) AS near',
            distance, chunks, coalesce(condition, 'true'), text_condition, wanted)
            INTO document_ids, ordinals, distances USING query, parameters, required;
    END IF;
    document_ids := coalesce(document_ids[1:wanted], '{}');
    ordinals := coalesce(ordinals[1:wanted], '{}');
    distances := coalesce(distances[1:wanted], '{}');
END
$$;

-- BM25 of the chunk c under the parameters $4 to $8: lexemes, weights, average, k1 and b of a text plan. With its positions
-- a tsvector is longer, as sent, by two bytes for each.
CREATE FUNCTION {schema}.bm25_sql() RETURNS text
    LANGUAGE sql IMMUTABLE
RETURN
    '(SELECT sum(($5::float8[])[array_position($4, o.lexeme)] * cardinality(o.positions) / (cardinality(o.positions) + n.norm))'
    ' FROM (SELECT setweight(c.content_tsv, ''A'', $4) AS content OFFSET 0) AS l'
    ' CROSS JOIN LATERAL (SELECT $7::float8 * (1 - $8::float8 + $8::float8 * CASE'
    ' WHEN pg_client_encoding() = getdatabaseencoding()'
    ' THEN (octet_length(tsvectorsend(l.content)) - octet_length(tsvectorsend(strip(l.content)))) / 2'
    ' ELSE {schema}.text_length(l.content) END / $6::float8) AS norm OFFSET 0) AS n'
    ' CROSS JOIN unnest(ts_filter(l.content, ''{a}'')) AS o)';

-- What a query asks of a collection's texts: the lexemes, what they weigh and all else that BM25 needs.
CREATE FUNCTION {schema}.text_plan(
    registered {schema}.collections, query_text text, wanted integer,
    OUT lexemes text[], OUT weights float8[], OUT average float8, OUT k1 float8, OUT b float8,
    OUT required tsquery, OUT guess float8, OUT threshold float8, OUT condition tsquery)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF registered.text_index IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the collection %I has no text index', registered.name),
            HINT = 'Make one with docs.create_text_index(), or pass NULL for the text to search by vector alone.';
    ELSIF query_text !~ '\S' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the text of the query is empty',
            HINT = 'Pass words to look for, or NULL to search by vector alone.';
    END IF;
    EXECUTE format('SELECT * FROM {schema}.%I($1, $2)', registered.chunks_table || '_text_plan')
        INTO lexemes, weights, average, k1, b, required, guess, threshold, condition USING query_text, wanted::float8;
END
$$;

-- The best chunks by BM25, best first, and their scores. A pass looks at all texts that may reach some score; the best of
-- them are the best of all as soon as enough reach it.
CREATE FUNCTION {schema}.best_texts(
    registered {schema}.collections, plan record, wanted integer, filter jsonb,
    OUT document_ids text[], OUT ordinals integer[], OUT scores float8[])
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    where_sql text := 'true';
    parameters text[] := '{}';
    sought tsquery := plan.condition;
    threshold float8 := plan.threshold;
    proven float8 := 0;
    found bigint;
    lowest float8;
BEGIN
    IF filter IS NOT NULL AND filter NOT IN ('{}', 'null') THEN
        SELECT s.condition, s.parameters INTO where_sql, parameters
        FROM {schema}.filter_sql(
            filter, '', 1, registered.fields, format('{schema}.%I', registered.documents_table), true, parameters, 0
        ) AS s;
    END IF;
    WHILE sought IS NOT NULL LOOP
        EXECUTE format(
            'SELECT array_agg(document_id ORDER BY score DESC, document_id, ordinal),'
            ' array_agg(ordinal ORDER BY score DESC, document_id, ordinal),'
            ' array_agg(score ORDER BY score DESC, document_id, ordinal), count(*), min(score) FROM ('
            'SELECT c.document_id, c.ordinal, %s AS score FROM {schema}.%I AS c'
            ' WHERE {schema}.lexeme_tiers(c.content_tsv) @@ $1 AND ($3 IS NULL OR c.content_tsv @@ $3) AND (%s)'
            ' ORDER BY score DESC NULLS LAST, document_id, ordinal LIMIT %s) AS c WHERE score > 0',
            {schema}.bm25_sql(), registered.chunks_table, where_sql, wanted)
            INTO document_ids, ordinals, scores, found, lowest
            USING sought, parameters, plan.required, plan.lexemes, plan.weights, plan.average, plan.k1, plan.b;
        SELECT n.threshold, n.proven, n.condition INTO threshold, proven, sought
        FROM {schema}.bm25_next(
            plan.lexemes, plan.weights, plan.average, plan.k1, plan.b, plan.guess, found, lowest, wanted,
            threshold, proven) AS n;
    END LOOP;
    document_ids := coalesce(document_ids, '{}');
    ordinals := coalesce(ordinals, '{}');
    scores := coalesce(scores, '{}');
END
$$;

-- The score of a distance as SQL; `vectordb.metrics` has the formulas.
CREATE FUNCTION {schema}.score_sql(registered {schema}.collections, distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
RETURN format(
    CASE
        WHEN registered.metric = 'inner_product' THEN '(-%1$s)'
        WHEN registered.metric IN ('l1', 'l2') THEN '(1 / (1 + %1$s))'
        WHEN registered.metric = 'hamming' THEN '(1 - %1$s / %2$s)'
        ELSE '(1 - %1$s)'
    END, distance, registered.dimensions);

CREATE FUNCTION {schema}.search(
    collection text, query {extension}.vector, k integer DEFAULT 10, filter jsonb DEFAULT NULL)
    RETURNS TABLE (
        document_id text, ordinal integer, content text, metadata jsonb, score double precision,
        distance double precision)
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    registered {schema}.collections;
    near record;
BEGIN
    registered := {schema}.searched_collection(collection, query, k);
    IF query IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'the query is NULL',
            HINT = 'Pass a vector; vectordb.hybrid_search looks for texts.';
    END IF;
    SELECT * INTO near FROM {schema}.nearest_chunks(registered, query, k, filter);
    RETURN QUERY EXECUTE format(
        'SELECT n.document_id, n.ordinal, c.content, c.metadata, %s, n.distance'
        ' FROM unnest($1, $2, $3) WITH ORDINALITY AS n(document_id, ordinal, distance, place)'
        ' JOIN {schema}.%I AS c ON c.document_id = n.document_id AND c.ordinal = n.ordinal ORDER BY n.place',
        {schema}.score_sql(registered, 'n.distance'), registered.chunks_table)
        USING near.document_ids, near.ordinals, near.distances;
END
$$;

CREATE FUNCTION {schema}.hybrid_search(
    collection text, query_text text, query {extension}.vector, k integer DEFAULT 10, filter jsonb DEFAULT NULL)
    RETURNS TABLE (
        document_id text, ordinal integer, content text, metadata jsonb, score double precision,
        distance double precision, vector_rank bigint, vector_score double precision, text_rank bigint,
        text_score double precision)
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    registered {schema}.collections;
    plan record;
    texts record;
    near record;
    depth integer;
    demand text;
    fused text;
BEGIN
    registered := {schema}.searched_collection(collection, query, k);
    IF query_text IS NULL AND query IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'there is nothing to search for',
            HINT = 'Pass a text, a vector, or both.';
    ELSIF query_text IS NULL THEN
        SELECT * INTO near FROM {schema}.nearest_chunks(registered, query, k, filter);
        RETURN QUERY EXECUTE format(
            'SELECT n.document_id, n.ordinal, c.content, c.metadata, %1$s, n.distance, n.place, %1$s, NULL::bigint,'
            ' NULL::float8 FROM unnest($1, $2, $3) WITH ORDINALITY AS n(document_id, ordinal, distance, place)'
            ' JOIN {schema}.%2$I AS c ON c.document_id = n.document_id AND c.ordinal = n.ordinal ORDER BY n.place',
            {schema}.score_sql(registered, 'n.distance'), registered.chunks_table)
            USING near.document_ids, near.ordinals, near.distances;
        RETURN;
    END IF;
    -- As both scores of every candidate are true ones, few candidates are enough.
    depth := CASE WHEN query IS NULL THEN k ELSE least(100000, greatest(40, 2 * k)) END;
    SELECT * INTO plan FROM {schema}.text_plan(registered, query_text, depth);
    SELECT * INTO texts FROM {schema}.best_texts(registered, plan, depth, filter);
    IF query IS NULL THEN
        RETURN QUERY EXECUTE format(
            'SELECT t.document_id, t.ordinal, c.content, c.metadata, t.score, NULL::float8, NULL::bigint,'
            ' NULL::float8, t.place, t.score'
            ' FROM unnest($1, $2, $3) WITH ORDINALITY AS t(document_id, ordinal, score, place)'
            ' JOIN {schema}.%I AS c ON c.document_id = t.document_id AND c.ordinal = t.ordinal ORDER BY t.place',
            registered.chunks_table) USING texts.document_ids, texts.ordinals, texts.scores;
        RETURN;
    END IF;
    -- What the text excludes or insists on holds for the nearest chunks, too. All texts with a phrase are found by their
    -- words; by the vector, few of them are worth a long way along the index.
    demand := substring(query_text FROM '["“”„]|(?:^|\s)-');
    SELECT * INTO near FROM {schema}.nearest_chunks(
        registered, query, depth, filter, CASE WHEN demand IS NOT NULL THEN plan.required END,
        CASE WHEN demand !~ '-$' THEN 2000 END);
    fused := CASE
        WHEN registered.metric = 'inner_product' AND registered.embedder ->> 'normalized' IS DISTINCT FROM 'true' THEN
            '0.5 * coalesce((vector_score - min(vector_score) OVER ())'
            ' / nullif(max(vector_score) OVER () - min(vector_score) OVER (), 0), 0)'
            ' + 0.5 * coalesce((text_score - min(text_score) OVER ())'
            ' / nullif(max(text_score) OVER () - min(text_score) OVER (), 0), 0)'
        ELSE '0.5::float8 * vector_score + 0.5::float8 * coalesce('
            'text_score / nullif((SELECT coalesce(sum(weight), 0) FROM unnest($5::float8[]) AS weight), 0), 0)'
    END;
    RETURN QUERY EXECUTE format(
        'WITH vectors AS (SELECT * FROM unnest($9, $10, $11) WITH ORDINALITY AS v(document_id, ordinal, distance, rank)),'
        ' texts AS (SELECT * FROM unnest($2, $3, $12) WITH ORDINALITY AS t(document_id, ordinal, score, rank)),'
        ' candidates AS MATERIALIZED (SELECT c.document_id, c.ordinal, c.content, c.metadata,'
        ' coalesce(v.distance, %1$s) AS distance, v.rank AS vector_rank, t.rank AS text_rank,'
        ' coalesce(t.score, %2$s, 0) AS text_score'
        ' FROM vectors AS v FULL JOIN texts AS t USING (document_id, ordinal)'
        ' JOIN {schema}.%3$I AS c USING (document_id, ordinal)),'
        ' measured AS (SELECT k.*, %4$s AS vector_score FROM candidates AS k)'
        ' SELECT document_id, ordinal, content, metadata, %5$s AS score, distance, vector_rank, vector_score, text_rank,'
        ' text_score FROM measured ORDER BY score DESC, document_id, ordinal LIMIT %6$s',
        {schema}.distance_sql(registered), {schema}.bm25_sql(), registered.chunks_table,
        {schema}.score_sql(registered, 'k.distance'), fused, k)
        USING query, texts.document_ids, texts.ordinals, plan.lexemes, plan.weights, plan.average, plan.k1, plan.b,
            near.document_ids, near.ordinals, near.distances, texts.scores;
END
$$;

-- What each function of the schema is for.
COMMENT ON FUNCTION {schema}.search IS 'The k chunks of a collection that are nearest to a vector, best first, among those that match a filter';
COMMENT ON FUNCTION {schema}.hybrid_search IS 'The k best chunks of a collection by text (BM25) and by vector together, best first; NULL for one of them goes by the other alone';
COMMENT ON FUNCTION {schema}.iso_timestamp IS 'The moment that ISO 8601 text names, in UTC where it has no offset; NULL if it names none';
COMMENT ON FUNCTION {schema}.refuse_filter IS 'Part of search: raises an error about a filter';
COMMENT ON FUNCTION {schema}.filter_path IS 'Part of search: the keys of a path into metadata';
COMMENT ON FUNCTION {schema}.common_characters IS 'Part of search: how many characters two names have in common';
COMMENT ON FUNCTION {schema}.check_spelling IS 'Part of search: refuses a name that looks like a declared field, misspelt';
COMMENT ON FUNCTION {schema}.filter_value IS 'Part of search: type and text of a value in a filter';
COMMENT ON FUNCTION {schema}.typed_value IS 'Part of search: a value in the type of the field that it is compared with';
COMMENT ON FUNCTION {schema}.case_variants IS 'Part of search: letters that differ in case only, by Unicode';
COMMENT ON FUNCTION {schema}.fold_case IS 'Part of search: a text with upper and lower case the same, in any locale';
COMMENT ON FUNCTION {schema}.filter_condition IS 'Part of search: SQL of one condition in a filter';
COMMENT ON FUNCTION {schema}.filter_sql IS 'Part of search: SQL of a filter';
COMMENT ON FUNCTION {schema}.searched_collection IS 'Part of search: the row of the registry, once arguments are checked';
COMMENT ON FUNCTION {schema}.search_settings IS 'Part of search: settings of pgvector as they are';
COMMENT ON FUNCTION {schema}.set_search_settings IS 'Part of search: changes settings of pgvector until the transaction ends';
COMMENT ON FUNCTION {schema}.index_access IS 'Part of search: how to use the index where some share of the rows match';
COMMENT ON FUNCTION {schema}.search_access_again IS 'Part of search: what to do where too few candidates of the index match';
COMMENT ON FUNCTION {schema}.search_access IS 'Part of search: whether to use the index over the embeddings, and how';
COMMENT ON FUNCTION {schema}.distance_sql IS 'Part of search: SQL of the distance from the query';
COMMENT ON FUNCTION {schema}.nearest_chunks IS 'Part of search: keys and distances of the nearest chunks';
COMMENT ON FUNCTION {schema}.bm25_sql IS 'Part of search: SQL of the BM25 score';
COMMENT ON FUNCTION {schema}.text_plan IS 'Part of search: lexemes and weights of a text to look for';
COMMENT ON FUNCTION {schema}.best_texts IS 'Part of search: keys and scores of the best chunks by BM25';
COMMENT ON FUNCTION {schema}.score_sql IS 'Part of search: SQL of the score that a distance makes';
COMMENT ON FUNCTION {schema}.tier_edges IS 'Part of text indexes: bounds between the tiers of weights';
COMMENT ON FUNCTION {schema}.lexeme_tiers IS 'Part of text indexes: keys of a text, its lexemes alone and with their tier';
COMMENT ON FUNCTION {schema}.tier_bounds IS 'Part of text indexes: the most that a lexeme weighs in each tier';
COMMENT ON FUNCTION {schema}.open_lexeme IS 'Part of text indexes: a lexeme as a tsquery writes it, but for the last quote';
COMMENT ON FUNCTION {schema}.unordered IS 'Part of text indexes: the lexemes of a phrase in any order';
COMMENT ON FUNCTION {schema}.text_length IS 'Part of text indexes: number of lexemes in a text, each as often as it occurs';
COMMENT ON FUNCTION {schema}.text_query IS 'Part of text indexes: what a query in the syntax of websearch_to_tsquery asks for';
COMMENT ON FUNCTION {schema}.bm25_guess IS 'Part of text indexes: a score that about so many texts reach';
COMMENT ON FUNCTION {schema}.bm25_branch IS 'Part of text indexes: part of a condition that texts of some score meet';
COMMENT ON FUNCTION {schema}.bm25_condition IS 'Part of text indexes: a condition that texts of some score meet';
COMMENT ON FUNCTION {schema}.bm25_next IS 'Part of text indexes: what to look at after a pass over texts';
