//! Faulty expressions: each is refused in one line, with the column and what would be right.

use super::Cron;

const FAULTS: &[(&str, &str)] = &[
    (
        "",
        "column 1: an empty expression (write minute, hour, day of the month, month and day of the week, such as 30 2 * * *)",
    ),
    (
        "* * * *",
        "column 8: expected 5 or 6 fields, found 4 (write minute, hour, day of the month, month and day of the week, such as 30 2 * * *)",
    ),
    (
        "*",
        "column 2: expected 5 or 6 fields, found 1 (write minute, hour, day of the month, month and day of the week, such as 30 2 * * *)",
    ),
    (
        "* * * * * * *",
        "column 13: text behind the last field: * (end the expression after 5 fields, or 6 with seconds first; write lists without spaces)",
    ),
    (
        "0 0 0 1 1 ? 2027",
        "column 13: text behind the last field: 2027 (there is no field for the year; use start_at and end_at)",
    ),
    (
        "0 0 1 1 * 2027",
        "column 11: not a day of the week: 2027 (there is no field for the year; use start_at and end_at, and of six fields the first is seconds)",
    ),
    (
        "*/61 * * * *",
        "column 3: a step wider than the 60 values of the field: 61 (use a step of 1 to 60; for longer intervals use every)",
    ),
    (
        "* */25 * * *",
        "column 5: a step wider than the 24 values of the field: 25 (use a step of 1 to 24; for longer intervals use every)",
    ),
    (
        "* * */32 * *",
        "column 7: a step wider than the 31 values of the field: 32 (use a step of 1 to 31; for longer intervals use every)",
    ),
    (
        "* * * */13 *",
        "column 9: a step wider than the 12 values of the field: 13 (use a step of 1 to 12; for longer intervals use every)",
    ),
    (
        "* * * * */8",
        "column 11: a step wider than the 7 values of the field: 8 (use a step of 1 to 7; for longer intervals use every)",
    ),
    ("*/0 * * * *", "column 3: not a step: 0 (use a step of 1 to 60)"),
    ("*/ * * * *", "column 1: a slash without a step: */ (use a step of 1 to 60)"),
    ("*/x * * * *", "column 3: not a step: x (use a step of 1 to 60)"),
    ("*/-5 * * * *", "column 3: not a step: -5 (use a step of 1 to 60)"),
    ("*/15/2 * * * *", "column 3: not a step: 15/2 (use a step of 1 to 60)"),
    ("/5 * * * *", "column 1: a step without a range: /5 (write */5)"),
    ("5/15 * * * *", "column 1: a step with a start and no end: 5/15 (write 5-59/15)"),
    ("0 9/2 * * *", "column 3: a step with a start and no end: 9/2 (write 9-23/2)"),
    ("0 0 1/3 * *", "column 5: a step with a start and no end: 1/3 (write 1-31/3)"),
    ("0 0 * JAN/3 *", "column 7: a step with a start and no end: JAN/3 (write JAN-DEC/3)"),
    ("0 0 * * MON/2", "column 9: a step with a start and no end: MON/2 (write MON-SAT/2)"),
    ("60 * * * *", "column 1: not a minute: 60 (use 0 to 59; 60 is the next 0)"),
    ("0 24 * * *", "column 3: not an hour: 24 (use 0 for midnight)"),
    ("0 0 0 * *", "column 5: not a day of the month: 0 (use 1 to 31; counting starts at 1)"),
    ("0 0 32 * *", "column 5: not a day of the month: 32 (use 1 to 31)"),
    ("0 0 * 0 *", "column 7: not a month: 0 (use 1 to 12 or JAN to DEC; counting starts at 1)"),
    ("0 0 * 13 *", "column 7: not a month: 13 (use 1 to 12 or JAN to DEC)"),
    ("0 0 * * 8", "column 9: not a day of the week: 8 (use 0 to 7 or SUN to SAT)"),
    (
        "-1 * * * *",
        "column 1: a range without both ends: -1 (write a range such as 0-59; values are never negative)",
    ),
    ("5- * * * *", "column 1: a range without both ends: 5- (write 5-59)"),
    ("*-5 * * * *", "column 1: a range with *: *-5 (write * alone, or values such as 0-59)"),
    ("5-* * * * *", "column 1: a range with *: 5-* (write * alone, or values such as 0-59)"),
    ("1-2-3 * * * *", "column 1: a range with more than two ends: 1-2-3 (write two values, 1-2)"),
    (
        "5--1 * * * *",
        "column 1: a range with more than two ends: 5--1 (write a range such as 0-59; values are never negative)",
    ),
    (
        "1,,2 * * * *",
        "column 3: an empty item in the list: 1,,2 (write a value on both sides of each comma, without spaces)",
    ),
    (
        ",1 * * * *",
        "column 1: an empty item in the list: ,1 (write a value on both sides of each comma, without spaces)",
    ),
    (
        "1, * * * *",
        "column 3: an empty item in the list: 1, (write a value on both sides of each comma, without spaces)",
    ),
    (
        "1, 2 * * * *",
        "column 3: an empty item in the list: 1, (write a value on both sides of each comma, without spaces)",
    ),
    ("*5 * * * *", "column 1: not a minute: *5 (write */5 for a step, or * alone)"),
    ("5* * * * *", "column 1: not a minute: 5* (write 5 or *)"),
    ("? * * * *", "column 1: ? outside of a day field: ? (write *)"),
    ("0 0 * ? *", "column 7: ? outside of a day field: ? (write *)"),
    ("H * * * *", "column 1: a random value: H (write a value; set jitter to spread runs)"),
    ("H/15 * * * *", "column 1: a random value: H/15 (write a value; set jitter to spread runs)"),
    ("H(0-29)/10 * * * *", "column 1: a random value: H(0-29)/10 (write a value; set jitter to spread runs)"),
    ("0~59 * * * *", "column 1: a random value: 0~59 (write a value; set jitter to spread runs)"),
    ("R * * * *", "column 1: a random value: R (write a value; set jitter to spread runs)"),
    (
        "@every 5m",
        "column 1: an interval is not a cron expression: @every (write every = \"5m\" instead of cron)",
    ),
    (
        "@reboot",
        "column 1: not a word for an expression: @reboot (enqueue the run at startup instead; a schedule has times only)",
    ),
    (
        "@fortnightly",
        "column 1: not a word for an expression: @fortnightly (use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually)",
    ),
    (
        "@",
        "column 1: not a word for an expression: @ (use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually)",
    ),
    ("@daily 0", "column 8: text behind the last field: 0 (write @daily alone)"),
    (
        "@daily@",
        "column 1: not a word for an expression: @daily@ (use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually)",
    ),
    ("0 0 * * MONDAY", "column 9: not a day of the week: MONDAY (names have three letters: MON)"),
    ("0 0 * * MO", "column 9: not a day of the week: MO (use 0 to 7 or SUN to SAT)"),
    ("0 0 * JANUARY *", "column 7: not a month: JANUARY (names have three letters: JAN)"),
    (
        "0 0 * MON *",
        "column 7: not a month: MON (that is a day of the week; the fields are minute, hour, day of the month, month, day of the week)",
    ),
    (
        "0 0 * * JAN",
        "column 9: not a day of the week: JAN (that is a month; the fields are minute, hour, day of the month, month, day of the week)",
    ),
    (
        "0 0 30 2 *",
        "column 5: a day that never comes: 30 (name a month that has this day; L is a month's last day)",
    ),
    (
        "0 0 31 4,6,9,11 *",
        "column 5: a day that never comes: 31 (name a month that has this day; L is a month's last day)",
    ),
    (
        "0 0 L-30 2 *",
        "column 5: a day that never comes: L-30 (name a month that has this day; L is a month's last day)",
    ),
    (
        "0 0 30W 2 *",
        "column 5: a day that never comes: 30W (name a month that has this day; L is a month's last day)",
    ),
    (
        "0 0 */31 * MON#2",
        "column 5: a day that never comes: */31 (where one of the day fields begins with *, a day must match both)",
    ),
    (
        "0 0 * 2 */6#5",
        "column 9: # without one day of the week before it: */6#5 (write one such as FRI#2, and separate several by commas)",
    ),
    ("0 0 L,L-31 * *", "column 7: not a distance from the month's last day: L-31 (write L-0 to L-30)"),
    ("0 0 L-3W * *", "column 5: W with L-n: L-3W (use L-n, or LW for the last weekday)"),
    ("0 0 WL * *", "column 5: not a day of the month: WL (write LW)"),
    (
        "0 0 W * *",
        "column 5: W without one day of the month before it: W (write 1W to 31W, or LW; separate several by commas)",
    ),
    (
        "0 0 0W * *",
        "column 5: W without one day of the month before it: 0W (write 1W to 31W, or LW; separate several by commas)",
    ),
    (
        "0 0 32W * *",
        "column 5: W without one day of the month before it: 32W (write 1W to 31W, or LW; separate several by commas)",
    ),
    (
        "0 0 1-5W * *",
        "column 5: W without one day of the month before it: 1-5W (write 1W to 31W, or LW; separate several by commas)",
    ),
    ("0 0 1W/2 * *", "column 5: not a day of the month: 1W (use 1 to 31)"),
    (
        "0 0 15L * *",
        "column 5: L in the wrong place: 15L (write L, L-n or LW; dL such as FRIL is a day of the week)",
    ),
    (
        "0 0 L/2 * *",
        "column 5: L in the wrong place: L/2 (write L, L-n or LW; dL such as FRIL is a day of the week)",
    ),
    (
        "0 0 1-L * *",
        "column 5: L in the wrong place: 1-L (write L, L-n or LW; dL such as FRIL is a day of the week)",
    ),
    (
        "0 0 FRI#2 * *",
        "column 5: # in the day of the month: FRI#2 (write d#n as the day of the week, such as FRI#2)",
    ),
    ("0 L * * *", "column 3: L or W outside of a day field: L (use 0 to 23)"),
    ("15W * * * *", "column 1: L or W outside of a day field: 15W (use 0 to 59)"),
    ("0 0 * L *", "column 7: L or W outside of a day field: L (use 1 to 12 or JAN to DEC)"),
    (
        "0 0 * * L",
        "column 9: L without one day of the week before it: L (write the day whose last is meant, such as FRIL)",
    ),
    (
        "0 0 * * #2",
        "column 9: # without one day of the week before it: #2 (write one such as FRI#2, and separate several by commas)",
    ),
    (
        "0 0 * * 5#0",
        "column 9: a month has no such week: 5#0 (write # with 1 to 5, or dL for the last, such as FRIL)",
    ),
    (
        "0 0 * * 5#6",
        "column 9: a month has no such week: 5#6 (write # with 1 to 5, or dL for the last, such as FRIL)",
    ),
    (
        "0 0 * * MON-FRI#2",
        "column 9: # without one day of the week before it: MON-FRI#2 (write one such as FRI#2, and separate several by commas)",
    ),
    (
        "0 0 * * MON,#2",
        "column 13: # without one day of the week before it: #2 (write one such as FRI#2, and separate several by commas)",
    ),
    (
        "0 0 * * MON-FRIL",
        "column 9: L without one day of the week before it: MON-FRIL (write the day whose last is meant, such as FRIL)",
    ),
    (
        "0 0 * * 15W",
        "column 9: a letter of the day of the month: 15W (write L and W in the third field of five)",
    ),
    (
        "0 0 * * LW",
        "column 9: a letter of the day of the month: LW (write L and W in the third field of five)",
    ),
    (
        "0 0 * * L-2",
        "column 9: a letter of the day of the month: L-2 (write L and W in the third field of five)",
    ),
    ("0 0 * * 9L", "column 9: not a day of the week: 9L (use 0 to 7 or SUN to SAT)"),
    (
        "0 5 * * * /bin/backup",
        "column 11: text behind the last field: /bin/backup (end the expression after 5 fields, or 6 with seconds first; a command belongs to the kind)",
    ),
    (
        "30 2 * * * backup --all",
        "column 19: text behind the last field: --all (end the expression after 5 fields, or 6 with seconds first; write lists without spaces)",
    ),
    (
        "0 0 1 1 MON backup",
        "column 13: text behind the last field: backup (end the expression after 5 fields, or 6 with seconds first; a command belongs to the kind)",
    ),
    ("0 0 0 1 1 MONDAY", "column 11: not a day of the week: MONDAY (names have three letters: MON)"),
    ("61 0 0 1 1 FRIL", "column 1: not a second: 61 (use 0 to 59)"),
    (
        "TZ=Europe/London 0 0 * * *",
        "column 1: not a part of an expression: TZ=Europe/London (write it apart: time_zone = \"Europe/London\")",
    ),
    (
        "CRON_TZ=UTC 0 0 * * *",
        "column 1: not a part of an expression: CRON_TZ=UTC (write it apart: time_zone = \"UTC\")",
    ),
    ("MAILTO=a 0 0 * * *", "column 1: not a part of an expression: MAILTO=a (write the expression alone)"),
    ("0 0 * * 1\u{2013}5", "column 10: a character that has no meaning here: \u{2013} (write a hyphen: -)"),
    ("0 0\u{a0}* * *", "column 4: a character that has no meaning here: \u{a0} (write an ordinary space)"),
    ("\u{2217} * * * *", "column 1: a character that has no meaning here: \u{2217} (write an asterisk: *)"),
    (
        "0 0 * * \u{e9}",
        "column 9: a character that has no meaning here: \u{e9} (write digits, letters, spaces and * , - / # ? only)",
    ),
    ("007 * * * *", "column 1: not a minute: 007 (use 0 to 59)"),
    ("99999999999999999999 * * * *", "column 1: not a minute: 99999999999999999999 (use 0 to 59)"),
    ("1.5 * * * *", "column 1: not a minute: 1.5 (use 0 to 59)"),
    ("0 0 * * +1", "column 9: not a day of the week: +1 (use 0 to 7 or SUN to SAT)"),
    ("0x5 * * * *", "column 1: not a minute: 0x5 (use 0 to 59)"),
    ("0 0 1;2 * *", "column 5: not a day of the month: 1;2 (use 1 to 31)"),
    ("0 0 * * *;", "column 9: not a day of the week: *; (use 0 to 7 or SUN to SAT)"),
    ("0 0 ** * *", "column 5: not a day of the month: ** (use 1 to 31)"),
    ("*/ 5 * * * *", "column 1: a slash without a step: */ (use a step of 1 to 60)"),
    ("5,5-1,61 * * * *", "column 7: not a minute: 61 (use 0 to 59)"),
    ("0 22-25 * * *", "column 6: not an hour: 25 (use 0 to 23)"),
    ("0 0 ?/2 * *", "column 5: a step with ?: ?/2 (write */2)"),
    (
        "0 0 5? * *",
        "column 5: not a day of the month: 5? (? stands alone, and # is for days of the week, such as FRI#2)",
    ),
    ("%M * * * *", "column 1: not a minute: %M (use 0 to 59)"),
    (
        "every 5 minutes",
        "column 16: expected 5 or 6 fields, found 3 (write minute, hour, day of the month, month and day of the week, such as 30 2 * * *)",
    ),
    ("hourly", "column 7: expected 5 or 6 fields, found 1 (write @hourly)"),
    (
        "5m",
        "column 3: expected 5 or 6 fields, found 1 (write minute, hour, day of the month, month and day of the week, such as 30 2 * * *)",
    ),
    ("0 0 5-1/32 * *", "column 9: a step wider than the 31 values of the field: 32 (use a step of 1 to 31)"),
];

#[test]
fn each_faulty_expression_is_refused_with_its_column_and_what_would_be_right() {
    assert!(FAULTS.len() >= 60);
    for (text, refusal) in FAULTS {
        let fault = Cron::parse(text).expect_err(text);
        assert_eq!(fault.to_string(), *refusal, "{text}");
        assert_eq!(fault.to_string().lines().count(), 1, "{text}");
        assert!((1..=text.chars().count() + 1).contains(&fault.column()), "{text}");
    }
}

#[test]
fn two_lines_and_endless_ones_are_refused() {
    let fault = Cron::parse("0 0 * * *\n0 1 * * *").unwrap_err();
    assert_eq!((fault.column(), fault.hint()), (10, "write one expression on one line"));
    let fault = Cron::parse(&format!("0 0 * * 1{}", ",1".repeat(150))).unwrap_err();
    assert_eq!(fault.message(), "an expression of 309 bytes");
}
