//! A database on another machine is spoken to in confidence.

use std::process::Command;

use store::Store;

use crate::postgres::Postgres;

#[tokio::test]
async fn postgresql_is_spoken_to_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args([
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        "key",
        "-out",
        "crt",
    ]);
    openssl.args(["-addext", "basicConstraints=critical,CA:false"]);
    if !openssl.current_dir(folder.path()).output().is_ok_and(|made| made.status.success()) {
        println!("skipped: openssl makes no certificate");
        return;
    }
    let Some(mut postgres) = Postgres::start() else { return };
    postgres.database().await;
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let port = postgres.speaks_tls(&text("key"), &text("crt"));
    let url = |how: &str| format!("postgres://ci@localhost:{port}/test1?sslmode={how}");
    let root = folder.path().join("crt");
    let known = format!("{}&sslrootcert={}", url("verify-full"), root.display());
    Store::open(&known).await.unwrap();
    let sql = "SELECT 1 / (CASE WHEN ssl THEN 1 ELSE 0 END) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    crate::postgres::run_sql(&known, sql).await;
    crate::postgres::run_sql(&url("require"), sql).await;
    // Whom nobody vouches for is told nothing.
    assert!(Store::open(&url("verify-full")).await.is_err());
}
