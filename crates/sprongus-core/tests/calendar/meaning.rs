//! What an expression means, read in the plainest way: for each value, does any item of the field's list name it?

/// An expression by tables of its values, and of the days from one year to another.
pub struct Meaning {
    pub seconds: Vec<i64>,
    /// By the minute of the day.
    pub times: Vec<bool>,
    pub every_hour: bool,
    /// By days since 1970, from `first_day` on.
    days: Vec<bool>,
    first_day: i64,
}

/// A day as the naive rules need it.
struct Day {
    month: i64,
    day: i64,
    length: i64,
    weekday: i64,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The value of a number or a name.
fn number(text: &str, names: &[&str], first: i64) -> i64 {
    let text = text.to_uppercase();
    match names.iter().position(|name| *name == text) {
        Some(place) => place as i64 + first,
        None => text.parse().unwrap(),
    }
}

/// Whether an item with `*`, a value, a range or a step names a value: by walking the ring of values.
fn names(item: &str, value: i64, (first, last): (i64, i64), called: &[&str]) -> bool {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let step: i64 = step.parse().unwrap();
    if range == "*" || range == "?" {
        return (value - first) % step == 0;
    }
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, mut to) = (number(from, called, first), number(to, called, first));
    if called.len() == 7 && from == 0 && to == 7 {
        // The whole week and its Sunday again.
        return value % step == 0 || (value == 0 && 7 % step == 0);
    }
    let mut at = from;
    if called.len() == 7 {
        (at, to) = (from % 7, to % 7);
    }
    let mut walked = 0;
    loop {
        if at == value && walked % step == 0 {
            return true;
        }
        if at == to {
            return false;
        }
        at = if at == last { first } else { at + 1 };
        walked += 1;
    }
}

fn listed(field: &str, value: i64, bounds: (i64, i64), called: &[&str]) -> bool {
    field.split(',').any(|item| names(item, value, bounds, called))
}

fn weekday_of(day: &Day, other: i64) -> i64 {
    (day.weekday + other - day.day).rem_euclid(7)
}

/// The nearest day from Monday to Friday in the month, by trying distances.
fn nearest(day: &Day, wanted: i64) -> i64 {
    for distance in 0..3 {
        for tried in [wanted - distance, wanted + distance] {
            if (1..=day.length).contains(&tried) && (1..=5).contains(&weekday_of(day, tried)) {
                return tried;
            }
        }
    }
    unreachable!("a weekend has two days")
}

fn month_day(item: &str, day: &Day) -> bool {
    let item = item.to_uppercase();
    match item.as_str() {
        "L" => return day.day == day.length,
        "LW" => {
            let last = (1..=day.length).rev().find(|tried| (1..=5).contains(&weekday_of(day, *tried)));
            return last == Some(day.day);
        }
        _ => {}
    }
    if let Some(back) = item.strip_prefix("L-") {
        return day.day + back.parse::<i64>().unwrap() == day.length;
    }
    if let Some(wanted) = item.strip_suffix('W') {
        let wanted = wanted.parse::<i64>().unwrap();
        return wanted <= day.length && nearest(day, wanted) == day.day;
    }
    names(&item, day.day, (1, 31), &[])
}

fn week_day(item: &str, day: &Day) -> bool {
    let item = item.to_uppercase();
    if let Some((wanted, week)) = item.split_once('#') {
        return number(wanted, &WEEKDAYS, 0) % 7 == day.weekday
            && (day.day - 1) / 7 + 1 == week.parse::<i64>().unwrap();
    }
    if let Some(wanted) = item.strip_suffix('L') {
        return number(wanted, &WEEKDAYS, 0) % 7 == day.weekday && day.day + 7 > day.length;
    }
    names(&item, day.weekday, (0, 6), &WEEKDAYS)
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to a year's first, by counting.
pub fn days_to(year: i64) -> i64 {
    (1970..year).map(|year| 337 + length(year, 2)).sum()
}

impl Meaning {
    /// An expression that the calendar has taken, with the days from a year to another and one more on each side.
    pub fn new(text: &str, years: (i64, i64)) -> Self {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [second, minute, hour, in_month, month, in_week] = fields[..] else { panic!("{text}") };
        let values = |field: &str, last: i64| -> Vec<bool> {
            (0..=last).map(|value| listed(field, value, (0, last), &[])).collect()
        };
        let (minutes, hours) = (values(minute, 59), values(hour, 23));
        let mut days = Vec::new();
        let first_day = days_to(years.0 - 1);
        let mut weekday = (first_day + 4) % 7;
        let star = |field: &str| field.starts_with(['*', '?']);
        for year in years.0 - 1..=years.1 {
            for number in 1..=12 {
                for date in 1..=length(year, number) {
                    let day = Day { month: number, day: date, length: length(year, number), weekday };
                    let by_month = in_month.split(',').any(|item| month_day(item, &day));
                    let by_week = in_week.split(',').any(|item| week_day(item, &day));
                    let both = star(in_month) || star(in_week);
                    let matches = if both { by_month && by_week } else { by_month || by_week };
                    days.push(matches && listed(month, day.month, (1, 12), &MONTHS));
                    weekday = (weekday + 1) % 7;
                }
            }
        }
        let seconds = values(second, 59);
        Self {
            seconds: (0..60).filter(|second| seconds[*second as usize]).collect(),
            times: (0..1440).map(|minute| hours[minute / 60] && minutes[minute % 60]).collect(),
            every_hour: hours.iter().all(|hour| *hour),
            days,
            first_day,
        }
    }

    /// Whether a day so many days after 1970 matches.
    pub fn on(&self, day: i64) -> bool {
        self.days[(day - self.first_day) as usize]
    }

    pub fn has_days(&self) -> bool {
        self.days.contains(&true)
    }
}
