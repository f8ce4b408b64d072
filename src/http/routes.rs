//! All paths of the server on one page. Below `/fhir`, `interaction::route` is the map.

use super::respond::{self, Face};
use super::{Shared, body, forwarded, oauth, wire};
use crate::access::Ctx;
use crate::auth::{self, Asked};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::interaction::{self, Answer, Own, Verb};
use crate::store::Audit;
use crate::store::audit::{Happening, NO_CALLER};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

/// Bodies over this size are carried out aside: parsing and checking them would hold up the other requests of the worker.
const LARGE: usize = 256 << 10;

/// Answers every request.
pub(super) async fn any(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(shared) = request.app_data::<web::Data<Shared>>() else {
        return HttpResponse::InternalServerError().finish();
    };
    let started = std::time::Instant::now();
    let face = Face::of(&request, shared.house.base.starts_with("https://"));
    let path = request.path();
    let mut answer = match (request.method(), path) {
        _ if let Err(error) = wire::limits(&request, &shared.house.limits) => respond::failure(&face, &error, None),
        (&Method::GET | &Method::HEAD, "/livez") => respond::text(&face, 200, "alive\n".into()),
        (&Method::GET | &Method::HEAD, "/readyz") => ready(shared, &face).await,
        (&Method::GET | &Method::HEAD, "/metrics") => respond::text(&face, 200, shared.metrics.text()),
        _ if let Err(error) = shared.by_address.admit_address(client(shared, &request), started) => {
            respond::failure(&face, &error, None)
        }
        (_, path) if oauth::is_elsewhere(shared, path) => respond::failure(&face, &oauth::elsewhere(), None),
        (&Method::OPTIONS, _) if let Some(answer) = oauth::preflight(shared, &request, &face).await => answer,
        (method, path) if oauth::has(method, path) => oauth::answer(shared, &request, payload, &face).await,
        (&Method::GET | &Method::HEAD, "/auth/jwks") => respond::document(&face, &shared.house.auth.jwks()),
        (&Method::GET | &Method::HEAD, path) if let Some(document) = oauth::document(shared, path).await => {
            match document {
                Ok(document) => respond::document(&face, &document),
                Err(error) => respond::failure(&face, &error, None),
            }
        }
        (&Method::GET | &Method::HEAD, "/fhir/openapi.json") => respond::json(&face, shared.house.engine.openapi(&OWN)),
        (_, "/auth/token") => respond::oauth(&face, auth::endpoint::post_only()),
        (_, path) if let Some((pattern, methods)) = own(path) => {
            let text = format!("'{pattern}' takes {methods}");
            respond::failure(&face, &Error::method_not_allowed(text), None)
        }
        (_, path) if path == "/fhir" || path.starts_with("/fhir/") => fhir(shared, &request, payload, &face).await,
        _ => respond::failure(&face, &Error::not_found("there is nothing at this path; the FHIR base is /fhir"), None),
    };
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        let methods = own(path).map_or_else(|| interaction::allowed(below(path)), |(_, methods)| methods);
        if let Ok(methods) = HeaderValue::from_str(&methods) {
            answer.headers_mut().insert(ALLOW, methods);
        }
    }
    oauth::cors(shared, &request, &mut answer).await;
    shared.metrics.count(request.method(), answer.status().as_u16(), started.elapsed());
    respond::log(&request, &shape(path), &face, answer.status().as_u16(), started.elapsed());
    answer
}

/// The paths that are no interaction's.
const OWN: [Own; 25] = [
    Own::document("/livez", "text/plain", "Whether the process lives."),
    Own::document("/readyz", "text/plain", "Whether the database answers."),
    Own::document("/metrics", "text/plain", "Counters for Prometheus."),
    Own::form("/auth/token", "Tokens for a code, a refresh token, or a client's own proof (OAuth 2)."),
    Own::form("/auth/introspect", "Whether a token is good (RFC 7662)."),
    Own::form("/auth/revoke", "The end of a token and its grant (RFC 7009)."),
    Own::form("/auth/launch", "A handle with which an EHR starts an app."),
    Own::admin("/auth/register", "GET", "200", "The clients."),
    Own::admin("/auth/register", "POST", "201", "Registers a client (RFC 7591)."),
    Own::admin("/auth/register/{id}", "GET", "200", "A client."),
    Own::admin("/auth/register/{id}", "PUT", "200", "Changes a client (RFC 7592)."),
    Own::admin("/auth/register/{id}", "DELETE", "204", "Refuses a client from now on."),
    Own::admin("/auth/register/{id}/secret", "POST", "200", "A new secret of a client; the old one is over."),
    Own::admin("/auth/users", "GET", "200", "The people who may log in."),
    Own::admin("/auth/users", "POST", "201", "Adds a login."),
    Own::admin("/auth/users/{id}", "GET", "200", "A login."),
    Own::admin("/auth/users/{id}", "PUT", "200", "Changes a login."),
    Own::admin("/auth/users/{id}", "DELETE", "204", "Refuses a login from now on."),
    Own::admin("/auth/glass", "GET", "200", "Whose broken glass holds."),
    Own::admin("/auth/glass/{id}", "DELETE", "204", "Ends one."),
    Own::document("/.well-known/openid-configuration", JSON, "What OpenID clients need to know."),
    Own::document("/.well-known/oauth-authorization-server", JSON, "What OAuth clients need to know (RFC 8414)."),
    Own::document("/auth/jwks", JSON, "The keys that access tokens are signed with."),
    Own::document("/fhir/.well-known/smart-configuration", JSON, "What SMART clients need to know."),
    Own::document("/fhir/openapi.json", JSON, "This document."),
];

