//! What `doctor` found: a line each, with the remedy where something is wrong.

use serde::Serialize;
use sprongus_core::Error;
use sprongus_core::values::text::printable;

use crate::render::style::{BAD, DIM, GOOD, paint};

/// One thing looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), remedy: None }
    }

    /// It is not.
    pub fn wrong(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// What it is, what was found and what to do about it; nothing when all is well.
    pub fn amiss(&self) -> Option<(&'static str, &str, &str)> {
        Some((self.what, &self.found, self.remedy.as_deref()?))
    }

    /// It could not even be looked at.
    pub fn of_error(what: &'static str, error: &Error) -> Self {
        Self::wrong(what, error.message(), error.hint())
    }
}

/// So many alike are told each; the rest is counted.
const NAMED: usize = 5;

/// Adds the first few of what was found, and the rest as a number; `all` says where they are.
pub fn named(found: impl Iterator<Item = Finding>, what: &str, all: &str, findings: &mut Findings) {
    let mut found: Vec<Finding> = found.collect();
    let more = found.split_off(found.len().min(NAMED));
    let is_amiss = more.iter().any(|finding| finding.amiss().is_some());
    findings.extend(found);
    let text = format!("{} more {what} like these", more.len());
    if is_amiss {
        findings.add(Finding::wrong("and", text, format!("see above; {all}")));
    } else if !more.is_empty() {
        findings.add(Finding::fine("and", text));
    }
}

/// Everything looked at.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Whether all is as it should be.
    pub fn is_fine(&self) -> bool {
        self.findings.iter().all(|finding| finding.ok)
    }

    /// For people.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let mark = if finding.ok { paint(GOOD, "✓") } else { paint(BAD, "✗") };
            let label = paint(DIM, format!("{:<14}", finding.what));
            out.push_str(&format!("{mark} {label} {}\n", printable(&finding.found)));
            if let Some(remedy) = &finding.remedy {
                out.push_str(&format!("  {:<14} → {}\n", "", printable(remedy)));
            }
        }
        out
    }
}
