//! The values of a field as a person would group them: ranges, steps and single values.

use super::field::Field;
use super::item::steps;

/// Values from one to another; `to` is below `from` where the range wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub from: u32,
    pub to: u32,
    /// 1 where there is none.
    pub step: u32,
}

/// Values as groups, each where it is shorter than the values alone.
pub fn groups(field: Field, mask: u64) -> Vec<Group> {
    if let Some(one) = wrapped(field, mask) {
        return vec![one];
    }
    let mut left = mask;
    let mut found = Vec::new();
    while left != 0 {
        let one = longest(field, left, left.trailing_zeros());
        found.push(one);
        left &= !steps(one.from, one.to, one.step);
    }
    found
}

/// The step of a field that reads `*/n`, and 1 for `*`.
pub fn star(field: Field, mask: u64) -> Option<u32> {
    (1..=field.count() / 2).find(|step| mask == steps(field.first(), field.last(), *step))
}

/// The longest group from a value on: three values at least, four where the step is not 1.
fn longest(field: Field, mask: u64, from: u32) -> Group {
    let run = |step: u32| {
        let mut to = from;
        while to + step <= field.last() && mask >> (to + step) & 1 == 1 {
            to += step;
        }
        Group { from, to, step }
    };
    let values = |group: &Group| (group.to - group.from) / group.step + 1;
    let runs =
        (1..=field.count() / 3).map(run).filter(|group| values(group) >= if group.step == 1 { 3 } else { 4 });
    runs.max_by_key(|group| (values(group), u32::MAX - group.step)).unwrap_or(Group {
        from,
        to: from,
        step: 1,
    })
}

/// One range that wraps: `22-2`, `FRI-MON`.
fn wrapped(field: Field, mask: u64) -> Option<Group> {
    let gap = field.every() & !mask;
    let (from, to) = (gap.trailing_zeros(), 63_u32.checked_sub(gap.leading_zeros())?);
    let whole = gap == steps(from, to, 1) && mask.count_ones() >= 3;
    (whole && from > field.first() && to < field.last()).then(|| Group {
        from: to + 1,
        to: from - 1,
        step: 1,
    })
}
