//! Errors on the wire: problem documents (RFC 9457), made from the core's errors and read back into the same ones.

use serde::{Deserialize, Serialize};
use sprongus_core::error::FieldError;
use sprongus_core::{Error, ErrorCode};

#[cfg(feature = "server")]
use crate::wire::words::{CodeName, FieldFault};

/// The media type of an error's body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where the code is explained: `/errors#` and the code, on this server.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(example = "/errors#not_found"))]
    pub about: String,
    /// The code for people.
    #[cfg_attr(feature = "server", schema(example = "Not found"))]
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "server", schema(example = 404))]
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// Which of the closed list this is.
    #[cfg_attr(feature = "server", schema(value_type = CodeName))]
    pub code: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What the request is called in the server's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The bad values of the request, each by a JSON pointer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "server", schema(value_type = Vec<FieldFault>))]
    pub errors: Vec<FieldError>,
    /// Of a batch that was to be made whole: what is wrong with which item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemProblem>,
}

/// What is wrong with one item of a batch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ItemProblem {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong.
    #[cfg_attr(feature = "server", schema(no_recursion))]
    pub problem: Box<Problem>,
}

impl Problem {
    /// The document of an error, with secrets and e-mail addresses masked; `request_id` may be empty.
    pub fn new(error: &Error, request_id: &str) -> Self {
        let error = &error.masked();
        let facts = error.code().facts();
        Self {
            about: format!("/errors#{}", facts.name),
            title: facts.title.to_owned(),
            status: facts.status,
            detail: error.message().to_owned(),
            code: facts.name.to_owned(),
            hint: error.hint().to_owned(),
            retryable: facts.retryable,
            request_id: request_id.to_owned(),
            errors: error.fields().to_vec(),
            items: Vec::new(),
        }
    }

    /// The error that the document was made from. A code that this program does not know is taken by its status.
    pub fn into_error(self) -> Error {
        let known = ErrorCode::ALL.into_iter().find(|code| code.as_str() == self.code);
        let code = known.unwrap_or_else(|| code_of_status(self.status));
        let error = Error::new(code, self.detail).with_fields(self.errors);
        let is_own_hint = self.hint.is_empty() || self.hint == code.facts().hint;
        if is_own_hint { error } else { error.with_hint(self.hint) }
    }
}

/// What a status alone says, where no document came with it.
pub fn code_of_status(status: u16) -> ErrorCode {
    match status {
        400 => ErrorCode::Malformed,
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        409 => ErrorCode::Conflict,
        413 => ErrorCode::PayloadTooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        421 => ErrorCode::Misdirected,
        416 | 422 => ErrorCode::Validation,
        429 => ErrorCode::RateLimited,
        408 | 504 => ErrorCode::TimedOut,
        502 | 503 => ErrorCode::Unavailable,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_read_back_as_it_was() {
        for code in ErrorCode::ALL {
            let fields = vec![FieldError { pointer: "/a".into(), message: "b".into() }];
            for error in [
                Error::new(code, "a message"),
                Error::new(code, "a message").with_hint("do this").with_fields(fields),
            ] {
                let problem = Problem::new(&error, "id");
                let text = serde_json::to_string(&problem).unwrap();
                let read = serde_json::from_str::<Problem>(&text).unwrap().into_error();
                assert_eq!(read, error);
                assert_eq!(read.hint(), error.hint());
            }
        }
    }

    #[test]
    fn an_unknown_code_is_taken_by_its_status() {
        let problem = Problem { code: "of_tomorrow".into(), ..Problem::new(&Error::validation("x"), "") };
        assert_eq!(problem.into_error().code(), ErrorCode::Validation);
    }
}
