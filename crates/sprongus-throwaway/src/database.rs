//! SQL, from any thread, in or out of a runtime.

use tokio_postgres::NoTls;

use crate::binaries::Failure;

/// Carries out statements on a connection of their own.
pub fn batch(url: &str, sql: &str) -> Result<(), Failure> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.map_err(told)?;
            let driving = tokio::spawn(connection);
            client.batch_execute(&sql).await.map_err(told)?;
            drop(client);
            // What is said at the end of a connection matters to nobody.
            let _ = driving.await;
            Ok(())
        })
    });
    thread.join().map_err(|_| Failure::new("a thread broke off".to_owned()))?
}

fn told(error: tokio_postgres::Error) -> Failure {
    let text = match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    Failure::new(text)
}
