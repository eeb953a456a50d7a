//! What a refusal says about a call: that it is wrong as it stands, or that it may be taken at another time.
//!
//! A role that lost a right for a moment, a schema that is being changed and a fault of the server's own pass; work that is done must
//! not be thrown away for them.

use std::time::Duration;

use sprongus_core::error::ErrorCode;

/// Whether the same call may be taken later. What is wrong with the call itself stays wrong, and a run that is not ours any more does
/// not come back.
pub(crate) fn may_pass(code: ErrorCode) -> bool {
    !is_fault_of_content(code)
        && !matches!(
            code,
            ErrorCode::LeaseLost | ErrorCode::NotFound | ErrorCode::IllegalTransition | ErrorCode::Conflict
        )
}

/// Whether what was sent is refused for what it is, so that it will be refused each time.
pub(crate) fn is_fault_of_content(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Validation
            | ErrorCode::Malformed
            | ErrorCode::PayloadTooLarge
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::SecretInInput
            | ErrorCode::IdempotencyKeyReused
    )
}

/// The pause before the next try of a call that has failed `tries` times, 1 being the first: `first`, then twice as long each time, up to
/// `longest`.
pub(crate) fn pause(tries: u32, first: Duration, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_call_itself_stays_wrong() {
        for code in [
            ErrorCode::Internal,
            ErrorCode::Forbidden,
            ErrorCode::Unauthenticated,
            ErrorCode::Unavailable,
            ErrorCode::RateLimited,
            ErrorCode::TimedOut,
            ErrorCode::SchemaMismatch,
            ErrorCode::MethodNotAllowed,
        ] {
            assert!(may_pass(code) && !is_fault_of_content(code), "{code}");
        }
        for code in [ErrorCode::Validation, ErrorCode::PayloadTooLarge, ErrorCode::SecretInInput] {
            assert!(!may_pass(code) && is_fault_of_content(code), "{code}");
        }
        for code in [ErrorCode::LeaseLost, ErrorCode::NotFound, ErrorCode::Conflict] {
            assert!(!may_pass(code) && !is_fault_of_content(code), "{code}");
        }
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(5));
        let pauses = [1, 2, 3, 6, 40].map(|tries| pause(tries, first, longest).as_millis());
        assert_eq!(pauses, [250, 500, 1_000, 5_000, 5_000]);
        assert_eq!(pause(9, first, Duration::ZERO), first);
    }
}
