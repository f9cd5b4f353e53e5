//! Logins as Docker and podman keep them, at a real registry that wants one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lamina::model::ImageRef;
use lamina::registry::{self, Logins, Options, RegistryErrorKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{image, manifest, plain, tags};
use crate::real::{PASSWORD, RealRegistry, USER};

/// A registry that wants a login, with an image, and a folder for logins.
struct Setting {
    real: RealRegistry,
    folder: TempDir,
    image: ImageRef,
    digest: String,
}

impl Setting {
    fn start(test: &str) -> Option<Self> {
        let real = RealRegistry::start(test, true, None)?;
        let pushed = registry::block_on(async {
            // Any client installs what reqwest needs of TLS.
            drop(registry::open(&Options::default()).unwrap());
            real.pusher(reqwest::Client::new(), "http").put_image("a/b", "amd64").await
        });
        let digest = pushed.unwrap()["digest"].as_str().unwrap().to_owned();
        let image = image(&real.host, "a/b:amd64");
        Some(Self { real, folder: TempDir::new().unwrap(), image, digest })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Docker's configuration, as a text.
    fn docker(&self, text: &str) -> Logins {
        fs::write(self.path("config.json"), text).unwrap();
        let helpers = format!("{}:/usr/bin:/bin", self.folder.path().display());
        Logins { docker: Some(self.path("config.json")), helpers: Some(helpers.into()), ..Logins::none() }
    }

    /// Docker's configuration, with a login for this registry.
    fn login(&self, entry: &Value) -> Logins {
        self.docker(&json!({"auths": {&*self.real.host: entry}}).to_string())
    }

    /// A credential helper in sh.
    fn helper(&self, name: &str, script: &str) {
        let (text, program) = (self.path("script"), self.path(&format!("docker-credential-{name}")));
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Written here, it might still be open for writing in a process that another test has just forked.
        let installed = Command::new("install").args(["-m", "755"]).args([text, program]).status().unwrap();
        assert!(installed.success());
    }

    fn options(&self, logins: Logins) -> Options {
        Options { logins, ..plain(&[&self.real.host]) }
    }

    fn succeeds(&self, logins: Logins) {
        let options = self.options(logins);
        assert_eq!(manifest(&options, &self.image).unwrap().digest.as_str(), self.digest);
        assert_eq!(tags(&options, &self.image).unwrap(), ["amd64"]);
    }

    /// The words of the error, which hold no secret in any form.
    fn fails(&self, logins: Logins) -> (RegistryErrorKind, String) {
        let error = manifest(&self.options(logins), &self.image).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            for secret in [PASSWORD, SECRET, &STANDARD.encode(PASSWORD), &STANDARD.encode(format!("{USER}:{SECRET}"))] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        let place = self.folder.path().display().to_string();
        let text = error.kind.to_string().replace(&place, "FOLDER").replace(&self.real.host, "HOST");
        (error.kind, text)
    }

    fn unauthorized(&self, logins: Logins) -> String {
        let (kind, text) = self.fails(logins);
        assert!(matches!(kind, RegistryErrorKind::Unauthorized { .. }), "{kind:?}");
        text.strip_prefix("HOST wants a login, or has no such image: ").unwrap().to_owned()
    }

    fn unreadable(&self, logins: Logins) -> String {
        let (kind, text) = self.fails(logins);
        assert!(matches!(kind, RegistryErrorKind::Credentials { .. }), "{kind:?}");
        text.strip_prefix("the login for HOST can't be read: ").unwrap().to_owned()
    }
}

/// A password that is wrong, and no less secret.
const SECRET: &str = "not-the-password";

#[test]
fn a_registry_that_wants_a_login_says_so() {
    let Some(setting) = Setting::start("a_registry_that_wants_a_login_says_so") else { return };
    assert_eq!(setting.unauthorized(Logins::none()), "no login was tried");
    let absent = Logins { docker: Some(setting.path("absent.json")), ..Logins::none() };
    assert_eq!(setting.unauthorized(absent), "there is no login for HOST in FOLDER/absent.json");
    let elsewhere = setting.docker(&json!({"auths": {"example.com": {"auth": "bWU6eA=="}}}).to_string());
    let both = Logins { podman: Some(setting.path("auth.json")), ..elsewhere };
    assert_eq!(setting.unauthorized(both), "there is no login for HOST in FOLDER/config.json or FOLDER/auth.json");
    assert_eq!(setting.unauthorized(setting.docker("")), "there is no login for HOST in FOLDER/config.json");
}

#[test]
fn a_wrong_login_is_refused_and_named_by_its_place() {
    let Some(setting) = Setting::start("a_wrong_login_is_refused_and_named_by_its_place") else { return };
    let wrong = setting.login(&json!({"auth": STANDARD.encode(format!("{USER}:{SECRET}"))}));
    assert_eq!(setting.unauthorized(wrong), "the login from FOLDER/config.json was refused");
    let identity = setting.login(&json!({"identitytoken": SECRET}));
    let expected = "it asks for a password, and FOLDER/config.json has an identity token";
    assert_eq!(setting.unauthorized(identity), expected);
}

#[test]
fn a_login_is_found_in_dockers_configuration() {
    let Some(setting) = Setting::start("a_login_is_found_in_dockers_configuration") else { return };
    let auth = json!({"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))});
    setting.succeeds(setting.login(&auth));
    setting.succeeds(setting.login(&json!({"auth": STANDARD.encode(format!("{USER}:{PASSWORD}\0\0"))})));
    setting.succeeds(setting.login(&json!({"username": USER, "password": PASSWORD})));
    let unused = json!({"credsStore": null, "credHelpers": {"example.com": "absent"}, "auths": {
        format!("http://{}/v2/", setting.real.host): auth,
        "HttpHeaders": {},
    }});
    setting.succeeds(setting.docker(&unused.to_string()));
    // An empty name takes a host out of the general store.
    let exempt = json!({"credsStore": "absent", "credHelpers": {&*setting.real.host: ""}, "auths": {
        &*setting.real.host: auth,
    }});
    setting.succeeds(setting.docker(&exempt.to_string()));
}

#[test]
fn a_login_that_docker_does_not_have_may_be_podmans() {
    let Some(setting) = Setting::start("a_login_that_docker_does_not_have_may_be_podmans") else { return };
    let auth = json!({"auths": {&*setting.real.host: {"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))}}});
    fs::write(setting.path("auth.json"), auth.to_string()).unwrap();
    let env = |name: &str| match name {
        "HOME" | "XDG_RUNTIME_DIR" => Some("/nowhere".into()),
        "REGISTRY_AUTH_FILE" => Some(setting.path("auth.json").into()),
        _ => None,
    };
    setting.succeeds(Logins::from_env(env));
}

#[test]
fn a_configuration_that_is_broken_is_named() {
    let Some(setting) = Setting::start("a_configuration_that_is_broken_is_named") else { return };
    let shape =
        |line, column| format!("FOLDER/config.json: it is no configuration of logins (line {line}, column {column})");
    assert_eq!(setting.unreadable(setting.docker("{\n  \"auths\": ")), shape(2, 11));
    assert_eq!(setting.unreadable(setting.docker(&format!("\"{SECRET}\""))), shape(1, 18));
    let misplaced = setting.docker(&format!("{{\"auths\": \"{SECRET}\"}}"));
    assert!(setting.unreadable(misplaced).starts_with("FOLDER/config.json: it is no configuration of logins ("));
    let no_base64 = setting.login(&json!({"auth": format!("{USER}:{SECRET}")}));
    let expected = "FOLDER/config.json: `auth` of `HOST` is not USER:PASSWORD in base64";
    assert_eq!(setting.unreadable(no_base64), expected);
    let no_pair = setting.login(&json!({"auth": STANDARD.encode(SECRET)}));
    assert_eq!(setting.unreadable(no_pair), expected);
    let folder = Logins { docker: Some(setting.folder.path().to_owned()), ..Logins::none() };
    assert_eq!(setting.unreadable(folder), "FOLDER: Is a directory (os error 21)");
}

#[test]
fn a_credential_helper_is_asked() {
    let Some(setting) = Setting::start("a_credential_helper_is_asked") else { return };
    let host = &setting.real.host;
    let answer = json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD});
    let script = format!(
        "[ \"$1\" = get ] || exit 3\nread -r server\n[ \"$server\" = {host} ] || exit 4\necho x >> {}\necho '{answer}'",
        setting.path("asked").display()
    );
    setting.helper("test", &script);
    // What stands in `auths` beside a helper does not count.
    let wrong = json!({"auth": STANDARD.encode(format!("{USER}:{SECRET}"))});
    for config in [
        json!({"credHelpers": {&**host: "test"}, "credsStore": "absent", "auths": {&**host: wrong}}),
        json!({"credHelpers": {"example.com": "absent"}, "credsStore": "test", "auths": {&**host: {}}}),
    ] {
        setting.succeeds(setting.docker(&config.to_string()));
    }
    // One look for each of the two times two clients, though each asks several times.
    assert_eq!(fs::read_to_string(setting.path("asked")).unwrap(), "x\n".repeat(4));

    setting.helper("none", "echo 'credentials not found in native keychain'; exit 1");
    let none = setting.docker(&json!({"credsStore": "none"}).to_string());
    assert_eq!(setting.unauthorized(none), "there is no login for HOST in FOLDER/config.json");

    setting.helper("wrong", &script.replace(PASSWORD, SECRET));
    let wrong = setting.docker(&json!({"credsStore": "wrong"}).to_string());
    let expected = "the login from `docker-credential-wrong`, which FOLDER/config.json names was refused";
    assert_eq!(setting.unauthorized(wrong), expected);
}

#[test]
fn a_credential_helper_that_fails_is_named() {
    let Some(setting) = Setting::start("a_credential_helper_that_fails_is_named") else { return };
    let with = |name: &str| setting.docker(&json!({"credsStore": name}).to_string());
    let why = |name: &str| {
        let text = setting.unreadable(with(name));
        text.strip_prefix("FOLDER/config.json: ").unwrap().to_owned()
    };
    assert_eq!(why("absent"), "its credential helper `docker-credential-absent` is not installed or not on PATH");
    setting.helper("locked", &format!("echo {SECRET}; echo {SECRET} >&2; exit 1"));
    assert_eq!(
        why("locked"),
        "its credential helper `docker-credential-locked` failed (exit status: 1); \
         `echo HOST | docker-credential-locked get` says why"
    );
    setting.helper("odd", &format!("echo '[\"{SECRET}\"]'"));
    assert_eq!(why("odd"), "its credential helper `docker-credential-odd` gave an answer that is no login");
    setting.helper("endless", "yes");
    let endless = Logins { deadline: Duration::from_millis(500), ..with("endless") };
    assert!(setting.unreadable(endless).ends_with("`docker-credential-endless` was not done after 0.5 s"));
    setting.helper("long", "head -c 2000000 /dev/zero");
    assert_eq!(why("long"), "its credential helper `docker-credential-long` wrote more than 1048576 bytes");
    assert_eq!(why("../evil"), "`../evil` is no name of a credential helper");
}

#[test]
fn a_credential_helper_that_hangs_is_ended_with_all_that_it_started() {
    let test = "a_credential_helper_that_hangs_is_ended_with_all_that_it_started";
    let Some(setting) = Setting::start(test) else { return };
    let pid = setting.path("pid");
    // The second one waits in the helper's stead, and has its output open.
    for script in ["sleep 600 & echo $! > PID; wait", "sleep 600 & echo $! > PID"] {
        setting.helper("hangs", &script.replace("PID", &pid.display().to_string()));
        let config = setting.docker(&json!({"credsStore": "hangs"}).to_string());
        let why = setting.unreadable(Logins { deadline: Duration::from_secs(3), ..config });
        assert!(why.ends_with("its credential helper `docker-credential-hangs` was not done after 3 s"), "{why}");
        let sleeper: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        assert!(is_over(sleeper), "{sleeper} still runs");
    }
}

/// Whether a process is gone, or dead and not yet buried.
fn is_over(process: i32) -> bool {
    let is_over = || {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).ok();
        state.is_none_or(|text| text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
    };
    // The signal is on its way.
    (0..200).any(|_| {
        is_over() || {
            std::thread::sleep(Duration::from_millis(50));
            false
        }
    })
}

#[test]
fn docker_hub_has_names_of_its_own() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.json");
    let logins = Logins { docker: Some(file.clone()), ..Logins::none() };
    for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io"] {
        let entry = json!({"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))});
        fs::write(&file, json!({"auths": {key: entry}}).to_string()).unwrap();
        for host in ["registry-1.docker.io", "docker.io"] {
            assert!(logins.find(host).unwrap().is_some(), "{key} for {host}");
        }
        assert!(logins.find("example.com").unwrap().is_none());
    }
}

#[test]
fn a_login_for_a_part_of_a_registry_is_not_for_all_of_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("auth.json");
    let entry = json!({"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))});
    fs::write(&file, json!({"auths": {"quay.io/team": entry}}).to_string()).unwrap();
    let logins = Logins { podman: Some(file), ..Logins::none() };
    assert!(logins.find("quay.io").unwrap().is_none());
}

#[test]
fn the_environment_says_where_logins_are() {
    let env = |set: &'static [(&str, &str)]| {
        let logins = Logins::from_env(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
        let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        (text(logins.docker), text(logins.podman))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(env(&[]), (None, None));
    assert_eq!(env(&[("HOME", "/h"), ("DOCKER_CONFIG", "")]), (some("/h/.docker/config.json"), None));
    assert_eq!(env(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]), (some("/d/config.json"), None));
    assert_eq!(env(&[("XDG_RUNTIME_DIR", "/r")]), (None, some("/r/containers/auth.json")));
    assert_eq!(env(&[("XDG_RUNTIME_DIR", "/r"), ("REGISTRY_AUTH_FILE", "/a")]), (None, some("/a")));
}

#[test]
fn a_login_shows_no_secret() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, json!({"auths": {"a.b": {"username": USER, "password": PASSWORD}}}).to_string()).unwrap();
    let login = Logins { docker: Some(file), ..Logins::none() }.find("a.b").unwrap().unwrap();
    let shown = format!("{login:?}");
    assert!(shown.contains("Secret(…)") && !shown.contains(PASSWORD), "{shown}");
}
