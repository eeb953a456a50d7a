//! The last hour: what was added up of it, and what has happened since, added to that as it is asked for.

use std::collections::BTreeMap;

use sprongus_core::figures::recent::{Figure, KEPT, Recent, Sum, write_stats};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::Result;
use crate::rows::values::Time;
use crate::rows::{self, RowReader, event_columns, events_in_order};

pub const ADD: &str = "
    INSERT INTO run_recent AS m (workspace_id, minute, project_id, figure, part, count, total_ms)
    SELECT $1, * FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[])
    ON CONFLICT (workspace_id, minute, project_id, figure, part) DO UPDATE SET count = m.count + excluded.count,
        total_ms = m.total_ms + excluded.total_ms";
pub const FORGET: &str = "DELETE FROM run_recent WHERE workspace_id = $1 AND minute < $2";
pub const SUMS: &str = "
    SELECT figure, part, sum(count)::bigint, sum(total_ms)::bigint FROM run_recent
    WHERE workspace_id = $1 AND minute >= $3 AND ($2::text[] IS NULL OR project_id = ANY ($2::text[])) GROUP BY figure, part";
macro_rules! read_to {
    () => {
        "((SELECT coalesce((SELECT tx FROM rolled_up WHERE workspace_id = $1), '0')),
            (SELECT coalesce((SELECT pos FROM rolled_up WHERE workspace_id = $1), 0)))"
    };
}

/// Newest first, and no more than a server that keeps house is ever behind: else a stream that nobody adds up would be read to its
/// beginning. The bound is a parameter: of one that it knows, the planner may think that it is more than there are, and sort all of them. A bare
/// `coalesce` counts as one that might leak what a policy hides, and so bounds no index.
pub const SINCE: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", coalesce(project_id, '') FROM (
        ",
    events_in_order!(
        single: concat!("(tx, pos) > ", read_to!()),
        batch: concat!("(tx, number) > ", read_to!()),
        in_batch: concat!("(b.tx, e.pos) > ", read_to!()),
        "DESC", limit: "$4"
    ),
    ") AS e
    JOIN LATERAL (SELECT project_id FROM runs WHERE id = e.run_id OFFSET 0) AS r ON true
    WHERE type = ANY ($5)
        AND at >= $3 AND ($2::text[] IS NULL OR project_id = ANY ($2::text[]))"
);
/// Events looked at that were not added up yet.
pub const MOST_SINCE: i64 = 200_000;

/// Sums as the columns of one insert.
#[derive(Default)]
pub struct Columns<'a> {
    minutes: Vec<Time>,
    projects: Vec<&'a str>,
    figures: Vec<&'static str>,
    parts: Vec<i32>,
    counts: Vec<i64>,
    totals: Vec<i64>,
}

impl<'a> Columns<'a> {
    /// Those of what a page of events adds.
    pub fn of(recent: &'a Recent) -> Self {
        let mut columns = Self::default();
        for ((minute, project, figure, part), sum) in &recent.0 {
            columns.minutes.push(Time(*minute));
            columns.projects.push(project);
            columns.figures.push(figure.as_str());
            columns.parts.push(i32::from(*part));
            columns.counts.push(sum.count);
            columns.totals.push(sum.total_ms);
        }
        columns
    }

    /// What [`ADD`] takes.
    pub fn params<'b>(&'b self, workspace: &'b &str) -> [&'b (dyn ToSql + Sync); 7] {
        let Self { minutes, projects, figures, parts, counts, totals } = self;
        [workspace, minutes, projects, figures, parts, counts, totals]
    }
}

/// Before this, nothing is kept.
pub fn forgotten(now: Timestamp) -> Time {
    Time(now.minus(KEPT).minute())
}

/// Writes the figures of the hour that began at `began` into `stats`, of what [`SUMS`] and [`SINCE`] gave at one instant.
pub fn read(sums: &[Row], since: &[Row], began: Timestamp, stats: &mut Stats) -> Result<()> {
    let mut all: BTreeMap<(Figure, u16), Sum> = BTreeMap::new();
    for row in sums {
        let mut row = RowReader::new(row);
        let key = (row.parse()?, row.integer()?);
        all.insert(key, Sum { count: row.value()?, total_ms: row.value()? });
    }
    let mut recent = Recent::default();
    for row in since {
        let mut row = RowReader::new(row);
        let event = rows::event(&mut row)?;
        recent.add(row.value()?, &event, began);
    }
    for ((_, _, figure, part), more) in &recent.0 {
        let sum = all.entry((*figure, *part)).or_default();
        *sum = sum.plus(*more);
    }
    write_stats(&all, stats);
    Ok(())
}
