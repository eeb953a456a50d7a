//! What `sprongus.toml` says of a kind when a run of it is enqueued.

use sprongus_core::error::FieldError;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::{Error, Result};
use sprongus_worker::declaration::Declaration;

use crate::app::refused;

/// Takes over what the kind declares, and checks the input against its schema. A kind that is declared elsewhere, or nowhere,
/// is left as it is.
///
/// # Errors
/// `validation`, with every place in the input that the schema refuses.
pub fn apply(declaration: Option<&Declaration>, run: &mut NewRun) -> Result<()> {
    if let Some(fault) = declaration.and_then(|declaration| declaration.broken.get(&run.kind)) {
        return Err(refused(fault));
    }
    let Some(kind) = declaration.and_then(|declaration| declaration.kinds.get(&run.kind)) else {
        return Ok(());
    };
    run.declared_max_attempts = kind.max_attempts;
    let Some(schema) = &kind.input_schema else { return Ok(()) };
    let input = run.input.as_ref().unwrap_or(&Json::empty_object()).to_value();
    let Err(violations) = schema.check(&input) else { return Ok(()) };
    let fields = violations.into_iter().map(|violation| FieldError {
        message: format!("input{}: {}", violation.pointer, violation.message),
        pointer: format!("/input{}", violation.pointer),
    });
    Err(Error::invalid_fields(fields.collect())
        .with_hint(format!("the input must match {}", schema.path().display())))
}
