//! Names for the values of enums. Generators that make a constant of each value take its name from the value alone unless
//! `x-enum-varnames` says otherwise; in languages where constants share one space (Go) two enums with `running` then clash.

use serde_json::{Value, json};

/// Adds `x-enum-varnames` to an enum: its own name in front of each value.
pub fn name(owner: &str, schema: &mut Value) {
    let Some(values) = schema.get("enum").and_then(Value::as_array) else { return };
    let prefix = owner.strip_suffix("Name").unwrap_or(owner);
    let names: Vec<String> = values
        .iter()
        .map(|value| format!("{prefix}{}", pascal(value.as_str().unwrap_or_default())))
        .collect();
    schema["x-enum-varnames"] = json!(names);
}

/// `ai_action`, `runs:read`, `-createdAt`, `CANCELLED` as parts of a name.
fn pascal(value: &str) -> String {
    let is_shouted = !value.chars().any(|c| c.is_ascii_lowercase());
    let (descending, value) = match value.strip_prefix('-') {
        Some(rest) => ("Descending", rest),
        None => ("", value),
    };
    let mut name = String::new();
    for part in value.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        name.extend(chars.map(|c| if is_shouted { c.to_ascii_lowercase() } else { c }));
    }
    name + descending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_name_of_its_own_enum() {
        let mut schema = json!({"enum": ["ai_action", "runs:read", "-createdAt", "createdAt", "CANCELLED"]});
        name("ThingName", &mut schema);
        let names = [
            "ThingAiAction",
            "ThingRunsRead",
            "ThingCreatedAtDescending",
            "ThingCreatedAt",
            "ThingCancelled",
        ];
        assert_eq!(schema["x-enum-varnames"], json!(names));
    }
}
