//! A real sshd on loopback, with keys and a configuration of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lamina::model::{ProviderKind, SshHost};
use tempfile::TempDir;

use crate::lab::{has, program};
use crate::shop::until;

/// A server, which ends with this value.
pub struct Sshd {
    pub folder: TempDir,
    pub port: u16,
    /// Docker's socket on the host.
    pub socket: String,
    server: Child,
}

impl Sshd {
    /// A server that forwards to the Docker engine at hand; none, and a word about it, where there is no sshd.
    pub fn start(test: &str) -> Option<Self> {
        let docker = std::env::var("DOCKER_HOST").ok();
        let socket = docker.as_deref().and_then(|host| host.strip_prefix("unix://")).map(str::to_owned);
        let sshd = program("sshd").filter(|_| socket.is_some() && program("ssh-keygen").is_some());
        has(test, "it takes sshd, ssh-keygen, and a unix socket in DOCKER_HOST", sshd.is_some());
        Some(Self::run(&sshd?, &socket?, "AllowStreamLocalForwarding yes"))
    }

    /// Another server with a line of its configuration.
    pub fn with(test: &str, line: &str) -> Option<Self> {
        let Self { socket, .. } = &Self::start(test)?;
        Some(Self::run(&program("sshd")?, socket, line))
    }

    fn run(sshd: &Path, socket: &str, line: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)).status();
            assert!(made.unwrap().success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // Where sshd drops its rights; a service manager makes it otherwise.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        let configuration = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {authorized}\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM {pam}\n\
             PermitRootLogin prohibit-password\n{line}\n",
            host = path("host").display(),
            authorized = path("authorized").display(),
            pam = if is_root { "yes" } else { "no" },
        );
        fs::write(path("config"), configuration).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let mut server = Command::new(sshd);
        server.args(["-D", "-e", "-f"]).arg(path("config")).stdin(Stdio::null()).stderr(log);
        let mut server = server.spawn().unwrap();
        until("sshd listens", || {
            assert!(server.try_wait().unwrap().is_none(), "{}", fs::read_to_string(path("log")).unwrap());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let sshd = Self { folder, port, socket: socket.to_owned(), server };
        sshd.know("known", "host");
        sshd.know("wrong", "stranger");
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a known_hosts file that has a key as this server's.
    fn know(&self, file: &str, key: &str) {
        let key = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        fs::write(self.path(file), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    /// This server as a host.
    pub fn host(&self, capacity: u32) -> SshHost {
        let host = format!("127.0.0.1:{}", self.port);
        SshHost { host, engine: format!("docker://{}", self.socket), capacity: Some(capacity) }
    }

    /// A pool of hosts with this server's keys.
    pub fn pool(&self, hosts: Vec<SshHost>, known: &str, identity: &str) -> ProviderKind {
        let text = |name: &str| Some(self.path(name).to_str().unwrap().to_owned());
        ProviderKind::Ssh { hosts, known_hosts: text(known), identity: text(identity) }
    }

    /// A pool of this server alone.
    pub fn kind(&self, capacity: u32) -> ProviderKind {
        self.pool(vec![self.host(capacity)], "known", "user")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
