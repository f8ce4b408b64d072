//! A browser: one cookie, forms as the pages have them, redirects within the site.

use super::{Site, encode};

pub struct Browser<'a> {
    site: &'a Site,
    pub cookie: Option<String>,
}

/// What a browser shows, or where it was sent.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub html: String,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let found = self.html.split(&start).nth(1).and_then(|rest| rest.split('"').next());
        found.unwrap_or_else(|| panic!("no field {name} in {}", self.html)).to_owned()
    }

    /// Names of the ticked boxes.
    pub fn ticked(&self) -> Vec<String> {
        let boxes = self.html.split("<input type=\"checkbox\"").skip(1);
        let ticked = boxes.filter(|b| b.split('>').next().is_some_and(|tag| tag.contains(" checked")));
        ticked
            .map(|b| b.split("name=\"").nth(1).and_then(|r| r.split('"').next()).expect("a name").to_owned())
            .collect()
    }

    /// The name of the box that stands beside a scope.
    pub fn box_of(&self, scope: &str) -> String {
        let (before, _) = self
            .html
            .split_once(&format!("<code>{scope}</code>"))
            .unwrap_or_else(|| panic!("{scope} in {}", self.html));
        before.rsplit("name=\"").next().and_then(|r| r.split('"').next()).expect("a name").to_owned()
    }

    /// A parameter that the app is sent.
    #[track_caller]
    pub fn sent(&self, name: &str) -> String {
        let location = self.header("location");
        let query = location.split_once('?').map_or("", |(_, q)| q);
        let found = query.split('&').find_map(|p| p.strip_prefix(&format!("{name}=")));
        let value = found.unwrap_or_else(|| panic!("no {name} in '{location}', {} {}", self.status, self.html));
        percent_encoding::percent_decode_str(value).decode_utf8().expect("UTF-8").into_owned()
    }
}

impl<'a> Browser<'a> {
    pub fn new(site: &'a Site) -> Self {
        Self { site, cookie: None }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let request = match &self.cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if let Some(cookie) = headers.get("set-cookie").and_then(|v| v.to_str().ok()) {
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Page { status, headers, html: response.text().await.expect("text") }
    }

    /// A page, redirects within the site followed.
    pub async fn open(&mut self, path: &str) -> Page {
        let mut page = self.send(self.site.http.get(format!("{}{path}", self.site.root))).await;
        while page.status == 303 && page.header("location").starts_with('/') {
            let next = format!("{}{}", self.site.root, page.header("location"));
            page = self.send(self.site.http.get(next)).await;
        }
        page
    }

    /// A form that is posted, redirects within the site followed.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let body = encode(form.iter().copied());
        let request = self.site.http.post(format!("{}{path}", self.site.root)).body(body);
        let page = self.send(request.header("Content-Type", "application/x-www-form-urlencoded")).await;
        match page.header("location").to_owned() {
            to if page.status == 303 && to.starts_with('/') => self.open(&to).await,
            _ => page,
        }
    }

    /// An app's request.
    pub async fn ask(&mut self, request: &[(String, String)]) -> Page {
        let query = encode(request.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        self.open(&format!("/auth/authorize?{query}")).await
    }

    pub async fn sign_in(&mut self, page: &Page, user: &str) -> Page {
        let password = self.site.password(user).to_owned();
        self.try_sign_in(page, user, &password).await
    }

    pub async fn try_sign_in(&mut self, page: &Page, user: &str, password: &str) -> Page {
        let csrf = page.hidden("csrf");
        let t = if page.html.contains("name=\"t\"") { page.hidden("t") } else { String::new() };
        self.post("/auth/login", &[("t", &t), ("csrf", &csrf), ("user", user), ("password", password)]).await
    }

    /// Picks a patient where the page asks for one.
    pub async fn choose_patient(&mut self, page: Page, patient: &str) -> Page {
        if !page.html.contains("<h1>Choose a patient</h1>") {
            return page;
        }
        let (t, csrf) = (page.hidden("t"), page.hidden("csrf"));
        self.post("/auth/pick", &[("t", &t), ("csrf", &csrf), ("patient", patient)]).await
    }

    /// Says yes, without the boxes named, and with those that begin with '+'.
    pub async fn allow(&mut self, page: &Page, changes: &[&str]) -> Page {
        let (t, csrf) = (page.hidden("t"), page.hidden("csrf"));
        let ticked = page.ticked();
        let mut form = vec![("t", t.as_str()), ("csrf", &csrf), ("decision", "allow")];
        form.extend(ticked.iter().filter(|b| !changes.contains(&b.as_str())).map(|b| (b.as_str(), "on")));
        form.extend(changes.iter().filter_map(|b| b.strip_prefix('+')).map(|b| (b, "on")));
        self.post("/auth/consent", &form).await
    }
}
