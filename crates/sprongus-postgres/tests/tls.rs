//! `sslmode`: who the server has to be, and whether the connection is encrypted.
#![expect(clippy::unwrap_used, reason = "a test panics when its server cannot be made")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sprongus_core::store::Diagnostics;
use sprongus_core::{Error, ErrorCode};
use sprongus_postgres::{Durability, Options, Postgres, migrate};
use sprongus_throwaway::{Server, Settings};

const URL: &str = "SPRONGUS_TLS_URL";

/// A server whose certificate an authority of ours signed, for one name; and the authority's.
fn server(folder: &Path) -> Server {
    let server = Server::start(Settings::default()).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let signed =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("authority.pem"), authority.pem()).unwrap();

    let account = std::fs::metadata(server.folder()).unwrap();
    for (name, text) in [("server.crt", signed.pem()), ("server.key", key.serialize_pem())] {
        let path = server.folder().join("data").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(account.uid()), Some(account.gid())).unwrap();
    }
    server.reload(&[("ssl", "on")]).unwrap();
    server
}

/// Tries a URL in a process of its own, where `SSL_CERT_FILE` names the authorities.
fn connects(url: &str, authorities: &Path) -> Result<(), String> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "connects_as_it_is_told", "--ignored", "--nocapture"]);
    let output = child.env(URL, url).env("SSL_CERT_FILE", authorities).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(()) } else { Err(out) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the test below starts"]
async fn connects_as_it_is_told() {
    let url = std::env::var(URL).unwrap();
    let options = Options { durability: Durability::AsConfigured, ..Options::default() };
    let done: Result<(), Error> = async {
        let store = Postgres::connect(&url, options).await?;
        store.health(false).await.map(drop)
    }
    .await;
    if let Err(error) = done {
        println!("refused: {} {error:?}", error.code());
        std::process::exit(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn require_trusts_whom_an_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    server.create_database("runs", None).unwrap();
    migrate(&server.url("runs", "sprongus_owner"), &Options::default(), Some("sprongus_app")).await.unwrap();
    let (ours, none) = (folder.path().join("authority.pem"), folder.path().join("none.pem"));
    std::fs::write(&none, "").unwrap();
    let url = |host: &str, mode: &str| {
        let url = server.tcp_url("runs", "sprongus_app", "app").replace("127.0.0.1", host);
        format!("{url}?hostaddr=127.0.0.1&sslmode={mode}")
    };
    connects(&url("localhost", "require"), &ours).unwrap();
    for (host, authorities) in [("localhost", &none), ("elsewhere.example", &ours)] {
        let refusal = connects(&url(host, "require"), authorities).unwrap_err();
        assert!(refusal.contains(&format!("refused: {}", ErrorCode::Unavailable)), "{refusal}");
        assert!(refusal.contains("cannot open an encrypted connection"), "{refusal}");
        connects(&url(host, "prefer"), authorities).unwrap();
    }
    server.execute("postgres", "ALTER SYSTEM SET ssl = off").unwrap();
    server.reload(&[("ssl", "off")]).unwrap();
    let refusal = connects(&url("localhost", "require"), &ours).unwrap_err();
    assert!(refusal.contains("cannot open an encrypted connection"), "{refusal}");
    connects(&url("localhost", "prefer"), &ours).unwrap();
}
