//! The listener's own TLS, and how its certificate is changed while it runs. Keys and certificates of `tls/` are for tests and known to all.

use crate::harness::{Database, Settings, postgres, watchdog, with_database};
use std::process::{Command, Stdio};
use std::time::Duration;

const A: [&str; 2] = [include_str!("tls/a.crt"), include_str!("tls/a.key")];
const B: [&str; 2] = [include_str!("tls/b.crt"), include_str!("tls/b.key")];

/// A client that trusts one certificate and keeps no connection.
fn trusting(cert: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(cert.as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().add_root_certificate(root).pool_max_idle_per_host(0).no_proxy();
    client.https_only(true).build().expect("a client")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

/// Own docs/settings.md: With a certificate the listener speaks HTTPS and nothing else, answers carry HSTS; SIGHUP brings a new certificate into force, and one that does not fit its key leaves the old one.
async fn a_certificate_is_changed_while_the_server_runs(settings: Settings) {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let dir = settings.dir.path().to_owned();
    let write = |[cert, key]: [&str; 2]| {
        std::fs::write(dir.join("cert.pem"), cert).expect("a file");
        std::fs::write(dir.join("key.pem"), key).expect("a file");
    };
    let port = postgres::free_port();
    let listen = format!("127.0.0.1:{port}");
    let start = || {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("tls.log")).expect("a log");
        let arguments =
            ["serve", "--auth", "off", "--listen", &listen, "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let mut command = Command::new(crate::harness::program());
        command.args(arguments).args(["--database-url", &settings.database_url, "--look-seconds", "0"]);
        command.env("NO_COLOR", "1").current_dir(&dir).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a handle")).stderr(log).spawn().expect("baton starts")
    };
    let log = || std::fs::read_to_string(dir.join("tls.log")).unwrap_or_default();
    write([A[0], B[1]]);
    assert!(!start().wait().expect("it ends").success(), "a key of another certificate");
    assert!(log().contains("does not go with the certificate"), "{}", log());

    write(A);
    let mut child = start();
    watchdog::kills(child.id());
    let id = child.id().to_string();
    let hangup = || assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill runs").success());
    let url = format!("https://{listen}/fhir/metadata");
    let is_served = async |cert: &str| trusting(cert).get(&url).send().await.is_ok_and(|a| a.status() == 200);
    until("it serves", async || is_served(A[0]).await).await;
    let answer = trusting(A[0]).get(&url).send().await.expect("an answer");
    for (name, value) in [
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ] {
        assert_eq!(answer.headers().get(name).and_then(|v| v.to_str().ok()), Some(value), "{name}");
    }
    assert!(!is_served(B[0]).await, "another certificate is not trusted");
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    assert!(plain.get(format!("http://{listen}/readyz")).send().await.is_err(), "nothing is said without TLS");

    write([B[0], A[1]]);
    hangup();
    until("the log says why", async || log().contains("the old one stays in force")).await;
    assert!(is_served(A[0]).await && !is_served(B[0]).await);
    write(B);
    hangup();
    until("the new one is in force", async || is_served(B[0]).await).await;
    assert!(!is_served(A[0]).await);
    child.kill().expect("a child of ours");
    child.wait().expect("it ends");
    watchdog::forgets(child.id());
}

#[test]
fn a_certificate_is_changed_while_the_server_runs_on_sqlite() {
    with_database(Database::Sqlite, a_certificate_is_changed_while_the_server_runs);
}
