//! The canonical text of an expression: what it was understood to mean. Reading it again gives the same expression.

use std::fmt;

use super::Cron;
use super::days::{MonthDays, Start, WeekDays};
use super::field::Field;
use super::groups::{Group, groups, star};
use super::item::steps;

/// Values as a list, with ranges and steps where they are shorter.
fn list(field: Field, mask: u64) -> Vec<String> {
    let name = |value: u32| match field {
        Field::WeekDay => {
            field.names().get(value as usize).map_or_else(String::new, |name| (*name).to_owned())
        }
        Field::Second | Field::Minute | Field::Hour | Field::MonthDay | Field::Month => value.to_string(),
    };
    let text = |group: Group| match group {
        Group { from, to, .. } if from == to => name(from),
        Group { from, to, step: 1 } => format!("{}-{}", name(from), name(to)),
        Group { from, to, step } => format!("{}-{}/{step}", name(from), name(to)),
    };
    groups(field, mask).into_iter().map(text).collect()
}

/// A field that is no day field: `*/n` where that is all of it.
fn plain(field: Field, mask: u64) -> String {
    match star(field, mask) {
        Some(1) => "*".to_owned(),
        Some(step) => format!("*/{step}"),
        None => list(field, mask).join(","),
    }
}

/// A day field: what it begins with is a part of its meaning.
fn day(field: Field, start: Start, mask: u64, mut special: Vec<String>) -> String {
    let mut all = match start {
        Start::Star(1) => return "*".to_owned(),
        Start::Star(step) => {
            let mut all = vec![format!("*/{step}")];
            all.extend(list(field, mask & !steps(field.first(), field.last(), step.into())));
            all
        }
        Start::Restricted => list(field, mask),
    };
    all.append(&mut special);
    all.join(",")
}

pub fn bits(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |bit| mask >> bit & 1 == 1)
}

impl fmt::Display for MonthDays {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = bits(self.nearest).map(|day| format!("{day}W"));
        let from_end =
            bits(self.from_end).map(|back| if back == 0 { "L".to_owned() } else { format!("L-{back}") });
        let last = self.last_weekday.then(|| "LW".to_owned());
        let special = nearest.chain(from_end).chain(last).collect();
        out.write_str(&day(Field::MonthDay, self.start, self.days.into(), special))
    }
}

impl fmt::Display for WeekDays {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Field::WeekDay.names();
        let named = |mask: u8| bits(mask.into()).filter_map(|day| names.get(day as usize));
        let nth =
            (1..).zip(self.nth).flat_map(|(week, days)| named(days).map(move |day| format!("{day}#{week}")));
        let last = named(self.last).map(|day| format!("{day}L"));
        out.write_str(&day(Field::WeekDay, self.start, self.days.into(), nth.chain(last).collect()))
    }
}

/// The canonical text: without seconds where they are 0, weekdays by name, months by number.
impl fmt::Display for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds != 1 {
            write!(out, "{} ", plain(Field::Second, self.seconds))?;
        }
        let (minutes, hours) = (plain(Field::Minute, self.minutes), plain(Field::Hour, self.hours.into()));
        let months = plain(Field::Month, self.months.into());
        write!(out, "{minutes} {hours} {} {months} {}", self.month_days, self.week_days)
    }
}
