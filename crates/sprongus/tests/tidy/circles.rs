//! No circle between files: whoever reads a file top to bottom needs no file that needs this one. A file and those in its own folder may
//! know each other.

use std::collections::{BTreeMap, BTreeSet};

/// The files of a crate by the path of their module, each with the modules that it names.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The circles among the files of each crate.
pub fn circles(sources: &[(String, String)]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(String, String, &str)>> = BTreeMap::new();
    for (name, text) in sources {
        let Some((root, path)) = name.split_once("/src/") else { continue };
        if path.contains("tests/") || path.ends_with("tests.rs") {
            continue;
        }
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        crates.entry(root).or_default().push((module, name.clone(), text));
    }
    let mut found = Vec::new();
    for files in crates.values() {
        let modules: BTreeSet<&str> = files.iter().map(|(module, ..)| module.as_str()).collect();
        let imports: Imports =
            files.iter().map(|(module, _, text)| (module.clone(), targets(module, text, &modules))).collect();
        let names: BTreeMap<&str, &str> =
            files.iter().map(|(module, name, _)| (module.as_str(), name.as_str())).collect();
        let mut reported = BTreeSet::new();
        for start in imports.keys() {
            if reported.contains(start.as_str()) {
                continue;
            }
            if let Some(circle) = back_to(start, &imports) {
                reported.extend(circle.iter().copied());
                let files: Vec<&str> =
                    circle.iter().filter_map(|module| names.get(module).copied()).collect();
                found.push(files.join(" → "));
            }
        }
    }
    found
}

/// The shortest way from a file back to itself, if there is one.
fn back_to<'a>(start: &'a str, imports: &'a Imports) -> Option<Vec<&'a str>> {
    let mut ways: Vec<Vec<&str>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
        let last = way[way.len() - 1];
        for next in imports.get(last).into_iter().flatten() {
            let on = || way.iter().copied().chain([next.as_str()]).collect();
            if next == start {
                return Some(on());
            }
            if seen.insert(next.as_str()) {
                ways.push(on());
            }
        }
    }
    None
}

/// The other files of its crate that a file names, but for its parents and its children.
fn targets(module: &str, text: &str, modules: &BTreeSet<&str>) -> BTreeSet<String> {
    let is_kin = |other: &str| {
        let below = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        below(other, module) || below(module, other)
    };
    let mut found = BTreeSet::new();
    for path in named(module, text) {
        let parts: Vec<&str> = path.split("::").collect();
        let nearest = (1..=parts.len()).rev().map(|length| parts[..length].join("::"));
        if let Some(other) = nearest.into_iter().find(|path| modules.contains(path.as_str()))
            && !is_kin(&other)
        {
            found.insert(other);
        }
    }
    found
}

/// Every path below the crate's root that a file names, absolute.
fn named(module: &str, text: &str) -> Vec<String> {
    let code: String = text
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
        .collect();
    let own: Vec<&str> =
        if matches!(module, "lib" | "main") { Vec::new() } else { module.split("::").collect() };
    let mut paths = Vec::new();
    for statement in code.split(';') {
        if let Some((_, tree)) = statement.rsplit_once("use ") {
            spread(tree.trim(), String::new(), &mut paths);
        }
        for root in ["crate::", "super::"] {
            for (at, _) in statement.match_indices(root) {
                let path = &statement[at..];
                let end =
                    path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(path.len());
                paths.push(path[..end].trim_end_matches(':').to_owned());
            }
        }
    }
    let absolute = |path: String| {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut from = own.clone();
        match parts.first().copied() {
            Some("crate") => from.clear(),
            Some("super") => {
                while parts.first() == Some(&"super") {
                    parts.remove(0);
                    from.pop();
                }
                return from.into_iter().chain(parts).collect::<Vec<_>>().join("::");
            }
            Some("self") => {}
            Some(_) | None => return from.into_iter().chain(parts).collect::<Vec<_>>().join("::"),
        }
        from.into_iter().chain(parts.into_iter().skip(1)).collect::<Vec<_>>().join("::")
    };
    paths.into_iter().map(absolute).collect()
}

/// The paths of `a::{b, c::{d, e}}`.
fn spread(tree: &str, before: String, paths: &mut Vec<String>) {
    let Some((path, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        paths.push(before + path);
        return;
    };
    let before = before + path.trim();
    let inner = inner.trim_end().trim_end_matches('}');
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = inner[from..at].trim();
                if !item.is_empty() {
                    spread(item, before.clone(), paths);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn a_circle_is_found_through_braces_and_parents() {
    let file = |name: &str, text: &str| (format!("crates/x/src/{name}"), text.to_owned());
    let sources = [
        file("a.rs", "use crate::{b::{B, C}, d};"),
        file("b.rs", "pub mod inner;\nuse inner::D;"),
        file("b/inner.rs", "use super::B;\nfn f() { crate::c::g() }"),
        file("c.rs", "fn g(_: crate::d::E) {}"),
        file("d.rs", "// use crate::a;\nuse std::a;"),
    ];
    assert_eq!(circles(&sources), Vec::<String>::new());
    let mut circular = sources.to_vec();
    circular[4].1.push_str("\nuse super::a::A;");
    assert_eq!(circles(&circular), ["crates/x/src/a.rs → crates/x/src/d.rs → crates/x/src/a.rs"]);
}
