//! The expressions that are compared: fixed ones around whatever others got wrong, then random ones without end.

use fastrand::Rng;

/// Around clock changes, wraps, steps and letters.
const FIXED: [&str; 60] = [
    "* * * * *",
    "0 * * * *",
    "30 * * * *",
    "*/15 * * * *",
    "0 0-23 * * *",
    "15 */1 * * *",
    "0 0-22 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 23 * * *",
    "30 23 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "45 2 * * *",
    "0 3 * * *",
    "30 3 * * *",
    "*/20 1-3 * * *",
    "0,30 0,1,2,3 * * *",
    "10 22-2 * * *",
    "0 22-4/3 * * *",
    "50-10/5 23-1 * * *",
    "* 2 * * *",
    "0 */2 * * *",
    "0 */6 * * *",
    "30 59 23 * * *",
    "0,30 30 1,2 * * *",
    "0 0 * * SUN",
    "0 0 * * 7",
    "30 2 * * 0",
    "0 0 * * MON-FRI",
    "0 0 * * FRI-MON",
    "0 0 * * 5-7",
    "0 0 * * 0-7",
    "0 0 * * 1-7/2",
    "0 0 1 * *",
    "0 0 L * *",
    "30 1 L * *",
    "0 0 L-1 * *",
    "0 0 L-30 * *",
    "0 0 LW * *",
    "0 0 1W * *",
    "0 0 31W * *",
    "0 0 15W,L-3,LW * *",
    "0 0 28-3 * *",
    "0 0 1 JAN-DEC/3 *",
    "0 0 1 NOV-FEB *",
    "0 0 29 2 *",
    "0 0 31 * *",
    "30 1 * * SUNL",
    "30 1 * * SUN#5",
    "0 2 * * SUN#2,SUN#1",
    "0 0 13 * FRI",
    "0 0 */13 * FRI",
    "0 0 8-14 * */5",
    "0 0 ? * MON#1",
];

pub fn all(random: &mut Rng) -> impl Iterator<Item = String> {
    FIXED.into_iter().map(str::to_owned).chain(std::iter::from_fn(|| Some(expression(random))))
}

/// One of these, by weight.
fn choose(random: &mut Rng, weights: &[u32]) -> usize {
    let all: u32 = weights.iter().sum();
    let mut left = random.u32(..all);
    let mut chosen = 0;
    while left >= weights[chosen] {
        left -= weights[chosen];
        chosen += 1;
    }
    chosen
}

fn value(random: &mut Rng, first: u32, last: u32, names: &[&str]) -> String {
    let value = random.u32(first..=last);
    match names.get((value - first) as usize) {
        Some(name) if random.bool() => {
            if random.bool() {
                (*name).to_owned()
            } else {
                name.to_lowercase()
            }
        }
        _ if last > 6 && random.u8(..8) == 0 => format!("{value:02}"),
        _ => value.to_string(),
    }
}

fn step(random: &mut Rng, count: u32) -> u32 {
    if random.u8(..4) == 0 { random.u32(1..=count) } else { random.u32(1..=count.min(12)) }
}

/// A list of values, ranges and steps. `weights` are for `*`, `*/n`, a value, a range, a range with a step, and a list.
fn field(random: &mut Rng, (first, last): (u32, u32), names: &[&str], weights: &[u32]) -> String {
    let count = last - first + 1;
    match choose(random, weights) {
        0 => "*".to_owned(),
        1 => format!("*/{}", step(random, count)),
        2 => value(random, first, last, names),
        3 => format!("{}-{}", value(random, first, last, names), value(random, first, last, names)),
        4 => {
            let step = step(random, count);
            format!("{}-{}/{step}", value(random, first, last, names), value(random, first, last, names))
        }
        _ => {
            let items = random.usize(2..4);
            let some = (0..items).map(|_| field(random, (first, last), names, &[0, 1, 8, 2, 1]));
            some.collect::<Vec<_>>().join(",")
        }
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn month_day(random: &mut Rng) -> String {
    match choose(random, &[8, 1, 3, 3, 2, 2, 2]) {
        0 => "*".to_owned(),
        1 => "?".to_owned(),
        2 => "L".to_owned(),
        3 => field(random, (1, 31), &[], &[0, 2, 4, 2, 2, 2]),
        4 => format!("{}W", random.u8(1..=31)),
        5 => format!("L-{}", random.u8(0..=30)),
        _ => format!("{},{},LW", random.u8(1..=31), ["L", "1W", "L-2", "15w", "l"][random.usize(..5)]),
    }
}

fn week_day(random: &mut Rng) -> String {
    match choose(random, &[8, 1, 5, 2, 2, 1]) {
        0 => "*".to_owned(),
        1 => "?".to_owned(),
        2 => field(random, (0, 6), &WEEKDAYS, &[0, 2, 4, 3, 2, 2]).replace("-0", "-7"),
        3 => format!("{}#{}", value(random, 0, 6, &WEEKDAYS), random.u8(1..=5)),
        4 => format!("{}L", value(random, 0, 6, &WEEKDAYS)),
        _ => format!("{},{}L,7#2", value(random, 0, 6, &WEEKDAYS), random.u8(0..=7)),
    }
}

fn expression(random: &mut Rng) -> String {
    let minutes = field(random, (0, 59), &[], &[1, 3, 12, 2, 2, 4]);
    let hours = field(random, (0, 23), &[], &[3, 2, 10, 3, 2, 4]);
    let months = field(random, (1, 12), &MONTHS, &[12, 1, 2, 2, 1, 1]);
    let days = format!("{minutes} {hours} {} {months} {}", month_day(random), week_day(random));
    if random.u8(..10) == 0 {
        let seconds = field(random, (0, 59), &[], &[0, 0, 6, 0, 0, 1]);
        return format!("{seconds} {days}");
    }
    days
}

/// A text that is an expression, nearly one, or nothing of the kind.
pub fn text(random: &mut Rng) -> String {
    const PARTS: [&str; 40] = [
        "*",
        "/",
        "-",
        ",",
        "#",
        "?",
        " ",
        "  ",
        "\t",
        "L",
        "W",
        "LW",
        "L-",
        "H",
        "@",
        "@daily",
        "@every",
        "0",
        "1",
        "5",
        "7",
        "12",
        "23",
        "24",
        "31",
        "59",
        "60",
        "61",
        "99999999999",
        "MON",
        "FRI",
        "JAN",
        "DEC",
        "mon",
        "TZ=",
        "\n",
        "\0",
        "é",
        "–",
        "\u{1b}[31m",
    ];
    let mut text = if random.u8(..3) == 0 { String::new() } else { expression(random) };
    for _ in 0..random.usize(..8) {
        let byte = (0..=text.len())
            .filter(|byte| text.is_char_boundary(*byte))
            .nth(random.usize(..=text.chars().count()));
        let byte = byte.unwrap_or(0);
        match random.u8(..4) {
            0 if byte < text.len() => drop(text.remove(byte)),
            1 => text.insert(byte, char::from(random.u8(32..127))),
            2 => text.insert(byte, random.char(..)),
            _ => text.insert_str(byte, PARTS[random.usize(..PARTS.len())]),
        }
    }
    text
}
