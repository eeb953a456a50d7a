//! Looking: lists, histories and logs, which may take several pages, and waiting for news.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use sprongus_core::Result;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::list::{ListFilter, MAX_PAGE, Page};
use sprongus_core::run::step::NumberedLine;
use sprongus_core::run::view::{NewsView, RunView};
use sprongus_core::run::waiting::OpenGate;
use sprongus_core::values::ids::RunId;

use super::RunsClient;
use super::call::Call;
use crate::wire::run::RunBody;
use crate::wire::run::history::{EventBody, LineBody, NewsBody};
use crate::wire::run::waiting::OpenGateBody;
use crate::wire::{List, millis};

/// How long one call waits for news: shorter than proxies have patience.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// How long to wait where the server does not, because it is about to stop.
const PAUSE: Duration = Duration::from_millis(200);

/// The most runs that an answer with lines or events is reckoned to weigh: a thousand lines of 16 KiB, escaped.
const WEIGHT: usize = 40;

/// One page; its cursor leads to the next.
pub async fn list(client: &RunsClient, filter: &ListFilter) -> Result<Page<RunView>> {
    let page: List<RunBody> = client.call(listing("/v1/runs", filter)).await?;
    let data = page.data.into_iter().map(RunBody::into_view).collect();
    Ok(Page { data, next_cursor: page.next_cursor })
}

/// A page of the gates that wait for an approval.
pub async fn gates(client: &RunsClient, filter: &ListFilter) -> Result<Page<OpenGate>> {
    let page: List<OpenGateBody> = client.call(listing("/v1/gates", filter)).await?;
    let data = page.data.into_iter().map(OpenGateBody::into_gate).collect();
    Ok(Page { data, next_cursor: page.next_cursor })
}

fn listing(path: &'static str, filter: &ListFilter) -> Call {
    let runs = filter.limit.min(MAX_PAGE) as usize;
    let mut call = Call::get(path).with("limit", filter.limit).expecting(runs);
    for state in &filter.states {
        call = call.with("state", state);
    }
    for kind in &filter.kinds {
        call = call.with("kind", kind);
    }
    for (name, value) in &filter.tags {
        call = call.with("tag", format!("{name}={value}"));
    }
    let ones = [
        ("projectId", filter.project_id.as_ref().map(ToString::to_string)),
        ("agentTaskId", filter.agent_task_id.as_ref().map(ToString::to_string)),
        ("scheduleId", filter.schedule_id.as_ref().map(ToString::to_string)),
        ("since", filter.since.map(|time| time.to_string())),
        ("before", filter.before.map(|time| time.to_string())),
        ("sort", filter.oldest_first.then(|| "createdAt".to_owned())),
        ("waiting", filter.waiting.map(|reason| reason.to_string())),
        ("id", filter.id.as_ref().map(ToString::to_string)),
        ("cursor", filter.cursor.clone()),
    ];
    for (name, value) in ones {
        if let Some(value) = value {
            call = call.with(name, value);
        }
    }
    call
}

/// The run that was enqueued under a key, if there is one.
pub async fn find_by_key(client: &RunsClient, key: &str) -> Result<Option<RunView>> {
    let call = Call::get("/v1/runs").with("idempotencyKey", key).expecting(1);
    let found: List<RunBody> = client.call(call).await?;
    Ok(found.data.into_iter().next().map(RunBody::into_view))
}

/// Up to `limit` of what is numbered within a run, in as many calls as it takes.
async fn numbered<T: DeserializeOwned>(
    client: &RunsClient,
    path: String,
    after: u64,
    limit: u32,
    seq: impl Fn(&T) -> u64,
) -> Result<Vec<T>> {
    let (mut all, mut after): (Vec<T>, u64) = (Vec::new(), after);
    loop {
        let left = (limit as usize).saturating_sub(all.len());
        // With a limit of nothing the server still says whether there is such a run.
        let wanted = u32::try_from(left).unwrap_or(MAX_NEWS).clamp(1, MAX_NEWS);
        let call = Call::get(path.clone()).with("after", after).with("limit", wanted).expecting(WEIGHT);
        let page: List<T> = client.call(call).await?;
        let is_last = page.next_cursor.is_none() || page.data.is_empty();
        all.extend(page.data.into_iter().take(left));
        if is_last || all.len() >= limit as usize {
            return Ok(all);
        }
        after = all.last().map_or(after, &seq);
    }
}

/// A run's events after `after`.
pub async fn events(client: &RunsClient, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
    let path = format!("/v1/runs/{id}/events");
    let events = numbered(client, path, after, limit, |event: &EventBody| event.seq).await?;
    events.into_iter().map(EventBody::into_event).collect()
}

/// A run's log lines after `after`.
pub async fn logs(client: &RunsClient, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
    let path = format!("/v1/runs/{id}/logs");
    let lines = numbered(client, path, after, limit, |line: &LineBody| line.seq).await?;
    Ok(lines.into_iter().map(LineBody::into_line).collect())
}

/// The pause before a server is asked again that did not answer.
const PAUSE_WITH_NOBODY: Duration = Duration::from_millis(500);

/// What is new of a run; asks as often as the wait takes.
pub async fn follow(client: &RunsClient, id: RunId, read: ReadSoFar, wait: Duration) -> Result<NewsView> {
    let deadline = Instant::now() + wait;
    let mut silent_since = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let now = Instant::now();
        let longest = left.min(LONGEST_WAIT);
        let call = Call::get(format!("/v1/runs/{id}/news"))
            .with("events", read.events)
            .with("lines", read.lines)
            .with("waitMs", millis(longest))
            .waiting(longest)
            .expecting(WEIGHT);
        let news = match client.call::<NewsBody>(call).await {
            Ok(news) => news.into_news()?,
            Err(error) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                if !error.retryable() || since.elapsed() >= client.inner.patience {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE_WITH_NOBODY).await;
                continue;
            }
        };
        silent_since = None;
        let left = deadline.saturating_duration_since(Instant::now());
        if !news.events.is_empty() || !news.lines.is_empty() || left.is_zero() {
            return Ok(news);
        }
        let is_early = now.elapsed() + PAUSE < longest;
        tokio::time::sleep(if is_early { PAUSE.min(left) } else { Duration::ZERO }).await;
    }
}
