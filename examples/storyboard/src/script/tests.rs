//! What scenes a screenplay gives, and that no text whatever stops the parser or slows it down.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn fountain(text: &str) -> Script {
    read(Path::new("s.fountain"), text)
}

fn markdown(text: &str) -> Script {
    read(Path::new("s.md"), text)
}

const SCENE: &str = "\
Title: _**The Third Board**_
Author: Ines Vogt

FADE IN:

# Act One

INT. LOFT - DAY #12A#

= Mara finds the gap.

Rain. [[storm sound]] A board on the wall,
three cards missing.

/* cut for time:

INT. STAIRS - DAY
*/

MARA (V.O.)
(softly)
Who took them?
~ la la
  
Not me.

@McAvoy ^
Nor me.

> THE END <

CUT TO:

.THE LONG DREAM

!LOUD
";

#[test]
fn every_element_of_fountain_finds_its_place() {
    let script = fountain(SCENE);
    assert_eq!(script.title.as_deref(), Some("_**The Third Board**_"));
    assert_eq!(script.title_page["author"], "Ines Vogt");
    assert_eq!(script.characters, ["MARA", "McAvoy"]);
    let [loft, dream] = script.scenes.as_slice() else { panic!("{:?}", script.scenes) };
    assert_eq!((loft.id.as_str(), loft.number.as_deref()), ("sc-12A", Some("12A")));
    assert_eq!((loft.setting.as_deref(), loft.time_of_day.as_deref()), (Some("INT"), Some("DAY")));
    assert_eq!(loft.heading, "INT. LOFT - DAY");
    assert_eq!(loft.location, "LOFT");
    assert_eq!(loft.section.as_deref(), Some("Act One"));
    assert_eq!(loft.synopsis.as_deref(), Some("Mara finds the gap."));
    assert_eq!(loft.notes, ["storm sound"]);
    assert_eq!(loft.action, ["Rain.  A board on the wall,\nthree cards missing.", "THE END"]);
    assert_eq!((loft.dialogue_lines, &loft.characters), (4, &script.characters));
    assert_eq!((dream.heading.as_str(), dream.setting.as_deref()), ("THE LONG DREAM", None));
    assert_eq!(dream.action, ["LOUD"]);
    assert_eq!(script.eighths, loft.eighths + dream.eighths);
}

#[test]
fn a_cue_needs_a_speech_and_a_heading_a_blank_line_above() {
    let script = fountain("INT. X - DAY\n\nBANG!\n\nWords\nINT. Y - DAY\n");
    assert_eq!(script.scenes.len(), 1);
    assert!(script.characters.is_empty());
    assert_eq!(script.scenes[0].action, ["BANG!", "Words\nINT. Y - DAY"]);
}

/// The one scene of a text below a heading: its action, its notes and its characters.
fn below(text: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let script = fountain(&format!("INT. A - DAY\n\n{text}"));
    let [scene] = script.scenes.as_slice() else { panic!("{text:?}: {:?}", script.scenes) };
    (scene.action.clone(), scene.notes.clone(), scene.characters.clone())
}

#[test]
fn a_note_holds_lines_of_two_spaces_and_whatever_stands_between_them() {
    let script = fountain(
        "INT. A - DAY\n\nText.\n\n[[Old version:\n  \nINT. OLD - DAY\n  \nOld text.]]\n\nINT. B - DAY\n\nMore.",
    );
    assert_eq!(script.scenes.len(), 2);
    assert_eq!(script.scenes[0].action, ["Text."]);
    assert_eq!(script.scenes[0].notes, ["Old version:\n  \nINT. OLD - DAY\n  \nOld text."]);
    let (action, notes, _) = below("a[[b\n  \nc]] d\n");
    assert_eq!((action, notes), (vec!["a d".to_owned()], vec!["b\n  \nc".to_owned()]));
}

#[test]
fn marks_decide_what_a_line_is() {
    for (text, action) in [
        ("!CUT TO:\n\nEnd.", &["CUT TO:", "End."][..]),
        ("!THE END\n\nEnd.", &["THE END", "End."]),
        ("!INT. B - DAY\n\nEnd.", &["INT. B - DAY", "End."]),
        ("!MARA\nwalks.\n\nEnd.", &["MARA\nwalks.", "End."]),
        ("SMASH CUT TO: \n\nEnd.", &["SMASH CUT TO:", "End."]),
        ("SMASH CUT TO:\n\nEnd.", &["End."]),
        ("FADE OUT. \n\nEnd.", &["End."]),
        ("> Wipe to black\n\nEnd.", &["End."]),
        ("The card:\n\n          Scott --\n\tJoe", &["The card:", "          Scott --\n    Joe"]),
        ("He draws a\n.45 and\n@ once", &["He draws a\n.45 and\n@ once"]),
        (". no heading", &[". no heading"]),
        ("...and on", &["...and on"]),
        (">", &[">"]),
        ("THE PHONE RINGS.\n[[sfx]]\n\nHe wakes.", &["THE PHONE RINGS.", "He wakes."]),
        ("CUT TO:\n[[check]]\n\nEnd.", &["End."]),
        ("CUT TO: [[check]]\n\nEnd.", &["End."]),
        ("[[sfx]] He wakes.\n\n /* cut */ He rises.", &["He wakes.", " He rises."]),
        ("One.\n/* cut\n\nhere */\nTwo.", &["One.\nTwo."]),
    ] {
        let (found, _, characters) = below(text);
        assert_eq!(found, action, "{text:?}");
        assert!(characters.is_empty(), "{text:?}: {characters:?}");
    }
    let (_, notes, characters) = below("MARA\n[[softly?]]\nHello.\n");
    assert_eq!((notes, characters), (vec!["softly?".to_owned()], vec!["MARA".to_owned()]));
    assert_eq!(below("MARA\n/* softly */\nHello.\n").2, ["MARA"]);
}

