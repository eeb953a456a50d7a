//! Figures of a workspace: totals, the recent past, metrics.

pub mod metric;
pub mod recent;
pub mod rollup;
