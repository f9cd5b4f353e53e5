//! What the environment decides: proxies, and the system's certificate authorities. It belongs to a whole process, so
//! each test asks in a process of its own: this program again, with one test that only asks.

use std::process::Command;

use lamina::registry::{self, Options, Registry};

use crate::common::{good, plain, served, truth};
use crate::server::Server;
use crate::tls::Authority;

const IMAGE: &str = "LAMINA_TEST_IMAGE";
const PLAIN: &str = "LAMINA_TEST_PLAIN";

#[test]
#[ignore = "asks for the other tests of this file"]
fn asks() {
    let image = std::env::var(IMAGE).unwrap().parse().unwrap();
    let hosts = std::env::var(PLAIN).unwrap_or_default();
    let hosts: Vec<&str> = hosts.split_whitespace().collect();
    let options = Options { retry: crate::common::quick(1), ..plain(&hosts) };
    let registries = registry::open(&options).unwrap();
    match registry::block_on(registries.digest(&image)).unwrap() {
        Ok(digest) => println!("<{digest}>"),
        Err(error) => println!("<{error}>"),
    }
}

/// What is printed by a process that asks for an image.
fn ask(image: &str, env: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "environment::asks", "--ignored", "--nocapture"]).env(IMAGE, image);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    let output = command.envs(env.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = text.split_once('<').unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    rest.split_once('>').unwrap().0.to_owned()
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Server::start(|_, _| served(good()));
    let address = format!("http://{}", proxy.host);
    // A name that nobody else can resolve.
    let (image, plain) = ("images.invalid/a/b:1", (PLAIN, "images.invalid"));
    assert_eq!(ask(image, &[plain, ("http_proxy", &address)]), truth().digest.as_str());
    assert_eq!(proxy.asked(), ["HEAD http://images.invalid/v2/a/b/manifests/1"]);
    let without = ask(image, &[plain, ("http_proxy", &address), ("no_proxy", "images.invalid")]);
    assert!(without.contains("images.invalid can't be reached: "), "{without}");
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn certificate_authorities_of_the_environment_are_trusted() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server(), |_, _| served(good()));
    let (image, file) = (format!("{}/a/b:1", server.host), authority.file());
    assert_eq!(ask(&image, &[("SSL_CERT_FILE", file.to_str().unwrap())]), truth().digest.as_str());
    // A system without any authority is no reason to fail, until one is needed.
    let none = &[("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")];
    assert!(ask(&image, none).ends_with("invalid peer certificate: UnknownIssuer"));
    let plain = Server::start(|_, _| served(good()));
    let digest = ask(&format!("{}/a/b:1", plain.host), &[none[0], none[1], (PLAIN, &plain.host)]);
    assert_eq!(digest, truth().digest.as_str());
}
