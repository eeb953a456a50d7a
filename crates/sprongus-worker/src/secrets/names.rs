//! Which secrets a kind's input may refer to, and which no reference ever reaches.

use std::collections::BTreeSet;

use sprongus_core::secrets::SecretRef;

/// What every reference begins with.
const SCHEME: &str = "secret://";

/// The variables that hold, or lead to, the worker's own credentials: no reference resolves them.
const OWN: [&str; 4] = ["SPRONGUS_", "PG", "AWS_", "OTEL_"];

/// Whether an environment variable is one of the worker's own credentials.
pub(crate) fn is_own_credential(name: &str) -> bool {
    // Names are told apart by case, but nothing honest is called `sprongus_token`.
    let name = name.to_ascii_uppercase();
    name == "DATABASE_URL" || OWN.iter().any(|own| name.starts_with(own))
}

/// The secrets that an input of a kind may refer to: `env/NAME` and `file/NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretNames(BTreeSet<String>);

impl SecretNames {
    /// Adds a secret by its name, `env/NAME` or `file/NAME`.
    ///
    /// # Errors
    /// What was expected, for a name that is none or that is the worker's own credential. Other text is not repeated.
    pub fn add(&mut self, name: &str) -> Result<(), String> {
        if name.starts_with(SCHEME) {
            return Err(format!("expected a name without {SCHEME}, such as env/NAME"));
        }
        let reference = format!("{SCHEME}{name}");
        let reference = SecretRef::parse(&reference)
            .ok_or("expected the name of a secret, env/NAME or file/NAME, where NAME has letters, digits and _ (for a file . and - too)")?;
        refuse_own(reference)?;
        self.0.insert(name.to_owned());
        Ok(())
    }

    /// Whether an input may refer to it.
    #[must_use]
    pub fn allow(&self, reference: SecretRef<'_>) -> bool {
        self.0.contains(&name_of(reference))
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Refuses a reference to one of the worker's own credentials.
///
/// # Errors
/// A sentence that names the variable.
pub(crate) fn refuse_own(reference: SecretRef<'_>) -> Result<(), String> {
    match reference {
        SecretRef::Env(name) if is_own_credential(name) => Err(format!(
            "{name} is reserved for the worker and never passed to commands; use another name for a command's secret, or a file"
        )),
        SecretRef::Env(_) | SecretRef::File(_) => Ok(()),
    }
}

/// The reference as a kind lists it.
pub(crate) fn name_of(reference: SecretRef<'_>) -> String {
    match reference {
        SecretRef::Env(name) => format!("env/{name}"),
        SecretRef::File(name) => format!("file/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_worker_itself_needs_is_never_listed() {
        let own = "SPRONGUS_TOKEN SPRONGUS_ANYTHING DATABASE_URL PGPASSWORD AWS_SECRET_ACCESS_KEY OTEL_EXPORTER_OTLP_HEADERS \
                   database_url pgpassword Sprongus_Token";
        for name in own.split_whitespace() {
            assert!(is_own_credential(name), "{name}");
            assert!(
                SecretNames::default().add(&format!("env/{name}")).unwrap_err().contains("never"),
                "{name}"
            );
        }
        for name in ["SMTP_PASSWORD", "OPENAI_API_KEY", "MY_DATABASE_URL", "BACKUP_AWS_KEY", "A", "P"] {
            assert!(!is_own_credential(name), "{name}");
        }
    }

    #[test]
    fn a_listed_secret_is_a_name_and_nothing_else() {
        let mut names = SecretNames::default();
        for good in ["env/SMTP_PASSWORD", "file/deploy.key", "env/SMTP_PASSWORD"] {
            names.add(good).unwrap();
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), ["env/SMTP_PASSWORD", "file/deploy.key"]);
        assert!(
            names.allow(SecretRef::Env("SMTP_PASSWORD")) && !names.allow(SecretRef::File("SMTP_PASSWORD"))
        );
        for bad in [
            "",
            "SMTP_PASSWORD",
            "env/",
            "env/*",
            "env/A B",
            "file/../x",
            "file/.x",
            "vault/x",
            "secret://env/A",
        ] {
            assert!(names.add(bad).is_err(), "{bad}");
        }
    }
}
