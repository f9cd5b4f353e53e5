//! Flags for rustc, as cargo gives them and as lamina says that it would, wherever they are set.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::laboratory::{environment, open};

/// A rustc that writes down what it is called with, and compiles nothing.
const WRAPPER: &str = "#!/bin/sh
for argument; do
  case $argument in
    -vV | ___) exec \"$@\" ;;
  esac
done
printf '%s\\n' \"$@\" > \"$FLAGS_FILE\"
exit 1
";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The flags `--cfg=flag_…` that rustc gets from cargo, by its arguments.
fn given(project: &Path, target: Option<&str>, variables: &[(&str, &str)]) -> Vec<String> {
    let aside = TempDir::new().unwrap();
    let (wrapper, flags) = (aside.path().join("wrapper"), aside.path().join("flags"));
    write(&wrapper, WRAPPER);
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("cargo");
    command.arg("build").args(target.map(|target| format!("--target={target}"))).current_dir(project);
    command.env_clear().envs(environment(variables));
    command.env("RUSTC_WRAPPER", &wrapper).env("FLAGS_FILE", &flags).env("CARGO_TARGET_DIR", aside.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let called = fs::read_to_string(&flags);
    let called = called.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    called.lines().filter(|word| word.starts_with("--cfg=flag_")).map(str::to_owned).collect()
}

#[test]
fn flags_are_those_of_cargo_wherever_they_are_set() {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let shout = host.to_uppercase().replace('-', "_");
    let flag = |name: &str| format!("--cfg=flag_{name}");
    let list = |names: &str| names.split(' ').map(|name| format!("'{}'", flag(name))).collect::<Vec<_>>().join(", ");
    let build = |names: &str| format!("[build]\nrustflags = [{}]\n", list(names));
    let named = |names: &str| format!("[target.{host}]\nrustflags = [{}]\n", list(names));
    let cfg = |names: &str| format!("[target.'cfg(unix)']\nrustflags = [{}]\n", list(names));
    let other = |names: &str| format!("[target.'cfg(windows)']\nrustflags = [{}]\n", list(names));
    let text = format!("[build]\nrustflags = '{} {}'\n", flag("a"), flag("b"));
    let env = |name: &str, names: &str, between: &str| {
        (name.to_owned(), names.split(' ').map(flag).collect::<Vec<_>>().join(between))
    };
    let target_variable = format!("CARGO_TARGET_{shout}_RUSTFLAGS");
    // The nearer file, the farther file, variables, and the flags that come of them.
    let cases = [
        (String::new(), String::new(), vec![], ""),
        (build("a b"), String::new(), vec![], "a b"),
        (text, String::new(), vec![], "a b"),
        (build("near"), build("far"), vec![], "far near"),
        (build("a"), named("b"), vec![], "b"),
        (cfg("c"), named("b"), vec![], "b c"),
        (cfg("c") + &other("d"), build("a"), vec![], "c"),
        (other("d"), build("a"), vec![], "a"),
        (build("a"), String::new(), vec![env("RUSTFLAGS", "x y", " ")], "x y"),
        (named("a"), String::new(), vec![("RUSTFLAGS".to_owned(), String::new())], ""),
        (
            build("a"),
            String::new(),
            vec![env("RUSTFLAGS", "x", " "), env("CARGO_ENCODED_RUSTFLAGS", "y z", "\x1f")],
            "y z",
        ),
        (build("a"), String::new(), vec![env("CARGO_BUILD_RUSTFLAGS", "x y", " ")], "a x y"),
        (named("a"), cfg("c"), vec![env(&target_variable, "x", " ")], "a x c"),
        (String::new(), String::new(), vec![env(&target_variable, "x", " ")], "x"),
    ];
    for (near, far, variables, expected) in cases {
        let folder = TempDir::new().unwrap();
        let project = folder.path().join("outer/project");
        write(&project.join("Cargo.toml"), "[package]\nname = 'p'\nversion = '0.1.0'\nedition = '2021'\n[workspace]\n");
        write(&project.join("Cargo.lock"), "version = 4\n\n[[package]]\nname = \"p\"\nversion = \"0.1.0\"\n");
        write(&project.join("src/lib.rs"), "");
        write(&project.join(".cargo/config.toml"), &near);
        write(&project.join("../.cargo/config.toml"), &far);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected: Vec<String> = expected.split_whitespace().map(flag).collect();
        for target in [None, Some(host)] {
            let case = format!("{near}{far}{variables:?} {target:?}");
            assert_eq!(given(&project, target, &variables), expected, "cargo: {case}");
            let said = open(&project, &variables).environment(target, []).unwrap();
            assert_eq!(said.rustflags, expected, "lamina: {case}");
        }
    }
}

#[test]
fn a_project_is_what_its_files_say() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("root");
    write(
        &root.join("Cargo.toml"),
        "[workspace]\nmembers = ['crates/*']\nexclude = ['crates/out']\n[profile.release]\nlto = 'thin'\n\
         [profile.release.package.a]\nopt-level = 1\n[profile.dist]\ninherits = 'release'\nstrip = true\n",
    );
    write(&root.join("Cargo.lock"), "version = 4\n");
    for name in ["a", "out"] {
        let manifest =
            format!("[package]\nname = '{name}'\nversion = '0.1.0'\n[dependencies]\nb = {{ path = '../../b' }}\n");
        write(&root.join(format!("crates/{name}/Cargo.toml")), &manifest);
    }
    write(&root.join("b/Cargo.toml"), "[package]\nname = 'b'\nversion = '0.1.0'\n");
    write(&root.join("rust-toolchain.toml"), "[toolchain]\nchannel = '1.90.0'\ntargets = ['wasm32-unknown-unknown']\n");
    write(&root.join(".cargo/config.toml"), "[profile.release]\npanic = 'abort'\n");
    let project = open(&root.join("crates/a"), &[("CARGO_PROFILE_DIST_DEBUG", "1"), ("CARGO_HOME", "/nowhere")]);
    assert_eq!(project.root, root.canonicalize().unwrap());
    let names: Vec<&str> = project.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    let toolchain = project.toolchain.as_ref().unwrap();
    assert_eq!((toolchain.channel.as_deref(), toolchain.targets.len()), (Some("1.90.0"), 1));
    let keys = project.profile_keys("dist");
    let said: Vec<String> =
        keys.iter().map(|it| format!("{} {} {} = {}", it.place, it.profile, it.key, it.value)).collect();
    assert_eq!(
        said,
        [
            "Cargo.toml dist strip = true",
            "CARGO_PROFILE_DIST_DEBUG dist debug = 1",
            "Cargo.toml release lto = \"thin\"",
            "Cargo.toml release package.a.opt-level = 1",
            ".cargo/config.toml release panic = \"abort\"",
        ]
    );
}
