//! How anything gets onto a page: every value that a template prints passes here, so that none can be taken for markup, and none can
//! drive or turn what stands beside it.

use std::fmt::{self, Write};

use askama::Template;
use askama::filters::Escaper;
use sprongus_core::values::text::printable;
use sprongus_core::{Error, Result};

/// The escaper of every template (`askama.toml`): markup becomes text, and what cannot be seen or turns the direction of writing
/// becomes visible.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page;

impl Escaper for Page {
    fn write_escaped_str<W: Write>(&self, mut out: W, text: &str) -> fmt::Result {
        let text = printable(text);
        let mut rest = text.as_ref();
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            out.write_str(&rest[..at])?;
            out.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        out.write_str(rest)
    }
}

/// Markup: made by [`render`] and by nothing else, so what a template marks as safe was made by a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Html {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Renders a template.
///
/// # Errors
/// `internal`: a template that cannot be rendered is a fault of ours.
pub fn render(template: &impl Template) -> Result<Html> {
    let text = template
        .render()
        .map_err(|error| Error::internal("cannot render a page").with_source(error.to_string()))?;
    Ok(Html(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        Page.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn markup_is_escaped() {
        let text = "</td><script>\"a\" & 'b'";
        assert_eq!(escaped(text), "&lt;/td&gt;&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;");
        assert_eq!(escaped("plain ünï"), "plain ünï");
    }

    #[test]
    fn control_and_bidi_characters_are_made_visible() {
        assert_eq!(escaped("a\u{1b}[2J\u{202e}b\u{200b}"), "a\\u{1b}[2J\\u{202e}b\\u{200b}");
        assert_eq!(escaped("a\n\tb"), "a\n\tb", "a log has lines");
    }
}
