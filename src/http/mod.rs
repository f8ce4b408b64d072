//! The HTTP face: from the wire to [`crate::interaction::Engine`] and back.
//!
//! [`routes`] all paths on one page · [`wire`] headers in · [`body`] bodies in · [`negotiate`] media types · [`oauth`] the authorization
//! server's paths and CORS · [`respond`]
//! answers out, the only place of status codes and headers · [`metrics`] counters · [`tls`] the listener's certificate · [`throttle`]
//! who asks too often · [`crowd`] who holds too many connections.
//! Not for: what an interaction does (`interaction`), or who is calling (`auth`).
//! Source: <https://hl7.org/fhir/R4/http.html>, RFC 9110.

mod body;
mod crowd;
mod forwarded;
mod metrics;
mod negotiate;
mod oauth;
mod pretty;
mod respond;
mod routes;
mod throttle;
mod tls;
mod wire;

pub use routes::map;

use crate::auth::AuthState;
use crate::config::{Limits, Network};
use crate::error::{Error, Result};
use crate::interaction::Engine;
use crate::store::Store;
use actix_web::{App, HttpServer, web};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

pub use tls::Tls;

/// What the handlers share.
pub struct House {
    /// The one door.
    pub engine: Engine,
    /// Who is calling.
    pub auth: AuthState,
    /// For `/readyz`.
    pub store: Store,
    /// How much of everything.
    pub limits: Limits,
    /// FHIR base without a slash at the end.
    pub base: Arc<str>,
    /// The listener speaks TLS.
    pub tls: Option<Tls>,
    /// Requests are counted by client and address: not where everybody may do everything.
    pub is_throttled: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// Stops a running server.
pub struct Stop(actix_web::dev::ServerHandle);

impl Stop {
    /// Lets requests under way end, then stops.
    pub async fn stop(self) {
        self.0.stop(true).await;
    }
}

/// What handlers find in the app: the house and its counters.
struct Shared {
    house: House,
    metrics: metrics::Metrics,
    by_client: throttle::Throttle,
    by_address: throttle::Throttle,
    /// The runtime outside the HTTP workers, where large requests are carried out.
    aside: tokio::runtime::Handle,
}

/// Serves until Ctrl-C or SIGTERM, then lets requests under way end.
///
/// `workers`: threads. `started` gets a handle that stops the server.
///
/// # Errors
/// `Fault` when the listener cannot be used.
pub async fn serve(house: House, listener: TcpListener, workers: usize, started: impl FnOnce(Stop)) -> Result<()> {
    let limits = house.limits.clone();
    let tls = house.tls.clone();
    let rate = |rate: u64| if house.is_throttled { rate } else { 0 };
    let by_client = throttle::Throttle::by_client(rate(limits.client_rate));
    let by_address = throttle::Throttle::by_address(rate(limits.address_rate));
    let crowd = crowd::Crowd::new(Limits::size(limits.address_connections), house.trusted_proxies.clone());
    let shared = web::Data::new(Shared {
        house,
        metrics: metrics::Metrics::default(),
        by_client,
        by_address,
        aside: tokio::runtime::Handle::current(),
    });
    let server = HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(routes::any)))
        .on_connect(move |connection, own| crowd.meet(connection, own))
        .workers(workers)
        .client_request_timeout(Duration::from_secs(limits.header_seconds))
        .keep_alive(Duration::from_secs(limits.keep_alive_seconds))
        .max_connections(Limits::size(limits.connections).div_ceil(workers.max(1)))
        .shutdown_timeout(20);
    let server = match &tls {
        Some(tls) => server
            .tls_handshake_timeout(Duration::from_secs(limits.header_seconds))
            .listen_rustls_0_23(listener, tls.config()?),
        None => server.listen(listener),
    };
    let server = server.map_err(|e| Error::fault("the address cannot be listened on").caused_by(e))?.run();
    started(Stop(server.handle()));
    server.await.map_err(|e| Error::fault("the HTTP server ended with an error").caused_by(e))
}
