//! The Dockerfiles of this repository against a real BuildKit engine.
//!
//! The engine is the one that DOCKER_HOST names. Where that is not set these tests are skipped, and say so.

use std::path::Path;
use std::process::Command;

#[test]
fn buildkits_own_check_has_nothing_to_say_about_any_dockerfile() {
    if std::env::var_os("DOCKER_HOST").is_none() {
        eprintln!("skipped: DOCKER_HOST is not set, so there is no engine to ask");
        return;
    }
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("layers");
    let mut checked = 0;
    for layer in std::fs::read_dir(layers).unwrap() {
        let folder = layer.unwrap().path();
        let output = Command::new("docker").args(["buildx", "build", "--check"]).arg(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("no warnings found"), "{}: {said}", folder.display());
        checked += 1;
    }
    assert_eq!(checked, 13);
}
