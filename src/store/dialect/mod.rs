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

    /// Position of a text in another, 0 for none: `position(haystack, needle)`.
    #[must_use]
    pub const fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }
}
