//! The login page under attack.

use super::{Site, both_databases_with_site};

both_databases_with_site!(failed_logins_must_wait, one_time_codes_are_asked_for_and_good_once);

/// security A26: After five failures the account must wait at that address, with 429 and the seconds; unknown names are no
/// different; another account does not wait.
async fn failed_logins_must_wait(site: Site) {
    let mut browser = site.browser();
    let page = browser.open("/auth/manage").await;
    for user in ["amira", "nobody"] {
        let mut texts = Vec::new();
        for _ in 0..5 {
            let answer = browser.try_sign_in(&page, user, "a wrong password").await;
            assert_eq!(answer.status, 401, "{user}");
            texts.push(answer.html);
        }
        assert!(texts[0].contains("Name, password or one-time code is wrong, or the login is not in use."));
        let answer = browser.try_sign_in(&page, user, "a wrong password").await;
        assert_eq!(answer.status, 429, "{user}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|s| s >= 1));
    }
    // Another account at the same address does not wait.
    for password in ["", &"x".repeat(1 << 20)] {
        let answer = browser.try_sign_in(&page, "drew", password).await;
        assert!(matches!(answer.status, 401 | 404 | 413), "A27: {} bytes: {}", password.len(), answer.status);
    }
    let answer = browser.sign_in(&page, "drew").await;
    assert!(answer.html.contains("<h1>Your apps</h1>"), "{}", answer.html);
}

/// security A26: A password without the one-time code, with a wrong one, or with one that was used, lets nobody in, and says no more than a wrong password.
async fn one_time_codes_are_asked_for_and_good_once(mut site: Site) {
    site.server.kill();
    let (done, said) = site.server.settings.run(&["user", "totp", "drew"]);
    assert!(done && said.contains("otpauth://totp/Baton:drew%40"), "{said}");
    let secret = said.split("the secret ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a secret").to_owned();
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();
    let mut browser = site.browser();
    let page = browser.open("/auth/manage").await;
    let csrf = page.hidden("csrf");
    let now = baton::clock::Instant::now();
    // Of the next half minute: good now, and for a minute from now on.
    let code = baton::auth::totp::code_at(&secret, now.plus_seconds(30)).expect("a code");
    let password = site.password("drew").to_owned();
    let mut texts = std::collections::BTreeSet::new();
    for (password, code) in [(password.as_str(), ""), (&password, "12345"), ("a wrong password", code.as_str())] {
        let form = [("csrf", csrf.as_str()), ("user", "drew"), ("password", password), ("code", code)];
        let page = browser.post("/auth/login", &form).await;
        assert_eq!(page.status, 401, "{code}");
        texts.insert(page.html);
    }
    assert_eq!(texts.len(), 1, "one text");
    let form = [("csrf", csrf.as_str()), ("user", "drew"), ("password", &password), ("code", &code)];
    assert!(browser.post("/auth/login", &form).await.html.contains("<h1>Your apps</h1>"));
    let mut other = site.browser();
    let page = other.open("/auth/manage").await;
    let again = [("csrf", page.hidden("csrf")), ("user", "drew".into()), ("password", password), ("code", code)];
    let again: Vec<(&str, &str)> = again.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(other.post("/auth/login", &again).await.status, 401, "a code is good once");
}
