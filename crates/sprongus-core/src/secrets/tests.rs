use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use serde_json::json;

use super::*;
use crate::json::tests::any_value;

const AWS: &str = "AKIAIOSFODNN7EXAMPLE";

#[track_caller]
fn found(value: &Value) -> Vec<(String, &'static str)> {
    let findings = find(value);
    assert!(findings.is_empty() || may_hold_secret(&value.to_string()), "the prefilter missed {value}");
    findings.into_iter().map(|finding| (finding.pointer, finding.rule)).collect()
}

#[track_caller]
fn one(value: &Value, pointer: &str, rule: &str) {
    assert_eq!(
        found(value),
        [(pointer.to_owned(), rule)].map(|(p, r)| (
            p,
            RULES
                .iter()
                .map(|rule| rule.name)
                .chain([CREDENTIAL_NAME])
                .find(|name| *name == r)
                .expect("a rule")
        )),
        "{value}"
    );
}

/// Samples are put together here, so that no scanner takes this file for a leak.
pub(crate) fn samples() -> Vec<(&'static str, String)> {
    let letters = |count: usize| "aB3dE5gH7j".chars().cycle().take(count).collect::<String>();
    vec![
        ("aws_access_key_id", format!("ASIA{}", "Z7".repeat(8))),
        ("github_token", format!("ghp_{}", letters(36))),
        ("github_token", format!("gho_{}", letters(36))),
        ("github_token", format!("github_pat_{}", letters(82))),
        ("gitlab_token", format!("glpat-{}", letters(20))),
        ("slack_token", format!("xoxb-{}", "1234567890-".repeat(2))),
        ("slack_token", format!("https://hooks.slack.com/services/T00000000/B00000000/{}", letters(24))),
        ("stripe_key", format!("sk_live_{}", letters(24))),
        ("stripe_key", format!("rk_live_{}", letters(24))),
        ("ai_provider_key", format!("sk-{}", letters(48))),
        ("ai_provider_key", format!("sk-proj-{}-_{}", letters(20), letters(20))),
        ("ai_provider_key", format!("sk-ant-api03-{}", letters(80))),
        ("google_key", format!("AIza{}", letters(35))),
        ("registry_token", format!("npm_{}", letters(36))),
        ("registry_token", format!("hf_{}", letters(34))),
        ("service_token", format!("SG.{}.{}", letters(22), letters(43))),
        ("sprongus_token", crate::workspace::token::TokenSecret::generate().unwrap().expose().to_owned()),
        ("jwt", format!("eyJ{}.eyJ{}.{}", letters(20), letters(30), letters(43))),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----".to_owned()),
        ("private_key", "-----BEGIN PRIVATE KEY-----\nMIIE".to_owned()),
        ("bearer_token", format!("Authorization: Bearer {}", letters(24))),
        ("basic_auth", "Authorization: Basic dXNlcjpwYXNz".to_owned()),
        ("url_password", "postgres://app:hunter2@db.example:5432/app".to_owned()),
        ("url_password", "redis://:hunter2@cache".to_owned()),
        ("url_password", "://:x@".to_owned()),
        ("url_query", format!("https://api.example/v1?access_token={}", letters(20))),
        ("assigned_credential", "export API_KEY=abcd1234efgh".to_owned()),
        ("assigned_credential", "passwort='geheim1'".to_owned()),
        ("assigned_credential", format!("AccountName=x;AccountKey={}", letters(40))),
        ("connection_password", "Server=x;User=sa;Password=geheim;".to_owned()),
        ("command_password", "mysqldump -u root -phunter shop".to_owned()),
        ("command_password", "sshpass -p hunter ssh web".to_owned()),
        ("command_password", "curl -s -u 'ada:hunter' https://example.com".to_owned()),
    ]
}

#[test]
fn the_table_is_sound() {
    assert_eq!(RULE_REGEXES.len(), RULES.len());
    for (rule, regex) in RULES.iter().zip(RULE_REGEXES.iter()) {
        assert_eq!(regex.captures_len(), 2, "{}: one group, the secret", rule.name);
        // What Postgres reads otherwise or not at all.
        for foreign in [r"\b", r"\B", "(?i", "(?P", "(?=", "(?!", r"\p", "*?", "+?"] {
            assert!(!rule.regex.contains(foreign), "{}: {foreign}", rule.name);
        }
        assert!(samples().iter().any(|(name, _)| *name == rule.name), "{} has no sample", rule.name);
        assert!(
            !rule.description.is_empty() && rule.name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
        );
    }
}

