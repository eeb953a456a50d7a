//! What the server adds to an enqueue: the same request asked of the model in process, and of a server in front of it by way of its
//! router, without a socket. The difference is our code between the two, a token's look-up included.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be set up has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Caller, RunsExt, RunsService};
use sprongus_http::server::{Options, Server};

const ROUNDS: usize = 7;
const CALLS: u32 = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let input = Json::from_value(serde_json::json!({"path": "scripts/night-shift.fountain", "note": "x".repeat(56)}));
        let body = format!("{{\"kind\":\"bench.noop\",\"input\":{}}}", input.as_str());
        let (mut here, mut there, mut added) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let service = RunsService::new(Arc::new(Model::new(Arc::new(TurnedClock::new()))));
            let caller = Caller::new(WorkspaceId::local(), "bench");
            let new =
                NewToken { name: "bench".into(), scopes: vec![Scope::Write], projects: None, expires_in: None };
            let token = service.admin(caller.clone()).create_token(new).await.unwrap();
            let runs = service.for_caller(caller);
            let asker = Server::new(service.clone(), Options { rate_limit: None, ..Options::default() }).asker();
            let began = Instant::now();
            for _ in 0..CALLS {
                runs.enqueue_one(NewRun::new("bench.noop", input.clone())).await.unwrap();
            }
            let direct = began.elapsed() / CALLS;
            let began = Instant::now();
            for _ in 0..CALLS {
                let status = asker.post("/v1/runs", token.secret.expose(), body.clone()).await;
                assert_eq!(status, 201);
            }
            let served = began.elapsed() / CALLS;
            here.push(direct);
            there.push(served);
            added.push(served.saturating_sub(direct));
        }
        println!(
            "overhead: {:?} in process, {:?} by the router, {:?} added (medians of {ROUNDS} rounds of {CALLS})",
            median(&mut here),
            median(&mut there),
            median(&mut added)
        );
    });
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
