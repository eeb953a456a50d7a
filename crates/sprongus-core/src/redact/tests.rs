use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

mod spellings;

fn redactor(values: &[&str]) -> Redactor {
    Redactor::new(values.iter().map(|value| (*value).to_owned()))
}

#[test]
fn clean_text_is_not_copied() {
    let redactor = redactor(&["correct horse battery"]);
    for clean in
        ["", "step 3 of 7: rendered shot 12 = ok", "unexpected token: found", "a@b", "react@18.2.0", "p = 5"]
    {
        assert!(matches!(redactor.redact(clean), Cow::Borrowed(_)), "{clean}");
    }
}

#[test]
fn a_value_is_masked_in_every_form() {
    let value = "p@ss \"wörd\"/1";
    let redactor = redactor(&[value]);
    let percent = "p%40ss%20%22w%C3%B6rd%22%2F1";
    for form in [
        value.to_owned(),
        STANDARD.encode(value),
        URL_SAFE.encode(value),
        percent.to_owned(),
        percent.to_lowercase(),
        percent.replace("%20", "+"),
        serde_json::Value::from(value).to_string().trim_matches('"').to_owned() + "\"",
    ] {
        let masked = redactor.redact(&format!("got {form} here")).into_owned();
        assert!(
            masked.starts_with("got [secret]") && masked.ends_with(" here") && masked.len() < 25,
            "{masked}"
        );
    }
}

#[test]
fn a_value_is_masked_inside_longer_base64() {
    let redactor = redactor(&["hunter2hunter2"]);
    for lead in ["", "u", "us", "use", "user:"] {
        let encoded = STANDARD.encode(format!("{lead}hunter2hunter2!!!"));
        let masked = redactor.redact(&encoded).into_owned();
        assert!(masked.contains("[secret]"), "{lead}: {masked}");
    }
}

#[test]
fn lines_of_a_value_are_masked_on_their_own() {
    let redactor = redactor(&["first line of it\nab\nsecond line of it\n"]);
    assert_eq!(redactor.redact("x first line of it y"), "x [secret] y");
    assert_eq!(redactor.redact("second line of it"), "[secret]");
    assert_eq!(redactor.redact(" ab "), " [secret] ");
    assert_eq!(redactor.redact("cab ab"), "cab ab");
    assert_eq!(redactor.redact("x\n  ab\ny"), "x\n  [secret]\ny");
    assert_eq!(redactor.redact("first line of it\nab\nsecond line of it"), "[secret]");
}

#[test]
fn short_and_blank_values_are_not_masked() {
    assert_eq!(redactor(&["", " ", "abc", "\n\n"]).redact("abc abc"), "abc abc");
    assert_eq!(redactor(&["abcd\n"]).redact("<abcd>"), "<[secret]>");
}

#[test]
fn a_value_is_no_pattern() {
    let redactor = redactor(&["a.*b(["]);
    assert_eq!(redactor.redact("a.*b([ axxb"), "[secret] axxb");
}

#[test]
fn a_value_too_long_for_an_expression_is_masked_too() {
    let long: String = (0..400_000_u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
        .collect();
    let masked = redactor(&[&long]).redact(&format!("<{long}>")).into_owned();
    assert_eq!(masked, "<[secret]>");
}

#[test]
fn shapes_are_masked_and_what_is_around_them_stays() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    assert_eq!(redact(&format!("id {key}, {key}")), "id [secret], [secret]");
    assert_eq!(redact(r#"{"line":"x\nsk-aaaaaaaaaabbbbbbbbbbcccccccccc"}"#), r#"{"line":"x\n[secret]"}"#);
    assert_eq!(redact("postgres://app:hunter2@db:5432/x"), "postgres://app:[secret]@db:5432/x");
    assert_eq!(redact("Authorization: Bearer abcdefghijklmnopqrstuvwxyz"), "Authorization: Bearer [secret]");
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES\n\nMIIE\n-----END RSA PRIVATE KEY-----";
    assert_eq!(redact(&format!("a {pem} b {pem} c")), "a [secret] b [secret] c");
}

#[test]
fn every_shape_that_input_is_refused_for_is_masked() {
    for (rule, secret) in crate::secrets::tests::samples() {
        let masked = redact(&format!("see {secret} there")).into_owned();
        assert!(masked.contains(SECRET_MASK), "{rule}");
        assert_eq!(crate::secrets::find(&masked.into()), [], "{rule}");
    }
}

#[test]
fn assignments_to_credentials_are_masked() {
    assert_eq!(redact("retry with password=hunter2&x=1"), "retry with password=[secret]&x=1");
    assert_eq!(redact("API_KEY='abcd1234' run"), "API_KEY='[secret]' run");
    assert_eq!(redact(r#"{"dbPassword": "hunter2", "n": 1}"#), r#"{"dbPassword": "[secret]", "n": 1}"#);
    assert_eq!(redact(r#"{\"api_key\":\"hunter2\"}"#), r#"{\"api_key\":\"[secret]\"}"#);
    assert_eq!(
        redact(r#"{"api_key":"secret://env/KEY","tokens":"five"}"#),
        r#"{"api_key":"secret://env/KEY","tokens":"five"}"#
    );
}

#[test]
fn addresses_are_masked() {
    assert_eq!(redact("mail ada.l+x@example.co.uk now"), "mail [email] now");
    assert_eq!(redact("<jürgen@müller.de>"), "<[email]>");
    assert_eq!(redactor(&["hunter22"]).redact("hunter22@example.com"), "[secret]");
}

#[test]
fn debug_shows_no_value() {
    assert_eq!(format!("{:?}", redactor(&["hunter2", ""])), "Redactor(1 values)");
}

proptest! {
    #[test]
    fn no_value_survives(
        value in "[!-~é]{12,40}", before in "[ -~\n]{0,30}", after in "[ -~\n]{0,30}", form in 0u8..4,
    ) {
        let hidden = match form {
            0 => value.clone(),
            1 => STANDARD.encode(&value),
            2 => URL_SAFE.encode(&value),
            _ => serde_json::Value::from(value.as_str()).to_string(),
        };
        let redactor = redactor(&[&value]);
        let text = format!("{before} {hidden} {after}");
        let masked = redactor.redact(&text).into_owned();
        prop_assert!(!masked.contains(&value) && !masked.contains(hidden.trim_matches('"')), "{masked}");
        prop_assert!(masked.contains("[secret]"));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), value in any::<String>()) {
        let masked = redactor(&[&value]).redact(&text).into_owned();
        if value.trim().chars().count() >= MIN_VALUE_CHARS && !"[secret][email][secret]".contains(value.trim()) {
            prop_assert!(!masked.contains(value.trim()), "{masked}");
        }
    }
}