const JSON: &str = "application/json";

/// Every path of the server with every method that it takes.
#[must_use]
pub fn map() -> Vec<interaction::Line> {
    let line = |path: &str, method: &'static str| interaction::Line {
        name: path.into(),
        method,
        path: path.trim_start_matches('/').into(),
    };
    let own = OWN.iter().flat_map(|own| {
        let head = (own.method == "GET").then(|| line(own.path, "HEAD"));
        std::iter::once(line(own.path, own.method)).chain(head)
    });
    let pages = auth::page::PATHS.iter().flat_map(|(path, methods)| methods.split(", ").map(|m| line(path, m)));
    own.chain(pages).chain(interaction::map()).collect()
}

/// The pattern and the methods of a path that is no interaction's.
fn own(path: &str) -> Option<(&'static str, String)> {
    if let Some((pattern, methods)) = auth::page::PATHS.iter().find(|(own, _)| oauth::is_of(own, path)) {
        return Some((pattern, (*methods).to_owned()));
    }
    let rows: Vec<&Own> = OWN.iter().filter(|own| oauth::is_of(own.path, path)).collect();
    let methods: Vec<&str> =
        rows.iter().map(|own| if own.method == "GET" { "GET, HEAD" } else { own.method }).collect();
    Some((rows.first()?.path, methods.join(", ")))
}

/// A path as the log may have it: `/fhir/Patient/-/_history`. Ids, and all that this server does not know, are left out: whoever
/// calls may have put a number of a patient there.
fn shape(path: &str) -> String {
    if let Some((pattern, _)) = own(path) {
        return pattern.to_owned();
    }
    let is_route = !interaction::allowed(below(path)).is_empty();
    let is_known = |segment: &str| {
        segment.is_empty()
            || ResourceType::parse(segment).is_some()
            || matches!(segment, "fhir" | "metadata" | "_history" | "_search" | "_async" | "result" | "*")
            || (is_route && segment.starts_with('$'))
    };
    path.split('/').map(|segment| if is_known(segment) { segment } else { "-" }).collect::<Vec<_>>().join("/")
}

/// A path without the FHIR base.
fn below(path: &str) -> &str {
    path.strip_prefix("/fhir").unwrap_or_default().trim_start_matches('/')
}

/// Everything below the FHIR base.
async fn fhir(shared: &Shared, request: &HttpRequest, payload: web::Payload, face: &Face) -> HttpResponse {
    let answer = fhir_answer(shared, request, payload, face).await;
    match answer {
        Ok((answer, applied)) => respond::success(face, &shared.house.base, answer, &applied),
        Err(error) => {
            let challenge = shared.house.auth.challenge(&error);
            respond::failure(face, &error, challenge.as_deref())
        }
    }
}

