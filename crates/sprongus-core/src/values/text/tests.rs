use proptest::prelude::*;

use super::*;

#[test]
fn short_text_is_not_copied() {
    assert!(matches!(truncate("abc", 3), Cow::Borrowed("abc")));
    assert!(matches!(printable("a\tb\nç 👍🏽"), Cow::Borrowed(_)));
}

#[test]
fn a_cut_says_how_long_the_text_was() {
    let cut = truncate(&"x".repeat(20480), MAX_ERROR_BYTES).into_owned();
    assert_eq!(cut.len(), MAX_ERROR_BYTES);
    assert!(cut.ends_with("x… [cut: 20480 bytes in all]"), "{}", &cut[cut.len() - 40..]);
}

#[test]
fn a_cut_never_splits_a_character() {
    assert_eq!(truncate(&"é".repeat(23), 41), "ééééééé… [cut: 46 bytes in all]");
}

#[test]
fn a_tiny_limit_is_kept() {
    assert_eq!(truncate("abcdefgh", 5), "ab…");
    assert_eq!(truncate("abcdefgh", 3), "…");
    assert_eq!(truncate("abcdefgh", 2), "ab");
    assert_eq!(truncate("éa", 1), "");
    assert_eq!(truncate("a", 0), "");
}

#[test]
fn what_drives_a_terminal_is_escaped() {
    assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    assert_eq!(printable("ok\rfake"), "ok\\u{d}fake");
    assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
    assert_eq!(printable("\u{9b}31m\0"), "\\u{9b}31m\\u{0}");
    assert_eq!(printable("a\u{200b}b\u{feff}\u{e0041}"), "a\\u{200b}b\\u{feff}\\u{e0041}");
}

#[test]
fn an_excerpt_is_one_short_line() {
    assert_eq!(excerpt("a\nb", 64), "a\\u{a}b");
    assert_eq!(excerpt("abcdef", 6), "abcdef");
    assert_eq!(excerpt("abcdefg", 6), "abcde…");
    assert_eq!(excerpt("abcd\u{1b}", 6), "abcd…");
    assert_eq!(excerpt("abc", 0), "");
    assert_eq!(excerpt(&"y".repeat(500), 500).chars().count(), MAX_EXCERPT_CHARS);
}

proptest! {
    #[test]
    fn truncate_keeps_every_limit(text in ".{0,80}", max in 0usize..100) {
        let cut = truncate(&text, max);
        prop_assert!(cut.len() <= max);
        prop_assert_eq!(cut == text, text.len() <= max);
    }

    #[test]
    fn what_is_stored_fits_and_holds_no_nul(text in "[a\\x00é]{0,40}", max in 0usize..80) {
        let kept = storable(&text, max);
        prop_assert!(kept.len() <= max && !kept.contains('\0'));
        if !text.contains('\0') {
            prop_assert_eq!(kept, truncate(&text, max));
        }
    }

    #[test]
    fn excerpts_are_short_and_clean(text in any::<String>(), max in 0usize..80) {
        let short = excerpt(&text, max);
        prop_assert!(short.chars().count() <= max.min(MAX_EXCERPT_CHARS));
        prop_assert!(!short.chars().any(is_unprintable));
    }

    #[test]
    fn printable_text_holds_nothing_unfit(text in any::<String>()) {
        let clean = printable(&text).into_owned();
        prop_assert!(!clean.chars().any(|c| c != '\n' && c != '\t' && is_unprintable(c)));
        prop_assert_eq!(printable(&clean), clean.clone());
    }
}

#[test]
fn an_error_in_short_says_why() {
    let error = "step \"command\" exited with 78\nreading config\nbad address\n";
    assert_eq!(in_short(error, 96), "step \"command\" exited with 78: bad address");
    assert_eq!(in_short(error, 20), "bad address");
    assert_eq!(in_short("one line", 96), "one line");
    assert_eq!(in_short(&"x".repeat(120), 96).chars().count(), 96, "as much as there is room for");
    assert_eq!(in_short("", 96), "");
}