#[test]
fn every_shape_is_found_by_its_own_rule() {
    for (rule, secret) in samples() {
        one(&json!({"note": format!("see {secret} there")}), "/note", rule);
    }
}

#[test]
fn credentials_are_found_by_name() {
    for key in [
        "password",
        "PASSWORD",
        "Passwd",
        "db_password",
        "dbPassword",
        "userpassword",
        "password2",
        "pwd",
        "secret",
        "client_secret",
        "clientSecret",
        "api_key",
        "apiKey",
        "api-key",
        "APIKey",
        "API_KEY",
        "x-api-key",
        "token",
        "githubToken",
        "GITHUB_TOKEN_2",
        "access_token",
        "authorization",
        "Authorization",
        "private_key",
        "privateKey",
        "credentials",
        "passphrase",
        "p-a-s-s-w-o-r-d",
        "pAsSwOrD",
        "t_o_k_e_n",
        "aws.secret.access.key",
    ] {
        one(&json!({"a": [{key: "x1"}]}), &format!("/a/0/{key}"), CREDENTIAL_NAME);
        one(&json!({key: 1234}), &format!("/{key}"), CREDENTIAL_NAME);
    }
    one(&json!({"password": ["hunter2"]}), "/password/0", CREDENTIAL_NAME);
    one(&json!({"env": [{"name": "API_KEY", "value": "x1"}]}), "/env/0/value", CREDENTIAL_NAME);
}

#[test]
fn harmless_input_passes() {
    for harmless in [
        json!({"tokens": 5, "max_tokens": 4096, "maxTokens": 1, "token_count": 3, "tokensIn": 7, "tokens_out": 9}),
        json!({"passwordPolicy": {"min": 8}, "secret": {}, "token": null, "password": true, "apiKey": ""}),
        json!({"nextPageToken": "abc", "stop_token": "</s>", "cost_per_token": 0.25, "secret_name": "db"}),
        json!({"password": "secret://env/DB_PASSWORD", "api_key": "secret://file/openai.key"}),
        json!({"env": [{"name": "API_KEY", "value": "secret://env/API_KEY"}, {"name": "HOME", "value": "/root"}]}),
        json!({"tokens": ["the", "cat", "sat"], "passwords": 3, "key": "value", "primary_key": "id", "author": "Ann"}),
        json!({"url": "https://example.com:8080/a@b?page=2", "ssh": "git@github.com:a/b.git", "id": "018f-aa:bb@x"}),
        json!({"text": "The bearer of this password said: token risk-based-assessment-of-components, Basic English"}),
        json!({"id": "0190a5f2-7f3c-7c3e-9a54-0f2f4c9d1c11", "sha": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}),
        json!({"image": STANDARD.encode([7_u8; 3000]), "path": "/usr/local/share/applications/firefox"}),
        json!({"code": "login(password=config.password1, api_key=os.environ['KEY1'])", "shell": "password=$PASS1 token=abc"}),
        json!({"env": "PASSWORD_FILE=/run/secrets/db1 API_KEY=<your key 1> password=secret://env/DB1", "sql": "mysql -p shop"}),
        json!({"nested": "{\"tokens\": 5}", "base64": STANDARD.encode("{\"max_tokens\": 4096, \"a\": \"b\"}")}),
    ] {
        assert_eq!(found(&harmless), [], "{harmless}");
    }
}

