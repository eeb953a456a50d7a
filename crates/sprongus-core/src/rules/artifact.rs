//! What may be kept as a run's file, and by whom.

use super::Act;
use super::record::admit;
use crate::error::{Error, ErrorCode, Result};
use crate::run::artifact::{FileName, MAX_ARTIFACTS};
use crate::run::{Cleanup, Hold, Run};
use crate::values::time::Timestamp;

/// The longest media type, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// Whether the caller may put `name` among the files of the run, which keeps `kept` others.
///
/// # Errors
/// `lease_lost` when it holds neither the lease nor the closing lease; `validation` when the run keeps as many artifacts as it may.
pub fn put(run: &Run, hold: &Hold, name: &FileName, kept: usize, act: Act<'_>) -> Result<()> {
    admit(run, hold, act)?;
    match name {
        FileName::Artifact(_) if kept >= MAX_ARTIFACTS => {
            Err(Error::validation(format!("a run can have at most {MAX_ARTIFACTS} artifacts")))
        }
        FileName::Artifact(_) | FileName::Workdir => Ok(()),
    }
}

/// Whether nobody will ask for the run's kept work directory any more: it has ended, and owes no CLEANUP that would find its files
/// there. Only where a gate was met was one kept.
pub fn is_done_with_workdir(run: &Run) -> bool {
    let is_cleaned = match run.cleanup {
        Cleanup::None => true,
        Cleanup::Owed => false,
        // Handed out once, and its closing lease is over.
        Cleanup::HandedOut => run.lease_expires_at.is_none(),
    };
    run.state.is_final() && run.gate.is_some() && is_cleaned
}

/// The refusal of what has more bytes than `most`.
pub fn too_large(most: u64) -> Error {
    Error::new(ErrorCode::PayloadTooLarge, format!("an artifact can have at most {most} bytes"))
        .with_hint("store less, or raise max_size under [artifacts] in sprongus.toml")
}

/// Whether written bytes may still get a row at `now`; `due` is when they are to be deleted, none where nobody expects them.
///
/// # Errors
/// `unavailable`: they may be gone by now, or go at any time.
pub fn expected(due: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if due.is_some_and(|due| due > now) {
        return Ok(());
    }
    let late = "the upload took too long; its bytes may have been deleted";
    Err(Error::new(ErrorCode::Unavailable, late).with_hint("send the artifact again"))
}

/// That a run keeps no such file.
pub fn missing(name: &FileName) -> Error {
    match name {
        FileName::Artifact(name) => Error::not_found(format_args!("artifact: {name}"))
            .with_hint("list them with `sprongus runs artifacts`"),
        FileName::Workdir => Error::not_found("work directory of the run"),
    }
}

/// Checks a media type: one that could end a header's line, or is none at all, is refused.
///
/// # Errors
/// `validation`.
pub fn check_content_type(text: &str) -> Result<()> {
    let inner = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let (kind, rest) = text.split_once('/').unwrap_or_default();
    let whole = !kind.is_empty() && !rest.is_empty() && !kind.contains(' ');
    if whole && text.len() <= MAX_CONTENT_TYPE_BYTES && text.bytes().all(inner) {
        return Ok(());
    }
    Err(Error::validation("contentType must be a media type such as `text/markdown`, at most 255 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_get_a_row_before_they_are_due_and_not_from_then_on() {
        let at = Timestamp::from_millis;
        assert_eq!(expected(Some(at(1_001)), at(1_000)), Ok(()));
        for due in [Some(at(1_000)), Some(at(999)), None] {
            assert_eq!(expected(due, at(1_000)).unwrap_err().code(), ErrorCode::Unavailable, "{due:?}");
        }
    }

    #[test]
    fn a_media_type_is_one_line_of_one_header() {
        for good in ["text/markdown", "text/plain; charset=utf-8", "application/x-tar"] {
            assert_eq!(check_content_type(good), Ok(()), "{good}");
        }
        let long = format!("text/{}", "x".repeat(251));
        for bad in ["", "text", "/x", "text/", "a b/c", "text/x\r\nset-cookie: a", "text/ü", &long] {
            assert_eq!(check_content_type(bad).unwrap_err().code(), ErrorCode::Validation, "{bad}");
        }
    }
}
