//! Parts of a page that are kept fresh, and how two states of one are told apart.

use askama::Template;
use sha2::{Digest, Sha256};
use sprongus_core::Result;

use super::parts::html::{Html, render};

/// A part of a page that is kept fresh.
pub struct Fragment {
    /// Its `id` attribute, unique on the page.
    pub id: &'static str,
    /// Its markup, without the element around it.
    pub html: Html,
    /// A digest of its markup, 16 hexadecimal digits; relative times do not count.
    pub mark: String,
}

#[derive(Template)]
#[template(
    source = r#"<div id="{{ id }}" class="fragment" data-mark="{{ mark }}">{{ html|safe }}</div>"#,
    ext = "html"
)]
struct Outer<'a> {
    id: &'static str,
    mark: &'a str,
    html: &'a Html,
}

impl Fragment {
    /// A fragment from its template.
    ///
    /// # Errors
    /// `internal`.
    pub fn new(id: &'static str, template: &impl Template) -> Result<Self> {
        let html = render(template)?;
        let mark = mark(html.as_str());
        Ok(Self { id, html, mark })
    }

    /// The fragment within the element that carries its id and its mark.
    ///
    /// # Errors
    /// `internal`.
    pub fn outer(&self) -> Result<Html> {
        render(&Outer { id: self.id, mark: &self.mark, html: &self.html })
    }
}

/// A digest of all but what relative times say: those grow by themselves.
fn mark(html: &str) -> String {
    let mut hash = Sha256::new();
    let mut pieces = html.split("<time ");
    hash.update(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (head, rest) = piece.split_once('>').unwrap_or((piece, ""));
        hash.update(head);
        hash.update(rest.split_once("</time>").map_or(rest, |(_, after)| after));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The markup of fragments, each within its element.
///
/// # Errors
/// `internal`.
pub fn outer_all(fragments: &[Fragment]) -> Result<Vec<Html>> {
    fragments.iter().map(Fragment::outer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_changes_with_what_is_said_and_not_with_the_time_that_passes() {
        let at =
            |ago: &str, state: &str| mark(&format!("<p>{state} <time datetime=\"x\">{ago}</time>, then</p>"));
        assert_eq!(at("1 s ago", "queued"), at("2 s ago", "queued"));
        assert_ne!(at("1 s ago", "queued"), at("1 s ago", "running"));
        assert_ne!(mark("<time a>1</time>"), mark("<time b>1</time>"));
    }
}