/// The answer, and the preferences that it heeds.
async fn fhir_answer(
    shared: &Shared,
    request: &HttpRequest,
    payload: web::Payload,
    face: &Face,
) -> Result<(Answer, String)> {
    let house = &shared.house;
    face.check()?;
    let path = wire::path(request)?;
    let verb = match wire::verb(request) {
        Err(_) if interaction::allowed(&path).is_empty() => return Err(interaction::unknown_path(&path)),
        verb => verb?,
    };
    let is_public = matches!(verb, Verb::Get | Verb::Head) && matches!(&*path, "metadata" | "$versions");
    let ctx = if is_public { anonymous(shared, face) } else { ctx(shared, request, face).await? };
    let preferences = wire::preferences(request);
    let mut wire = wire::read(request, verb, &preferences)?;
    if let Some(page) = face.page() {
        wire.query = format!("{}{}_format={page}", wire.query, if wire.query.is_empty() { "" } else { "&" });
    }
    let mut is_large = false;
    if matches!(verb, Verb::Post | Verb::Put | Verb::Patch) {
        let bytes = body::read(request, payload, &house.limits).await?;
        wire.media = wire::content_type(request, verb, &path, bytes.is_empty())?;
        is_large = bytes.len() > LARGE;
        wire.body = interaction::Body::Raw(bytes);
    }
    let asked = interaction::route(&path, wire)?;
    let applied = preferences.iter().filter(|(kind, _)| asked.heeds(*kind)).map(|(_, text)| *text);
    let applied = applied.collect::<Vec<_>>().join(", ");
    if !is_large {
        return Ok((house.engine.handle(&ctx, asked).await?, applied));
    }
    let engine = house.engine.clone();
    let done = shared.aside.spawn(async move { engine.handle(&ctx, asked).await }).await;
    Ok((done.map_err(|e| Error::fault("a large request ended in a panic").caused_by(e))??, applied))
}

/// Who is calling, and what time it is for them.
async fn ctx(shared: &Shared, request: &HttpRequest, face: &Face) -> Result<Ctx> {
    let text = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap_or_default());
    let authorization = request.headers().get_all("authorization").map(|v| v.to_str().unwrap_or_default()).collect();
    let asked = Asked { authorization, actor: text("x-baton-actor"), now: text("x-baton-now") };
    let caller = match shared.house.auth.authenticate(&asked, Instant::now()).await {
        Ok(caller) => caller,
        Err(error) => {
            let row = Audit::happening(Happening::Denied, Instant::now(), "", "", i64::from(error.kind.status()));
            let row = row.from_address(address(shared, request).as_deref()).because(NO_CALLER);
            shared.house.store.note_often(Audit { request_id: face.request_id.to_string(), ..row });
            return Err(error);
        }
    };
    shared.by_client.admit(&caller.principal.client, std::time::Instant::now())?;
    Ok(Ctx {
        principal: caller.principal,
        now: caller.now,
        request_id: face.request_id.clone(),
        base: shared.house.base.clone(),
        address: address(shared, request),
    })
}

/// Where a request comes from, in words.
pub(super) fn address(shared: &Shared, request: &HttpRequest) -> Option<std::sync::Arc<str>> {
    client(shared, request).map(|ip| ip.to_string().into())
}

/// Where a request comes from: as the connection says, or a proxy that is trusted.
fn client(shared: &Shared, request: &HttpRequest) -> Option<std::net::IpAddr> {
    let said = request.headers().get_all("x-forwarded-for").filter_map(|v| v.to_str().ok()).collect::<Vec<_>>();
    let trusted = &shared.house.trusted_proxies;
    request.peer_addr().map(|peer| forwarded::client(peer.ip(), said.into_iter(), trusted))
}

/// Nobody: enough for `metadata`.
fn anonymous(shared: &Shared, face: &Face) -> Ctx {
    let nobody = crate::access::Principal { client: "anonymous".into(), ..crate::access::Principal::rule_engine() };
    Ctx {
        principal: nobody.into(),
        now: Instant::now(),
        request_id: face.request_id.clone(),
        base: shared.house.base.clone(),
        address: None,
    }
}

async fn ready(shared: &Shared, face: &Face) -> HttpResponse {
    match shared.house.store.setting("ready").await {
        Ok(_) => respond::text(face, 200, "ready\n".into()),
        Err(_) => respond::text(face, 503, "the database does not answer\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn a_path_in_the_log_is_its_shape() {
        for (path, shown) in [
            ("/fhir", "/fhir"),
            ("/fhir/Patient", "/fhir/Patient"),
            ("/fhir/Patient/mrn-4711/_history/2", "/fhir/Patient/-/_history/-"),
            ("/fhir/Patient/mrn-4711/$everything", "/fhir/Patient/-/$everything"),
            ("/fhir/Patient/mrn-4711/$smith", "/fhir/Patient/-/-"),
            ("/fhir/Smith/1", "/fhir/-/-"),
            ("/auth/token", "/auth/token"),
            ("/auth/callback/care", "/auth/callback/{id}"),
            ("/auth/users/smith", "/auth/users/{id}"),
            ("/auth/register/smith/secret", "/auth/register/{id}/secret"),
            ("/auth/callback/care/x", "/-/-/-/-"),
            ("/livez", "/livez"),
            ("/Smith", "/-"),
        ] {
            assert_eq!(shape(path), shown, "{path}");
        }
    }
}