#[test]
fn secrets_are_found_where_they_hide() {
    let object = json!({"password": "hunter2"}).to_string();
    one(&json!({"body": object}), "/body", CREDENTIAL_NAME);
    one(&json!({"body": json!(object).to_string()}), "/body", CREDENTIAL_NAME);
    one(&json!({"body": STANDARD.encode(&object)}), "/body", CREDENTIAL_NAME);
    one(&json!({"body": URL_SAFE.encode(format!("???{AWS}>>>"))}), "/body", "aws_access_key_id");
    one(&json!({"body": STANDARD.encode(STANDARD.encode(AWS))}), "/body", "aws_access_key_id");
    one(
        &json!({"body": format!("data:text/plain;base64,{}", STANDARD_NO_PAD.encode(AWS))}),
        "/body",
        "aws_access_key_id",
    );
    one(&json!({"body": format!("/tmp/{}", STANDARD.encode(AWS))}), "/body", "aws_access_key_id");
    one(
        &json!({"body": STANDARD.encode([b"\xff\xfe", AWS.as_bytes()].concat())}),
        "/body",
        "aws_access_key_id",
    );
    let wrapped: Vec<_> = STANDARD
        .encode(AWS)
        .as_bytes()
        .chunks(8)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    one(&json!({"body": wrapped.join("\r\n")}), "/body", "aws_access_key_id");
    one(&json!({"parts": [1, "see AKIAIOSF", "ODNN7EXAMPLE", "."]}), "/parts", "aws_access_key_id");
    one(
        &json!({"parts": [STANDARD.encode(AWS)[..9], STANDARD.encode(AWS)[9..]]}),
        "/parts",
        "aws_access_key_id",
    );
    assert_eq!(found(&json!({"parts": ["AKIAIOSF", 1, "ODNN7EXAMPLE"]})), []);
    one(&json!({"parts": ["a", AWS, "b"]}), "/parts/1", "aws_access_key_id");
    one(&json!({"p\na\tssword": "hunter2"}), "/p\na\tssword", CREDENTIAL_NAME);
    // A duplicate key, text after the document and a syntax error hide nothing.
    one(&json!({"body": r#"{"password":"hunter2","password":""}"#}), "/body", CREDENTIAL_NAME);
    one(&json!({"body": r#"{"password":"hunter2"} and so on"#}), "/body", CREDENTIAL_NAME);
    one(&json!({"body": r#"{"\u0070assword":"hunter2", oops"#}), "/body", CREDENTIAL_NAME);
}

#[test]
fn decoding_ends_after_two_levels() {
    let thrice = STANDARD.encode(STANDARD.encode(STANDARD.encode(AWS)));
    assert_eq!(found(&json!({"body": thrice})), []);
}

#[test]
fn a_pointer_never_repeats_a_secret() {
    one(&json!({"a": {AWS: 1}}), "/a", "aws_access_key_id");
    assert_eq!(
        found(&json!({"a": {AWS: {"password": "x1"}}})),
        [("/a".to_owned(), "aws_access_key_id"), ("/a".to_owned(), CREDENTIAL_NAME)]
    );
    one(&json!({"x": {"hunter/2": {"password": "hunter/2"}}}), "/x", CREDENTIAL_NAME);
    one(&json!({"a/b~": {"password": "x1"}}), "/a~1b~0/password", CREDENTIAL_NAME);
    one(&json!({"a": {"k".repeat(2000): {"password": "x1"}}}), "/a", CREDENTIAL_NAME);
}

#[test]
fn findings_are_limited() {
    let many: Vec<_> = (0..10_000).map(|_| json!({"password": "hunter2"})).collect();
    assert_eq!(find(&Value::from(many)).len(), MAX_FINDINGS);
}

#[test]
fn references_are_exact() {
    assert_eq!(SecretRef::parse("secret://env/OPENAI_API_KEY"), Some(SecretRef::Env("OPENAI_API_KEY")));
    assert_eq!(SecretRef::parse("secret://file/tls.key-1"), Some(SecretRef::File("tls.key-1")));
    assert_eq!(SecretRef::Env("A").name(), "A");
    let long = format!("secret://env/{}", "A".repeat(129));
    for wrong in [
        "",
        "secret://",
        "secret://env/",
        "secret://env/1A",
        "secret://env/A B",
        "secret://env/A\n",
        " secret://env/A",
        "secret://file/../../etc/passwd",
        "secret://file/a/b",
        "secret://file/.ssh",
        "secret://file/-x",
        "secret://vault/a",
        "Secret://env/A",
        "secret://env/Ä",
        "x secret://env/A",
        &long,
    ] {
        assert!(!is_reference(wrong), "{wrong}");
    }
    // Somebody who pastes the secret where its name belongs is told so.
    one(&json!({"a": format!("secret://env/{AWS}")}), "/a", "aws_access_key_id");
}

#[test]
fn clean_input_passes_the_prefilter() {
    let clean =
        json!({"episode": 3, "title": "A quiet\n\"evening\"", "scene": {"mood": "calm", "shots": 12}});
    assert!(!may_hold_secret(&clean.to_string()));
}

/// A value with `secret` put in at a random place.
fn plant(tree: Value, at: &[Index], secret: Value) -> Value {
    let Some((first, rest)) = at.split_first() else { return secret };
    match tree {
        Value::Array(mut items) if !items.is_empty() => {
            let index = first.index(items.len());
            let item = std::mem::take(&mut items[index]);
            items[index] = plant(item, rest, secret);
            Value::Array(items)
        }
        Value::Object(mut members) if !members.is_empty() => {
            let key = members.keys().nth(first.index(members.len())).expect("in range").clone();
            let member = members.remove(&key).unwrap_or_default();
            members.insert(key, plant(member, rest, secret));
            Value::Object(members)
        }
        leaf @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            json!([leaf, secret])
        }
    }
}

/// Text that matches a rule, and text of the samples.
fn any_secret() -> impl Strategy<Value = String> {
    let word = [r"(?:^|[^A-Za-z0-9]|\\[a-z])", "(?:^|[^A-Za-z0-9])"];
    let bare = |regex: &'static str| word.iter().find_map(|word| regex.strip_prefix(word)).unwrap_or(regex);
    let shapes = RULES.iter().map(|rule| bare(rule.regex));
    let shapes: Vec<_> = shapes.map(|regex| string_regex(regex).expect("a regex").boxed()).collect();
    let samples: Vec<_> = samples().into_iter().map(|(_, sample)| sample).collect();
    prop_oneof![proptest::strategy::Union::new(shapes), select(samples)]
}

fn wrap(secret: &str, how: u8) -> Value {
    let json = |text: &str| json!({"k": [text]}).to_string();
    Value::from(match how {
        0 => secret.to_owned(),
        1 => format!("before {secret}"),
        2 => json(secret),
        3 => STANDARD.encode(format!("{secret} and more text")),
        4 => URL_SAFE.encode(json(secret)),
        5 => json(&STANDARD.encode(format!("  {secret}   and more text"))),
        6 => json(&json(secret)),
        7 => {
            let half = secret.floor_char_boundary(secret.len() / 2);
            return json!([[&secret[..half], &secret[half..]]]);
        }
        8 => return json!({ secret: 1 }),
        _ => return json!({"db_password": secret}),
    })
}

proptest! {
    #[test]
    fn a_planted_secret_is_found_and_not_repeated(
        tree in any_value(), at in prop::collection::vec(any::<Index>(), 0..5), secret in any_secret(), how in 0u8..10,
    ) {
        let planted = plant(tree, &at, wrap(&secret, how));
        let findings = find(&planted);
        prop_assert!(!findings.is_empty(), "missed in {planted}");
        prop_assert!(findings.iter().all(|finding| !finding.pointer.contains(&escape(&secret))), "{findings:?}");
        prop_assert!(may_hold_secret(&planted.to_string()));
        prop_assert!(may_hold_secret(&serde_json::to_string_pretty(&planted).unwrap()));
    }

    #[test]
    fn the_prefilter_misses_nothing(
        text in r#"([{}:,"\\nrtu/ -]|pass|word|PWD|sec|ret|to|ken|_|api|key|"key":|"value":|"x"|12|cGFz|ODNN7|AKIA|://a:b@){0,24}"#,
        how in 0u8..9,
    ) {
        for value in [json!({"a": &text}), json!({&text: "x"}), wrap(&text, how), json!({"name": &text, "value": 1})] {
            let raw = value.to_string();
            prop_assert!(find(&value).is_empty() || may_hold_secret(&raw), "missed in {raw}");
        }
        if let Ok(value) = crate::json::parse_value(text.as_bytes()) {
            prop_assert!(find(&value).is_empty() || may_hold_secret(&text), "missed in {text}");
        }
    }

    #[test]
    fn a_match_always_holds_a_keyword(secret in any_secret()) {
        prop_assert!(holds_keyword(&secret), "{secret}");
    }

    #[test]
    fn arbitrary_trees_never_panic(value in any_value()) {
        let findings = find(&value);
        prop_assert!(findings.is_empty() || may_hold_secret(&value.to_string()));
    }

    #[test]
    fn names_of_any_shape_are_judged_without_panic(name in any::<String>(), prefix in "[a-z_]{0,300}") {
        let _ = is_credential_name(&name);
        let end = name.replace(|c: char| c.is_ascii_alphabetic(), "");
        let name = format!("{prefix}_password{end}");
        prop_assert!(is_credential_name(&name));
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}
