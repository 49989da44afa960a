//! A PostgreSQL of this test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection as _;

/// Ends with this.
pub struct Postgres {
    process: Child,
    folder: tempfile::TempDir,
    next: AtomicU32,
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_debian = (10..=30).rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    std::env::split_paths(&path).chain(of_debian).map(|folder| folder.join(name)).find(|file| file.exists())
}

/// A command as a user that is not root: PostgreSQL refuses root.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"))
}

impl Postgres {
    pub fn start() -> Option<Postgres> {
        let (Some(initdb), Some(postgres)) = (program("initdb"), program("postgres")) else {
            println!("skipped: PostgreSQL (postgresql) is not installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("cofferdam-pg-").tempdir_in("/tmp").unwrap();
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
        }
        let data = folder.path().join("data");
        let made =
            as_nobody(&initdb).arg("-D").arg(&data).args(["-A", "trust", "-U", "ci", "--no-sync"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let process = as_nobody(&postgres)
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !folder.path().join(".s.PGSQL.5432").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Postgres { process, folder, next: AtomicU32::new(1) })
    }

    fn url(&self, name: &str) -> String {
        format!("postgres://ci@localhost/{name}?host={}", self.folder.path().display())
    }

    /// A new database.
    pub async fn database(&self) -> String {
        let name = format!("test{}", self.next.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        // The socket is there before the server is ready.
        while let Err(error) = try_sql(&self.url("postgres"), &format!("CREATE DATABASE {name}")).await {
            assert!(began.elapsed() < Duration::from_secs(60), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.url(&name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: the server ends at once, and tidily.
        let _ended = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _code = self.process.wait();
    }
}

async fn try_sql(url: &str, text: &str) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await?;
    sqlx::query(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// Changes a database behind the store's back.
pub async fn run_sql(url: &str, text: &str) {
    try_sql(url, text).await.unwrap();
}
