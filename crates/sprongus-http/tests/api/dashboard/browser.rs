//! A browser without scripts: a cookie, forms, and a parser that does not forgive.

use std::collections::HashSet;
use std::net::SocketAddr;

use form_urlencoded::Serializer;
use html5ever::tendril::TendrilSink;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use crate::raw::{self, Reply};
use crate::scene::Scene;

pub struct Browser {
    pub address: SocketAddr,
    pub cookie: String,
}

impl Browser {
    /// Signs in with a token.
    pub async fn of(scene: &Scene, token: &str) -> Self {
        let reply = post_form(scene.address, "/login", &[], &[("token", token)]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { address: scene.address, cookie }
    }

    pub async fn ask(&self, path: &str) -> Reply {
        let headers = [("Cookie", self.cookie.as_str()), ("Accept", "text/html")];
        raw::bytes(self.address, &raw::request("GET", path, &headers, b"")).await
    }

    /// A page, which must be there and well made.
    pub async fn page(&self, path: &str) -> String {
        let reply = self.ask(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        well_made(path, &reply)
    }

    /// Token for the forms of a session.
    pub async fn form_token(&self) -> String {
        let page = self.ask("/").await.text();
        hidden(&page, "form").unwrap_or_else(|| panic!("no form on {page}"))
    }

    /// Sends a form of one's own page.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.form_token().await;
        let mut all = vec![("form", token.as_str())];
        all.extend_from_slice(fields);
        self.post_raw(path, &[("Sec-Fetch-Site", "same-origin")], &all).await
    }

    pub async fn post_raw(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Reply {
        let mut all = vec![("Cookie", self.cookie.as_str())];
        all.extend_from_slice(headers);
        post_form(self.address, path, &all, fields).await
    }
}

pub async fn post_form(
    server: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Reply {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    raw::bytes(server, &raw::request("POST", path, &all, body.as_bytes())).await
}

/// The value of a hidden field.
pub fn hidden(page: &str, name: &str) -> Option<String> {
    let at = page.find(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
    let value = page[at..].split("value=\"").nth(1)?;
    Some(value.split('"').next()?.to_owned())
}

/// The text of a page that is HTML without a fault, with one `h1`, ids that name one thing, labelled fields, and nothing inline.
#[track_caller]
pub fn well_made(path: &str, reply: &Reply) -> String {
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    let text = String::from_utf8(reply.body.clone()).unwrap();
    let text = match reply.header("transfer-encoding") {
        Some(_) => panic!("{path} is chunked"),
        None => text,
    };
    let opts = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            exact_errors: true,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let dom = parse_document(RcDom::default(), opts).one(text.as_str());
    let errors = dom.errors.borrow();
    assert!(errors.is_empty(), "{path}: {errors:?}\n{text}");
    let mut found = Found::default();
    found.walk(&dom.document);
    assert_eq!((found.headings, found.mains), (1, 1), "{path} has one h1 and one main\n{text}");
    assert!(found.has_title && found.has_language, "{path} has a title and a language");
    for field in &found.fields {
        let is_labelled = field.label.is_some()
            || field.is_wrapped
            || field.id.as_ref().is_some_and(|id| found.labels.contains(id));
        assert!(is_labelled, "{path}: nothing says what this field is: {field:?}");
    }
    text
}

#[derive(Default)]
struct Found {
    ids: HashSet<String>,
    labels: HashSet<String>,
    fields: Vec<Field>,
    headings: usize,
    mains: usize,
    has_title: bool,
    has_language: bool,
    within_label: usize,
}

#[derive(Debug)]
struct Field {
    id: Option<String>,
    label: Option<String>,
    is_wrapped: bool,
}

impl Found {
    fn walk(&mut self, node: &Handle) {
        let mut is_label = false;
        if let NodeData::Element { name, attrs, .. } = &node.data {
            let attrs = attrs.borrow();
            let attr =
                |name: &str| attrs.iter().find(|it| &*it.name.local == name).map(|it| it.value.to_string());
            for it in attrs.iter() {
                let name = &*it.name.local;
                assert!(name != "style" && !name.starts_with("on"), "an inline {name}: {}", it.value);
                let is_link = ["href", "src", "action"].contains(&name);
                assert!(
                    !is_link || it.value.is_empty() || it.value.starts_with(['/', '#']),
                    "{name} leads away: {}",
                    it.value
                );
            }
            if let Some(id) = attr("id") {
                assert!(self.ids.insert(id.clone()), "two things have the id {id}");
            }
            match &*name.local {
                "h1" => self.headings += 1,
                "main" => self.mains += 1,
                "title" => self.has_title = true,
                "html" => self.has_language = attr("lang").is_some(),
                "style" => panic!("an inline style"),
                "script" => assert!(attr("src").is_some(), "an inline script"),
                "label" => {
                    is_label = true;
                    self.labels.extend(attr("for"));
                }
                "input" | "select" | "textarea" if attr("type").as_deref() != Some("hidden") => {
                    let is_wrapped = self.within_label > 0;
                    self.fields.push(Field { id: attr("id"), label: attr("aria-label"), is_wrapped });
                }
                _ => {}
            }
        }
        self.within_label += usize::from(is_label);
        node.children.borrow().iter().for_each(|child| self.walk(child));
        self.within_label -= usize::from(is_label);
    }
}
