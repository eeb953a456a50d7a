//! One item of a field's list: `*/15`, `MON-FRI`, `L-2`, `FRI#3`.

use super::fault::CronError;
use super::field::Field;
use super::piece::Piece;

/// What an item says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `*/n`; `*` and `?` are `*/1`.
    Star(u8),
    /// A value or a range, as bits.
    Values(u64),
    /// `L-n`: so many days before the month's last.
    FromEnd(u8),
    /// `nW`: the weekday nearest to that day.
    Nearest(u8),
    /// `LW`.
    LastWeekday,
    /// `d#n`.
    Nth { day: u8, week: u8 },
    /// `dL`.
    Last(u8),
}

const JITTER: &str = "write a value; set jitter to spread runs";

/// The values from `from` on, every `step`th, to `to`.
pub fn steps(from: u32, to: u32, step: u32) -> u64 {
    (from..=to).step_by(step.max(1) as usize).map(|value| 1 << value).sum()
}

pub fn read(field: Field, piece: Piece<'_>) -> Result<Item, CronError> {
    let text = piece.text;
    let upper = text.to_ascii_uppercase();
    if upper == "H"
        || upper.starts_with("H/")
        || upper.starts_with("H(")
        || upper == "R"
        || text.contains('~')
    {
        return Err(piece.refuse("a random value", JITTER));
    }
    if text == "?" {
        return match field {
            Field::MonthDay | Field::WeekDay => Ok(Item::Star(1)),
            Field::Second | Field::Minute | Field::Hour | Field::Month => {
                Err(piece.refuse("? outside of a day field", "write *"))
            }
        };
    }
    if field.named(text).is_none()
        && let Some(special) = special(field, piece, &upper)
    {
        return special;
    }
    let (range, step) = match piece.cut('/') {
        Some((range, step)) => (range, Some(step)),
        None => (piece, None),
    };
    let step = step.map(|step| width(field, piece, step)).transpose()?;
    if range.text == "*" {
        return Ok(Item::Star(step.unwrap_or(1)));
    }
    let Some((from, to)) = range.cut('-') else {
        if range.text.is_empty() {
            return Err(piece.refuse("a step without a range", format!("write *{text}")));
        }
        if range.text == "?" {
            return Err(piece.refuse("a step with ?", format!("write *{}", &text[1..])));
        }
        let from = value(field, range)?;
        let Some(step) = step else { return Ok(Item::Values(1 << (from % wrap(field)))) };
        let hint = format!("write {}-{}/{step}", range.text, last_like(field, range));
        return Err(piece.refuse("a step with a start and no end", hint));
    };
    if from.text.is_empty() || to.text.is_empty() {
        let hint = if from.text.is_empty() {
            format!("write a range such as {}-{}; values are never negative", field.first(), field.last())
        } else {
            format!("write {}-{}", from.text, last_like(field, from))
        };
        return Err(range.refuse("a range without both ends", hint));
    }
    if from.text == "*" || to.text == "*" {
        return Err(range.refuse(
            "a range with *",
            format!("write * alone, or values such as {}-{}", field.first(), field.last()),
        ));
    }
    if let Some((middle, _)) = to.cut('-') {
        let hint = match middle.text {
            "" => {
                format!("write a range such as {}-{}; values are never negative", field.first(), field.last())
            }
            middle => format!("write two values, {}-{middle}", from.text),
        };
        return Err(range.refuse("a range with more than two ends", hint));
    }
    Ok(Item::Values(between(field, value(field, from)?, value(field, to)?, step.unwrap_or(1).into())))
}

/// The field's last value, by name where the first one is.
fn last_like(field: Field, first: Piece<'_>) -> String {
    let named = field.named(first.text).and(field.names().last());
    named.map_or_else(|| field.last().to_string(), |name| (*name).to_owned())
}

/// The number from which values repeat: 7 is Sunday again.
fn wrap(field: Field) -> u32 {
    if field == Field::WeekDay { 7 } else { 64 }
}

/// A range, past the field's end on to its start where it wraps.
fn between(field: Field, from: u32, to: u32, step: u32) -> u64 {
    let (from, to) = match (from, to) {
        (7, 7) if field == Field::WeekDay => (0, 0),
        (7, to) if field == Field::WeekDay => (0, to),
        (1..=6, 0) if field == Field::WeekDay => (from, 7),
        ends => ends,
    };
    let to = if from <= to { to } else { to + field.count() };
    let fold = |value: u32| if value > field.last() { value - field.count() } else { value };
    (from..=to).step_by(step as usize).fold(0, |all, value| all | 1 << fold(value))
}

/// A step's width.
fn width(field: Field, piece: Piece<'_>, step: Piece<'_>) -> Result<u8, CronError> {
    let fit = format!("use a step of 1 to {}", field.count());
    if step.text.is_empty() {
        return Err(piece.refuse("a slash without a step", fit));
    }
    if !step.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(step.refuse("not a step", fit));
    }
    match step.text.parse::<u8>() {
        Ok(0) => Err(step.refuse("not a step", fit)),
        Ok(width) if u32::from(width) <= field.count() => Ok(width),
        Ok(_) | Err(_) => {
            let message = format!("a step wider than the {} values of the field", field.count());
            let hint = if piece.text.starts_with('*') {
                format!("{fit}; for longer intervals use every")
            } else {
                fit
            };
            Err(step.refuse(&message, hint))
        }
    }
}

