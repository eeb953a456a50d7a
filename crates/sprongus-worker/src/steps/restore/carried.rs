//! What of an attempt is neither a file nor a step, and must outlive a gate: it lies beside the work directory in its tar.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::UsedOutput;
use crate::steps::attempt::Attempt;

/// The state of an attempt at a gate, its secrets masked.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Carried {
    /// What the steps said is the result, as text.
    result: Option<String>,
    output_ref: Option<String>,
    /// How much of the output that is kept was used.
    output: UsedOutput,
    /// How much of the attempt's time was used, in milliseconds.
    used_ms: u64,
}

impl Attempt {
    /// What is to outlive the gate.
    pub(crate) fn carried(&self) -> Carried {
        let used = self.time_used();
        Carried {
            result: self.said.result.as_deref().map(|text| self.masks.result(text)),
            output_ref: self.said.output_ref.as_deref().map(|text| self.masks.known(text)),
            output: self.budget.used(),
            used_ms: u64::try_from(used.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Takes up what outlived the gate.
    pub(crate) fn carry_on(&mut self, carried: Carried) {
        let Carried { result, output_ref, output, used_ms } = carried;
        (self.said.result, self.said.output_ref) = (result, output_ref);
        self.budget.carry_on(output);
        self.used = Duration::from_millis(used_ms);
    }
}
