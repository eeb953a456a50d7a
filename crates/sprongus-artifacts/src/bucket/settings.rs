//! What the environment says of a bucket's server: the documented variables, each checked, and no other.
//!
//! `object_store` would take some forty more, unsigned requests and other people's bills among them.

use std::env::VarError;

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use sprongus_core::{Error, Result};

/// What a variable has to hold.
#[derive(Clone, Copy)]
enum Holds {
    /// An http or https URL with a host.
    Address,
    /// Yes or no.
    Flag,
    /// A region's name.
    Region,
    /// Printable characters without white space.
    Word,
    /// A path, or anything else that is not empty.
    Text,
}

/// Where several name the same, the later goes before the earlier.
const VARIABLES: [(&str, AmazonS3ConfigKey, Holds); 17] = [
    ("AWS_ENDPOINT_URL", AmazonS3ConfigKey::Endpoint, Holds::Address),
    ("AWS_ENDPOINT", AmazonS3ConfigKey::Endpoint, Holds::Address),
    ("AWS_ENDPOINT_URL_S3", AmazonS3ConfigKey::S3Endpoint, Holds::Address),
    ("AWS_DEFAULT_REGION", AmazonS3ConfigKey::Region, Holds::Region),
    ("AWS_REGION", AmazonS3ConfigKey::Region, Holds::Region),
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId, Holds::Word),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey, Holds::Word),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token, Holds::Word),
    ("AWS_ALLOW_HTTP", AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp), Holds::Flag),
    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", AmazonS3ConfigKey::VirtualHostedStyleRequest, Holds::Flag),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn, Holds::Word),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName, Holds::Word),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile, Holds::Text),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint, Holds::Address),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        Holds::Text,
    ),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri, Holds::Address),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
        Holds::Text,
    ),
];

/// Words for yes and no, as `object_store` and other tools take them.
const FLAGS: [&str; 10] = ["1", "true", "on", "yes", "y", "0", "false", "off", "no", "n"];

/// Reads them; an empty variable is none.
///
/// # Errors
/// `validation`, with the name of the first variable that holds something else than it should, and without what it holds.
pub fn read(variable: impl Fn(&str) -> std::result::Result<String, VarError>) -> Result<AmazonS3Builder> {
    let mut settings = AmazonS3Builder::new();
    for (name, key, holds) in VARIABLES {
        match variable(name) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => {
                check(&value, holds).map_err(|expected| refused(name, expected))?;
                settings = settings.with_config(key, value);
            }
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => return Err(refused(name, "expected UTF-8 text")),
        }
    }
    let is_set = |key| settings.get_config_value(&key).is_some();
    match (is_set(AmazonS3ConfigKey::AccessKeyId), is_set(AmazonS3ConfigKey::SecretAccessKey)) {
        (true, false) => Err(refused("AWS_SECRET_ACCESS_KEY", "not set, but AWS_ACCESS_KEY_ID is")),
        (false, true) => Err(refused("AWS_ACCESS_KEY_ID", "not set, but AWS_SECRET_ACCESS_KEY is")),
        (true, true) | (false, false) => Ok(settings),
    }
}

fn check(value: &str, holds: Holds) -> std::result::Result<(), &'static str> {
    let is_word = |byte: u8| byte.is_ascii_graphic();
    let is_region = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let (fits, expected) = match holds {
        Holds::Address => {
            let url = reqwest::Url::parse(value).ok();
            let fits = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            (fits, "expected a server URL, such as https://minio.example:9000")
        }
        Holds::Flag => {
            let fits = FLAGS.iter().any(|flag| value.eq_ignore_ascii_case(flag));
            (fits, "expected true or false")
        }
        Holds::Region => (value.bytes().all(is_region), "expected a region, such as eu-central-1"),
        Holds::Word => (value.bytes().all(is_word), "expected printable characters without white space"),
        Holds::Text => (!value.contains('\0'), "expected text without NUL"),
    };
    if fits { Ok(()) } else { Err(expected) }
}

fn refused(name: &str, why: &str) -> Error {
    Error::validation(format!("{name}: {why}"))
        .with_hint("correct or unset the variable; docs/config.md lists those a bucket needs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<AmazonS3Builder> {
        read(|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn only_documented_variables_act() {
        let settings = read_pairs(&[
            ("AWS_ENDPOINT", "https://s3.example"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_DEFAULT_REGION", "us-west-2"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_SKIP_SIGNATURE", "true"),
            ("AWS_UNSIGNED_PAYLOAD", "true"),
            ("AWS_REQUEST_PAYER", "true"),
            ("AWS_SERVER_SIDE_ENCRYPTION", "AES256"),
            ("AWS_BUCKET", "theirs"),
            ("AWS_PROXY_URL", "http://proxy.example"),
            ("AWS_ALLOW_INVALID_CERTIFICATES", "true"),
            ("AWS_METADATA_ENDPOINT", "http://evil.example"),
        ])
        .unwrap();
        let value = |key: &str| settings.get_config_value(&key.parse().unwrap());
        assert_eq!(value("aws_endpoint").as_deref(), Some("https://s3.example"));
        assert_eq!(value("aws_region").as_deref(), Some("eu-north-1"), "before the default");
        assert_eq!(value("aws_session_token"), None);
        let on = |value: Option<String>| value.is_some_and(|value| value == "true");
        for key in ["aws_skip_signature", "aws_unsigned_payload", "aws_request_payer"] {
            assert!(!on(value(key)), "{key} acts");
        }
        for key in ["aws_server_side_encryption", "aws_bucket", "proxy_url", "aws_metadata_endpoint"] {
            assert_eq!(value(key), None, "{key} acts");
        }
        assert!(!on(value("allow_invalid_certificates")));
    }

    #[test]
    fn a_mistyped_value_is_told_by_its_name_and_not_repeated() {
        for (name, value) in [
            ("AWS_ENDPOINT", "minio.example:hunter2"),
            ("AWS_ENDPOINT_URL_S3", "ftp://hunter2"),
            ("AWS_ENDPOINT_URL", "hunter2"),
            ("AWS_REGION", "eu central hunter2"),
            ("AWS_ALLOW_HTTP", "hunter2"),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "ture"),
            ("AWS_ACCESS_KEY_ID", "hunter2 "),
            ("AWS_SECRET_ACCESS_KEY", "hunter2\n"),
            ("AWS_SESSION_TOKEN", "hünter2"),
        ] {
            let error = read_pairs(&[(name, value)]).err().unwrap();
            assert!(error.message().starts_with(&format!("{name}: expected")), "{error}");
            assert!(!format!("{error:?} {}", error.hint()).contains("hunter2"), "{error:?}");
        }
        let half = read_pairs(&[("AWS_ACCESS_KEY_ID", "AKIAOURS")]).err().unwrap();
        assert!(half.message().starts_with("AWS_SECRET_ACCESS_KEY: not set"), "{half}");
        let half = read_pairs(&[("AWS_SECRET_ACCESS_KEY", "hunter2")]).err().unwrap();
        assert!(half.message().starts_with("AWS_ACCESS_KEY_ID: not set"), "{half}");
    }
}
