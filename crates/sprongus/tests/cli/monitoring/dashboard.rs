//! The dashboard for Grafana: sound as a document, with expressions that Prometheus's own tool reads, of metrics that are there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{existing, names, page, promtool};

fn panels() -> (Value, Vec<Value>) {
    let dashboard: Value = serde_json::from_str(&page("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    (dashboard, panels)
}

/// Every expression, with what Grafana puts in.
fn expressions(panels: &[Value]) -> Vec<String> {
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m")).collect()
}

#[test]
fn its_expressions_are_promql_of_metrics_that_are_there() {
    let (_, panels) = panels();
    let expressions = expressions(&panels);
    assert!(expressions.len() > 30, "{}", expressions.len());
    let rules = |expressions: &[String]| {
        let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
        for (number, expression) in expressions.iter().enumerate() {
            writeln!(rules, "      - {{record: \"panel:{number}\", expr: {}}}", json!(expression)).unwrap();
        }
        rules
    };
    promtool(&["check", "rules"], &rules(&expressions)).exits(0);
    promtool(&["check", "rules"], &rules(&["max by (kind (sprongus_runs_due)".to_owned()])).exits(1);
    let (queryable, _) = existing();
    let used: BTreeSet<String> = expressions.iter().flat_map(|expression| names(expression)).collect();
    let unknown: Vec<_> = used.iter().filter(|name| !queryable.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn its_variables_ask_for_labels_that_are_there() {
    let (dashboard, _) = panels();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&json!("datasource"), &json!("datasource")));
    let (queryable, _) = existing();
    let queries: Vec<&str> =
        variables.iter().filter_map(|variable| variable["query"]["query"].as_str()).collect();
    assert_eq!(queries.len(), 3);
    assert!(
        queries.iter().flat_map(|query| names(query)).all(|name| queryable.contains(&name)),
        "{queries:?}"
    );
    let declared: BTreeSet<&str> =
        variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    let used = regex::Regex::new(r"\$\{?(\w+)").unwrap();
    let text = page("grafana.json");
    let used: BTreeSet<&str> =
        used.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
    let grafanas_own = ["__all", "__rate_interval"];
    let unknown: Vec<_> =
        used.iter().filter(|name| !declared.contains(*name) && !grafanas_own.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn its_panels_are_whole_and_lie_beside_each_other() {
    let (dashboard, panels) = panels();
    assert!(
        dashboard["id"].is_null() && dashboard["uid"] == "sprongus" && dashboard["schemaVersion"].is_u64()
    );
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: an id twice");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24 && at("h") > 0, "{title} leaves the grid");
        for place in
            (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(place), "{title} lies on another");
        }
        if panel["type"] == "row" {
            continue;
        }
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        assert_eq!(panel["datasource"], source, "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(
            !targets.is_empty() && targets.iter().all(|target| target["datasource"] == source),
            "{title}"
        );
        let names: BTreeSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), targets.len(), "{title}: a query's name twice");
    }
}
