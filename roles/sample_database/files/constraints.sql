-- Keys, references and indexes.

ALTER TABLE public.titles ADD PRIMARY KEY (title_id);
ALTER TABLE public.people ADD PRIMARY KEY (person_id);
ALTER TABLE public.genres ADD PRIMARY KEY (genre_id), ADD UNIQUE (name);

ALTER TABLE public.title_genres
  ADD PRIMARY KEY (title_id, genre_id),
  ADD FOREIGN KEY (title_id) REFERENCES public.titles ON DELETE CASCADE,
  ADD FOREIGN KEY (genre_id) REFERENCES public.genres;

ALTER TABLE public.episodes
  ADD PRIMARY KEY (title_id),
  ADD UNIQUE (series_id, season, number),
  ADD FOREIGN KEY (title_id) REFERENCES public.titles ON DELETE CASCADE,
  ADD FOREIGN KEY (series_id) REFERENCES public.titles ON DELETE CASCADE;

ALTER TABLE public.title_cast
  ADD PRIMARY KEY (title_id, billing),
  ADD UNIQUE (title_id, person_id, category),
  ADD FOREIGN KEY (title_id) REFERENCES public.titles ON DELETE CASCADE,
  ADD FOREIGN KEY (person_id) REFERENCES public.people;

ALTER TABLE public.ratings
  ADD PRIMARY KEY (title_id),
  ADD FOREIGN KEY (title_id) REFERENCES public.titles ON DELETE CASCADE;

CREATE INDEX titles_start_year_idx ON public.titles (start_year);
CREATE INDEX titles_search_idx ON public.titles USING gin (to_tsvector('simple', primary_title));
CREATE INDEX people_name_idx ON public.people (name);
CREATE INDEX title_genres_genre_idx ON public.title_genres (genre_id, title_id);
CREATE INDEX title_cast_person_idx ON public.title_cast (person_id);
CREATE INDEX ratings_average_idx ON public.ratings (average DESC, votes DESC);

SELECT setval(pg_get_serial_sequence('public.titles', 'title_id'), max(title_id)) FROM public.titles;
SELECT setval(pg_get_serial_sequence('public.people', 'person_id'), max(person_id)) FROM public.people;
SELECT setval(pg_get_serial_sequence('public.genres', 'genre_id'), max(genre_id)) FROM public.genres;

ANALYZE public.titles, public.people, public.genres, public.title_genres, public.episodes, public.title_cast,
  public.ratings;
