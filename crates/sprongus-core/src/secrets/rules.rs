//! The shapes of secrets: one table, from which other places (a Postgres function, documents) are generated.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// A shape that a secret has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The rule's name, as findings report it.
    pub name: &'static str,
    /// What it finds, in words.
    pub description: &'static str,
    /// The shape, in what the regular expressions of Rust and Postgres have in common, case-sensitive. Its only
    /// capturing group is the secret itself; what stands around it may be shown.
    pub regex: &'static str,
    /// Every match holds one of these, letter for letter, which makes clean text cheap to pass.
    pub keywords: &'static [&'static str],
}

const fn rule(
    name: &'static str,
    description: &'static str,
    regex: &'static str,
    keywords: &'static [&'static str],
) -> Rule {
    Rule { name, description, regex, keywords }
}

/// Every shape. Where a shape is too common to stand alone, it must begin a word; the `\\[a-z]` before some accepts
/// an escaped line feed or tab there, as in JSON within a log line.
pub const RULES: &[Rule] = &[
    rule("aws_access_key_id", "AWS access key id", r"((?:AKIA|ASIA)[A-Z0-9]{16})", &["AKIA", "ASIA"]),
    rule(
        "github_token",
        "GitHub token",
        r"(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
        &["gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_"],
    ),
    rule(
        "gitlab_token",
        "GitLab token",
        r"(gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20,})",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"],
    ),
    rule(
        "slack_token",
        "Slack token or webhook address",
        r"(xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,})",
        &["xox", "xapp-", "hooks.slack.com"],
    ),
    rule(
        "stripe_key",
        "Stripe secret key, restricted key or webhook secret",
        r"([rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,})",
        &["k_live_", "k_test_", "whsec_"],
    ),
    rule(
        "ai_provider_key",
        "API key of OpenAI, Anthropic or another model provider",
        r"(?:^|[^A-Za-z0-9]|\\[a-z])(sk-(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20,})",
        &["sk-"],
    ),
    rule(
        "google_key",
        "Google API key, OAuth token or client secret",
        r"(?:^|[^A-Za-z0-9]|\\[a-z])(AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,})",
        &["AIza", "GOCSPX-", "ya29."],
    ),
    rule(
        "registry_token",
        "token of npm, PyPI, Docker or Hugging Face",
        r"(?:^|[^A-Za-z0-9]|\\[a-z])(npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|dckr_pat_[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,})",
        &["npm_", "pypi-", "dckr_pat_", "hf_"],
    ),
    rule(
        "service_token",
        "token of SendGrid, DigitalOcean, Shopify, Vault or Linear, or an age key",
        r"(SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|do[opr]_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|hv[sbr]\.[A-Za-z0-9_-]{24,}|lin_api_[A-Za-z0-9]{32,}|AGE-SECRET-KEY-1[A-Z0-9]{58})",
        &[
            "SG.",
            "_v1_",
            "shpat_",
            "shpca_",
            "shppa_",
            "shpss_",
            "hvs.",
            "hvb.",
            "hvr.",
            "lin_api_",
            "AGE-SECRET-KEY-1",
        ],
    ),
    rule("sprongus_token", "Sprongus API token", r"(spr_[0-9a-f]{32,})", &["spr_"]),
    rule(
        "jwt",
        "JSON Web Token",
        r"(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)",
        &["eyJ"],
    ),
    rule(
        "private_key",
        "private key in PEM",
        r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)",
        &["-----BEGIN "],
    ),
    rule(
        "bearer_token",
        "bearer token in an HTTP header",
        r"(?:[Bb]earer|BEARER)[ +]+([A-Za-z0-9._~+/=-]{20,})",
        &["bearer", "Bearer", "BEARER"],
    ),
    rule(
        "basic_auth",
        "user and password in an HTTP header",
        r"uthorization[^A-Za-z0-9]{1,8}[Bb]asic +([A-Za-z0-9+/=_-]{8,})",
        &["uthorization"],
    ),
    rule(
        "url_password",
        "password in a URL",
        r#"://[^][:space:]/?#:@"'<>]*:((?:[^][:space:]/?#@"'<>$]|\$[^][:space:]/?#@"'<>{(])[^][:space:]/?#@"'<>]*)@"#,
        &["://"],
    ),
    rule(
        "url_query",
        "credential in the query of a URL",
        r"[?&](?:access_token|api_key|apikey|client_secret)=([A-Za-z0-9._~%+/=-]{12,})",
        &["access_token=", "api_key=", "apikey=", "client_secret="],
    ),
    rule(
        "assigned_credential",
        "credential assigned in text",
        r#"(?:[Pp]assword|PASSWORD|[Pp]asswd|PASSWD|[Pp]asswort|PASSWORT|[Pp]assphrase|PASSPHRASE|[Aa]pi[_-]?[Kk]ey|API[_-]?KEY|[Ss]ecret[_-]?[Kk]ey|SECRET[_-]?KEY|[Aa]ccess[_-]?[Kk]ey|ACCESS[_-]?KEY|[Aa]ccount[_-]?[Kk]ey|[Aa]ccess[_-]?[Tt]oken|ACCESS[_-]?TOKEN|[Aa]uth[_-]?[Tt]oken|AUTH[_-]?TOKEN|[Cc]lient[_-]?[Ss]ecret|CLIENT[_-]?SECRET) ?= ?["']?([0-9][^]\[[:space:]"'<>${}()*;&,|:.\\]{3,}|[^]\[[:space:]0-9"'<>${}()*;&,|:./~\\](?:[^]\[[:space:]0-9"'<>${}()*;&,|:.\\]?[0-9][^]\[[:space:]"'<>${}()*;&,|:.\\]{2,}|[^]\[[:space:]0-9"'<>${}()*;&,|:.\\]{2,}[0-9][^]\[[:space:]"'<>${}()*;&,|:.\\]*))"#,
        &[
            "assword",
            "ASSWORD",
            "asswd",
            "ASSWD",
            "asswort",
            "ASSWORT",
            "assphrase",
            "ASSPHRASE",
            "pi_key",
            "pi-key",
            "pi_Key",
            "pi-Key",
            "pikey",
            "piKey",
            "API_KEY",
            "API-KEY",
            "APIKEY",
            "ecret",
            "SECRET",
            "ccess",
            "ACCESS",
            "ccount",
            "uth",
            "AUTH",
            "lient",
            "CLIENT",
        ],
    ),
    rule(
        "connection_password",
        "password in a connection string",
        r#"; ?(?:[Pp]assword|PASSWORD|[Pp]wd|PWD) ?= ?["']?([^]\[[:space:]"'<>${}()*;&,|:./~\\][^]\[[:space:]"'<>${}()*;&,|:.\\]{2,})"#,
        &["assword", "PASSWORD", "wd", "PWD"],
    ),
    rule(
        "command_password",
        "password in command arguments",
        r#"(?:^|[^A-Za-z0-9])(?:(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)(?: +[^][:space:];|&]+)* +-p|sshpass +-p *|redis-cli(?: +[^][:space:];|&]+)* +-a +|curl(?: +[^][:space:];|&]+)* +(?:-u *|--user[ =]+)["']?[^][:space:]:"'$]+:)["']?([^]\[[:space:]"'<>${}()*;&,|\\]{3,})"#,
        &["mysql", "mariadb", "sshpass", "redis-cli", "curl"],
    ),
];

static SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(RULES.iter().map(|rule| rule.regex)).ok());

/// The expressions of [`RULES`], in the same order. A test holds that none is missing.
pub(crate) static RULE_REGEXES: LazyLock<Vec<Regex>> =
    LazyLock::new(|| RULES.iter().filter_map(|rule| Regex::new(rule.regex).ok()).collect());

static KEYWORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words: Vec<_> = RULES.iter().flat_map(|rule| rule.keywords).map(|word| regex::escape(word)).collect();
    Regex::new(&words.join("|")).ok()
});

/// Whether `text` holds a keyword of any rule. Without one it matches no rule.
pub(crate) fn holds_keyword(text: &str) -> bool {
    KEYWORDS.as_ref().is_none_or(|keywords| keywords.is_match(text))
}

/// The indices of the rules that `text` matches.
pub(crate) fn matching_rules(text: &str) -> Vec<usize> {
    if !holds_keyword(text) {
        return Vec::new();
    }
    SET.as_ref().map_or_else(Vec::new, |set| set.matches(text).into_iter().collect())
}

/// The first rule that `text` matches.
pub(super) fn first_match(text: &str) -> Option<&'static str> {
    let index = *matching_rules(text).first()?;
    RULES.get(index).map(|rule| rule.name)
}
