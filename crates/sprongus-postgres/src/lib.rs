//! Durable runs in Postgres, for many servers and workers.
