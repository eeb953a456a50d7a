//! A claim is what the rule chooses, whatever plan the planner makes of its statement: the cases of claims, and random histories, under
//! plans that nobody would choose.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;

use sprongus_conformance::{TurnedClock, fixture, histories, store};
use sprongus_core::store::Store;
use sprongus_postgres::{Durability, Options, Postgres};
use sprongus_throwaway::Database;

mod scene;

use scene::migrated;

/// Nested loops and nothing that keeps what a loop's inner side once gave; hashes and bitmaps in place of indexes.
const PLANS: [&str; 2] = [
    "-c enable_hashjoin=off -c enable_mergejoin=off -c enable_material=off -c enable_memoize=off -c enable_hashagg=off \
     -c enable_sort=off -c enable_seqscan=on -c plan_cache_mode=force_custom_plan",
    "-c enable_nestloop=off -c enable_hashjoin=on -c enable_mergejoin=on -c enable_indexscan=off -c enable_indexonlyscan=off \
     -c enable_bitmapscan=on -c enable_seqscan=on -c plan_cache_mode=force_custom_plan",
];

async fn make(clock: TurnedClock, plans: &str) -> (Arc<dyn Store>, Database) {
    let database = migrated();
    let options =
        Options { clock: Some(Arc::new(clock)), durability: Durability::AsConfigured, ..Options::default() };
    let url = database.url("sprongus_app");
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}options={}", plans.replace(' ', "%20").replace('=', "%3D"));
    (Arc::new(Postgres::connect(&url, options).await.unwrap()), database)
}

#[test]
fn a_claim_is_what_the_rule_chooses_under_any_plan() {
    for plans in PLANS {
        fixture::drive(|clock| make(clock, plans), store::dispatch::a_claim_is_what_the_rule_chooses);
        fixture::drive(|clock| make(clock, plans), store::dispatch::a_claim_may_block_what_it_does_not_take);
        fixture::drive(|clock| make(clock, plans), store::claim::a_claim_never_gives_more_than_its_limit);
        fixture::drive(|clock| make(clock, plans), store::claim::two_claimers_never_hold_the_same_run);
    }
}

#[test]
fn random_histories_agree_with_the_model_under_any_plan() {
    for plans in PLANS {
        histories::compare(|clock| make(clock, plans), 6);
    }
}
