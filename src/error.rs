//! The one error shape: what went wrong, where, and how to mend it.
//!
//! For: every layer. Inner code names the *kind* of failure and the element; [`Kind`] alone knows the HTTP status and
//! the default `issue.code`, for HTTP answers and for Bundle entries alike.
//! Not for: writing OperationOutcomes (`fhir/outcome.rs`).
//! Source: <https://hl7.org/fhir/R4/operationoutcome.html>, <https://hl7.org/fhir/R4/http.html#Status-Codes>.

use std::borrow::Cow;
use std::fmt;

/// Short form used everywhere.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is. One row of [`Kind::row`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body, a parameter or a header is not what the specification asks for.
    Invalid,
    /// No token, or one that does not hold.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// Nothing there, or nothing the caller may know of.
    NotFound,
    /// The interaction does not exist on that path.
    MethodNotAllowed,
    /// The caller asks for a format that Baton does not write.
    NotAcceptable,
    /// The state of another resource forbids it, or two callers met.
    Conflict,
    /// It was there and is deleted.
    Gone,
    /// `If-Match` names another version.
    VersionMismatch,
    /// A conditional interaction matched more than one resource.
    ManyMatches,
    /// The sender took too long.
    Timeout,
    /// The body is over the limit.
    TooLarge,
    /// The URL is over the limit.
    UrlTooLong,
    /// The headers are over the limit.
    HeadersTooLarge,
    /// The body is in a format that Baton does not read.
    UnsupportedMedia,
    /// A rule of the programme forbids it.
    BusinessRule,
    /// The request is well-formed and cannot be carried out (a reference that leads nowhere, a search that costs too much).
    Unprocessable,
    /// The interaction needs `If-Match` and came without.
    PreconditionRequired,
    /// Too many requests of one caller.
    TooMany,
    /// The server is full for the moment; the same request may pass later.
    Busy,
    /// A fault of Baton's own.
    Fault,
}

impl Kind {
    /// (HTTP status, default `issue.code`).
    #[must_use]
    pub const fn row(self) -> (u16, &'static str) {
        match self {
            Self::Invalid => (400, "invalid"),
            Self::Unauthenticated => (401, "login"),
            Self::Forbidden => (403, "forbidden"),
            Self::NotFound => (404, "not-found"),
            Self::MethodNotAllowed => (405, "not-supported"),
            Self::NotAcceptable => (406, "not-supported"),
            Self::Conflict => (409, "conflict"),
            Self::Gone => (410, "deleted"),
            Self::VersionMismatch => (412, "conflict"),
            Self::ManyMatches => (412, "multiple-matches"),
            Self::Timeout => (408, "timeout"),
            Self::TooLarge => (413, "too-long"),
            Self::UrlTooLong => (414, "too-long"),
            Self::HeadersTooLarge => (431, "too-long"),
            Self::UnsupportedMedia => (415, "not-supported"),
            Self::BusinessRule => (422, "business-rule"),
            Self::Unprocessable => (422, "processing"),
            Self::PreconditionRequired => (428, "required"),
            Self::TooMany => (429, "throttled"),
            Self::Busy => (503, "transient"),
            Self::Fault => (500, "exception"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }
}

/// `OperationOutcome.issue.severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Stops the interaction.
    Error,
    /// Worth knowing; blocks nothing.
    Warning,
    /// A remark.
    Information,
}

impl Severity {
    /// The code as FHIR writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// One `OperationOutcome.issue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// A code of <http://hl7.org/fhir/issue-type>.
    pub code: &'static str,
    /// FHIRPath of the element, such as `Patient.name[0].given[1]`; empty when no element is to blame.
    pub expression: String,
    /// The rule in short, the same whatever was found (`details.text`): `gender has a code of administrative-gender`. Empty:
    /// the diagnostics say it all.
    pub rule: Cow<'static, str>,
    /// One sentence for the sender: what was found, what was expected, how to mend it.
    pub diagnostics: String,
    /// Canonical of the profile that complains, with `|version` where known; `None`: R4 itself, or a rule of Baton's.
    pub profile: Option<Box<str>>,
    /// Line and column of the element in the text that was sent, both from 1. Filled in where an answer is made, when
    /// something is wrong (`fhir/json/locate.rs`).
    pub position: Option<(u32, u32)>,
}

impl Issue {
    /// An error-level issue.
    pub fn error(code: &'static str, expression: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            expression: expression.into(),
            rule: Cow::Borrowed(""),
            diagnostics: diagnostics.into(),
            profile: None,
            position: None,
        }
    }

    /// A warning: it never blocks.
    pub fn warning(code: &'static str, expression: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, expression, diagnostics) }
    }

    /// Says the rule in short.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Cow<'static, str>>) -> Self {
        self.rule = rule.into();
        self
    }

    /// Says which profile complains: its canonical, with `|version` where known.
    #[must_use]
    pub fn of_profile(mut self, canonical: &str) -> Self {
        self.profile = Some(canonical.into());
        self
    }
}

/// A failure on its way to an OperationOutcome.
#[derive(Debug)]
pub struct Error {
    /// Decides the HTTP status.
    pub kind: Kind,
    /// At least one; all that were found.
    pub issues: Vec<Issue>,
    /// The cause, for the log only; never for the client.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One constructor a kind: `Error::not_found("…")`.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        impl Error {
            $($(#[$doc])* pub fn $name(diagnostics: impl Into<String>) -> Self { Self::new(Kind::$kind, diagnostics) })*
        }
    };
}

constructors! {
    /// 400.
    invalid => Invalid;
    /// 401.
    unauthenticated => Unauthenticated;
    /// 403.
    forbidden => Forbidden;
    /// 404.
    not_found => NotFound;
    /// 405.
    method_not_allowed => MethodNotAllowed;
    /// 406.
    not_acceptable => NotAcceptable;
    /// 409.
    conflict => Conflict;
    /// 410.
    gone => Gone;
    /// 412.
    version_mismatch => VersionMismatch;
    /// 412.
    many_matches => ManyMatches;
    /// 413.
    too_large => TooLarge;
    /// 415.
    unsupported_media => UnsupportedMedia;
    /// 422, a rule of the programme.
    business_rule => BusinessRule;
    /// 422.
    unprocessable => Unprocessable;
    /// 428.
    precondition_required => PreconditionRequired;
    /// 503.
    busy => Busy;
    /// 500; the text says why it cannot happen.
    fault => Fault;
}

impl Error {
    /// A failure with one issue of the kind's default code.
    pub fn new(kind: Kind, diagnostics: impl Into<String>) -> Self {
        Self { kind, issues: vec![Issue::error(kind.row().1, "", diagnostics)], source: None }
    }

    /// A failure with all issues that were found; `issues` holds at least one.
    #[must_use]
    pub fn with_issues(kind: Kind, issues: Vec<Issue>) -> Self {
        Self { kind, issues, source: None }
    }

    /// 422 `too-costly`: the search would cost more than a limit allows.
    pub fn too_costly(diagnostics: impl Into<String>) -> Self {
        Self::unprocessable(diagnostics).code("too-costly")
    }

    /// Names the element (FHIRPath) to blame.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        for issue in &mut self.issues {
            issue.expression.clone_from(&expression);
        }
        self
    }

    /// Replaces the kind's default `issue.code`.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        for issue in &mut self.issues {
            issue.code = code;
        }
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, issue) in self.issues.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            if !issue.expression.is_empty() {
                write!(f, "{}: ", issue.expression)?;
            }
            f.write_str(&issue.diagnostics)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
