//! JSON from the command line, a file or stdin: read up to a limit, never further, then strictly.

use std::fs::File;
use std::io::{self, Read};

use sprongus_core::json::{self, Json, MAX_INPUT_BYTES};
use sprongus_core::values::text::excerpt;
use sprongus_core::{Error, ErrorCode, Result};

/// Reads what `--input` names: JSON itself, or `@` and a file.
///
/// # Errors
/// `malformed` with line and column, `payload_too_large`, or `validation` for a file that cannot be read.
pub fn from_option(text: &str) -> Result<Json> {
    match text.strip_prefix('@') {
        None => strict(text.as_bytes()),
        Some(path) => {
            let named = |error: io::Error| {
                Error::validation(format!("cannot read {}: {error}", excerpt(path, 64)))
                    .with_hint("use `--input @FILE` for a file; JSON itself needs no @")
            };
            let file = File::open(path).map_err(named)?;
            strict(&limited(file).map_err(named)?)
        }
    }
}

/// Reads stdin.
///
/// # Errors
/// As [`from_option`].
pub fn from_stdin() -> Result<Json> {
    let bytes = limited(io::stdin().lock());
    strict(&bytes.map_err(|error| Error::validation(format!("cannot read stdin: {error}")))?)
}

/// One byte past the limit is enough to know that it is passed.
fn limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_INPUT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn strict(bytes: &[u8]) -> Result<Json> {
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(Error::new(ErrorCode::PayloadTooLarge, "input too large: at most 1 MiB"));
    }
    json::parse(bytes).map_err(|fault| Error::new(ErrorCode::Malformed, fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_source_is_read_no_further_than_the_limit() {
        assert_eq!(limited(io::repeat(b' ')).unwrap().len(), MAX_INPUT_BYTES + 1);
    }

    #[test]
    fn a_fault_says_where() {
        let error = from_option("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Malformed);
        assert!(error.message().contains("line 2"), "{error}");
        assert_eq!(from_option("@/nowhere/in.json").unwrap_err().code(), ErrorCode::Validation);
    }
}
