//! The pages for people, held against WCAG 2.2 AA as far as a program can: language, landmarks, headings, labels, names, errors.
//! Contrast and sizes are computed from the stylesheet in `src/auth/page/style.rs`; how the pages look, people have looked at.

use super::Site;
use super::browser::Page;
use crate::harness::Database;
use std::collections::BTreeSet;

/// (name, attributes) of each tag, in order.
fn tags(html: &str) -> Vec<(String, String)> {
    let parts = html.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag));
    let open = parts.filter(|tag| !tag.starts_with(['/', '!']));
    open.map(|tag| tag.split_once(' ').unwrap_or((tag, ""))).map(|(n, a)| (n.to_owned(), a.to_owned())).collect()
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let attributes = attributes.split_once(&format!("{name}=\""))?.1;
    attributes.split('"').next()
}

/// What is wrong with a page.
fn problems(html: &str) -> Vec<String> {
    let tags = tags(html);
    let of = |name: &str| tags.iter().filter(|(n, _)| n == name).map(|(_, a)| a.as_str()).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for (name, times) in [("html", 1), ("title", 1), ("h1", 1), ("main", 1), ("header", 1), ("footer", 1)] {
        if of(name).len() != times {
            wrong.push(format!("{} <{name}>", of(name).len()));
        }
    }
    if of("html").first().and_then(|a| attribute(a, "lang")) != Some("en") {
        wrong.push("3.1.1: no language".into());
    }
    if !html.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\"") {
        wrong.push("1.4.4: the page cannot be made larger".into());
    }
    let ids: Vec<&str> = tags.iter().filter_map(|(_, a)| attribute(a, "id")).collect();
    if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
        wrong.push(format!("ids come twice: {ids:?}"));
    }
    let labels: Vec<&str> = of("label").into_iter().filter_map(|a| attribute(a, "for")).collect();
    for input in of("input").into_iter().filter(|a| attribute(a, "type") != Some("hidden")) {
        if !attribute(input, "id").is_some_and(|id| labels.contains(&id)) {
            wrong.push(format!("3.3.2: no label: {input}"));
        }
    }
    for (_, attributes) in &tags {
        for name in ["aria-describedby", "aria-labelledby", "for"] {
            // `for` in words of attributes such as autocomplete has no quote behind it.
            if let Some(id) = attribute(attributes, &format!(" {name}")).or(attribute(attributes, name))
                && !ids.contains(&id)
            {
                wrong.push(format!("{name} leads to '{id}', which is not there"));
            }
        }
        for never in ["onclick", "style=", "tabindex", "autofocus", "javascript:"] {
            if attributes.contains(never) {
                wrong.push(format!("{never} in {attributes}"));
            }
        }
    }
    for (n, button) in html.split("<button").skip(1).enumerate() {
        let text = button.split_once('>').and_then(|(_, rest)| rest.split_once("</button>")).map_or("", |(t, _)| t);
        let words: String =
            text.split('<').filter_map(|p| p.split_once('>').map_or(Some(p), |(_, t)| Some(t))).collect();
        if words.trim().is_empty() {
            wrong.push(format!("4.1.2: button {n} has no name"));
        }
    }
    let levels: Vec<u8> = tags.iter().filter_map(|(n, _)| n.strip_prefix('h').and_then(|l| l.parse().ok())).collect();
    if levels.first() != Some(&1) || levels.windows(2).any(|w| w[1] > w[0] + 1) {
        wrong.push(format!("1.3.1: headings {levels:?}"));
    }
    if html.contains("<fieldset>") && html.matches("<fieldset>").count() != html.matches("<legend>").count() {
        wrong.push("1.3.1: a group without a name".into());
    }
    wrong
}

#[track_caller]
pub fn good(what: &str, page: &Page) {
    assert_eq!(problems(&page.html), [""; 0], "{what}: {}", page.html);
}

/// security A51: Names of patients, apps and users, and what was typed, are text on every page.
#[test]
fn the_pages_can_be_read_by_everybody() {
    super::with_site(Database::Sqlite, |site: Site| async move {
        let mut browser = site.browser();
        let scopes =
            "launch/patient openid fhirUser profile offline_access patient/*.rs patient/Observation.rs user/Task.r";
        let login = browser.ask(&site.request("public", scopes, &[])).await;
        good("sign in", &login);
        let wrong = browser.try_sign_in(&login, "\"><script>x", "wrong").await;
        good("a wrong password", &wrong);
        assert!(wrong.html.contains("<title>Not signed in"), "2.4.2: the title says it first");
        assert!(wrong.html.contains("role=\"alert\"") && wrong.html.matches("aria-invalid=\"true\"").count() == 3);
        assert!(wrong.html.contains("value=\"&quot;&gt;&lt;script&gt;x\""), "3.3.7: what was typed stays, as text");
        let pick = browser.sign_in(&wrong, "drew").await;
        assert!(pick.html.contains("<h1>Choose a patient</h1>"), "{}", pick.html);
        good("the list of patients", &pick);
        let (t, csrf) = (pick.hidden("t"), pick.hidden("csrf"));
        let nobody = browser.open(&format!("/auth/step?t={t}&q=%3Cscript%3Enobody")).await;
        good("nobody of that name", &nobody);
        let bad = browser.post("/auth/pick", &[("t", &t), ("csrf", &csrf), ("patient", "x")]).await;
        good("a patient that cannot be chosen", &bad);
        let consent = browser.choose_patient(pick, &site.patient).await;
        good("consent", &consent);
        assert!(consent.html.contains("Let out anyway as long as"), "what a tick alone does not change is said");
        browser.allow(&consent, &[]).await;
        let manage = browser.open("/auth/manage").await;
        good("apps", &manage);
        assert!(manage.html.contains("for Haddad, born 1950-01-02"), "for which patient: {}", manage.html);
        let out = browser.post("/auth/logout", &[("csrf", &manage.hidden("csrf"))]).await;
        good("signed out", &out);
        good("signed out, own pages", &browser.open("/auth/manage").await);
        good("an app that is not known", &browser.open("/auth/authorize?client_id=x").await);
        for page in [&wrong, &nobody, &consent, &manage] {
            assert!(!page.html.contains("<script"), "{}", page.html);
        }
    });
}
