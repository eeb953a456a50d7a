//! Values in every spelling, and in any mix of them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::super::*;
use super::redactor;

/// Every way that this knows to spell a letter.
fn ways(letter: char) -> Vec<String> {
    let mut buffer = [0; 4];
    let bytes = letter.encode_utf8(&mut buffer).as_bytes();
    let all = |spell: &dyn Fn(&u8) -> String| bytes.iter().map(spell).collect::<String>();
    let mut units = [0; 2];
    let units = letter.encode_utf16(&mut units);
    let unicode = |spell: &dyn Fn(&u16) -> String| units.iter().map(spell).collect::<String>();
    let json = serde_json::Value::from(letter.to_string()).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let code = u32::from(letter);
    let mut ways = vec![
        letter.to_string(),
        all(&|byte| format!("%{byte:02X}")),
        all(&|byte| format!("%{byte:02x}")),
        all(&|byte| format!("%25{byte:02X}")),
        all(&|byte| format!("={byte:02X}")),
        all(&|byte| format!("\\x{byte:02x}")),
        all(&|byte| format!("\\{byte:03o}")),
        unicode(&|unit| format!("\\u{unit:04x}")),
        unicode(&|unit| format!("\\u{unit:04X}")),
        unicode(&|unit| format!("\\\\u{unit:04x}")),
        format!("\\u{{{code:x}}}"),
        format!("\\x{{{code:X}}}"),
        format!("&#{code};"),
        format!("&#x{code:X};"),
        json.replace('\\', "\\\\"),
        json,
        format!("\u{1b}[1;31m{letter}\u{1b}[0m"),
    ];
    if !letter.is_alphanumeric() {
        ways.push(format!("\\{letter}"));
    }
    match letter {
        ' ' => ways.extend(["+", "' '", "' ", " '"].map(str::to_owned)),
        '"' => ways.extend(["&quot;", "\"\"", "%5C%22"].map(str::to_owned)),
        '\'' => ways.extend(["'\\''", "'\"'\"'", "''", "&apos;"].map(str::to_owned)),
        '<' => ways.push("&lt;".to_owned()),
        '>' => ways.push("&gt;".to_owned()),
        '&' => ways.extend(["&amp;", "&amp;amp;"].map(str::to_owned)),
        '$' | '%' => ways.push(format!("{letter}{letter}")),
        'ü' => ways.extend(["%FC", "\\xfc", "%u00FC", "%5Cu00fc"].map(str::to_owned)),
        _ => {}
    }
    ways
}

#[test]
fn each_letter_is_masked_in_each_spelling() {
    for letter in
        ['a', 'Z', '7', 'ü', '€', '😀', '/', '-', '"', '\'', '\\', '&', '<', '%', '+', '=', '$', '\t']
    {
        let value = format!("x9{letter}Qz");
        let redactor = redactor(&[&value]);
        for way in ways(letter) {
            let text = format!("<x9{way}Qz>");
            assert_eq!(redactor.redact(&text), "<[secret]>", "{letter:?} as {way}");
        }
    }
}

