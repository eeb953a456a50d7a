//! The requests that this process answered.

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// The bounds of the groups that answers are sorted into.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// What tells requests apart. The route is the router's own text, never a client's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u32,
}

/// How long answers took, by route.
#[derive(Clone)]
pub struct Requests(Family<Labels, Histogram>);

impl Default for Requests {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(SECONDS)))
    }
}

impl Requests {
    /// Counts a request. One that no route was found for has none; the method of such a one may be any word.
    pub fn count(&self, method: &Method, route: Option<&str>, status: u16, took: Duration) {
        let (method, route) = shown(method, route).unwrap_or_default();
        let labels = Labels { method: method.to_owned(), route, status: status.into() };
        self.0.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time to the first byte of the response body";
        registry.register_with_unit("http_request", help, Unit::Seconds, self.0.clone());
    }
}

/// A request's method and route as they may be shown, none unless both are ours.
pub fn shown<'a>(method: &'a Method, route: Option<&str>) -> Option<(&'a str, String)> {
    let route = route.filter(|_| is_known(method))?;
    Some((method.as_str(), route.replace("/@", ":")))
}

/// Any word may stand where a method does.
fn is_known(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE].contains(method)
}
