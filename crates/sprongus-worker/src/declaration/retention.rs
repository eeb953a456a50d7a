//! `[retention]`: how long ended runs are kept, in all and by kind.

use std::collections::BTreeMap;
use std::time::Duration;

use sprongus_core::run::retention::{KindRetention, Retention};

use super::fault::DeclarationFault;
use super::node::Fields;

const EXPECTED: &str = "a table with succeeded = \"30d\" and failed = \"90d\"";

/// What is declared of retention; what is left out keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionDeclaration {
    /// Succeeded runs.
    pub succeeded: Option<Duration>,
    /// Failed and canceled runs.
    pub failed: Option<Duration>,
    /// Those of some kinds, `[retention.kinds."NAME"]`; the kinds need not be declared here.
    pub kinds: BTreeMap<sprongus_core::values::names::Kind, KindRetention>,
}

impl RetentionDeclaration {
    /// With the defaults in place of what is left out.
    pub fn or_default(&self) -> Retention {
        let default = Retention::default();
        Retention {
            succeeded: self.succeeded.unwrap_or(default.succeeded),
            failed: self.failed.unwrap_or(default.failed),
            kinds: self.kinds.clone(),
        }
    }
}

pub(super) fn read(root: &Fields<'_, '_>) -> Result<RetentionDeclaration, DeclarationFault> {
    let Some(node) = root.get("retention") else { return Ok(RetentionDeclaration::default()) };
    let fields = node.fields(EXPECTED)?;
    fields.only(&["succeeded", "failed", "kinds"])?;
    let mut kinds = BTreeMap::new();
    if let Some(node) = fields.get("kinds") {
        let each = node.fields("tables such as [retention.kinds.\"script.pull\"]")?;
        for (name, node) in each.entries() {
            let kind = super::kind_named(&each, name)?;
            let own = node.fields(EXPECTED)?;
            own.only(&["succeeded", "failed"])?;
            let (succeeded, failed) = limits(&own)?;
            if succeeded.is_none() && failed.is_none() {
                return Err(own.fault("expected `succeeded = \"7d\"`, `failed = \"7d\"` or both"));
            }
            kinds.insert(kind, KindRetention { succeeded, failed });
        }
    }
    let (succeeded, failed) = limits(&fields)?;
    Ok(RetentionDeclaration { succeeded, failed, kinds })
}

fn limits(fields: &Fields<'_, '_>) -> Result<(Option<Duration>, Option<Duration>), DeclarationFault> {
    let time = |name| fields.get(name).map(|node| node.span_of_time(super::LONGEST)).transpose();
    Ok((time("succeeded")?, time("failed")?))
}
