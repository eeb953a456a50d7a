//! Reading an expression. Whatever is refused is refused here, at its column.

use super::Cron;
use super::days::{Days, MonthDays, Start, WeekDays};
use super::fault::CronError;
use super::field::Field;
use super::item::{self, Item};
use super::piece::Piece;
use crate::values::text::excerpt;

/// The words for whole expressions.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const SHAPE: &str = "write minute, hour, day of the month, month and day of the week, such as 30 2 * * *";

pub fn parse(text: &str) -> Result<Cron, CronError> {
    if text.len() > Cron::MAX_BYTES {
        let hint = format!("write at most {} bytes, or several schedules", Cron::MAX_BYTES);
        return Err(CronError::new(1, format!("an expression of {} bytes", text.len()), hint));
    }
    let whole = Piece { text, column: 1 };
    if let Some((byte, odd)) =
        text.trim_end().char_indices().find(|(_, c)| !c.is_ascii_graphic() && !" \t".contains(*c))
    {
        let hint = match odd {
            '\n' | '\r' => "write one expression on one line",
            '\u{2010}'..='\u{2015}' | '\u{2212}' => "write a hyphen: -",
            '\u{2217}' | '\u{ff0a}' => "write an asterisk: *",
            '\u{a0}' => "write an ordinary space",
            _ => "write digits, letters, spaces and * , - / # ? only",
        };
        return Err(whole.from(byte).to(odd.len_utf8()).refuse("a character that has no meaning here", hint));
    }
    let pieces = split(whole);
    let Some(first) = pieces.first() else {
        return Err(CronError::new(1, "an empty expression", SHAPE));
    };
    if first.text.starts_with('@') {
        return word(*first, pieces.get(1).copied());
    }
    if let Some((name, zone)) = first.cut('=') {
        let hint = if name.text.ends_with("TZ") {
            format!("write it apart: time_zone = \"{}\"", excerpt(zone.text, 32))
        } else {
            "write the expression alone".to_owned()
        };
        return Err(first.refuse("not a part of an expression", hint));
    }
    if pieces.len() < 5 {
        return Err(too_few(text, &pieces));
    }
    if let Some(more) = pieces.get(6) {
        let hint = if is_year(more.text) {
            "there is no field for the year; use start_at and end_at"
        } else {
            "end the expression after 5 fields, or 6 with seconds first; write lists without spaces"
        };
        return Err(whole.from(offset(whole, *more)).refuse("text behind the last field", hint));
    }
    fields(text, &pieces).map_err(|fault| with_six(fault, &pieces))
}

fn too_few(text: &str, pieces: &[Piece<'_>]) -> CronError {
    let word = match pieces {
        [one] => WORDS.iter().find(|(word, _)| word[1..].eq_ignore_ascii_case(one.text)),
        _ => None,
    };
    let hint = word.map_or_else(|| SHAPE.to_owned(), |(word, _)| format!("write {word}"));
    let message = format!("expected 5 or 6 fields, found {}", pieces.len());
    CronError::new(text.trim_end().chars().count() + 1, message, hint)
}

/// An expression of six fields often is one of five with something behind it.
fn with_six(fault: CronError, pieces: &[Piece<'_>]) -> CronError {
    let Some(last) = pieces.get(5) else { return fault };
    if is_year(last.text) && fault.column() >= last.column {
        return last.refuse(
            "not a day of the week",
            "there is no field for the year; use start_at and end_at, and of six fields the first is seconds",
        );
    }
    let is_name = last.text.get(..3).is_some_and(|short| Field::WeekDay.named(short).is_some());
    if last.text.len() > 2 && !is_name && read(Field::WeekDay, *last).is_err() {
        return last.refuse(
            "text behind the last field",
            "end the expression after 5 fields, or 6 with seconds first; a command belongs to the kind",
        );
    }
    fault
}

fn is_year(text: &str) -> bool {
    text.len() >= 4 && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
}

fn offset(whole: Piece<'_>, part: Piece<'_>) -> usize {
    whole.text.char_indices().nth(part.column - whole.column).map_or(whole.text.len(), |(byte, _)| byte)
}

/// The fields between spaces and tabs.
fn split(whole: Piece<'_>) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = whole;
    loop {
        let start = rest.text.len() - rest.text.trim_start().len();
        rest = rest.from(start);
        if rest.text.is_empty() {
            return found;
        }
        let end = rest.text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.text.len());
        found.push(rest.to(end));
        rest = rest.from(end);
    }
}

fn word(word: Piece<'_>, more: Option<Piece<'_>>) -> Result<Cron, CronError> {
    if word.text.eq_ignore_ascii_case("@every") {
        let period = more.map_or("5m", |period| period.text);
        let hint = format!("write every = \"{}\" instead of cron", excerpt(period, 16));
        return Err(word.refuse("an interval is not a cron expression", hint));
    }
    let Some((_, meaning)) = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.text)) else {
        let hint = if word.text.eq_ignore_ascii_case("@reboot") {
            "enqueue the run at startup instead; a schedule has times only".to_owned()
        } else {
            "use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually".to_owned()
        };
        return Err(word.refuse("not a word for an expression", hint));
    };
    match more {
        Some(more) => Err(more.refuse("text behind the last field", format!("write {} alone", word.text))),
        None => parse(meaning),
    }
}

