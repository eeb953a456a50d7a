//! What is understood, and what is refused, where and how.

use super::super::civil::{CivilTime, DAY, Date};
use super::*;
use crate::error::Error;

mod faults;

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn canonical_text_is_what_was_understood() {
    for (text, canonical) in [
        ("0 0 * * *", "0 0 * * *"),
        ("  0\t0  * * *  ", "0 0 * * *"),
        ("0 30 2 * * *", "30 2 * * *"),
        ("*/10 30 2 * * *", "*/10 30 2 * * *"),
        ("05 02 * * *", "5 2 * * *"),
        ("*/1 */1 */1 */1 */1", "* * * * *"),
        ("0-59 0-23 1-31 1-12 0-7", "* * 1-31 * SUN-SAT"),
        ("0,15,30,45 * * * *", "*/15 * * * *"),
        ("5-59/15 * * * *", "5-50/15 * * * *"),
        ("0 22-2 * * *", "0 22-2 * * *"),
        ("0 22-4/3 * * *", "0 1,4,22 * * *"),
        ("0 23-1 * * *", "0 23-1 * * *"),
        ("0 7-3 * * *", "0 7-3 * * *"),
        ("0 0 1 7-2/5 *", "0 0 1 7,12 *"),
        ("0 0 28-3 * *", "0 0 28-3 * *"),
        ("0 0 1 NOV-feb *", "0 0 1 11-2 *"),
        ("0 0 1 JAN-DEC/3 *", "0 0 1 */3 *"),
        ("0 0 * * 1-5", "0 0 * * MON-FRI"),
        ("0 0 * * FRI-MON", "0 0 * * FRI-MON"),
        ("0 0 * * 5-7", "0 0 * * FRI-SUN"),
        ("0 0 * * 7", "0 0 * * SUN"),
        ("0 0 * * 7-2", "0 0 * * SUN-TUE"),
        ("0 0 * * SAT-SUN", "0 0 * * SUN,SAT"),
        ("0 0 * * SUN-SUN", "0 0 * * SUN"),
        ("0 0 * * 1-7/2", "0 0 * * SUN,MON,WED,FRI"),
        ("0 0 * * 0-7/7", "0 0 * * SUN"),
        ("0 0 * * wed,MON-TUE", "0 0 * * MON-WED"),
        ("0 0 ? * ?", "0 0 * * *"),
        ("0 0 */2 * *", "0 0 */2 * *"),
        ("0 0 */2,4 * MON", "0 0 */2,4 * MON"),
        ("0 0 *,L * MON", "0 0 * * MON"),
        ("0 0 l,L-3,15w,lw,1 * *", "0 0 1,15W,L,L-3,LW * *"),
        ("0 0 L-0 * *", "0 0 L * *"),
        ("0 0 * * 5#2,fri#1,MONL,7L", "0 0 * * FRI#1,FRI#2,SUNL,MONL"),
        ("@YEARLY", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@Weekly", "0 0 * * SUN"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        (" @hourly ", "0 * * * *"),
    ] {
        let understood = cron(text);
        assert_eq!(understood.to_string(), canonical, "{text}");
        assert_eq!(cron(canonical), understood, "{text}");
    }
}

fn days(text: &str, year: i64, month: u8) -> Vec<u8> {
    let mask = cron(text).days_of(year, month);
    (0..32).filter(|day| mask >> day & 1 == 1).collect()
}

#[test]
fn the_letters_of_the_day_fields_mean_what_quartz_says() {
    // August 2026 begins on a Saturday and ends on a Monday; May 2026 ends on a Sunday.
    assert_eq!(days("0 0 L * *", 2026, 8), [31]);
    assert_eq!(days("0 0 L * *", 2028, 2), [29]);
    assert_eq!(days("0 0 L-30 * *", 2026, 8), [1]);
    assert_eq!(days("0 0 L-30 * *", 2026, 9), [0; 0]);
    assert_eq!(days("0 0 LW * *", 2026, 5), [29]);
    assert_eq!(days("0 0 31W * *", 2026, 5), [29]);
    assert_eq!(days("0 0 31W * *", 2026, 9), [0; 0]);
    assert_eq!(days("0 0 1W * *", 2026, 8), [3]);
    assert_eq!(days("0 0 1W * *", 2026, 11), [2]);
    assert_eq!(days("0 0 15W * *", 2026, 8), [14]);
    assert_eq!(days("0 0 16W * *", 2026, 8), [17]);
    assert_eq!(days("0 0 * * SAT#1", 2026, 8), [1]);
    assert_eq!(days("0 0 * * 6#5", 2026, 8), [29]);
    assert_eq!(days("0 0 * * WED#5", 2026, 8), [0; 0]);
    assert_eq!(days("0 0 * * FRIL", 2026, 8), [28]);
    assert_eq!(days("0 0 * * MONL", 2026, 8), [31]);
    assert_eq!(days("0 0 * * FRI#2,FRIL", 2026, 8), [14, 28]);
}

#[test]
fn either_day_field_matches_unless_one_begins_with_a_star() {
    assert_eq!(days("0 0 13 * FRI", 2026, 11), [6, 13, 20, 27]);
    assert_eq!(days("0 0 1 * FRI", 2026, 11), [1, 6, 13, 20, 27]);
    assert_eq!(days("0 0 */13 * FRI", 2026, 11), [27]);
    assert_eq!(days("0 0 1-31/13 * FRI", 2026, 11), [1, 6, 13, 14, 20, 27]);
    assert_eq!(days("0 0 8-14 * */5", 2026, 11), [8, 13]);
    assert_eq!(days("0 0 ? * FRI", 2026, 11), [6, 13, 20, 27]);
    assert_eq!(days("0 0 13 * ?", 2026, 11), [13]);
}

#[test]
fn what_comes_seldom_is_taken_and_found() {
    let from = |year: i64| CivilTime::from_seconds(Date { year, month: 3, day: 1 }.to_days() * DAY);
    for (text, after, found) in [
        ("0 0 29 2 *", 2096, "2104-02-29T00:00:00"),
        ("59 59 23 */28 2 MON#5", 2026, "2044-02-29T23:59:59"),
        ("0 0 */28 2 SUN#5", 2026, "2032-02-29T00:00:00"),
    ] {
        let found_next = cron(text).first_within(from(after), from(after + 60)).unwrap();
        assert_eq!(found_next.to_string(), found, "{text}");
        let before = CivilTime::from_seconds(found_next.as_seconds() + 1);
        assert_eq!(cron(text).last_within(from(after), before), Some(found_next), "{text}");
        assert_eq!(cron(text).count_within(from(after), before), 1, "{text}");
    }
}

#[test]
fn an_expression_is_told_in_words() {
    for (text, words) in [
        ("* * * * *", "Every minute"),
        ("* * * * * *", "Every second"),
        ("*/5 * * * * *", "Every 5 seconds"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("@hourly", "Every hour, on the hour"),
        ("20 * * * *", "Every hour, at minute 20"),
        ("@daily", "At 00:00 every day"),
        ("30 2 * * MON-FRI", "At 02:30, Monday to Friday"),
        ("0 9,17 * * *", "At 09:00 and 17:00 every day"),
        ("*/15 9-17 * * MON-FRI", "Every 15 minutes from 09:00 to 17:59, Monday to Friday"),
        ("0 22-4 * * *", "Every hour, on the hour, from 22:00 to 04:59"),
        ("0 0 1,15 1,7 *", "At 00:00 on the 1st and the 15th of the month in January and July"),
        ("0 0 L * *", "At 00:00 on the last day of the month"),
        ("0 0 LW * *", "At 00:00 on the last weekday of the month"),
        ("0 8 * * MON", "At 08:00 on Monday"),
        ("0 8 * * 2,4,6", "At 08:00 on Tuesday, Thursday and Saturday"),
        ("0 8 15W * *", "At 08:00 on the weekday nearest to the 15th of the month"),
        ("0 8 * 6-8 *", "At 08:00 every day in June to August"),
        ("0 */6 * * *", "At 00:00, 06:00, 12:00 and 18:00 every day"),
        ("0 */2 * * *", "Every 2 hours, on the hour"),
        ("5,35 */4 * * *", "Every 4 hours, at minute 5 and 35"),
        ("*/10 */2 * * *", "Every 10 minutes in every 2nd hour from 00 to 22"),
        ("*/10 8-18/2 * * *", "Every 10 minutes in every 2nd hour from 08 to 18"),
        ("0,20 30 * * * *", "At second 0 and 20 of minute 30"),
        ("0 8 * * FRI#2", "At 08:00 on the 2nd Friday of the month"),
        ("0 8 13 * FRI", "At 08:00 on the 13th of the month and on Friday"),
        (
            "0 8 */2 * FRI",
            "At 08:00 on every 2nd day from the 1st to the 31st of the month if it falls on Friday",
        ),
        ("15 30 2 * * *", "At 02:30:15 every day"),
    ] {
        assert_eq!(cron(text).words(), words, "{text}");
    }
}

#[test]
fn an_expression_travels_as_its_canonical_text() {
    let text = serde_json::to_string(&cron("0 0 * * 1")).unwrap();
    assert_eq!(text, r#""0 0 * * MON""#);
    assert_eq!(serde_json::from_str::<Cron>(&text).unwrap(), cron("0 0 * * 1"));
    let fault = serde_json::from_str::<Cron>(r#""*/61 * * * *""#).unwrap_err().to_string();
    assert!(fault.starts_with("column 3: a step wider"), "{fault}");
}

#[test]
fn a_refusal_becomes_an_error_with_its_column_and_hint() {
    let error = Error::from(Cron::parse("0 24 * * *").unwrap_err());
    assert_eq!((error.message(), error.hint()), ("cron, column 3: not an hour: 24", "use 0 for midnight"));
}
