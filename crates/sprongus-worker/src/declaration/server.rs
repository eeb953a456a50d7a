//! `[server]`: how `sprongus serve` behaves.

use super::fault::DeclarationFault;
use super::node::Fields;

/// What is declared of a server; `None` leaves the default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerDeclaration {
    /// How many enqueues, cancels and retries a token may ask for.
    pub rate_limit: Option<RateLimitDeclaration>,
}

/// `rate_limit`: `"off"`, or a table of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateLimitDeclaration {
    /// No limit.
    Off,
    /// At most so many requests.
    On {
        /// Requests a second in the long run.
        per_second: f64,
        /// Requests at once after a rest.
        burst: f64,
    },
}

const EXPECTED: &str = "\"off\", or a table with per_second = 50 and burst = 100";

/// No limit is higher: beyond it there is none.
const MOST: f64 = 1_000_000.0;

pub(super) fn read(root: &Fields<'_, '_>) -> Result<ServerDeclaration, DeclarationFault> {
    let Some(node) = root.get("server") else { return Ok(ServerDeclaration::default()) };
    let fields = node.fields("a table")?;
    fields.only(&["rate_limit"])?;
    let Some(node) = fields.get("rate_limit") else { return Ok(ServerDeclaration::default()) };
    let rate_limit = match (node.text(EXPECTED), node.boolean()) {
        (Ok("off"), _) | (_, Ok(false)) => RateLimitDeclaration::Off,
        (Ok(_) | Err(_), Ok(true) | Err(_)) => {
            let fields = node.fields(EXPECTED)?;
            fields.only(&["per_second", "burst"])?;
            let number = |name, otherwise| match fields.get(name) {
                Some(node) => node.number(1.0, MOST),
                None => Ok(otherwise),
            };
            let per_second = number("per_second", 50.0)?;
            RateLimitDeclaration::On { per_second, burst: number("burst", 2.0 * per_second)? }
        }
    };
    Ok(ServerDeclaration { rate_limit: Some(rate_limit) })
}