#[test]
fn markdown_reads_by_its_conventions() {
    let script = markdown(
        "# The Third Board\n\n## 1. INT. LOFT - DAY\n\n> Mara finds it.\n\nRain.\n- a card\n\n**MARA** (V.O.)\n\
         *(softly)*\nWho?\n\nLEO: Me.\nReally.\n\n**Note** this.\n\n<!-- storm -->\n\n---\n\n```\n## no\n```\n\n\
         CUT TO:\n\n## A dream\n",
    );
    assert_eq!(script.title.as_deref(), Some("The Third Board"));
    let [loft, dream] = script.scenes.as_slice() else { panic!("{:?}", script.scenes) };
    assert_eq!((loft.id.as_str(), loft.heading.as_str()), ("sc-1", "INT. LOFT - DAY"));
    assert_eq!(loft.synopsis.as_deref(), Some("Mara finds it."));
    assert_eq!(loft.action, ["Rain.\n- a card", "**Note** this."]);
    assert_eq!(loft.characters, ["MARA", "LEO"]);
    assert_eq!((loft.dialogue_lines, &loft.notes), (3, &vec!["storm".to_owned()]));
    assert_eq!(dream.heading, "A dream");
}

#[test]
fn without_a_telling_name_the_content_decides() {
    let path = Path::new("draft.txt");
    assert_eq!(read(path, "EXT. QUAY - DAWN\n\nFog.").scenes.len(), 1);
    assert_eq!(read(path, "# T\n\n## One\n\n## Two\n").scenes.len(), 2);
    assert_eq!(read(path, "a shopping list").scenes.len(), 0);
}

#[test]
fn a_scene_keeps_its_id_when_it_is_rewritten_and_moved() {
    let before = fountain("INT. A - DAY\n\nOne.\n\nINT. B - DAY\n\nTwo.\n");
    let after = fountain("INT. B - DAY\n\nTwo, slower.\n\nINT. A - DAY\n\nOne.\n");
    assert_eq!(before.scenes[0].id, after.scenes[1].id);
    assert_eq!(before.scenes[1].id, after.scenes[0].id);
}

#[test]
fn json_comes_back_as_it_went_and_is_known_as_ours() {
    let json = fountain(SCENE).to_json();
    assert!(is_ours(&json));
    assert!(!is_ours(b"{\"format\": \"another\"}"));
    assert_eq!(Script::from_json(Path::new("s"), &json).unwrap().to_json(), json);
}

#[test]
fn marks_left_open_cost_no_more_than_others() {
    let marks = [
        "[[", "[[\n", "/*", "/*/", "<!--", "<!--\n", "#", "# a\n", "## a\n", "(", "**", "**A\n", "=", "> \n",
    ];
    for mark in
        marks.into_iter().chain(["@a\n", ".a\n\n", "A\n", "- ", "\n", " \n", "a:\n", "~~~\n", "```\n", "]]"])
    {
        let text = mark.repeat(512 * 1024 / mark.len());
        let begun = Instant::now();
        fountain(&text);
        markdown(&text);
        // Linear takes well under a second here; quadratic, hours.
        assert!(begun.elapsed() < Duration::from_secs(20), "{mark:?}: {:?}", begun.elapsed());
    }
}

/// Text of the pieces that mean something, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\n",
        "\n\n",
        "  ",
        "INT. ",
        "EXT. LOFT - DAY",
        " #1#",
        "#",
        "=",
        "===",
        ".",
        "@",
        "!",
        "~",
        ">",
        "<",
        "^",
        "(",
        ")",
        "[[",
        "]]",
        "/*",
        "*/",
        "MARA",
        "MARA:",
        "**",
        "<!--",
        "-->",
        "```",
        "---",
        "Title: ",
        "é",
        "\u{2028}",
        "\t",
        "a line",
        "CUT TO:",
        "- ",
        "İ",
        "ß",
        "\u{301}",
        "\0",
        "\r",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn holds(script: &Script) -> Result<(), TestCaseError> {
    let ids: std::collections::HashSet<_> = script.scenes.iter().map(|scene| &scene.id).collect();
    prop_assert_eq!(ids.len(), script.scenes.len(), "two scenes with one id");
    prop_assert!(script.scenes.iter().all(|scene| scene.eighths >= 1));
    let json = script.to_json();
    let back = Script::from_json(Path::new("s"), &json).map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(back.to_json(), json);
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        holds(&fountain(&text))?;
        holds(&markdown(&text))?;
    }

    #[test]
    fn any_screenplay_like_text_is_read(text in pieces()) {
        holds(&fountain(&text))?;
        holds(&markdown(&text))?;
        holds(&read(Path::new("x"), &text))?;
    }
}
