//! What a place's refusal becomes. A caller may be anybody, so it is told what failed, and neither where nor with which key: that is
//! for the log, without what S3 says of a signature, and for `doctor`.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};
use sprongus_core::{Error, ErrorCode};

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Bytes were written.
    Writing,
    /// Bytes were read.
    Reading,
    /// Bytes were deleted.
    Deleting,
}

impl fmt::Display for Doing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Writing => "cannot write an artifact",
            Self::Reading => "cannot read an artifact",
            Self::Deleting => "cannot delete an artifact",
        })
    }
}

/// The answer when `object_store` fails at `place`.
pub fn of_store(doing: Doing, place: &str, error: &object_store::Error) -> Error {
    if doing == Doing::Reading && is_missing(error) {
        return nothing();
    }
    unavailable(doing, &why(error), place)
}

/// The answer when there are no bytes.
pub fn nothing() -> Error {
    Error::not_found("bytes of an artifact")
        .with_hint("see where artifacts are expected with `sprongus doctor`")
}

/// Whether the bytes alone are not there: a bucket that is not there is another matter.
pub fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && why(error) != "NoSuchBucket"
}

/// The answer when a file or folder at `place` fails.
pub fn of_file(doing: Doing, place: &str, error: &io::Error) -> Error {
    if doing == Doing::Reading && error.kind() == io::ErrorKind::NotFound {
        return nothing();
    }
    unavailable(doing, &error.kind().to_string(), place)
}

/// The answer when a place fails for a reason told in words.
pub fn unavailable(doing: Doing, why: &str, place: &str) -> Error {
    Error::new(ErrorCode::Unavailable, format!("{doing}: {why}"))
        .with_hint("try again in a moment; find the cause with `sprongus doctor` on the machine that stores artifacts")
        .with_source(format!("{why}: {place}"))
}

/// The answer when the bytes to be written end with an error.
pub fn of_body(error: io::Error) -> Error {
    // Whoever made the stream may have said it better.
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => {
            Error::new(ErrorCode::Unavailable, format!("an artifact was cut off: {}", error.kind()))
                .with_hint("send it again from the beginning")
                .with_source(error)
        }
    }
}

/// The same for those who read a stream of bytes.
pub fn of_download(place: &str, error: &object_store::Error) -> io::Error {
    io::Error::other(unavailable(Doing::Reading, &why(error), place))
}

/// Why, in a word: the code that S3 gave, or what became of the connection or the file. What a server answered is not repeated
/// whole: to a wrong signature S3 answers with all that was signed.
fn why(error: &object_store::Error) -> String {
    if let Some(code) = s3_code(&error.to_string()) {
        return code;
    }
    let causes = std::iter::successors(StdError::source(error), |cause| StdError::source(*cause));
    for cause in causes {
        if let Some(error) = cause.downcast_ref::<HttpError>() {
            let kind = error.kind();
            let reached = [
                (HttpErrorKind::Connect, "no answer from the server"),
                (HttpErrorKind::Timeout, "timed out"),
            ];
            let reached = reached.into_iter().find(|(of, _)| *of == kind);
            return reached.map_or("the connection was lost", |(_, text)| text).to_owned();
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind().to_string();
        }
    }
    if matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    ) {
        return "permission denied".to_owned();
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        return "not found".to_owned();
    }
    "the store refused it".to_owned()
}

/// The code in an answer of S3: `<Code>AccessDenied</Code>`.
fn s3_code(text: &str) -> Option<String> {
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_word = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: body.to_owned().into() }
    }

    #[test]
    fn what_s3_says_of_a_signature_goes_no_further() {
        let body =
            "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIAHUNTER2</AWSAccessKeyId></Error>";
        let error = of_store(Doing::Writing, "s3://ours", &refused(body));
        assert_eq!(error.message(), "cannot write an artifact: SignatureDoesNotMatch");
        assert!(!format!("{error:?}").contains("AKIA"), "{error:?}");
        let error = of_store(Doing::Writing, "s3://ours", &refused("<Code>AKIA\nHUNTER2</Code>"));
        assert!(!format!("{error:?}").contains("AKIA"), "{error:?}");
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_artifact() {
        let missing = |body: &str| object_store::Error::NotFound {
            path: "a".to_owned(),
            source: body.to_owned().into(),
        };
        let code = |body: &str| of_store(Doing::Reading, "s3://ours", &missing(body)).code();
        assert_eq!(code("<Code>NoSuchKey</Code>"), ErrorCode::NotFound);
        assert_eq!(code("<Code>NoSuchBucket</Code>"), ErrorCode::Unavailable);
    }

    #[test]
    fn an_error_that_came_with_the_bytes_is_the_answer() {
        let refused = Error::validation("too many");
        assert_eq!(of_body(io::Error::other(refused)).message(), "too many");
        assert_eq!(of_body(io::ErrorKind::ConnectionReset.into()).code(), ErrorCode::Unavailable);
    }
}
