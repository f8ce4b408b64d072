-- Row-level security is PostgreSQL's: see the file of the same name there.
SELECT 1;
