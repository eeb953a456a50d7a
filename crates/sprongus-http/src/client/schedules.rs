//! [`Schedules`] over HTTP: each method is a route.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sprongus_core::run::view::RunView;
use sprongus_core::schedule::{Definition, ScheduleView};
use sprongus_core::schedules::{Applied, Backfilled, Difference, NextTick, Preview, Previewed, Schedules};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{ErrorCode, Result};

use super::RunsClient;
use super::address::segment;
use super::call::Call;
use crate::wire::List;
use crate::wire::run::RunBody;
use crate::wire::schedule::{ApplyBody, BackfillBody, PreviewBody, ScheduleBody};

fn path(id: &ScheduleId) -> String {
    format!("/v1/schedules/{}", segment(id.as_str()))
}

fn with_verb(id: &ScheduleId, verb: &str) -> String {
    format!("{}:{verb}", path(id))
}

#[async_trait]
impl Schedules for RunsClient {
    async fn list(&self, after: Option<&ScheduleId>, limit: u32) -> Result<Vec<ScheduleView>> {
        let mut call = Call::get("/v1/schedules").with("limit", limit);
        if let Some(after) = after {
            call = call.with("cursor", after);
        }
        let list: List<ScheduleBody> = self.call(call).await?;
        list.data.into_iter().map(ScheduleBody::into_view).collect()
    }

    async fn get(&self, id: &ScheduleId) -> Result<ScheduleView> {
        self.call::<ScheduleBody>(Call::get(path(id))).await?.into_view()
    }

    async fn create(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView> {
        let mut body = definition.to_json().to_value();
        if let Value::Object(fields) = &mut body {
            fields.insert("id".to_owned(), json!(id));
        }
        self.call::<ScheduleBody>(Call::post("/v1/schedules", &body)?).await?.into_view()
    }

    async fn put(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView> {
        self.call::<ScheduleBody>(Call::put(path(id), &definition)?).await?.into_view()
    }

    async fn pause(&self, id: &ScheduleId) -> Result<ScheduleView> {
        self.call::<ScheduleBody>(Call::post(with_verb(id, "pause"), &Map::new())?).await?.into_view()
    }

    async fn resume(&self, id: &ScheduleId) -> Result<ScheduleView> {
        self.call::<ScheduleBody>(Call::post(with_verb(id, "resume"), &Map::new())?).await?.into_view()
    }

    async fn delete(&self, id: &ScheduleId) -> Result<()> {
        match self.send(&Call::delete(path(id))).await {
            Ok(_) => Ok(()),
            // An earlier try of this call took it.
            Err(refused) if refused.is_repeat && refused.error.code() == ErrorCode::NotFound => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }

    /// Not repeated when its outcome is not known: it would be a second run.
    async fn trigger(&self, id: &ScheduleId) -> Result<RunView> {
        let call = Call::post(with_verb(id, "trigger"), &Map::new())?.once();
        Ok(self.call::<RunBody>(call).await?.into_view())
    }

    async fn backfill(
        &self,
        id: &ScheduleId,
        from: Timestamp,
        to: Timestamp,
        dry_run: bool,
    ) -> Result<Backfilled> {
        self.call(Call::post(with_verb(id, "backfill"), &BackfillBody { from, to, dry_run })?).await
    }

    async fn next(&self, id: &ScheduleId, n: u32) -> Result<Vec<NextTick>> {
        let list: List<NextTick> = self.call(Call::get(format!("{}/next", path(id))).with("n", n)).await?;
        Ok(list.data)
    }

    async fn preview(&self, preview: &Preview) -> Result<Previewed> {
        let Preview { cron, time_zone, dst, from, n } = preview.clone();
        self.call(Call::post(
            "/v1/schedules:preview",
            &PreviewBody { cron, time_zone, dst, from, n: Some(n) },
        )?)
        .await
    }

    async fn apply(&self, applied: &Applied) -> Result<Vec<Difference>> {
        let schedules = applied.schedules.iter();
        let schedules = schedules.map(|(id, it)| (id.to_string(), it.to_json().to_value())).collect();
        let body = ApplyBody { schedules, prune: applied.prune, dry_run: applied.dry_run };
        let list: List<Difference> = self.call(Call::post("/v1/settings:apply", &body)?).await?;
        Ok(list.data)
    }
}
