//! How the model is: always well.

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::figures::metric::Metric;
use sprongus_core::store::{Diagnostics, Health};

use crate::model::Model;

#[async_trait]
impl Diagnostics for Model {
    async fn health(&self, _thorough: bool) -> Result<Health> {
        let (engine, place) = ("the model".to_owned(), "memory".to_owned());
        let nothing = Vec::new();
        Ok(Health {
            engine,
            place,
            schema: 0,
            durable: false,
            caveat: None,
            not_checked: None,
            problems: nothing,
        })
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(Vec::new())
    }
}
