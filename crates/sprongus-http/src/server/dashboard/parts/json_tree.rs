//! JSON that opens and closes, as deep as it goes and as much of it as a page bears.

use askama::Template;
use serde_json::Value;
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::values::text::truncate;

use super::format::number;
use super::html::{Html, render};

/// Values shown of one document; the rest is counted.
const MOST: usize = 1_000;

/// Bytes shown of one text.
const LONGEST: usize = 4_096;

/// How deep it stands open.
const OPEN: usize = 2;

#[derive(Template)]
#[template(path = "tree.html")]
struct Node<'a> {
    name: Option<&'a str>,
    /// What it is, for its colour: `text`, `number`, `word`, `list` or `object`.
    sort: &'static str,
    value: String,
    children: Vec<Html>,
    is_branch: bool,
    is_open: bool,
    left_out: Option<String>,
}

/// A document as nested `details`, the outer two levels open.
///
/// # Errors
/// `internal`.
pub fn tree(document: &Json) -> Result<Html> {
    let mut left = MOST;
    grow(None, &document.to_value(), 0, &mut left)
}

fn grow(name: Option<&str>, value: &Value, depth: usize, left: &mut usize) -> Result<Html> {
    *left = left.saturating_sub(1);
    let leaf = |sort, value| Node {
        name,
        sort,
        value,
        children: Vec::new(),
        is_branch: false,
        is_open: false,
        left_out: None,
    };
    let branch = |sort, size: usize, children: Vec<Html>| {
        let value = match (sort, size) {
            ("list", 1) => "1 item".to_owned(),
            ("list", many) => format!("{many} items"),
            (_, 1) => "1 field".to_owned(),
            (_, many) => format!("{many} fields"),
        };
        let left_out = Some(size - children.len()).filter(|&many| many > 0).map(|many| number(many as u64));
        Node { name, sort, value, is_branch: true, is_open: depth < OPEN, left_out, children }
    };
    let node = match value {
        Value::Null => leaf("word", "null".to_owned()),
        Value::Bool(yes) => leaf("word", yes.to_string()),
        Value::Number(number) => leaf("number", number.to_string()),
        Value::String(text) => leaf("text", truncate(text, LONGEST).into_owned()),
        Value::Array(items) => {
            let mut children = Vec::new();
            for (index, item) in items.iter().enumerate() {
                if *left == 0 {
                    break;
                }
                children.push(grow(Some(&index.to_string()), item, depth + 1, left)?);
            }
            branch("list", items.len(), children)
        }
        Value::Object(members) => {
            let mut children = Vec::new();
            for (name, member) in members {
                if *left == 0 {
                    break;
                }
                children.push(grow(Some(name), member, depth + 1, left)?);
            }
            branch("object", members.len(), children)
        }
    };
    render(&node)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_shown_whole_and_escaped() {
        let html = tree(&Json::from_value(json!({"<b>": ["</script>", 1.5, null, {"a": true}]}))).unwrap();
        let text = html.as_str();
        assert!(
            text.contains("&lt;b&gt;") && text.contains("&lt;/script&gt;") && !text.contains("</script>")
        );
        for part in ["4 items", "1 field", "1.5", "null", "true"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_page_bears_so_much() {
        let many: Vec<u32> = (0..10_000).collect();
        let html = tree(&Json::from_value(json!(many))).unwrap();
        assert!(html.as_str().contains("9,001 more"), "{}", &html.as_str()[html.as_str().len() - 300..]);
        let long = tree(&Json::from_value(json!("x".repeat(10_000)))).unwrap();
        assert!(long.as_str().len() < 5_000);
    }
}
