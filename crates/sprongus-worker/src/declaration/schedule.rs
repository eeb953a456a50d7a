//! `[schedules."NAME"]`: when runs are made. What a schedule may say is the core's rule; here it gets its place in the file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sprongus_core::schedule::Definition;
use sprongus_core::values::names::ScheduleId;

use super::fault::DeclarationFault;
use super::node::{Fields, Node};

/// What holds values of the user's own, whose keys stay as they are.
const OWN: [&str; 2] = ["input", "tags"];

/// The schedules, by name.
pub(super) fn read_all(root: &Fields<'_, '_>) -> Result<BTreeMap<ScheduleId, Definition>, DeclarationFault> {
    let Some(node) = root.get("schedules") else { return Ok(BTreeMap::new()) };
    let fields = node.fields("tables such as [schedules.\"nightly\"]")?;
    let mut schedules = BTreeMap::new();
    for (name, node) in fields.entries() {
        let problem = "expected a schedule name: 1 to 64 lower-case letters, digits and -";
        let id = name.parse().map_err(|_| fields.key_fault(name, problem))?;
        schedules.insert(id, read(&node)?);
    }
    Ok(schedules)
}

fn read(node: &Node<'_, '_>) -> Result<Definition, DeclarationFault> {
    let fields = node.fields("a table with kind, and cron or every")?;
    let mut object = Map::new();
    for (name, value) in fields.entries() {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let snake = camel_to_snake(name);
            return Err(fields.key_fault(name, format!("unknown key, did you mean `{snake}`?")));
        }
        let read = value.json()?;
        object.insert(if OWN.contains(&name) { name.to_owned() } else { snake_to_camel(name) }, read);
    }
    Definition::read(&Value::Object(object)).map_err(|error| {
        let Some(field) = error.fields().first() else { return fields.fault(error.message().to_owned()) };
        let name = field.pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
        let key = camel_to_snake(name);
        let message = field.message.replace(name, &key);
        match fields.get(&key) {
            Some(_) if message.starts_with("unknown field") => {
                fields.key_fault(&key, "unknown key of a schedule")
            }
            Some(node) => node.fault(message),
            None => fields.fault(message),
        }
    })
}

fn snake_to_camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        let mut letters = part.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
        text
    })
}

fn camel_to_snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_translated_both_ways() {
        for (snake, camel) in [("time_zone", "timeZone"), ("cron", "cron"), ("missed_after", "missedAfter")] {
            assert_eq!((snake_to_camel(snake).as_str(), camel_to_snake(camel).as_str()), (camel, snake));
        }
    }
}
