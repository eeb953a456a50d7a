//! What was set, and by what: an option, a variable, `sprongus.toml`, or nobody. Never what may be secret.

use std::time::Duration;

use sprongus_core::run::artifact::MAX_ARTIFACT_BYTES;
use sprongus_core::run::retention::Retention;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::text::excerpt;
use sprongus_http::server::RateLimit;
use sprongus_worker::declaration::{Declaration, RateLimitDeclaration};

use super::finding::{Finding, Findings};
use crate::app::App;
use crate::connect::{Place, Target, Why};
use crate::render::age::rough;
use crate::version::VERSION;

/// What nobody set.
const DEFAULT: &str = "default";

/// Tells each setting that no other finding tells.
pub fn list(app: &App, place: &Place, declaration: Option<&Declaration>, findings: &mut Findings) {
    let around = &app.around;
    let mut say = |what: &'static str, value: String, from: &str| {
        findings.add(Finding::fine(what, format!("{value} ({from})")));
    };
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "unknown".to_owned(), |path| path.display().to_string());
    say("sprongus", VERSION.clone(), &program);
    let (workspace, from) = match (&app.globals.workspace, &place.target) {
        (Some(workspace), _) => (format!("workspace {}", excerpt(workspace, 64)), "--workspace"),
        (None, Target::Server(_)) => ("the token's workspace".to_owned(), DEFAULT),
        (None, Target::File(_) | Target::Postgres(_)) => {
            (format!("workspace {}", WorkspaceId::LOCAL), DEFAULT)
        }
    };
    say("you", format!("{} in {workspace}", around.user), from);
    match &place.target {
        Target::Server(_) => {
            let from = if around.token.is_some() { "SPRONGUS_TOKEN" } else { "stored by `sprongus login`" };
            say("token source", "not shown".to_owned(), from);
        }
        Target::Postgres(_) => {
            let asked = around.postgres_durability.as_deref();
            let from = if asked.is_some() { "SPRONGUS_POSTGRES_DURABILITY" } else { DEFAULT };
            say("required", excerpt(asked.unwrap_or("power_cut"), 32), from);
        }
        Target::File(_) => {}
    }
    let passed = [
        ("SPRONGUS_API_URL", around.api_url.is_some()),
        ("SPRONGUS_DATABASE_URL", around.database_url.is_some()),
    ];
    for (name, is_set) in passed {
        if is_set && place.why != Why::Variable(name) {
            say("ignored", name.to_owned(), &place.why.to_string());
        }
    }
    if !matches!(place.target, Target::Server(_)) {
        limits(declaration, &mut say);
    }
}

fn limits(declaration: Option<&Declaration>, say: &mut impl FnMut(&'static str, String, &str)) {
    let from = |is_declared: bool| if is_declared { "sprongus.toml" } else { DEFAULT };
    let default = Retention::default();
    let retention = declaration.map(|declaration| declaration.retention.clone()).unwrap_or_default();
    let days = |declared: Option<Duration>, default: Duration| rough(declared.unwrap_or(default));
    let (succeeded, failed) = (retention.succeeded, retention.failed);
    say(
        "retention",
        format!("succeeded runs for {}", days(succeeded, default.succeeded)),
        from(succeeded.is_some()),
    );
    say("retention", format!("failed runs for {}", days(failed, default.failed)), from(failed.is_some()));
    for (kind, own) in &retention.kinds {
        let (succeeded, failed) = (own.succeeded.map(rough), own.failed.map(rough));
        let limits = [
            succeeded.map(|it| format!("succeeded runs for {it}")),
            failed.map(|it| format!("failed runs for {it}")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        say("retention", format!("{kind}: {}", limits.join(", ")), from(true));
    }
    let declared = declaration.and_then(|declaration| declaration.server.rate_limit);
    let rate = match declared {
        Some(RateLimitDeclaration::Off) => "off".to_owned(),
        Some(RateLimitDeclaration::On { per_second, burst }) => {
            format!("{per_second} a second, bursts of {burst}")
        }
        None => {
            let default = RateLimit::default();
            format!("{} a second, bursts of {}", default.per_second, default.burst)
        }
    };
    say("rate limit", rate, from(declared.is_some()));
    let size = declaration.and_then(|declaration| declaration.artifacts.max_size);
    say("largest file", format!("{} MiB", size.unwrap_or(MAX_ARTIFACT_BYTES) >> 20), from(size.is_some()));
}
