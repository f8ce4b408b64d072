//! What is taken, and what is refused with which sentence.

use super::*;
use clap::{Args, FromArgMatches};

fn args(flags: &[&str]) -> ServeArgs {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let matches = command.try_get_matches_from([&["serve"], flags].concat()).unwrap();
    ServeArgs::from_arg_matches(&matches).unwrap()
}

fn load(file: &str, flags: &[&str]) -> Result<Settings> {
    Settings::merge(file, &args(flags))
}

#[test]
fn nothing_at_all_is_a_safe_server_on_loopback() {
    let settings = load("", &[]).unwrap();
    assert_eq!(settings, Settings::default());
    assert!(settings.listen.ip().is_loopback());
    assert_eq!(settings.auth, AuthMode::Embedded);
    assert_eq!(settings.root(settings.listen), "http://127.0.0.1:8080");
}

#[test]
fn a_flag_goes_over_the_file() {
    let file =
        "listen = \"127.0.0.1:9000\"\ndatabase-url = \"sqlite:a.db\"\n[limits]\nbody-bytes = 2048\njson-depth = 10";
    let settings = load(file, &["--listen", "127.0.0.1:9001", "--body-bytes", "4096"]).unwrap();
    assert_eq!(settings.listen.port(), 9001);
    assert_eq!(settings.database_url, "sqlite:a.db");
    assert_eq!((settings.limits.body_bytes, settings.limits.json_depth), (4096, 10));
    let zoned = |flags| load("zone = \"Europe/Berlin\"", flags).unwrap().zone;
    assert_eq!(zoned(&[]).as_deref(), Some("Europe/Berlin"));
    assert_eq!(zoned(&["--zone", "america/new_york"]).as_deref(), Some("America/New_York"));
}

#[test]
fn every_wrong_setting_is_refused_with_a_sentence_that_helps() {
    for (file, flags, says) in [
        ("lissten = \"127.0.0.1:1\"", &[][..], "did you mean 'listen'?"),
        ("database_url = \"sqlite:x\"", &[], "did you mean 'database-url'?"),
        ("[limits]\nbody-byte = 1", &[], "did you mean 'limits.body-bytes'?"),
        ("zzz = 1", &[], "unknown key 'zzz'"),
        ("limits = 1", &[], "[limits]"),
        ("[limits]\nbody-bytes = -1", &[], "whole number"),
        ("[limits]\njson-depth = 100000", &[], "it takes 8 to 128"),
        ("[limits]\ncount-default = 60\ncount-max = 50", &[], "above 'count-max'"),
        ("listen = 8080", &[], "'listen' in the settings file is a text"),
        ("listen = \"here\"", &[], "ADDR:PORT"),
        ("auth = \"none\"", &[], "embedded, external or off"),
        ("references = \"no\"", &[], "visible or strict"),
        ("delete-referenced = \"no\"", &[], "refuse or allow"),
        ("programme = \"no\"", &[], "on or off"),
        ("zone = \"Mars/Olympus\"", &[], "no time zone"),
        ("", &["--zone", "CEST+1"], "no time zone"),
        ("auth = \"external\"", &[], "[[issuers]]"),
        ("tls-cert = \"a.pem\"", &[], "go together"),
        ("", &["--tls-key", "a.pem"], "go together"),
        ("", &["--trusted-proxies", "proxy.example"], "is no network"),
        ("a = ", &[], "the settings file"),
        ("", &["--auth", "off", "--listen", "0.0.0.0:8080"], "loopback only"),
        ("", &["--auth", "off", "--listen", "192.0.2.1:8080"], "loopback only"),
        ("", &["--auth", "off", "--listen", "[::]:8080"], "loopback only"),
        ("", &["--listen", "0.0.0.0:8080"], "needs --base-url"),
        ("", &["--listen", "192.0.2.1:8080"], "--insecure-http"),
        ("", &["--base-url", "http://baton.example.org"], "--insecure-http"),
        ("", &["--base-url", "http://localhost.evil.example"], "--insecure-http"),
        ("", &["--base-url", "http://localhost:8080", "--listen", "0.0.0.0:8080"], "--insecure-http"),
        ("", &["--base-url", "ftp://x"], "absolute http"),
        ("", &["--base-url", "https://u@x"], "absolute http"),
        ("", &["--base-url", "https://x/fhir/"], "without /fhir"),
        ("", &["--database-url", "mysql://root:secret@x"], "starts with sqlite:"),
    ] {
        let error = load(file, flags).expect_err(file).to_string();
        assert!(error.contains(says), "{file} {flags:?}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn what_is_safe_is_taken() {
    for flags in [
        &["--auth", "off", "--listen", "[::1]:8080"][..],
        &["--listen", "0.0.0.0:8080", "--base-url", "https://baton.example.org/"],
        &["--listen", "0.0.0.0:8080", "--base-url", "http://10.0.0.5:8080", "--insecure-http"],
        &["--base-url", "http://localhost:8080"],
        &["--base-url", "http://[::1]:8080"],
        &["--database-url", "postgres://baton@db/baton"],
    ] {
        load("", flags).unwrap_or_else(|e| panic!("{flags:?}: {e}"));
    }
    let settings = load("", &["--base-url", "https://baton.example.org/"]).unwrap();
    assert_eq!(settings.base_url.as_deref(), Some("https://baton.example.org"));
}

#[test]
fn the_page_on_settings_names_every_limit() {
    let page = include_str!("../../docs/settings.md");
    for key in Limits::KEYS.iter().chain(KEYS.iter().filter(|k| **k != "limits")) {
        assert!(
            page.contains(&format!("`{key}`"))
                || page.contains(&format!("\n{key} = "))
                || page.contains(&format!("# {key} = ")),
            "{key}"
        );
    }
}

#[test]
fn the_bound_port_stands_in_the_root_when_port_0_was_asked() {
    let settings = load("", &["--listen", "127.0.0.1:0"]).unwrap();
    assert_eq!(settings.root("127.0.0.1:4711".parse().unwrap()), "http://127.0.0.1:4711");
}
