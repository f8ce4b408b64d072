//! The OpenAPI document: the map of paths, the operations and the search parameters, once more for tools.
//!
//! Made of the same tables as `metadata`; HEAD, which every GET has, is left out. Version 3.0.3, which every generator reads.
//! Not for: the shapes of resources (`schema.rs`).
//! Source: <https://spec.openapis.org/oas/v3.0.3>.

mod parameter;
mod schema;

use super::capability::PATCHES;
use super::operation::table::{Level, On, Row, rows};
use super::route::{Part, ROUTES, Route, Verb, is_audit};
use super::{Engine, House};
use crate::fhir::ResourceType;
use crate::search::Active;
use bytes::Bytes;
use serde_json::{Map, Value, json};

const FHIR: &str = "application/fhir+json";

impl Engine {
    /// The document; made once for each set of search parameters. `own`: the paths
    /// that are no interaction's.
    #[must_use]
    pub fn openapi(&self, own: &[Own]) -> Bytes {
        let (house, active) = (self.house(), self.house().active());
        active.openapi.get_or_make(house.number, &|| document(house, &active, own).to_string().into()).clone()
    }
}

fn document(house: &House, active: &Active, own: &[Own]) -> Value {
    let mut paths = Map::new();
    let mut add = |path: String, verb: &str, call: Value| {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[verb.to_ascii_lowercase()] = call;
    };
    for own in own.iter().filter(|own| house.door.gives() || !own.is_of_issuer()) {
        add(own.path.into(), own.method, plain(own));
    }
    for route in ROUTES.iter().filter(|r| r.code != "operation") {
        let types: Vec<Option<ResourceType>> = match route.path.first() {
            Some(Part::Type) => ResourceType::all().map(Some).collect(),
            _ => vec![None],
        };
        for rtype in types {
            // A compartment has an owner that R4 defines one of; what is in it is a parameter.
            if route.path.contains(&Part::Member) && !rtype.is_some_and(super::published::has_compartment) {
                continue;
            }
            if route.writes() && rtype.is_some_and(is_audit) {
                continue;
            }
            for verb in route.verbs.iter().filter(|v| **v != Verb::Head) {
                add(path(route.path, rtype, ""), verb.as_str(), interaction(active, route, *verb, rtype));
            }
        }
    }
    for row in rows() {
        for level in row.levels {
            let (parts, types): (&[Part], Vec<Option<ResourceType>>) = match (level, row.on) {
                (Level::System, _) | (_, On::Server) => (&[Part::Name], vec![None]),
                (level, on) => {
                    let all = ResourceType::all().filter(|t| on == On::Any || row.is_of(*t)).map(Some).collect();
                    let parts: &[Part] = match level {
                        Level::Type => &[Part::Type, Part::Name],
                        Level::Version => &[Part::Type, Part::Id, Part::Word("_history"), Part::Version, Part::Name],
                        _ => &[Part::Type, Part::Id, Part::Name],
                    };
                    (parts, all)
                }
            };
            for rtype in types {
                if row.changes() && rtype.is_some_and(is_audit) {
                    continue;
                }
                for verb in if row.takes_get() { &["get", "post"][..] } else { &["post"] } {
                    add(path(parts, rtype, row.name), verb, operation(active, row, *level, verb, rtype));
                }
            }
        }
    }
    let root = house.env.base.strip_suffix("/fhir").unwrap_or(&house.env.base);
    let mut out = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Baton",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "FHIR R4 (4.0.1) over HTTP, JSON only. Every GET takes HEAD, too. What a caller may not see is answered like what \
                is not there. A search parameter takes its modifiers, as in name:exact; chains, _has and _list are as FHIR has them.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
        },
        "servers": [{"url": if root.is_empty() { "/" } else { root }}],
        "paths": paths,
        "components": {
            "parameters": parameter::shared(active),
            "responses": responses(),
            "schemas": schema::all(),
        },
    });
    if house.door.asks() {
        let scopes = json!({"system/*.cruds": "all that the client is registered for", "user/*.cruds": "all that the user may do"});
        out["components"]["securitySchemes"] = json!({
            "smart": match house.door.gives() {
                true => json!({"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": format!("{root}/auth/token"), "scopes": scopes}}}),
                // Whose they are says smart-configuration.
                false => json!({"type": "http", "scheme": "bearer"}),
            }
        });
        out["security"] = json!([{"smart": []}]);
    }
    out
}

