//! An expression in plain English: `At 02:30, Monday to Friday`.

use super::Cron;
use super::days::{MonthDays, Start, WeekDays};
use super::field::Field;
use super::groups::{Group, groups, star};
use super::print::bits;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEK_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Above this many times of day they are not listed.
const LISTED: usize = 4;

/// `a`, `a and b`, `a, b and c`.
fn join(mut parts: Vec<String>) -> String {
    let Some(last) = parts.pop() else { return String::new() };
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn values(mask: u64) -> impl Iterator<Item = u32> + Clone {
    (0..64).filter(move |bit| mask >> bit & 1 == 1)
}

/// `5`, `10 to 20`, `every 2nd day from the 1st to the 31st`.
fn spoken(field: Field, mask: u64, name: impl Fn(u32) -> String) -> String {
    let text = |group: Group| match group {
        Group { from, to, .. } if from == to => name(from),
        Group { from, to, step: 1 } => format!("{} to {}", name(from), name(to)),
        Group { from, to, step } => format!("every {} from {} to {}", ordinal(step), name(from), name(to)),
    };
    join(groups(field, mask).into_iter().map(text).collect())
}

fn named(names: &[&str], at: u32) -> String {
    names.get(at as usize).map_or_else(String::new, |name| (*name).to_owned())
}

impl Cron {
    /// The expression in plain English, on one line and without a period: `Every 15 minutes from 09:00 to 17:59, Monday to Friday`.
    pub fn words(&self) -> String {
        let listed = self.times();
        let time = match &listed {
            Some(times) => format!("At {}", join(times.clone())),
            None => self.how_often(),
        };
        let days = self.on_days();
        let months = if self.months == 0b1_1111_1111_1110 {
            String::new()
        } else {
            format!(" in {}", spoken(Field::Month, self.months.into(), |month| named(&MONTHS, month - 1)))
        };
        match days {
            Some(days) => format!("{time}{days}{months}"),
            None if listed.is_some() => format!("{time} every day{months}"),
            None => format!("{time}{months}"),
        }
    }

    /// The times of day, where there are few.
    fn times(&self) -> Option<Vec<String>> {
        let (seconds, minutes, hours) =
            (values(self.seconds), values(self.minutes), values(self.hours.into()));
        if seconds.clone().count() * minutes.clone().count() * hours.clone().count() > LISTED {
            return None;
        }
        let mut found = Vec::new();
        for hour in hours {
            for minute in minutes.clone() {
                for second in seconds.clone() {
                    let seconds = if self.seconds == 1 { String::new() } else { format!(":{second:02}") };
                    found.push(format!("{hour:02}:{minute:02}{seconds}"));
                }
            }
        }
        Some(found)
    }

    fn how_often(&self) -> String {
        let minutes = match star(Field::Minute, self.minutes) {
            Some(1) => "every minute".to_owned(),
            Some(step) => format!("every {} minute", ordinal(step)),
            None => format!("minute {}", spoken(Field::Minute, self.minutes, |minute| minute.to_string())),
        };
        let whole = |step: u32| 60 % step == 0;
        if self.seconds == 1 {
            return match star(Field::Minute, self.minutes) {
                Some(1) => format!("Every minute{}", self.during(" ")),
                Some(step) if whole(step) => format!("Every {step} minutes{}", self.during(" ")),
                _ if self.minutes == 1 => self.hourly("on the hour"),
                _ => self.hourly(&format!("at {minutes}")),
            };
        }
        let every_minute = self.minutes == Field::Minute.every();
        let often = match star(Field::Second, self.seconds) {
            Some(1) if every_minute => "Every second".to_owned(),
            Some(step) if whole(step) && every_minute => format!("Every {step} seconds"),
            Some(1) => format!("Every second of {minutes}"),
            _ => {
                let seconds = spoken(Field::Second, self.seconds, |second| second.to_string());
                format!("At second {seconds} of {minutes}")
            }
        };
        often + &self.during(" ")
    }

    fn hourly(&self, when: &str) -> String {
        match star(Field::Hour, self.hours.into()) {
            Some(step) if step > 1 && 24 % step == 0 => format!("Every {step} hours, {when}"),
            _ => format!("Every hour, {when}{}", self.during(", ")),
        }
    }

    /// The hours, with what is before them; nothing where all match.
    fn during(&self, before: &str) -> String {
        if self.names_every_hour() {
            return String::new();
        }
        let hours = groups(Field::Hour, self.hours.into());
        let text = |group: &Group| match *group {
            Group { from, to, step: 1 } => format!("from {from:02}:00 to {to:02}:59"),
            Group { from, to, step } => format!("in every {} hour from {from:02} to {to:02}", ordinal(step)),
        };
        format!("{before}{}", join(hours.iter().map(text).collect()))
    }

    /// The days, from the space or comma before them on; none where every day matches.
    fn on_days(&self) -> Option<String> {
        let (month, week) = (&self.month_days, &self.week_days);
        match (month.start == Start::Star(1), week.start == Start::Star(1)) {
            (true, true) => None,
            (false, true) => Some(format!(" on {}", month.words())),
            // `, Monday to Friday`, but ` on Monday`.
            (true, false) if week.is_range() => Some(format!(", {}", week.words())),
            (true, false) => Some(format!(" on {}", week.words())),
            (false, false) => {
                let either = month.start == Start::Restricted && week.start == Start::Restricted;
                let joint = if either { "and on" } else { "if it falls on" };
                Some(format!(" on {} {joint} {}", month.words(), week.words()))
            }
        }
    }
}

impl MonthDays {
    fn words(&self) -> String {
        let mut parts = Vec::new();
        if self.days != 0 {
            let days = spoken(Field::MonthDay, self.days.into(), |day| format!("the {}", ordinal(day)));
            parts.push(days.replace(" from the ", " day from the "));
        }
        parts.extend(bits(self.nearest).map(|day| format!("the weekday nearest to the {}", ordinal(day))));
        parts.extend(bits(self.from_end).map(|back| match back {
            0 => "the last day".to_owned(),
            1 => "the last day but one".to_owned(),
            back => format!("the {} day before the last", ordinal(back)),
        }));
        parts.extend(self.last_weekday.then(|| "the last weekday".to_owned()));
        format!("{} of the month", join(parts))
    }
}

impl WeekDays {
    fn is_range(&self) -> bool {
        let groups = groups(Field::WeekDay, self.days.into());
        self.nth == [0; 5]
            && self.last == 0
            && matches!(groups[..], [Group { from, to, step: 1 }] if from != to)
    }

    fn words(&self) -> String {
        let mut parts = Vec::new();
        if self.days != 0 {
            parts.push(spoken(Field::WeekDay, self.days.into(), |day| named(&WEEK_DAYS, day)));
        }
        let mut in_month = Vec::new();
        for (week, days) in (1..).zip(self.nth) {
            in_month.extend(
                bits(days.into()).map(|day| format!("the {} {}", ordinal(week), named(&WEEK_DAYS, day))),
            );
        }
        in_month.extend(bits(self.last.into()).map(|day| format!("the last {}", named(&WEEK_DAYS, day))));
        if !in_month.is_empty() {
            parts.push(format!("{} of the month", join(in_month)));
        }
        join(parts)
    }
}