#[test]
fn what_programs_make_of_a_value_is_masked() {
    for (value, printed) in [
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYexample", r"wJalrXUtnFEMI\/K7MDENG\/bPxRfiCYexample"),
        ("grün/wald-4711", r"gr\u00fcn/wald-4711"),
        ("grün/wald-4711", r"gr\u00FCn\/wald\u002d4711"),
        ("it's a se$ret v", r"'it'\''s a se$ret v'"),
        ("it's a se$ret v", r"it\'s\ a\ se\$ret\ v"),
        ("it's a se$ret v", r#""it's a se\$ret v""#),
        ("it's a se$ret v", r#"'it'"'"'s a se$ret v'"#),
        ("grün/wald-4711", r"$'gr\303\274n/wald-4711'"),
        ("grün/wald-4711", r"b'gr\xc3\xbcn/wald-4711'"),
        ("grün/wald-4711", "gr%c3%BCn%2fwald-4711"),
        ("a\"b\\c-long", r#"a\\\"b\\\\c-long"#),
        ("line one\tof it", r"line one\tof it"),
        ("a&b<c>d'e", "a&amp;b&lt;c&gt;d&#39;e"),
        ("p@ss word", "p%40ss+word"),
        ("p@ss word", "p%2540ss%2520word"),
        ("a $word of-it b", r"'a' '$word' of-it b"),
        ("grün€wald", r"gr\x{fc}n\x{20ac}wald"),
        ("pa$$w0rd-100%", "pa$$$$w0rd-100%%"),
    ] {
        let masked = redactor(&[value]).redact(printed).into_owned();
        let rest = masked.replace("[secret]", "");
        assert!(
            masked.contains("[secret]") && rest.trim_matches(['\'', '"', '$', 'b']).is_empty(),
            "{masked}"
        );
    }
}

#[test]
fn base64_is_masked_however_it_is_wrapped() {
    let value: String = (0..100_u8).map(|n| char::from(b'!' + n.wrapping_mul(37) % 90)).collect();
    let redactor = redactor(&[&value]);
    for lead in ["", "u", "us", "user:", "what comes before it in the document, at some length: "] {
        for encoded in
            [STANDARD.encode(format!("{lead}{value}\n")), URL_SAFE_NO_PAD.encode(format!("{lead}{value}!"))]
        {
            for width in [4, 10, 19, 20, 64, 76, 1000] {
                let lines: Vec<&str> =
                    encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let mut ends = LineEnds::default();
                let shown: String = lines
                    .iter()
                    .map(|line| redactor.redact_line(line, &mut ends).into_owned() + "\n")
                    .collect();
                let left = shown.replace("[secret]", "").replace('\n', "");
                let known = STANDARD.encode(lead).len();
                // Two letters at the end of a line are no beginning to go by, and the last ones are not the value's.
                assert!(left.len() <= known + 6, "{width}: {left}");
                for separator in ["\n", "\r\n", "\\n", "\n   "] {
                    let whole = redactor.redact(&lines.join(separator)).replace("[secret]", "");
                    assert!(whole.len() <= (known + 6) * 6, "{width}: {whole}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_wrapped_value_stays() {
    let redactor =
        redactor(&["correct horse battery staple, and more of it than fits into a line of base64"]);
    let mut ends = LineEnds::default();
    for line in ["building the first", "YWJj", "", "d41d8cd98f00b204e9800998ecf8427e", "done"] {
        assert_eq!(redactor.redact_line(line, &mut ends), line);
    }
}

#[test]
fn hexadecimal_digits_are_masked() {
    let value = "hunter2-ü";
    for text in [
        "68756e746572322dc3bc",
        "68756E746572322DC3BC",
        "68:75:6e:74:65:72:32:2d:c3:bc",
        "68756e74\n6572322dc3bc",
    ] {
        assert_eq!(redactor(&[value]).redact(text), "[secret]");
    }
}

#[test]
fn short_lines_of_a_value_are_masked_in_their_order() {
    let redactor = redactor(&["a1b2c\r\nd3\r\ne4f\r\nx\r\n-y\r\nlast one"]);
    let mut ends = LineEnds::default();
    let shown: Vec<_> = ["a1b2c", "d3", "e4f", "x", "-y", "last one", "x", "-y"]
        .iter()
        .map(|line| redactor.redact_line(line, &mut ends).into_owned())
        .collect();
    assert_eq!(shown[..6], ["[secret]"; 6]);
    assert_eq!(shown[6], "x");
    assert_eq!(redactor.redact("code: a1b2c"), "code: [secret]");
}

#[test]
fn parts_of_a_value_are_masked_alone() {
    let url = redactor(&["postgres://app:p%40ss-w0rd@db:5432/x?sslpassword=k3y-of-it"]);
    for text in ["p%40ss-w0rd", "p@ss-w0rd", "p\u{1b}[31m@ss-w0rd", "k3y-of-it"] {
        assert_eq!(url.redact(text), "[secret]");
    }
    assert_eq!(url.redact("app at db:5432"), "app at db:5432");
    let json = redactor(&[
        r#"{"user":"app","password":"hunt\u00fcr","deep":[{"key_id":"0123456789abcdef"}],"url":"amqp://u:hunter3@q"}"#,
    ]);
    for text in ["huntür", "0123456789abcdef", "hunter3"] {
        assert_eq!(json.redact(text), "[secret]");
    }
    assert_eq!(json.redact("user app, deep"), "user app, deep");
    let list = redactor(&[r#"["a1b2c", "d3e4f"]"#]);
    assert_eq!(list.redact("d3e4f"), "[secret]");
    let dsn = redactor(&["Server=x;User=sa;Password=abc-def;"]);
    assert_eq!(dsn.redact("abc-def"), "[secret]");
    let file = redactor(&["MODE=fast\nSMTP_LOGIN='letter-by-letter'\n"]);
    assert_eq!(file.redact("letter-by-letter, fast"), "[secret], fast");
}

#[test]
fn a_short_number_is_masked_where_it_stands_alone() {
    let redactor = redactor(&["1234"]);
    assert_eq!(redactor.redact("512349 12345 01234"), "512349 12345 01234");
    assert_eq!(redactor.redact("pin 1234, x1234y"), "pin [secret], x[secret]y");
    assert_eq!(super::redactor(&["12345678"]).redact("9123456789"), "9[secret]9");
}

#[test]
fn json_stays_json() {
    let redactor = redactor(&["1234", "nabc", "tail\\", "12345678"]);
    for (text, masked) in [
        (r#"{"total":1234}"#, r#"{"total":"[secret]"}"#),
        (r#"{"total": -1234.5, "n": 512349}"#, r#"{"total": "[secret]", "n": 512349}"#),
        (r#"[1, 9123456789]"#, r#"[1, "[secret]"]"#),
        (r#"{"a":"x\nabc"}"#, r#"{"a":"x[secret]"}"#),
        (r#"{"a":"x\nada@example.org"}"#, r#"{"a":"x[email]"}"#),
        (r#"{"a":"tail\\"}"#, r#"{"a":"[secret]"}"#),
        (r#"{"a":"1234"}"#, r#"{"a":"[secret]"}"#),
        ("total: 1234", "total: [secret]"),
    ] {
        assert_eq!(redactor.redact(text), masked);
    }
}

#[test]
fn what_only_looks_like_an_address_stays() {
    for clean in [
        "git@github.com:org/repo.git",
        "origin deploy@git.example.com:team/app.git (fetch)",
        "started getty@tty1.service and user@1000.service",
        "ssh -p 22 ubuntu@ec2-1.compute.amazonaws.com uptime",
        "scp a.txt deploy@web1.example.com:/srv",
        "root@web1.example.com",
        "deploy@web1.example.com:~$ ls",
        "ssh://deploy@web1.example.com/srv",
    ] {
        assert_eq!(redact(clean), clean);
    }
    assert_eq!(redact("ssh-ed25519 AAAA ada@example.com"), "ssh-ed25519 AAAA [email]");
    assert_eq!(redact("to ada@example.com: hello"), "to [email]: hello");
}

#[test]
fn what_only_ends_like_a_credential_stays() {
    for clean in ["PWD=/srv/app", "OLDPWD=/root", "next_page_token=abcdef", "export PWD=/x"] {
        assert_eq!(redact(clean), clean);
    }
    for (text, masked) in [
        ("pwd=/not-a-path", "pwd=[secret]"),
        ("DB_PWD=/srv/app", "DB_PWD=[secret]"),
        ("PWD=hunter2", "PWD=[secret]"),
        ("Uid=sa;Pwd=abcd;", "Uid=sa;Pwd=[secret];"),
        ("passwort=geheim1", "passwort=[secret]"),
        ("mysql -u root -phunter2 db", "mysql -u root -p[secret] db"),
        ("curl -s -u ada:hunter2 https://x", "curl -s -u ada:[secret] https://x"),
    ] {
        assert_eq!(redact(text), masked);
    }
}

/// Counted and not timed: texts that values begin in everywhere and end in nowhere, or that are full of escapes.
#[test]
fn a_hostile_text_costs_no_more_than_its_length() {
    let redactor = redactor(&[
        &("a".repeat(120) + "b"),
        &("\\".repeat(12) + "b"),
        &("%25".repeat(8) + "b"),
        &("$".repeat(12) + "b"),
    ]);
    let cost = |piece: &str, bytes: usize| {
        let mut hits = Hits::default();
        redactor.values.find(&piece.repeat(bytes / piece.len()), &mut hits);
        hits.steps
    };
    for piece in ["a", "\\", "%25", "25", "$", "%", "\\u0061", "&amp;", "YWFh", "a\u{1b}[0m", "\n", "a\n"] {
        let (short, long) = (cost(piece, 1024), cost(piece, 8 * 1024));
        assert!(long <= short.max(1) * 16, "{piece}: {short} steps, {long} for eight times as much");
        assert!(long <= 8 * 1024 * 128 * 4, "{piece}: {long} steps");
    }
}

proptest! {
    #[test]
    fn any_mix_of_spellings_of_any_value_is_masked(
        value in "[ -~äü€😀]{4,40}".prop_filter("not blank", |value| value.trim().chars().count() >= 4),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 40),
        before in "[a-z :=]{0,12}", after in "[a-z ,]{0,12}",
    ) {
        let value = value.trim();
        let spelt: String = value
            .chars()
            .zip(&picks)
            .map(|(letter, pick)| { let ways = ways(letter); pick.get(&ways).clone() })
            .collect();
        // A short number that other digits touch is left alone, and this one may be touched by none.
        let text = format!("{before} {spelt} {after}");
        let redactor = redactor(&[value]);
        let masked = redactor.redact(&text).into_owned();
        prop_assert!(masked.contains("[secret]"), "{value:?} as {spelt}: {masked}");
        prop_assert!(!masked.contains(&spelt), "{masked}");
        // The control: another value finds nothing of it.
        let other: String = value.chars().map(|letter| if letter == '~' { '}' } else { '~' }).collect();
        prop_assert!(!super::redactor(&[&other]).holds_value(&text));
    }

    #[test]
    fn any_wrapping_of_base64_is_masked(
        value in "[!-~]{9,80}", lead in "[ -~]{0,20}", width in 8_usize..80, url in any::<bool>(),
    ) {
        let plain = format!("{lead}{value} and more");
        let encoded = if url { URL_SAFE_NO_PAD.encode(&plain) } else { STANDARD.encode(&plain) };
        let redactor = redactor(&[&value]);
        let mut ends = LineEnds::default();
        let lines = encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
        let shown: String = lines.map(|line| redactor.redact_line(line, &mut ends).into_owned()).collect();
        prop_assert!(shown.contains("[secret]"));
        // What two runs of letters leave of it, the ends of a line that say nothing yet aside.
        let begin = (lead.len() * 8).div_ceil(6);
        let inside = &encoded[begin..(lead.len() + value.len()) * 8 / 6];
        for at in 0..inside.len().saturating_sub(6) {
            prop_assert!(!shown.contains(&inside[at..at + 6]) || encoded.matches(&inside[at..at + 6]).count() > 1, "{shown}");
        }
    }
}
