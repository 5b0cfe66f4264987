-- Stored procedures and functions. The fixed search path makes them work for every caller, also after a restore.

CREATE FUNCTION public.add_rating(p_title_id bigint, p_score integer) RETURNS public.ratings
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  result ratings;
BEGIN
  IF p_score IS NULL OR p_score NOT BETWEEN 1 AND 10 THEN
    RAISE EXCEPTION 'a score is a number from 1 to 10, not %', coalesce(p_score::text, 'null')
      USING ERRCODE = 'check_violation';
  END IF;
  -- ON CONFLICT adds to the row as it is when the lock is there, so that no concurrent vote is lost.
  INSERT INTO ratings AS r (title_id, votes, score_sum) VALUES (p_title_id, 1, p_score)
    ON CONFLICT (title_id) DO UPDATE SET votes = r.votes + 1, score_sum = r.score_sum + excluded.score_sum
    RETURNING r.* INTO result;
  RETURN result;
EXCEPTION
  WHEN foreign_key_violation THEN
    RAISE EXCEPTION 'there is no title %', p_title_id USING ERRCODE = 'foreign_key_violation';
END
$$;
COMMENT ON FUNCTION public.add_rating IS 'Add one vote (1 to 10) to a title and return its rating.';

CREATE FUNCTION public.top_titles(
  p_genre text DEFAULT NULL, p_from integer DEFAULT NULL, p_to integer DEFAULT NULL,
  p_limit integer DEFAULT 10, p_min_votes bigint DEFAULT 100)
RETURNS TABLE (title_id bigint, title text, year smallint, average numeric, votes bigint)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
  IF p_genre IS NOT NULL AND NOT EXISTS (SELECT FROM genres g WHERE g.name = p_genre) THEN
    RAISE EXCEPTION 'there is no genre %', p_genre USING ERRCODE = 'no_data_found';
  END IF;
  RETURN QUERY
    SELECT t.title_id, t.primary_title, t.start_year, r.average::numeric, r.votes
    FROM titles t JOIN ratings r USING (title_id)
    WHERE t.kind <> 'episode'
      AND r.votes >= p_min_votes
      AND (p_from IS NULL OR t.start_year >= p_from)
      AND (p_to IS NULL OR t.start_year <= p_to)
      AND (p_genre IS NULL OR EXISTS (
        SELECT FROM title_genres tg JOIN genres g USING (genre_id)
        WHERE tg.title_id = t.title_id AND g.name = p_genre))
    ORDER BY r.average DESC, r.votes DESC, t.title_id
    LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION public.top_titles IS 'The best rated titles of a genre and a range of years; null means any.';

CREATE FUNCTION public.filmography(p_person_id bigint)
RETURNS TABLE (title_id bigint, year smallint, kind public.title_kind, title text, category public.cast_category,
  character_name text)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM people p WHERE p.person_id = p_person_id) THEN
    RAISE EXCEPTION 'there is no person %', p_person_id USING ERRCODE = 'no_data_found';
  END IF;
  RETURN QUERY
    SELECT t.title_id, t.start_year, t.kind, t.primary_title, c.category, c.character_name
    FROM title_cast c JOIN titles t USING (title_id)
    WHERE c.person_id = p_person_id
    ORDER BY t.start_year, t.title_id, c.billing;
END
$$;
COMMENT ON FUNCTION public.filmography IS 'All that a person did, the oldest first.';

CREATE FUNCTION public.register_title(
  p_title text, p_kind public.title_kind, p_year integer, p_genres text[] DEFAULT '{}',
  p_runtime_minutes integer DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  new_id bigint;
  unknown text;
BEGIN
  SELECT string_agg(wanted, ', ') INTO unknown
    FROM unnest(p_genres) AS wanted WHERE NOT EXISTS (SELECT FROM genres g WHERE g.name = wanted);
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'there is no genre %', unknown USING ERRCODE = 'no_data_found';
  END IF;
  INSERT INTO titles (kind, primary_title, original_title, start_year, runtime_minutes)
    VALUES (p_kind, p_title, p_title, p_year, p_runtime_minutes)
    RETURNING titles.title_id INTO new_id;
  INSERT INTO title_genres (title_id, genre_id)
    SELECT DISTINCT new_id, g.genre_id FROM genres g WHERE g.name = ANY (p_genres);
  RETURN new_id;
END
$$;
COMMENT ON FUNCTION public.register_title IS 'Add a title with its genres and return its id.';

CREATE PROCEDURE public.add_cast(
  p_title_id bigint, p_person_id bigint, p_category public.cast_category, p_character text DEFAULT NULL)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  -- The lock keeps two callers from taking the same place in the billing.
  PERFORM FROM titles t WHERE t.title_id = p_title_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no title %', p_title_id USING ERRCODE = 'foreign_key_violation';
  END IF;
  INSERT INTO title_cast (title_id, billing, person_id, category, character_name)
    SELECT p_title_id, coalesce(max(c.billing), 0) + 1, p_person_id, p_category, p_character
    FROM title_cast c WHERE c.title_id = p_title_id;
END
$$;
COMMENT ON PROCEDURE public.add_cast IS 'Add a person to a title, last in the billing.';

CREATE FUNCTION public.series_overview(p_series_id bigint)
RETURNS TABLE (season smallint, episodes bigint, average numeric, votes bigint)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT e.season, count(*), round(sum(r.score_sum) / nullif(sum(r.votes), 0), 1), sum(r.votes)::bigint
  FROM episodes e LEFT JOIN ratings r USING (title_id)
  WHERE e.series_id = p_series_id
  GROUP BY e.season ORDER BY e.season
$$;
COMMENT ON FUNCTION public.series_overview IS 'The seasons of a series with the rating of their episodes.';
