//! Schedules: those that are late, broken, drifted from their file or made for nobody, and the zone data they are read by.

use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::{SystemZones, ZoneData};
use sprongus_core::schedule::{LATE, ScheduleState, ScheduleView};
use sprongus_core::schedules::Schedules;
use sprongus_core::values::names::Kind;
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};
use sprongus_core::workspace::directory::Worker;
use sprongus_core::{Error, Result};

use super::finding::{Finding, Findings, named};
use crate::connect::{Behind, Connection};
use crate::render::age::{ago, rough};
use crate::render::plural::plural;

/// Schedules read at once, and at most.
const PAGE: u32 = 100;
const MOST: usize = 1_000;

pub async fn check(connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let (views, is_cut) = read(connection.schedules.as_ref()).await?;
    let (workers, now) = (connection.runs.workers().await?, SystemClock.now());
    findings.add(all(&views, is_cut, now));
    let amiss = views.iter().flat_map(|view| amiss(view, &workers, now));
    named(amiss, "schedules", "`sprongus schedules list` shows them all", findings);
    let zoned = views.iter().any(|view| view.definition.time_zone().is_some_and(|zone| zone != "UTC"));
    match &connection.behind {
        Behind::Service { service, .. } => {
            findings.add(zone_data(&service.store().zones().data(), zoned));
        }
        Behind::Server(_) => {
            let data = SystemZones::from_env().data();
            findings.add(Finding::fine("zone data", format!("{data}, not used: the server reads schedules")));
        }
    }
    findings.extend(different(&workers));
    Ok(())
}

async fn read(schedules: &dyn Schedules) -> Result<(Vec<ScheduleView>, bool)> {
    let mut views: Vec<ScheduleView> = Vec::new();
    loop {
        let page = schedules.list(views.last().map(|last| &last.id), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        views.extend(page);
        if is_last {
            return Ok((views, false));
        }
        if views.len() >= MOST {
            let more = schedules.list(views.last().map(|last| &last.id), 1).await?;
            return Ok((views, !more.is_empty()));
        }
    }
}

/// How many there are, and which has the next tick.
fn all(views: &[ScheduleView], is_cut: bool, now: Timestamp) -> Finding {
    let next = views.iter().filter_map(|view| Some((view.next_tick?, &view.id))).min();
    let next = next.map_or_else(String::new, |(at, id)| format!(", next {id} {}", ago(at, now)));
    let cut = if is_cut { "; only the first 1,000 were checked" } else { "" };
    let count = match (views.len(), is_cut) {
        (0, _) => "none".to_owned(),
        (many, false) => many.to_string(),
        (many, true) => format!("more than {many}"),
    };
    Finding::fine("schedules", format!("{count}{next}{cut}"))
}

fn amiss(view: &ScheduleView, workers: &[Worker], now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |text: String, remedy: String| found.push(Finding::wrong("schedules", text, remedy));
    let id = &view.id;
    let late = view.due_at.map(|due| now.since(due)).filter(|late| *late > LATE);
    if view.state == ScheduleState::Broken {
        let why = view.error.as_deref().unwrap_or("unknown time zone");
        let remedy =
            format!("correct time_zone of {id}, or install the zone data where workers and servers run");
        add(format!("{id} is broken: {}", excerpt(why, 200)), remedy);
    } else if let Some(late) = late {
        let remedy = "start `sprongus worker` or `sprongus serve`; either moves schedules on";
        add(format!("{id} is late: it was due {} ago", rough(late)), remedy.to_owned());
    }
    if view.drifted {
        let remedy = "run `sprongus apply` to reset it, or put the change into sprongus.toml and apply that";
        add(format!("{id} was changed after sprongus.toml was applied"), remedy.to_owned());
    }
    let kind = &view.definition.run.kind;
    let is_served = kind.parse::<Kind>().is_ok_and(|kind| workers.iter().any(|worker| worker.serves(&kind)));
    if view.state == ScheduleState::Active && !is_served {
        let kind = excerpt(kind, 64);
        let remedy = format!("start `sprongus worker` where a sprongus.toml declares {kind}");
        add(format!("no live worker serves {kind}, the kind of {id}"), remedy);
    }
    found
}

/// The zone data of this process, which reads schedules itself.
fn zone_data(data: &ZoneData, is_needed: bool) -> Finding {
    let bundled = ZoneData::bundled();
    match data.is_older_than(&bundled) {
        Some(true) => {
            let text = format!("{data}, older than the copy in sprongus ({})", bundled.version);
            if !is_needed {
                return Finding::fine("zone data", text);
            }
            let remedy = format!("update {}, or set TZDIR to newer zone data", data.source);
            Finding::wrong("zone data", text, remedy)
        }
        Some(false) | None => Finding::fine("zone data", data.to_string()),
    }
}

/// Live workers that read schedules by different zone data.
fn different(workers: &[Worker]) -> Option<Finding> {
    if !Worker::zone_data_differs(workers) {
        return None;
    }
    let told = workers.iter().filter_map(|worker| {
        let data = worker.zone_data.as_ref()?;
        Some(format!("{} has {}", worker.id, excerpt(&data.to_string(), 96)))
    });
    let told: Vec<String> = told.collect();
    let text = format!("{} have different zone data: {}", plural(told.len(), "worker"), told.join(", "));
    let remedy = "install the same tzdata on every machine; the ticks of a schedule differ until then";
    Some(Finding::wrong("zone data", text, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(version: &str, source: &str) -> ZoneData {
        ZoneData { version: version.to_owned(), source: source.to_owned() }
    }

    fn told(finding: &Finding) -> String {
        finding.amiss().map(|(what, text, remedy)| format!("{what}: {text}: {remedy}")).unwrap()
    }

    #[test]
    fn zone_data_older_than_the_bundled_copy_is_a_fault_where_a_schedule_needs_it() {
        let old = data("2020a", "/usr/share/zoneinfo");
        let fault = told(&zone_data(&old, true));
        assert!(fault.contains("zone data: 2020a (/usr/share/zoneinfo), older than the copy"), "{fault}");
        assert!(fault.contains("TZDIR"), "{fault}");
        assert_eq!(zone_data(&old, false).amiss(), None);
        for fine in [ZoneData::bundled(), data("9999a", "/z"), data(ZoneData::UNKNOWN, "/z")] {
            assert_eq!(zone_data(&fine, true).amiss(), None, "{fine}");
        }
    }
}
