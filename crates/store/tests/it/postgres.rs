//! A PostgreSQL of this test's own.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection as _;

/// Ends with this.
pub struct Postgres {
    process: Child,
    program: PathBuf,
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
        configure(folder.path(), "listen_addresses = ''");
        let process = process(&postgres, folder.path());
        Some(Postgres { process, program: postgres, folder, next: AtomicU32::new(1) })
    }

    /// It ends as if its machine had: nobody is told.
    pub fn crash(&mut self) {
        self.end("-QUIT");
    }

    /// It is there again.
    pub fn come_back(&mut self) {
        self.process = process(&self.program, self.folder.path());
    }

    fn end(&mut self, signal: &str) {
        let _ended = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        let _code = self.process.wait();
    }

    /// From then on it is reached at a port of loopback too, where it speaks TLS with this key and certificate, in PEM.
    pub fn speaks_tls(&mut self, key: &str, certificate: &str) -> u16 {
        self.end("-INT");
        for (name, text) in [("server.key", key), ("server.crt", certificate)] {
            let file = self.folder.path().join("data").join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
            }
        }
        // Free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        configure(self.folder.path(), &format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on"));
        self.process = process_at(&self.program, self.folder.path(), port);
        port
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
        self.end("-INT");
    }
}

/// What is said last counts.
fn configure(folder: &Path, more: &str) {
    let mut file = std::fs::File::options().append(true).open(folder.join("data/postgresql.conf")).unwrap();
    writeln!(file, "{more}").unwrap();
}

/// A server of the data in this folder.
fn process(program: &Path, folder: &Path) -> Child {
    process_at(program, folder, 5432)
}

fn process_at(program: &Path, folder: &Path, port: u16) -> Child {
    let socket = folder.join(format!(".s.PGSQL.{port}"));
    // One before may have had no time to tidy up.
    let _none = std::fs::remove_file(&socket);
    let process = as_nobody(program)
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-c", "fsync=off", "-k"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !socket.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

async fn try_sql(url: &str, text: &str) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await?;
    sqlx::query(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// Ends all connections to a database, as a network does that was cut, and waits until they have ended: their locks are free then.
pub async fn cut(url: &str) {
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    run_sql(url, &format!("SELECT pg_terminate_backend(pid, 10000) {others}")).await;
}

/// Changes a database behind the store's back.
pub async fn run_sql(url: &str, text: &str) {
    try_sql(url, text).await.unwrap();
}
