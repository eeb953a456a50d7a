//! What takes the place of thinking: rules over the lines that a diff adds.

use serde_json::{Value, json};

/// What is looked for, and what is said of it.
const RULES: [(&str, &str); 4] = [
    ("later", "is left for later"),
    ("rm -rf", "deletes without asking"),
    ("eval ", "executes what it is given"),
    ("password", "may be a secret"),
];

/// The review of a prompt that holds a diff and says whether the checks passed.
pub fn review(prompt: &str) -> Value {
    let lines = || prompt.lines().filter(|line| !line.starts_with("+++") && !line.starts_with("---"));
    let (added, removed) = (lines().filter(|l| l.starts_with('+')), lines().filter(|l| l.starts_with('-')));
    let findings: Vec<Value> = added
        .clone()
        .flat_map(|line| {
            RULES.iter().filter(|(word, _)| line.contains(word)).map(move |(_, why)| (line, why))
        })
        .map(|(line, why)| json!({"line": line.trim_start_matches('+').trim(), "why": why}))
        .collect();
    let passed = prompt.contains("all checks passed");
    let verdict = if passed && findings.is_empty() { "approve" } else { "request_changes" };
    let checks = if passed { "the checks passed" } else { "the checks did not pass" };
    let summary = format!(
        "{} lines added, {} removed; {checks}; {} findings",
        added.count(),
        removed.count(),
        findings.len()
    );
    json!({"verdict": verdict, "summary": summary, "findings": findings})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_in_added_lines_alone() {
        let prompt = "all checks passed\n--- a/x\n+++ b/x later\n-# later: old\n+# later: new\n+echo hello\n";
        let review = review(prompt);
        assert_eq!(review["verdict"], "request_changes");
        assert_eq!(review["findings"], json!([{"line": "# later: new", "why": "is left for later"}]));
        assert_eq!(review["summary"], "2 lines added, 1 removed; the checks passed; 1 findings");
    }

    #[test]
    fn what_passes_and_leaves_nothing_is_approved() {
        assert_eq!(review("all checks passed\n+echo hello\n")["verdict"], "approve");
        assert_eq!(review("+echo hello\n")["verdict"], "request_changes");
    }
}
