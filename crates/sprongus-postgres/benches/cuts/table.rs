//! The figures of all rounds as a markdown table of medians, each with its ratio to the first row.

use crate::design::Cut;
use crate::measure::Rates;

/// One column: its title, and what it shows of a measurement.
type Column = (&'static str, fn(&Rates) -> f64);

const COLUMNS: [Column; 5] = [
    ("enqueue", |rates| rates.enqueue),
    ("claim", |rates| rates.claim),
    ("finish", |rates| rates.finish),
    ("drain", |rates| rates.drain),
    ("life", |rates| rates.life),
];

/// The table for one connection (0) or two (1).
pub fn render(cuts: &[Cut], rounds: &[Vec<[Rates; 2]>], connections: usize) -> String {
    let titles = COLUMNS.iter().map(|(title, _)| format!(" {title} |")).collect::<String>();
    let mut text =
        format!("| cut |{titles} HOT | WAL bytes a life | swept a life |\n|{}\n", " --- |".repeat(9));
    let of = |place: usize, value: fn(&Rates) -> f64| {
        let one =
            |round: &Vec<[Rates; 2]>| round.get(place).and_then(|both| both.get(connections)).map(value);
        median(rounds.iter().filter_map(one).collect())
    };
    for (place, cut) in cuts.iter().enumerate() {
        text += &format!("| {} |", cut.name);
        for (_, value) in COLUMNS {
            let rate = of(place, value);
            text += &format!(" {:.1}k ({:.2}) |", rate / 1_000.0, rate / of(0, value));
        }
        text += &format!(
            " {:.0} % | {:.0} | {:.2} |\n",
            of(place, |rates| rates.hot) * 100.0,
            of(place, |rates| rates.wal),
            of(place, |rates| rates.swept)
        );
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
