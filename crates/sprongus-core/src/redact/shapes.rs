//! What looks like a secret or an e-mail address, whoever it belongs to.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::secrets::{
    CREDENTIAL_ENDINGS, CREDENTIAL_WORDS, RULE_REGEXES, RULES, is_harmless_name, is_reference, matching_rules,
};

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\w.%+-]+@(?:[\w-]+\.)+\p{L}{2,}").ok());

/// `password=…` and `"password": "…"`, with the quotes escaped or not. A mere colon is not enough: it would mask the
/// word after `unexpected token:`.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names: Vec<_> = CREDENTIAL_ENDINGS.iter().chain(CREDENTIAL_WORDS).map(|name| spaced(name)).collect();
    let quote = r#"\\{0,3}["']"#;
    Regex::new(&format!(
        r#"(?i)(?:{names})(?:{quote}[ ]?:[ ]?{quote}((?:[^"'\\]|\\[^"'])+)|(?:{quote})?=(?:{quote})?([^\s"'&;,\\]{{4,}}))"#,
        names = names.join("|"),
    ))
    .ok()
});

/// A command line on which names before an `@` are those of accounts on hosts.
static REMOTE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:^|[\s"'`/;|&(\[])(?:ssh|scp|sftp|sshfs|rsync|mosh|autossh|ssh-copy-id)["',]?\s[^;|&\n]*$"#,
    )
    .ok()
});

/// What a unit of systemd ends in: `getty@tty1.service` is no address.
const UNITS: &[&str] = &[
    "service",
    "socket",
    "timer",
    "target",
    "mount",
    "automount",
    "device",
    "slice",
    "scope",
    "path",
    "swap",
];

/// Names before an `@` that are programs' and not people's.
const ACCOUNTS: &[&str] = &["git", "hg", "svn", "root"];

/// `apikey` may be written `api_key` or `api-key` too.
fn spaced(ending: &str) -> String {
    for word in ["key", "token", "secret"] {
        if let Some(head) = ending.strip_suffix(word).filter(|head| !head.is_empty()) {
            return format!("{head}[_-]?{word}");
        }
    }
    ending.to_owned()
}

/// What has the shape of a secret.
pub(super) fn find_shapes(text: &str, found: &mut Vec<Range<usize>>) {
    for index in matching_rules(text) {
        let Some(regex) = RULE_REGEXES.get(index) else { continue };
        found.extend(
            regex.captures_iter(text).filter_map(|captures| captures.get(1)).map(|group| group.range()),
        );
    }
}

/// What is assigned to a credential's name.
pub(super) fn find_assigned(text: &str, found: &mut Vec<Range<usize>>) {
    // Two searches for one letter cost less than one for either, and every line of every log comes by here.
    if !text.contains('=') && !text.contains(':') {
        return;
    }
    let Some(regex) = ASSIGNED.as_ref() else { return };
    for captures in regex.captures_iter(text) {
        let (Some(whole), Some(value)) = (captures.get(0), captures.get(1).or_else(|| captures.get(2)))
        else {
            continue;
        };
        // A reference is no secret, and the reader of a log wants to know which it was.
        if !is_reference(value.as_str()) && !is_harmless(text, whole.start(), value.range()) {
            found.push(value.range());
        }
    }
}

/// Whether a name that ends like a credential's is another: the shell's `PWD=/srv`, or `page_token=…`.
fn is_harmless(text: &str, name: usize, value: Range<usize>) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let begin = text[..name].trim_end_matches(is_part).len();
    let end = begin + text[begin..].find(|letter| !is_part(letter)).unwrap_or(text.len() - begin);
    let name = &text[begin..end];
    matches!(name, "PWD" | "OLDPWD") && text[value].starts_with('/') || is_harmless_name(name)
}

/// The values that `text` assigns to credentials.
pub(super) fn assigned(text: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    find_assigned(text, &mut found);
    found.into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>().into_iter()
}

/// The passwords in the addresses of `text`, and a name that stands there without one.
pub(super) fn passwords(text: &str) -> impl Iterator<Item = String> {
    let rules = RULES.iter().zip(RULE_REGEXES.iter());
    let mut found: Vec<String> = rules
        .filter(|(rule, _)| rule.name == "url_password")
        .flat_map(|(_, regex)| regex.captures_iter(text))
        .filter_map(|captures| captures.get(1).map(|group| group.as_str().to_owned()))
        .collect();
    if let Some((_, rest)) = text.split_once("://")
        && let Some((account, _)) = rest.split(['/', '?', '#']).next().unwrap_or_default().rsplit_once('@')
    {
        match account.split_once(':') {
            // A password may hold what an address should have encoded.
            Some((_, password)) => found.push(password.to_owned()),
            None if account.chars().count() >= 16 => found.push(account.to_owned()),
            None => {}
        }
    }
    found.into_iter()
}

/// E-mail addresses; what only has their form is none: a git remote, a host of ssh, a unit of systemd, an address's account.
pub(super) fn find_emails(text: &str) -> Vec<Range<usize>> {
    let Some(regex) = EMAIL.as_ref().filter(|_| text.contains('@')) else { return Vec::new() };
    regex.find_iter(text).map(|found| found.range()).filter(|range| is_email(text, range)).collect()
}

fn is_email(text: &str, range: &Range<usize>) -> bool {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let Some((account, host)) = text[range.clone()].split_once('@') else { return true };
    let suffix = host.rsplit('.').next().unwrap_or_default();
    let is_path = |rest: &str| {
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        word.starts_with(['~', '/']) || word.contains('/') || word.ends_with(".git")
    };
    !(ACCOUNTS.contains(&account)
        || UNITS.contains(&suffix)
        || before.ends_with("://")
        || after.strip_prefix(':').is_some_and(is_path)
        || REMOTE.as_ref().is_some_and(|remote| remote.is_match(before)))
}
