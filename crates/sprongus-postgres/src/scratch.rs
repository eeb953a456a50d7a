//! A database of one's own for measuring: made, migrated, and dropped at the end.

use std::time::{Duration, Instant};

use sprongus_core::Result;

use crate::fault::Fault;
use crate::open::{self, Options};
use crate::{fault, migrate};

const TABLE: &str = "CREATE TABLE bare (id bigint PRIMARY KEY, text text NOT NULL)";
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

/// The same server's database of another name. What stands behind `?` stays.
fn elsewhere(url: &str, name: &str) -> String {
    let (address, rest) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let start = address.find("://").map_or(0, |place| place + 3);
    let host_end = address[start..].find('/').map_or(address.len(), |place| start + place);
    let rest = rest.map(|rest| format!("?{rest}")).unwrap_or_default();
    format!("{}/{name}{rest}", &address[..host_end])
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn another_database_of_the_same_server() {
        for (url, other) in [
            ("postgres://a:b@h:1/d", "postgres://a:b@h:1/x"),
            ("postgres://a@h", "postgres://a@h/x"),
            ("postgres://a@%2Ftmp%2Fs:5/d?sslmode=disable", "postgres://a@%2Ftmp%2Fs:5/x?sslmode=disable"),
        ] {
            assert_eq!(elsewhere(url, "x"), other);
        }
    }
}
