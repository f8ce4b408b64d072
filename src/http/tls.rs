//! TLS of the listener: certificate and key from files, read again while the server runs.
//!
//! They are read at start, at SIGHUP, and within a minute of a change of the files. New files that do not fit each other, or do
//! not read, leave the old ones in force, and the log says why; connections that are open keep theirs. TLS 1.2 and 1.3.
//! Source: RFC 8446, RFC 9325; own rules.

use crate::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How often it looks whether the files changed.
const LOOK: Duration = Duration::from_secs(60);

/// Certificate and key in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cert: PathBuf,
    key: PathBuf,
    in_force: RwLock<Arc<CertifiedKey>>,
    /// Size and time of the files that were read last.
    seen: Mutex<[Option<(u64, SystemTime)>; 2]>,
}

impl Tls {
    /// Reads both files: PEM, the certificate first and those that lead to its root after it.
    ///
    /// # Errors
    /// `Invalid` with the file and what is wrong with it.
    pub fn open(cert: &Path, key: &Path) -> Result<Self> {
        let seen = Mutex::new([print(cert), print(key)]);
        let in_force = RwLock::new(Arc::new(read(cert, key)?));
        Ok(Self(Arc::new(Inner { cert: cert.into(), key: key.into(), in_force, seen })))
    }

    /// Reads them again; what is wrong leaves the old ones in force.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub fn reload(&self) -> Result<()> {
        let inner = &self.0;
        *inner.seen.lock().unwrap_or_else(PoisonError::into_inner) = [print(&inner.cert), print(&inner.key)];
        let new = Arc::new(read(&inner.cert, &inner.key)?);
        *inner.in_force.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The same, with the outcome in the log.
    pub fn reload_logged(&self) {
        match self.reload() {
            Ok(()) => tracing::info!("the TLS certificate was read anew"),
            Err(error) => tracing::error!(%error, "the TLS certificate is not reloaded; the old one stays in force"),
        }
    }

    /// Looks after the files until told to stop.
    pub async fn watch(self, mut stop: watch::Receiver<bool>) {
        while tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await.is_err() {
            let now = [print(&self.0.cert), print(&self.0.key)];
            let has_changed = *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner) != now;
            if has_changed {
                self.reload_logged();
            }
        }
    }

    /// What the listener goes by.
    ///
    /// # Errors
    /// `Fault` when the provider has no safe versions: it has.
    pub(super) fn config(&self) -> Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::fault("TLS has no versions").caused_by(e))?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::new(self.clone())))
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.in_force.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Size and time of a file.
fn print(path: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| Error::invalid(format!("{}: {why}", path.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .map_err(|e| wrong(cert, &e))?
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| wrong(cert, &e))?;
    if chain.is_empty() {
        return Err(wrong(cert, &"there is no certificate in it (PEM)"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, &e))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, secret, &provider)
        .map_err(|e| wrong(key, &format!("it does not go with the certificate of {}: {e}", cert.display())))
}
