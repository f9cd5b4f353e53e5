//! Debian's `docker-registry`, started for one test: with a login, with TLS, or with both.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::Pusher;
use crate::tls::Authority;

pub const USER: &str = "me";
pub const PASSWORD: &str = "open-sesame";
/// [`USER`] and the bcrypt of [`PASSWORD`], as htpasswd would write it.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n";

/// A registry that runs for as long as this value lives.
pub struct RealRegistry {
    /// Its host with the port.
    pub host: String,
    process: Child,
    _folder: TempDir,
}

impl RealRegistry {
    /// Starts one, or says why not.
    pub fn start(test: &str, wants_login: bool, tls: Option<&Authority>) -> Option<Self> {
        let is_there = Command::new("docker-registry").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            eprintln!("{test} is skipped: the program docker-registry is not on PATH");
            return None;
        }
        // Between the choice of a port and its use, somebody else may take it.
        (0..5).find_map(|_| Self::try_start(wants_login, tls)).or_else(|| panic!("docker-registry does not start"))
    }

    fn try_start(wants_login: bool, tls: Option<&Authority>) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = folder.path().join("config.yml");
        fs::write(&config, configuration(folder.path(), &host, wants_login, tls)).unwrap();
        let mut program = Command::new("docker-registry");
        program.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let mut registry = Self { process: program.spawn().unwrap(), host, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            let is_over = registry.process.try_wait().unwrap().is_some();
            if is_over || start.elapsed() > Duration::from_secs(60) {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(registry)
    }

    /// Someone who may put images into it.
    pub fn pusher(&self, http: reqwest::Client, scheme: &str) -> Pusher {
        Pusher { http, address: format!("{scheme}://{}", self.host), login: Some((USER, PASSWORD)) }
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(folder: &Path, host: &str, wants_login: bool, tls: Option<&Authority>) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n",
        at("storage")
    );
    if let Some(authority) = tls {
        fs::write(at("certificate.pem"), &authority.certificate).unwrap();
        fs::write(at("key.pem"), &authority.key).unwrap();
        text += &format!("  tls: {{certificate: {}, key: {}}}\n", at("certificate.pem"), at("key.pem"));
    }
    if wants_login {
        fs::write(at("htpasswd"), HTPASSWD).unwrap();
        text += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", at("htpasswd"));
    }
    text
}
