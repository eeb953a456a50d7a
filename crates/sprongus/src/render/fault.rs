//! Errors: a line and a hint for people, a problem document for programs. Both on stderr.

use clap::error::ErrorKind;
use serde::Serialize;
use sprongus_core::error::FieldError;
use sprongus_core::redact::redact;
use sprongus_core::values::text::printable;
use sprongus_core::{Error, ErrorCode};

use super::screen::{Format, Screen};
use super::style::{ATTENTION, BAD, BOLD, DIM, paint};
use crate::exit::Exit;

/// An error as RFC 9457 writes it, the same document that a server would send.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    hint: &'a str,
    retryable: bool,
    errors: &'a [FieldError],
}

impl<'a> Problem<'a> {
    fn of(error: &'a Error) -> Self {
        let facts = error.code().facts();
        Self {
            r#type: format!("{}/errors#{}", env!("CARGO_PKG_REPOSITORY"), facts.name),
            title: facts.title,
            status: facts.status,
            detail: error.message(),
            code: facts.name,
            hint: error.hint(),
            retryable: facts.retryable,
            errors: error.fields(),
        }
    }
}

/// Tells an error.
pub fn print(screen: &Screen, error: &Error) {
    screen.side(&match screen.format {
        Format::Json => document(&error.masked()),
        Format::People | Format::Quiet => lines(error, screen.verbose > 0),
    });
}

fn document(error: &Error) -> String {
    serde_json::to_string(&Problem::of(error)).map(|line| line + "\n").unwrap_or_default()
}

fn lines(error: &Error, with_cause: bool) -> String {
    let one_line = |text: &str| printable(text).replace('\n', " ");
    let masked = error.masked();
    let mut out = format!("{} {}\n", paint(BAD.bold(), "error:"), one_line(masked.message()));
    out.push_str(&format!("{} {}\n", paint(ATTENTION, "hint:"), one_line(masked.hint())));
    let mut cause = std::error::Error::source(error).filter(|_| with_cause);
    while let Some(reason) = cause {
        out.push_str(&format!("{} {}\n", paint(DIM, "cause:"), one_line(&redact(&reason.to_string()))));
        cause = reason.source();
    }
    out
}

/// Tells what the parser of the command line found, help and version included.
pub fn usage(error: &clap::Error, json: bool) -> Exit {
    if !error.use_stderr() {
        // Help into a closed pipe is no error either.
        let _ = error.print();
        return Exit::Done;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Usage;
    }
    let ours = as_error(error);
    let text = if json { document(&ours.masked()) } else { lines(&ours, false) };
    let screen = Screen { format: Format::People, watched: false, verbose: 0, margin: "" };
    screen.side(&text);
    if !json && let Some(usage) = usage_line(error) {
        screen.side(&format!("{} {usage}\n", paint(BOLD, "usage:")));
    }
    Exit::Usage
}

/// One of our own value errors as it is, with the option named; of clap's errors the first line, without its label.
fn as_error(error: &clap::Error) -> Error {
    use clap::Subcommand as _;
    use clap::error::{ContextKind, ContextValue};

    let ours = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    if let Some(ours) = ours {
        let name = match error.get(ContextKind::InvalidArg) {
            // An option by its name, without what it takes; a positional's message says enough.
            Some(ContextValue::String(name)) if name.starts_with('-') => {
                format!("{}: ", name.split(' ').next().unwrap_or(name))
            }
            _ => String::new(),
        };
        return Error::new(ErrorCode::Validation, format!("{name}{}", ours.message()))
            .with_hint(ours.hint().to_owned());
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    if message.ends_with(':') {
        // What follows is a list, such as of the arguments that are missing.
        let items = text.lines().skip(1).take_while(|line| !line.trim().is_empty()).map(str::trim);
        message = format!("{message} {}", items.collect::<Vec<_>>().join(", "));
    }
    let tip = text.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
    if let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand)
        && crate::commands::runs::Command::has_subcommand(name)
        && !text.contains(" runs ")
    {
        return Error::new(ErrorCode::Validation, message)
            .with_hint(format!("did you mean `sprongus runs {name}`?"));
    }
    let hint = tip.map_or_else(|| "see `--help`".to_owned(), str::to_owned);
    Error::new(ErrorCode::Validation, message).with_hint(hint)
}

fn usage_line(error: &clap::Error) -> Option<String> {
    let text = error.render().to_string();
    text.lines().find_map(|line| line.strip_prefix("Usage: ").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_typed_in_a_wrong_place_does_not_show_its_password() {
        let error = Error::validation("not a run's id: postgres://ada:hunter%402@db/runs");
        for text in [lines(&error, true), document(&error.masked())] {
            assert!(text.contains("postgres://ada:[secret]@db/runs"), "{text}");
        }
    }

    #[test]
    fn a_problem_has_every_field_and_one_line() {
        let error = Error::validation("two\nlines \u{1b}[31m").with_hint("mend it");
        let line = document(&error);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["code", "detail", "errors", "hint", "retryable", "status", "title", "type"]);
    }

    #[test]
    fn people_get_one_line_an_error_and_no_escapes() {
        let error = Error::validation("two\nlines \u{1b}[31m").with_hint("mend it");
        let text = anstream::adapter::strip_str(&lines(&error, false)).to_string();
        assert_eq!(text, "error: two lines \\u{1b}[31m\nhint: mend it\n");
    }
}
