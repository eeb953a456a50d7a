//! A Postgres server of its own for tests, drills and benchmarks, gone when its process is.