/// `/fhir/Patient/{id}/_history/{vid}`
fn path(parts: &[Part], rtype: Option<ResourceType>, name: &str) -> String {
    let mut out = "/fhir".to_owned();
    for part in parts {
        out.push('/');
        match part {
            Part::Word(word) => out.push_str(word),
            Part::Type => out.push_str(rtype.map_or("{type}", ResourceType::as_str)),
            Part::Id => out.push_str("{id}"),
            Part::Version => out.push_str("{vid}"),
            Part::Member => out.push_str("{member}"),
            Part::Name => {
                out.push('$');
                out.push_str(name);
            }
        }
    }
    out
}

fn responses() -> Value {
    let outcome = |text: &str| json!({"description": text, "content": content("OperationOutcome")});
    json!({
        "refused": outcome("Refused: the OperationOutcome says what is wrong, where, and how to mend it."),
        "busy": outcome("The server or its database is full or away for the moment; send it again after Retry-After."),
        "unchanged": {"description": "The caller has this version already."},
        "empty": {"description": "Done; there is nothing to say."},
    })
}

/// A body of one schema.
fn content(schema: &str) -> Value {
    json!({FHIR: {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

fn refer(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The statuses of a call: those of success, and what every call may answer.
fn answers(good: &[(&str, &str, &str)]) -> Value {
    let mut out = json!({});
    for (status, schema, text) in good {
        out[status] = match *status {
            "304" => refer("responses", "unchanged"),
            "204" => refer("responses", "empty"),
            _ => json!({"description": text, "content": content(schema)}),
        };
    }
    out["4XX"] = refer("responses", "refused");
    out["503"] = refer("responses", "busy");
    out
}

/// A path that is no interaction's.
/// A path that is no interaction's.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// Below the root; `{id}` stands for one segment.
    pub path: &'static str,
    /// GET (which is HEAD, too), or another.
    pub method: &'static str,
    /// Media type of the body that it takes; empty: none.
    pub takes: &'static str,
    /// Status and media type of the answer.
    pub gives: (&'static str, &'static str),
    /// What it is.
    pub text: &'static str,
    /// Takes an access token.
    pub is_guarded: bool,
}

impl Own {
    /// A document for everybody.
    #[must_use]
    pub const fn document(path: &'static str, media: &'static str, text: &'static str) -> Self {
        Self { path, method: "GET", takes: "", gives: ("200", media), text, is_guarded: false }
    }

    /// An endpoint of OAuth, which takes a form.
    #[must_use]
    pub const fn form(path: &'static str, text: &'static str) -> Self {
        let takes = "application/x-www-form-urlencoded";
        Self { path, method: "POST", takes, gives: ("200", JSON), text, is_guarded: false }
    }

    /// A call of the admin API.
    #[must_use]
    pub const fn admin(path: &'static str, method: &'static str, status: &'static str, text: &'static str) -> Self {
        let is_put = matches!(method.as_bytes(), b"POST" | b"PUT") && !matches!(path.as_bytes(), [.., b'e', b't']);
        Self { path, method, takes: if is_put { JSON } else { "" }, gives: (status, JSON), text, is_guarded: true }
    }

    /// Whether it is a part of the authorization server.
    fn is_of_issuer(&self) -> bool {
        self.path.starts_with("/auth/") || self.path.starts_with("/.well-known/")
    }
}

const JSON: &str = "application/json";

fn plain(own: &Own) -> Value {
    let id = own.path.trim_matches('/').replace(['/', '.'], "-").replace(['{', '}'], "");
    let (status, media) = own.gives;
    let mut good = json!({"description": own.text});
    if status != "204" {
        good["content"] = json!({ media: {} });
    }
    let mut out = json!({
        "operationId": format!("{}-{id}", own.method.to_ascii_lowercase()),
        "summary": own.text,
        "tags": ["server"],
        "responses": {status: good, "4XX": {"description": "Refused."}, "503": {"description": "Busy."}},
    });
    if !own.is_guarded {
        out["security"] = json!([]);
    }
    if own.path.contains("{id}") {
        out["parameters"] = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    }
    if !own.takes.is_empty() {
        out["requestBody"] = json!({"required": true, "content": {own.takes: {"schema": {"type": "object"}}}});
    }
    out
}

fn interaction(active: &Active, route: &Route, verb: Verb, rtype: Option<ResourceType>) -> Value {
    let name = rtype.map_or("Resource", ResourceType::as_str);
    let mut parameters = parameter::of_path(route.path);
    parameters.extend(parameter::of_wire());
    let is_form = verb == Verb::Post && route.code.starts_with("search");
    if is_form {
        parameters.push(refer("parameters", "prefer-handling"));
    } else {
        parameters.extend(parameter::of_interaction(active, route.code, rtype));
    }
    let found = ("200", "Bundle", "A Bundle of type searchset.");
    let good: &[(&str, &str, &str)] = match route.code {
        "capabilities" => &[("200", "Resource", "A CapabilityStatement, or TerminologyCapabilities.")],
        "read" => &[("200", name, "The current version."), ("304", "", "")],
        "vread" => &[("200", name, "The version.")],
        "create" => {
            &[("200", name, "There was one already that If-None-Exist matches."), ("201", name, "It was created.")]
        }
        "update" | "conditional-update" => &[("200", name, "It was updated."), ("201", name, "It was created.")],
        "patch" | "conditional-patch" => &[("200", name, "It was patched.")],
        "delete" | "conditional-delete" => &[("200", "OperationOutcome", "It was deleted."), ("204", "", "")],
        "history-system" | "history-type" | "history-instance" => &[("200", "Bundle", "A Bundle of type history.")],
        "transaction" => &[("200", "Bundle", "A Bundle of type transaction-response or batch-response.")],
        "job-status" | "job-cancel" | "job-result" => &[
            ("200", "Resource", "It is over: where its answer is, or the answer."),
            ("202", "OperationOutcome", "It is not over, or it is cancelled."),
        ],
        _ => &[found],
    };
    let id = format!("{}{}-{name}", route.code, if is_form { "-post" } else { "" });
    let mut out = json!({
        "operationId": id,
        "summary": format!("{} {name}", route.code),
        "tags": [rtype.map_or("system", ResourceType::as_str)],
        "parameters": parameters,
        "responses": answers(good),
    });
    if route.code == "capabilities" {
        out["security"] = json!([]);
    }
    let body = match route.code {
        "create" | "update" | "conditional-update" => Some(content(name)),
        "transaction" => Some(content("Bundle")),
        "patch" | "conditional-patch" => {
            let schema = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
            Some(PATCHES.iter().map(|(media, name)| ((*media).to_owned(), schema(name))).collect::<Map<_, _>>().into())
        }
        _ if is_form => {
            let form = parameter::form(active, rtype);
            Some(json!({"application/x-www-form-urlencoded": {"schema": form}}))
        }
        _ => None,
    };
    if let Some(content) = body {
        out["requestBody"] = json!({"required": !is_form, "content": content});
    }
    out
}

fn operation(active: &Active, row: &Row, level: Level, verb: &str, rtype: Option<ResourceType>) -> Value {
    let path: &[Part] = match level {
        Level::Instance => &[Part::Id],
        Level::Version => &[Part::Id, Part::Version],
        _ => &[],
    };
    let mut parameters = parameter::of_path(path);
    parameters.extend(parameter::of_wire());
    if verb == "get" {
        parameters.extend(parameter::of_operation(row));
        if row.is_search {
            parameters.extend(parameter::search(active, rtype));
        }
    }
    if row.changes() {
        parameters.push(refer("parameters", "if-match"));
    }
    let given = match row.gives {
        [only] if only.name == "return" => only.kind,
        _ => "Parameters",
    };
    let level = match level {
        Level::System => "system",
        Level::Type => "type",
        Level::Instance => "instance",
        Level::Version => "version",
    };
    let mut out = json!({
        "operationId": format!("{verb}-{}-{}-{level}", rtype.map_or("system", ResourceType::as_str), row.name),
        "summary": format!("${}", row.name),
        "description": row.text,
        "tags": [rtype.map_or("system", ResourceType::as_str)],
        "parameters": parameters,
        "responses": answers(&[("200", given, "What the operation gives.")]),
    });
    if row.name == "versions" && verb == "get" {
        out["security"] = json!([]);
    }
    if verb == "post" {
        out["requestBody"] = json!({"required": row.takes.iter().any(|p| p.min > 0), "content": content("Parameters")});
    }
    out
}
