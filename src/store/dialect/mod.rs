//! What differs between SQLite and PostgreSQL: everything that is not here is one SQL text for both.

pub mod postgres;
pub mod sqlite;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// PostgreSQL 14 or later.
    Postgres,
}

impl Dialect {
    /// Text before and after the argument that a column is compared with, when the argument is a list of numbers.
    #[must_use]
    pub const fn any(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => (" IN (SELECT value FROM json_each(", "))"),
            Self::Postgres => (" = ANY(", ")"),
        }
    }

    /// A value of a row's `facts`, as text or null: before and after the parameter's name.
    #[must_use]
    pub const fn fact(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => (".facts ->> ", ""),
            Self::Postgres => (".facts::jsonb ->> ", ""),
        }
    }

    /// Collation by bytes, for an expression that has none of its own.
    #[must_use]
    pub const fn by_bytes(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " COLLATE \"C\"",
        }
    }

    /// After the `ORDER BY` of a list that is read in its order, and no further than the reader wants: what keeps the
    /// database from dropping it.
    #[must_use]
    pub const fn kept_order(self) -> &'static str {
        match self {
            Self::Sqlite => " LIMIT -1",
            Self::Postgres => " OFFSET 0",
        }
    }

    /// After `version i` of which id and type alone are read: the narrow index, which SQLite would not choose by itself.
    #[must_use]
    pub const fn by_index(self) -> &'static str {
        match self {
            Self::Sqlite => " INDEXED BY version_id",
            Self::Postgres => "",
        }
    }

    /// Position of a text in another, 0 for none: `position(haystack, needle)`.
    #[must_use]
    pub const fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// The query of full text for all of these words (with whether each is only a beginning). They are letters and digits.
    #[must_use]
    pub fn words(self, words: &[(String, bool)], narrative: bool) -> String {
        let of_narrative = narrative && self == Self::Postgres;
        let word = |(word, begins): &(String, bool)| match (self, begins) {
            (Self::Sqlite, false) => format!("\"{word}\""),
            (Self::Sqlite, true) => format!("\"{word}\" *"),
            (Self::Postgres, begins) => {
                let marks = [if *begins { "*" } else { "" }, if of_narrative { "A" } else { "" }].concat();
                if marks.is_empty() { format!("'{word}'") } else { format!("'{word}':{marks}") }
            }
        };
        let all: Vec<String> = words.iter().map(word).collect();
        match self {
            Self::Sqlite if narrative => format!("narrative : ({})", all.join(" AND ")),
            Self::Sqlite => all.join(" AND "),
            Self::Postgres => all.join(" & "),
        }
    }

    /// Whether full text finds one version: before and after the query, up to the version.
    #[must_use]
    pub const fn has_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => ("EXISTS (SELECT 1 FROM fulltext x WHERE x.fulltext MATCH ", " AND x.rowid = "),
            Self::Postgres => ("EXISTS (SELECT 1 FROM fulltext x WHERE x.words @@ ", "::tsquery AND x.pk = "),
        }
    }

    /// All versions that full text finds: before and after the query.
    #[must_use]
    pub const fn found_by_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => ("SELECT x.rowid AS pk FROM fulltext x WHERE x.fulltext MATCH ", ""),
            Self::Postgres => ("SELECT x.pk FROM fulltext_found(", "::tsquery) x (pk)"),
        }
    }
}
