//! The alert rules: read and tried by Prometheus's own tool, of metrics that are there, each with its section on the page.

use std::path::Path;

use sprongus_throwaway::Server;

use super::{existing, names, page, promtool};

const TRIALS: &str = include_str!("alerts.test.yml");

fn alerts(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

fn tried(rules: &Path) -> crate::sandbox::Done {
    promtool(&["test", "rules"], &TRIALS.replace("RULES", &rules.display().to_string()))
}

#[test]
fn each_rule_fires_when_it_should_and_is_quiet_when_not() {
    let rules = page("prometheus-alerts.yml");
    promtool(&["check", "rules"], &rules).exits(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, &rules).unwrap();
    tried(&file).exits(0);
    for alert in alerts(&rules) {
        // In the one style on one line, in the other on several.
        let fires =
            TRIALS.split("- eval_time: ").any(|trial| trial.contains(&format!("alertname: {alert}\n")));
        let is_quiet = TRIALS.contains(&format!("alertname: {alert}, exp_alerts: []"));
        assert!(fires && is_quiet, "{alert} is not tried both ways");
        // A rule that never fires fails its trial, and so does one that always does.
        let at = rules.find(&format!("- alert: {alert}\n")).unwrap();
        for broken in ["vector(1) == 0", "vector(1)"] {
            let expression = at + rules[at..].find("expr:").unwrap();
            let end = expression + rules[expression..].find("labels:").unwrap();
            let text = format!("{}expr: {broken}\n        {}", &rules[..expression], &rules[end..]);
            std::fs::write(&file, text).unwrap();
            assert_eq!(tried(&file).code, Some(1), "{alert} as {broken} passes its trial");
        }
    }
}

#[test]
fn each_alert_has_its_section_and_speaks_of_metrics_that_are_there() {
    let (rules, page, (queryable, _)) = (page("prometheus-alerts.yml"), page("operations.md"), existing());
    let alerts = alerts(&rules);
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in &alerts {
        assert!(page.contains(&format!("\n### {alert}\n")), "docs/operations.md has no section {alert}");
        let runbook = format!("runbook: docs/operations.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&runbook), "{alert} names no runbook");
    }
    let sections = page.lines().filter_map(|line| line.strip_prefix("### Sprongus"));
    let stale: Vec<_> =
        sections.filter(|name| !alerts.contains(&format!("Sprongus{name}").as_str())).collect();
    assert!(stale.is_empty(), "sections of no alert: {stale:?}");
    let unknown: Vec<_> = names(&rules).into_iter().filter(|name| !queryable.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The blocks of a language on a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn what_the_page_has_to_copy_is_read_by_prometheus_and_by_postgres() {
    let page = page("operations.md");
    let token = tempfile::NamedTempFile::new().unwrap();
    let (settings, statements) = (blocks(&page, "yaml"), blocks(&page, "sql"));
    assert!(!settings.is_empty() && !statements.is_empty());
    for text in settings {
        assert!(text.contains("/etc/prometheus/sprongus.token"), "{text}");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/prometheus-alerts.yml");
        let text = text
            .replace("/etc/prometheus/sprongus.token", token.path().to_str().unwrap())
            .replace("prometheus-alerts.yml", rules.to_str().unwrap());
        promtool(&["check", "config"], &text).exits(0);
        promtool(&["check", "config"], &text.replace("static_configs", "statik_configs")).exits(1);
    }
    for text in statements {
        Server::shared().execute("postgres", text).unwrap();
        assert!(Server::shared().execute("postgres", &text.replace("age(", "aged(")).is_err());
    }
}
