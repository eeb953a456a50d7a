//! The title page: Fountain's `Key: value` lines, and the front matter that Markdown writers use for the same.

use std::collections::BTreeMap;

/// One of these marks a first paragraph as a title page: `FADE IN:` alone does not.
const KNOWN: [&str; 12] = [
    "title",
    "credit",
    "author",
    "authors",
    "source",
    "draft date",
    "date",
    "contact",
    "copyright",
    "notes",
    "revision",
    "format",
];

/// Splits a Fountain text into its title page and the rest.
pub(crate) fn split(text: &str) -> (BTreeMap<String, String>, &str) {
    let start = text.trim_start_matches('\n');
    let end = blank_line(start).unwrap_or(start.len());
    let (page, body) = start.split_at(end);
    match fields(page.lines()) {
        Some(fields) if KNOWN.iter().any(|key| fields.contains_key(*key)) => (fields, body),
        Some(_) | None => (BTreeMap::new(), text),
    }
}

/// Splits a Markdown text into its front matter, between lines of `---`, and the rest.
pub(crate) fn split_front_matter(text: &str) -> (BTreeMap<String, String>, &str) {
    let Some(rest) = text.strip_prefix("---\n") else { return (BTreeMap::new(), text) };
    let Some((matter, body)) = rest.split_once("\n---\n") else { return (BTreeMap::new(), text) };
    let lines = matter.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    match fields(lines) {
        Some(mut fields) => {
            for value in fields.values_mut() {
                *value = value.trim_matches(['"', '\'']).to_owned();
            }
            (fields, body)
        }
        None => (BTreeMap::new(), text),
    }
}

/// Where the first blank line begins.
fn blank_line(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// Fields and their indented continuations, or nothing if a line is neither.
fn fields<'t>(lines: impl Iterator<Item = &'t str>) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::<String, String>::new();
    let mut last = String::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let value = fields.get_mut(&last)?;
            if !value.is_empty() {
                value.push('\n');
            }
            value.push_str(line.trim());
            continue;
        }
        let (key, value) = line.split_once(':')?;
        last = key.trim().to_lowercase();
        if last.is_empty() || last.chars().count() > 40 {
            return None;
        }
        fields.insert(last.clone(), value.trim().to_owned());
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_indented_below_their_key() {
        let (page, body) = split("Title:\n    One\n    Two\nDraft date: 1 May\n\nINT. X - DAY\n");
        assert_eq!(page["title"], "One\nTwo");
        assert_eq!(page["draft date"], "1 May");
        assert_eq!(body, "\nINT. X - DAY\n");
    }

    #[test]
    fn fade_in_is_no_title_page() {
        let (page, body) = split("FADE IN:\n\nINT. X - DAY\n");
        assert!(page.is_empty());
        assert!(body.starts_with("FADE IN:"));
    }

    #[test]
    fn front_matter_is_a_title_page() {
        let (page, body) = split_front_matter("---\ntitle: \"A: B\"\n---\n## INT. X\n");
        assert_eq!(page["title"], "A: B");
        assert_eq!(body, "## INT. X\n");
    }
}
