//! A database of one's own for measuring: made, migrated, and dropped at the end.

use std::time::{Duration, Instant};

use sprongus_core::Result;

use crate::fault::Fault;
use crate::open::{self, Options};
use crate::{fault, migrate};

const TABLE: &str = "CREATE TABLE bare (id bigint PRIMARY KEY, text text NOT NULL)";
const BYPASSES: &str = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
const INSERT: &str = "INSERT INTO bare (id, text) VALUES ($1, $2)";

/// Makes the database `name` on the server of `url`, migrates it, and answers its own URL. `name` is a plain identifier.
///
/// # Errors
/// `forbidden` when the role may not make databases; otherwise as [`crate::Postgres::connect`].
pub async fn make(url: &str, name: &str) -> Result<String> {
    execute(url, &format!("CREATE DATABASE {name}")).await?;
    let own = elsewhere(url, name);
    migrate(&own, &Options::default(), None).await?;
    Ok(own)
}

/// Whether the role of `url` passes by row-level security, so that measuring as this role leaves it out.
///
/// # Errors
/// As [`make`].
pub async fn bypasses_policies(url: &str) -> Result<bool> {
    async fn ask(url: &str) -> fault::Result<bool> {
        let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
        Ok(client.query_one(BYPASSES, &[]).await?.try_get(0)?)
    }
    Ok(ask(url).await?)
}

/// Drops it, whoever is connected to it.
///
/// # Errors
/// As [`make`].
pub async fn drop(url: &str, name: &str) -> Result<()> {
    Ok(execute(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?)
}

/// Times `commits` transactions of one row of about 100 bytes each, one after the other on one connection.
///
/// # Errors
/// As [`make`].
pub async fn bare_commits(url: &str, commits: u32) -> Result<Duration> {
    Ok(bare(url, commits).await?)
}

async fn bare(url: &str, commits: u32) -> fault::Result<Duration> {
    let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
    client.batch_execute("DROP TABLE IF EXISTS bare").await?;
    client.batch_execute(TABLE).await?;
    let insert = client.prepare(INSERT).await?;
    let text = "x".repeat(100);
    let began = Instant::now();
    for id in 0..i64::from(commits) {
        client.execute(&insert, &[&id, &text]).await?;
    }
    Ok(began.elapsed())
}

async fn execute(url: &str, sql: &str) -> fault::Result<()> {
    let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
    client.batch_execute(sql).await.map_err(|error| {
        let fault = Fault::from(error);
        let hint = "connect as a role that may CREATE DATABASE, for this measure alone";
        Fault { error: fault.error.with_hint(hint), ..fault }
    })
}

/// The same server's database of another name. The last parameter wins over the path and over another `dbname`, which, if it
/// were left to stand, would have somebody's own database measured.
fn elsewhere(url: &str, name: &str) -> String {
    let joint = match url.find('?') {
        None => "?",
        Some(_) if url.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    format!("{url}{joint}dbname={name}")
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn another_database_of_the_same_server() {
        for url in [
            "postgres://a:b@h:1/d",
            "postgres://a:b@h:1/d?",
            "postgres://a:b@h:1",
            "postgres://a:b@h:1?sslmode=disable",
            "postgres://a:b@h:1/d?sslmode=disable&",
            "postgres://a:b@h:1/?dbname=d",
            "postgres://a:b@h:1/d?%64bname=d&sslmode=disable",
        ] {
            let config: tokio_postgres::Config = elsewhere(url, "x").parse().unwrap();
            let found = (config.get_user(), config.get_ports(), config.get_dbname());
            assert_eq!(found, (Some("a"), &[1][..], Some("x")), "{url}");
        }
    }
}
