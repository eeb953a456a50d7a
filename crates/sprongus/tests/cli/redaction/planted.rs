//! What is planted: secrets of every known shape, each with the same unmistakable word in it, and what is private though it has no shape.

use super::Out;
use crate::sandbox::Done;

/// Stands in every secret.
pub const SECRET: &str = "PLANTED";

/// Stands in the token of our own, which has hexadecimal digits alone.
pub const TOKEN: &str = "9e1a97ed";

/// Stands in what an input may hold and nobody should log.
pub const PRIVATE: &str = "pr1v4te";

/// A telephone number, which an input may hold too.
pub const PHONE: &str = "5550 123 4567";

/// Kinds that talk of what they are given.
pub const KINDS: [&str; 4] = ["prints", "fails", "outputs", "asks"];

/// What talks. A shell's own quotes keep the shapes apart from each other.
pub const DECLARATION: &str = r#"
[server]
rate_limit = "off"
[kinds.prints]
secrets = ["env/HOOK_PASSWORD", "file/pin"]
command = ["sh", "-c", "cat; cat >&2 < $SPRONGUS_INPUT; env; echo mail jane.pr1v4te@example.org sk-proj-PLANTED0000000000000004 password=PLANTED-printed"]
[kinds.fails]
secrets = ["env/HOOK_PASSWORD", "file/pin"]
max_attempts = 1
command = ["sh", "-c", "cat >&2; echo 'Authorization: Bearer PLANTED-of-a-command-00001' >&2; exit 1"]
[kinds.outputs]
secrets = ["env/HOOK_PASSWORD", "file/pin"]
command = ["sh", "-c", "input=$(cat); echo \"result={\\\"got\\\": $input}\" > $SPRONGUS_OUTPUT; echo \"output_ref=$input\" >> $SPRONGUS_OUTPUT"]
[kinds.asks]
secrets = ["env/HOOK_PASSWORD", "file/pin"]
max_attempts = 1
[[kinds.asks.steps]]
phase = "execution"
name = "ask"
type = "ai_action"
provider = "away"
prompt = "{{ input.hook }}"
timeout = "5s"
[providers.away]
base_url = "http://127.0.0.1:9/v1"
model = "m"
api_key = "secret://env/OPENAI_API_KEY"
"#;

/// A secret of each shape, by its name.
pub fn secrets() -> Vec<(&'static str, String)> {
    let plain = |name, text: &str| (name, text.to_owned());
    vec![
        plain("model key", "sk-proj-PLANTED0000000000000001"),
        plain("github", "ghp_PLANTED00000000000000000000000000001"),
        plain("aws", "AKIAPLANTED000000001"),
        plain("jwt", "eyJPLANTEDaaaa.eyJPLANTEDbbbb.PLANTED"),
        plain("assigned", "password=PLANTED-assigned"),
        plain("database", "postgres://ada:PLANTED-url@db.example/runs"),
        plain("bearer", "Authorization: Bearer PLANTED-bearer-0000000001"),
        plain("basic", "Authorization: Basic PLANTEDxxxxxxxx"),
        plain("own token", "spr_9e1a97ed9e1a97ed9e1a97ed9e1a97ed9e1a97ed"),
        plain("query", "https://host/x?access_token=PLANTED0000001"),
        plain("slack", "xoxb-PLANTED-0000000001"),
        plain("address", "PLANTED.person@example.org"),
    ]
}

/// Commands that are given secrets where none belong; what they say is collected.
pub fn commands(
    out: &mut Out,
    run: impl Fn(&[&str]) -> Done,
    run_with: impl Fn(&[&str], &str, &str) -> Done,
) {
    for (name, secret) in secrets() {
        let typed: [&[&str]; 9] = [
            &["runs", "status", &secret],
            &["runs", "enqueue", &secret],
            &["runs", "enqueue", "a", "--input", &format!("{{\"x\": \"{secret}\"}}")],
            &["runs", "enqueue", "a", "--input", &format!("{{\"{secret}\": \"{secret}\", {secret}}}")],
            &["runs", "enqueue", "a", "--project", &secret],
            &["runs", "list", "--state", &secret],
            &["runs", "list", "--since", &secret],
            &["--workspace", &secret, "runs", "list"],
            &["token", "create", "--name", "x", "--scopes", &secret],
        ];
        for words in typed {
            out.done(&format!("{name}: {}", words.join(" ").replace(&secret, "…")), &run(words));
            let as_json: Vec<&str> = [&["--json"], words].concat();
            out.done(&format!("{name} as JSON: {}", words.join(" ").replace(&secret, "…")), &run(&as_json));
        }
    }
    let url = "postgres://ada:PLANTED-of-a-url@127.0.0.1:9/runs";
    for words in [&["doctor"][..], &["runs", "list"], &["--json", "doctor"], &["migrate"]] {
        out.done(
            &format!("a database that is away: {}", words.join(" ")),
            &run_with(words, "SPRONGUS_DATABASE_URL", url),
        );
        out.done(
            &format!("a database by name: {}", words.join(" ")),
            &run(&[&["--db", url], words].concat()),
        );
        out.done(
            &format!("a server by name: {}", words.join(" ")),
            &run(&[&["--remote=http://ada:PLANTED-of-a-url@127.0.0.1:9"], words].concat()),
        );
        out.done(
            &format!("a wrong token: {}", words.join(" ")),
            &run_with(
                &[&["--remote=http://127.0.0.1:9"], words].concat(),
                "SPRONGUS_TOKEN",
                "spr_9e1a97ed9e1a97ed9e1a97ed9e1a97ed9e1a97ed",
            ),
        );
        out.done(
            &format!("an artifacts' place: {}", words.join(" ")),
            &run_with(words, "SPRONGUS_ARTIFACTS", "s3://ada:PLANTED-of-a-url@kept"),
        );
    }
}
