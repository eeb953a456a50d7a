//! `--from FILE.jsonl`: many requests, one JSON object a line, in the words of `POST /v1/runs`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use sprongus_core::json::MAX_INPUT_BYTES;
use sprongus_core::rules::enqueue::prepare;
use sprongus_core::run::NewRun;
use sprongus_core::run::request;
use sprongus_core::values::text::excerpt;
use sprongus_core::{Error, ErrorCode, Result};
use sprongus_worker::declaration::Declaration;

use crate::commands::runs::enqueue::declared;

/// A line holds an input and little else.
const LONGEST_LINE: u64 = 2 * MAX_INPUT_BYTES as u64;

/// All requests are checked before the first is made, so all are held at once.
const MOST_BYTES: u64 = 256 << 20;

/// Reads and checks every line of the file, or of stdin for `-`.
///
/// # Errors
/// `malformed`, `validation` or `payload_too_large`, naming the line; nothing has been enqueued then.
pub fn read(path: &str, declaration: Option<&Declaration>) -> Result<Vec<NewRun>> {
    if path == "-" {
        return read_lines(io::stdin().lock(), declaration);
    }
    let file = File::open(path)
        .map_err(|error| Error::validation(format!("cannot read {}: {error}", excerpt(path, 64))))?;
    read_lines(BufReader::new(file), declaration)
}

fn read_lines(mut source: impl BufRead, declaration: Option<&Declaration>) -> Result<Vec<NewRun>> {
    let mut runs = Vec::new();
    let mut line = Vec::new();
    let mut total = 0;
    for number in 1_u64.. {
        line.clear();
        let read = (&mut source).take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Error::validation(format!("cannot read line {number}: {error}")))?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if read as u64 > LONGEST_LINE || total > MOST_BYTES {
            let message = format!("line {number}: too large: at most 2 MiB per line and 256 MiB in total");
            return Err(Error::new(ErrorCode::PayloadTooLarge, message).with_hint("split the file"));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let run = request(&line, declaration).map_err(|error| at_line(number, &error))?;
        runs.push(run);
    }
    Ok(runs)
}

fn at_line(number: u64, error: &Error) -> Error {
    Error::new(error.code(), format!("line {number}: {}", error.message()))
        .with_hint(error.hint().to_owned())
        .with_fields(error.fields().to_vec())
}

fn request(line: &[u8], declaration: Option<&Declaration>) -> Result<NewRun> {
    let mut run = request::parse(line)?;
    declared::apply(declaration, &mut run)?;
    // The store will ask again; asking here keeps a bad line from leaving the lines before it enqueued.
    prepare(&run, None)?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sprongus_core::run::Due;

    use super::*;

    #[test]
    fn a_bad_line_is_named_and_nothing_is_answered() {
        let lines = "{\"kind\": \"a\"}\n\n{\"kind\": \"a\", \"prio\": 1}\n";
        let error = read_lines(lines.as_bytes(), None).unwrap_err();
        assert_eq!(error.message(), "line 3: unknown field: prio");
        for bad in ["[]", "{\"kind\": 1}", "{", "{\"kind\": \"a\", \"priority\": -1}", "{\"kind\": \"../x\"}"]
        {
            let error = read_lines(bad.as_bytes(), None).unwrap_err();
            assert!(error.message().starts_with("line 1: "), "{bad}: {error}");
        }
    }

    #[test]
    fn a_request_has_the_words_of_the_api() {
        let line =
            r#"{"kind":"a","input":{"x":1},"delayMs":5,"tags":{"k":"v"},"maxAttempts":2,"priority":7}"#;
        let runs = read_lines(line.as_bytes(), None).unwrap();
        assert_eq!(runs[0].due, Due::After(Duration::from_millis(5)));
        assert_eq!((runs[0].max_attempts, runs[0].priority), (Some(2), Some(7)));
        assert_eq!(runs[0].input.as_ref().unwrap().as_str(), "{\"x\":1}");
    }
}
