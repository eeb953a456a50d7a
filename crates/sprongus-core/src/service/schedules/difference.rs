//! How a schedule differs from what a file says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schedule::Definition;
use crate::schedules::{Difference, DifferenceKind, FieldDifference};
use crate::values::names::ScheduleId;
use crate::workspace::setting::Family;

/// Every field that is not the same before and after; none where there is no schedule.
pub fn difference(id: &ScheduleId, before: Option<&Definition>, after: Option<&Definition>) -> Difference {
    let object = |definition: Option<&Definition>| match definition.map(|it| it.to_json().to_value()) {
        Some(Value::Object(fields)) => fields,
        Some(_) | None => serde_json::Map::new(),
    };
    let (old, new) = (object(before), object(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |of: &serde_json::Map<String, Value>, name: &str| {
        of.get(name).cloned().unwrap_or_default().to_string()
    };
    let fields = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(|name| {
        FieldDifference { name: name.clone(), before: value(&old, name), after: value(&new, name) }
    });
    let kind = match (before, after) {
        (None, _) => DifferenceKind::Added,
        (Some(_), Some(_)) => DifferenceKind::Changed,
        (Some(_), None) => DifferenceKind::Deleted,
    };
    Difference {
        kind,
        family: Family::Schedule.as_str().to_owned(),
        id: id.as_str().to_owned(),
        fields: fields.collect(),
    }
}
