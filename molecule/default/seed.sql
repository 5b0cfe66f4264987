-- Loaded once by postgresql_seed_files; a second load would fail.
CREATE TABLE seeded (id integer PRIMARY KEY);
INSERT INTO seeded VALUES (1), (2), (3);
