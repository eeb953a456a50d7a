use proptest::prelude::*;
use serde_json::json;

use super::*;
use JsonFaultKind::{
    DuplicateKey, Empty, NotUtf8, Nul, Number as NumberKind, Surrogate, Syntax, TooDeep, Trailing,
};

#[track_caller]
fn canonical(text: &str) -> String {
    parse(text.as_bytes()).expect("valid").as_str().to_owned()
}

#[track_caller]
fn fault(text: impl AsRef<[u8]>) -> JsonFault {
    parse(text.as_ref()).expect_err("refused")
}

#[test]
fn equal_documents_are_equal_text() {
    assert_eq!(
        canonical(" {\"b\" : [1.0, -0.0, 1e2, 1.50],\n \"a\":null} "),
        r#"{"a":null,"b":[1,0,100,1.5]}"#
    );
    assert_eq!(canonical("-0"), "0");
    assert_eq!(canonical(r#""\u0041\/\ud83d\ude00\u001f""#), "\"A/😀\\u001f\"");
    assert_eq!(parse(b"1").unwrap(), parse(b"1.0").unwrap());
    assert_eq!(Json::from_value(json!({"n": 3.0})), parse(br#"{"n":3}"#).unwrap());
    assert_eq!(parse_value(b"[2.0]").unwrap(), json!([2]));
}

#[test]
fn numbers_keep_their_value_or_are_refused() {
    for kept in
        ["18446744073709551615", "-9223372036854775808", "9007199254740993", "0.1", "-2.5e-10", "1e+300"]
    {
        assert_eq!(canonical(kept), kept);
    }
    assert_eq!(canonical("9007199254740991.0"), "9007199254740991");
    assert_eq!(canonical("9007199254740992.0"), "9007199254740992.0");
    assert_eq!(canonical("1e-400"), "0");
    for refused in
        ["1e400", "-1e400", "18446744073709551616", "-9223372036854775809", "[1e20, 100000000000000000000]"]
    {
        assert_eq!(fault(refused).kind, NumberKind, "{refused}");
    }
    let text = "{\"a\": \"18446744073709551616 \\\" 1\",\n \"b\": 18446744073709551616}";
    let fault = fault(text);
    assert_eq!((fault.kind, fault.line, fault.column), (NumberKind, 2, 7));
    assert_eq!(canonical("[1e20,\"99999999999999999999\"]"), "[1e+20,\"99999999999999999999\"]");
    for syntax in ["NaN", "Infinity", "01", "+1", ".5", "1.", "0x1"] {
        assert!(matches!(self::fault(syntax).kind, Syntax | Trailing), "{syntax}");
    }
}

#[test]
fn what_readers_differ_on_is_refused() {
    for (text, kind) in [
        (&b""[..], Empty),
        (b" \n\t", Empty),
        (b"{", Syntax),
        (b"[1,]", Syntax),
        (b"{'a':1}", Syntax),
        (b"\"a\nb\"", Syntax),
        (b"\xef\xbb\xbf{}", Syntax),
        (b"{} x", Trailing),
        (b"{}{}", Trailing),
        (b"\"\xff\"", NotUtf8),
        (b"\"\xed\xa0\x80\"", NotUtf8),
        (b"\"\xc0\x80\"", NotUtf8),
        (br#"{"a":1,"a":1}"#, DuplicateKey),
        (br#"{"a":1,"\u0061":1}"#, DuplicateKey),
        (br#"[{"x":{"a":[{"k":1,"k":2}]}}]"#, DuplicateKey),
        (br#""a\u0000b""#, Nul),
        (br#"{"a\u0000":1}"#, Nul),
        (br#"[{"x":"\u0000"}]"#, Nul),
        (br#""\ud800""#, Surrogate),
        (br#""\udc00""#, Surrogate),
        (br#""\ud800\u0041""#, Surrogate),
        (br#"{"\ud800x":1}"#, Surrogate),
    ] {
        assert_eq!(parse(text).expect_err("refused").kind, kind, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn sixty_four_levels_are_the_limit() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(parse(objects(MAX_DEPTH).as_bytes()).is_ok());
    for text in [nested(65), objects(65), nested(100_000), objects(100_000), "[".repeat(MAX_INPUT_BYTES)] {
        let fault = fault(&text);
        assert_eq!(fault.kind, TooDeep);
        assert!(fault.to_string().contains("nested deeper than 64 levels"), "{fault}");
    }
}

#[test]
fn a_fault_says_what_and_where() {
    let duplicate = fault("{\n \"é\": {\"a\":1,\"a\":2}}");
    assert_eq!((duplicate.kind, duplicate.line), (DuplicateKey, 2));
    assert!((13..=17).contains(&duplicate.column), "{duplicate}");
    assert_eq!(duplicate.pointer.as_deref(), Some("/é/a"));
    assert!(duplicate.to_string().ends_with(r#": duplicate key "a""#), "{duplicate}");
    assert_eq!(fault("").to_string(), "invalid JSON: empty text");
    assert_eq!(
        fault("[1,\n 2").to_string(),
        "invalid JSON at line 2, column 2: the text ends while parsing a list"
    );
    assert_eq!(fault(b"[\"\xc3\xa9\xff\"]").to_string(), "invalid JSON at line 1, column 4: not UTF-8");
    assert_eq!(fault(r#"{"a":[1,{"b/~":"\u0000"}]}"#).pointer.as_deref(), Some("/a/1/b~1~0"));
    assert_eq!(fault("1 2").pointer, None);
}

#[test]
fn a_fault_repeats_no_secret_and_nothing_that_drives_a_terminal() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let secret = fault(format!(r#"{{"{key}":1,"{key}":2}}"#));
    assert_eq!(secret.kind, DuplicateKey);
    assert!(!format!("{secret:?}").contains("AKIA"), "{secret:?}");
    let escape = fault(r#"{"a\u001b[2J":1,"a\u001b[2J":2}"#);
    assert!(escape.detail().contains("a\\u{1b}[2J") && escape.pointer.is_none(), "{escape:?}");
    let long = "k".repeat(5000);
    let long = fault(format!(r#"{{"{long}":1,"{long}":2}}"#));
    assert!(long.to_string().len() < 140 && long.pointer.is_none(), "{long}");
}

#[test]
fn serde_carries_the_text_as_it_is_and_reads_it_strictly() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Row {
        input: Json,
    }
    let row: Row = serde_json::from_str(r#"{"input": {"b": 1.0, "a": [ ]}}"#).unwrap();
    assert_eq!(row.input.as_str(), r#"{"a":[],"b":1}"#);
    assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"input":{"a":[],"b":1}}"#);
    assert_eq!(serde_json::to_value(&row).unwrap(), json!({"input": {"a": [], "b": 1}}));
    assert_eq!(serde_json::from_value::<Row>(json!({"input": [1.0]})).unwrap().input.as_str(), "[1]");
    let refused = serde_json::from_str::<Row>(r#"{"input": {"a": 1, "a": 2}}"#).err().expect("refused");
    assert!(refused.to_string().starts_with("duplicate key \"a\""), "{refused}");
}

#[test]
fn debug_does_not_show_the_document() {
    assert_eq!(format!("{:?}", parse(br#"{"name":"Ada"}"#).unwrap()), "Json(14 bytes)");
}

#[test]
fn a_store_s_text_is_taken_as_it_is() {
    assert_eq!(Json::from_canonical("{}"), Json::empty_object());
    assert_eq!(Json::default().to_value(), json!({}));
    assert_eq!(Json::from_canonical("no json").to_value(), Value::Null);
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        (-1_000_000i32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 4.0)),
        "[^\0]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,8}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(fault) = parse(&bytes) {
            prop_assert!(fault.to_string().chars().count() < 200);
        }
    }

    #[test]
    fn arbitrary_near_json_never_panics(text in r#"([\[\]{},:"0-9eE.+ué\n-]|\\u0000|\\ud83d|"a":|null|true|1e999){0,40}"#) {
        if let Ok(json) = parse(text.as_bytes()) {
            prop_assert_eq!(parse(json.as_str().as_bytes()), Ok(json));
        }
    }

    #[test]
    fn canonical_text_is_stable(value in any_value()) {
        let json = Json::from_value(value.clone());
        prop_assert_eq!(parse(json.as_str().as_bytes()), Ok(json.clone()));
        prop_assert_eq!(&Json::from_value(json.to_value()), &json);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(parse(pretty.as_bytes()), Ok(json));
    }
}
