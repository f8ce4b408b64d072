//! The login page under attack.

use super::{Site, both_databases_with_site};

both_databases_with_site!(failed_logins_must_wait);

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
        assert!(texts[0].contains("Name or password is wrong, or the login is not in use."));
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
