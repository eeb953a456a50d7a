//! Numbers of things.

use std::fmt::Display;

/// A number and what there is of it: "1 run", "2 runs". The noun is one that takes an `s`.
pub fn plural<N: Copy + Display + TryInto<u64>>(number: N, noun: &str) -> String {
    let ending = if number.try_into().is_ok_and(|number| number == 1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        assert_eq!([0_u64, 1, 2].map(|number| plural(number, "run")), ["0 runs", "1 run", "2 runs"]);
    }
}
