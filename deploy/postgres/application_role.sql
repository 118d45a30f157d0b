-- Run once, when the database of compose.yaml is made: the application works as an ordinary role that owns its database,
-- since a superuser is let past row-level security (docs/operations.md, The database role).
CREATE ROLE largesse LOGIN PASSWORD 'largesse' NOSUPERUSER NOBYPASSRLS;
ALTER DATABASE largesse OWNER TO largesse;
