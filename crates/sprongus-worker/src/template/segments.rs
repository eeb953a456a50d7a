//! Cuts a text into what stands there and the `{{ … }}` in it.
//!
//! Only `{{ … }}` is template syntax in an argument. A shell's `${#name}` would open a comment in Jinja and
//! `{% … %}` a statement; the first is left alone as text, the second is refused rather than passed on by
//! surprise. With no statement there is no loop, so what a template costs is bounded by its length and its
//! input.

use super::TemplateFault;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    /// Passed on as it stands.
    Text(&'t str),
    /// The inside of a `{{ … }}`.
    Expression(&'t str),
}

pub(crate) fn segments(text: &str) -> Result<Vec<Segment<'_>>, TemplateFault> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        push_text(&mut found, &rest[..open])?;
        let inside = &rest[open + 2..];
        if inside.starts_with('-') {
            return Err(TemplateFault::syntax(
                "`{{-` is not supported, use `{{ … }}`; a minus sign needs a space: `{{ -1 }}`",
            ));
        }
        let length = expression_length(inside)?;
        let expression = inside[..length].trim();
        if expression.is_empty() {
            return Err(TemplateFault::syntax("`{{ }}` is empty; expected a name such as `input.path`"));
        }
        found.push(Segment::Expression(expression));
        rest = &inside[length + 2..];
    }
    push_text(&mut found, rest)?;
    Ok(found)
}

fn push_text<'t>(found: &mut Vec<Segment<'t>>, text: &'t str) -> Result<(), TemplateFault> {
    if text.contains("{%") {
        return Err(TemplateFault::syntax(
            "`{% … %}` is not supported, only `{{ … }}`; write a literal one as `{{ '{%' }}`",
        ));
    }
    if !text.is_empty() {
        found.push(Segment::Text(text));
    }
    Ok(())
}

/// The bytes up to the `}}` that ends the expression: not the one in a string, nor that of a nested map.
fn expression_length(inside: &str) -> Result<usize, TemplateFault> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') if depth == 0 && inside[at..].starts_with("}}") => return Ok(at),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') => depth = depth.saturating_sub(1),
            // Repeating a text or a list is the one operation that makes much out of little.
            (None, '*') => {
                return Err(TemplateFault::syntax("`*` is not supported here; calculate in the command"));
            }
            (None, _) => {}
        }
    }
    Err(TemplateFault::syntax(if quote.is_some() {
        "missing closing quote in `{{ … }}`"
    } else {
        "`{{` is not closed, expected `}}`; write a literal one as `{{ '{{' }}`"
    }))
}

/// The names in `steps["…"]`, which the engine's own list of names leaves out.
pub(crate) fn subscripted_steps(expression: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = expression[at..].find("steps").map(|offset| at + offset) {
        at = start + "steps".len();
        let joined = expression[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        let Some(behind) = expression[at..].trim_start().strip_prefix('[').filter(|_| !joined) else {
            continue;
        };
        let behind = behind.trim_start();
        let Some(quote) = behind.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        if let Some((name, after)) = behind[1..].split_once(quote)
            && after.trim_start().starts_with(']')
        {
            found.push(name);
        }
    }
    found
}