/// A field as it was read.
struct Read {
    start: Start,
    values: u64,
    items: Vec<Item>,
}

fn read(field: Field, piece: Piece<'_>) -> Result<Read, CronError> {
    let (mut values, mut items, mut start) = (0, Vec::new(), None);
    let mut rest = Some(piece);
    while let Some(list) = rest {
        let (part, next) = match list.cut(',') {
            Some((part, next)) => (part, Some(next)),
            None => (list, None),
        };
        if part.text.is_empty() {
            let hint = "write a value on both sides of each comma, without spaces";
            return Err(CronError::new(
                part.column,
                format!("an empty item in the list: {}", excerpt(piece.text, 32)),
                hint,
            ));
        }
        let item = item::read(field, part)?;
        start.get_or_insert(if let Item::Star(step) = item { Start::Star(step) } else { Start::Restricted });
        match item {
            Item::Star(step) => values |= item::steps(field.first(), field.last(), step.into()),
            Item::Values(some) => values |= some,
            Item::FromEnd(_) | Item::Nearest(_) | Item::LastWeekday | Item::Nth { .. } | Item::Last(_) => {
                items.push(item);
            }
        }
        rest = next;
    }
    let start = if values == field.every() && matches!(start, Some(Start::Star(_))) {
        // Whatever follows `*` adds nothing.
        items.clear();
        Start::Star(1)
    } else {
        start.unwrap_or(Start::Restricted)
    };
    Ok(Read { start, values, items })
}

fn fields(text: &str, pieces: &[Piece<'_>]) -> Result<Cron, CronError> {
    let (seconds, five) = match pieces {
        [second, five @ ..] if five.len() == 5 => (read(Field::Second, *second)?.values, five),
        five => (1, five),
    };
    let [minute, hour, month_day, month, week_day] = five else { return Err(too_few(text, pieces)) };
    let (minutes, hours) = (read(Field::Minute, *minute)?.values, read(Field::Hour, *hour)?.values as u32);
    let month_days = in_month(read(Field::MonthDay, *month_day)?);
    let months = read(Field::Month, *month)?.values as u32;
    let week_days = in_week(read(Field::WeekDay, *week_day)?);
    let days = Days::new(&month_days, &week_days);
    if !days.come_in(months) {
        return Err(month_day.refuse("a day that never comes", never(&month_days, &week_days)));
    }
    Ok(Cron { seconds, minutes, hours, month_days, months, week_days, days })
}

fn never(by_month: &MonthDays, by_week: &WeekDays) -> &'static str {
    if matches!((by_month.start, by_week.start), (Start::Restricted, Start::Star(1))) {
        "name a month that has this day; L is a month's last day"
    } else {
        "where one of the day fields begins with *, a day must match both"
    }
}

fn in_month(read: Read) -> MonthDays {
    let mut days = MonthDays {
        start: read.start,
        days: read.values as u32,
        from_end: 0,
        nearest: 0,
        last_weekday: false,
    };
    for item in read.items {
        match item {
            Item::FromEnd(back) => days.from_end |= 1 << back,
            Item::Nearest(day) => days.nearest |= 1 << day,
            Item::LastWeekday => days.last_weekday = true,
            Item::Star(_) | Item::Values(_) | Item::Nth { .. } | Item::Last(_) => {}
        }
    }
    days
}

fn in_week(read: Read) -> WeekDays {
    let mut days = WeekDays { start: read.start, days: read.values as u32, nth: [0; 5], last: 0 };
    for item in read.items {
        match item {
            Item::Nth { day, week } => days.nth[usize::from(week - 1)] |= 1 << day,
            Item::Last(day) => days.last |= 1 << day,
            Item::Star(_) | Item::Values(_) | Item::FromEnd(_) | Item::Nearest(_) | Item::LastWeekday => {}
        }
    }
    days
}
