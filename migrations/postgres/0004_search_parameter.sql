-- The search parameters in force with where a reindex stands, and who does which job. See src/store/parameter.rs, lease.rs.

CREATE TABLE search_parameter (
    name  TEXT COLLATE "C" PRIMARY KEY, -- 'R4', 'search/x.json', 'SearchParameter/1'
    body  TEXT NOT NULL, -- the resource; of R4 what is being made again
    slots TEXT NOT NULL, -- names of the rows that it has for itself: another definition has others
    walk  TEXT NOT NULL  -- JSON: how far a reindex is; '' when the rows of all resources are there
);

CREATE TABLE lease (
    job    TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT NOT NULL, -- a process
    until  BIGINT NOT NULL -- µs UTC: then another may take it
);