/// A number or a name; 7 stays 7.
fn value(field: Field, piece: Piece<'_>) -> Result<u32, CronError> {
    let text = piece.text;
    if let Some(value) = field.named(text) {
        return Ok(value);
    }
    let message = format!("not {}", field.article());
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let largest = if field == Field::WeekDay { 7 } else { field.last() };
        let hint = match (field, text) {
            (Field::Hour, "24") => "use 0 for midnight".to_owned(),
            (Field::Second | Field::Minute, "60") => "use 0 to 59; 60 is the next 0".to_owned(),
            (Field::MonthDay | Field::Month, "0") => format!("use {}; counting starts at 1", field.range()),
            _ => format!("use {}", field.range()),
        };
        return match text.parse::<u32>() {
            Ok(value) if text.len() <= 2 && (field.first()..=largest).contains(&value) => Ok(value),
            Ok(_) | Err(_) => Err(piece.refuse(&message, hint)),
        };
    }
    Err(piece.refuse(&message, misnamed(field, text)))
}

/// What somebody may have meant.
fn misnamed(field: Field, text: &str) -> String {
    let short = text.get(..3).unwrap_or(text);
    if field.named(short).is_some() {
        return format!("names have three letters: {}", short.to_ascii_uppercase());
    }
    if let Some(other) = [Field::Month, Field::WeekDay].into_iter().find(|other| other.named(short).is_some())
    {
        return format!(
            "that is {}; the fields are minute, hour, day of the month, month, day of the week",
            other.article()
        );
    }
    if let Some(rest) = text.strip_prefix('*').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
        return format!("write */{rest} for a step, or * alone");
    }
    if let Some(rest) = text.strip_suffix('*').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
        return format!("write {rest} or *");
    }
    if text.contains(['?', '#']) {
        return "? stands alone, and # is for days of the week, such as FRI#2".to_owned();
    }
    format!("use {}", field.range())
}

/// `L`, `W` and `#`, or what looks like them; nothing for any other item.
fn special(field: Field, piece: Piece<'_>, upper: &str) -> Option<Result<Item, CronError>> {
    let is_digits =
        |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str, last: u8| {
        is_digits(text).then(|| text.parse::<u8>().ok()).flatten().filter(|value| *value <= last)
    };
    let week_day = |text: &str| {
        let named = field.named(text).and_then(|day| u8::try_from(day).ok());
        named.or_else(|| number(text, 7).map(|day| day % 7))
    };
    if field == Field::WeekDay {
        if let Some((day, week)) = upper.split_once('#') {
            return Some(match (week_day(day), number(week, 5)) {
                (Some(day), Some(week)) if week > 0 => Ok(Item::Nth { day, week }),
                (None, _) => Err(piece.refuse(
                    "# without one day of the week before it",
                    "write one such as FRI#2, and separate several by commas",
                )),
                (Some(_), _) => Err(piece.refuse(
                    "a month has no such week",
                    "write # with 1 to 5, or dL for the last, such as FRIL",
                )),
            });
        }
        if let Some(day) = upper.strip_suffix('L') {
            return match week_day(day) {
                Some(day) => Some(Ok(Item::Last(day))),
                None if day.is_empty() || day.contains(['-', '/']) => Some(Err(piece.refuse(
                    "L without one day of the week before it",
                    "write the day whose last is meant, such as FRIL",
                ))),
                None => None,
            };
        }
        let looks = upper.strip_suffix('W').is_some_and(|day| day.is_empty() || is_digits(day));
        return (looks || upper.starts_with("L-") || upper == "LW").then(|| {
            Err(piece.refuse("a letter of the day of the month", "write L and W in the third field of five"))
        });
    }
    if field != Field::MonthDay {
        let looks = ["L", "LW"].contains(&upper)
            || upper.starts_with("L-")
            || upper.strip_suffix('W').is_some_and(is_digits);
        return looks
            .then(|| Err(piece.refuse("L or W outside of a day field", format!("use {}", field.range()))));
    }
    if upper.contains('#') {
        return Some(Err(
            piece.refuse("# in the day of the month", "write d#n as the day of the week, such as FRI#2")
        ));
    }
    match upper {
        "L" => return Some(Ok(Item::FromEnd(0))),
        "LW" => return Some(Ok(Item::LastWeekday)),
        "WL" => return Some(Err(piece.refuse("not a day of the month", "write LW"))),
        _ => {}
    }
    if let Some(back) = upper.strip_prefix("L-") {
        return Some(match number(back, 30) {
            Some(back) => Ok(Item::FromEnd(back)),
            None if back.ends_with('W') => {
                Err(piece.refuse("W with L-n", "use L-n, or LW for the last weekday"))
            }
            None => Err(piece.refuse("not a distance from the month's last day", "write L-0 to L-30")),
        });
    }
    if let Some(day) = upper.strip_suffix('W') {
        return Some(match number(day, 31) {
            Some(day) if day > 0 => Ok(Item::Nearest(day)),
            _ => Err(piece.refuse(
                "W without one day of the month before it",
                "write 1W to 31W, or LW; separate several by commas",
            )),
        });
    }
    let looks = upper.starts_with('L') || upper.ends_with('L');
    looks.then(|| {
        Err(piece.refuse("L in the wrong place", "write L, L-n or LW; dL such as FRIL is a day of the week"))
    })
}
