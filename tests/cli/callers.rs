//! What callers say and are told: directives, secrets that somebody delivers, and a NATS that is told the result.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::workshop::{RUST, Run, Workshop, manifest_folder};

/// Longer than anything takes that is not stuck.
const HANGS: Duration = Duration::from_secs(60);

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer_with(
        "app",
        RUST,
        "build = {
           args.A = \"1\",
           secrets = [{ id = \"token\", required = true }, { id = \"faster\" }],
           resources = { cpu = 3, memory_mb = 5000 },
         },
         hooks.pre_build = [{ command = [\"true\"], env = [\"MINE\"] }],",
    );
    shop.dockerfile("app", "ARG BUILD_BASE\nFROM ${BUILD_BASE}\nARG A=1\n").layer("other", RUST);
    shop
}

/// A build with these directives and words, in a catalog whose registry can't be asked.
fn build(shop: &Workshop, directives: &str, words: &[&str]) -> Run {
    let import = "let { ci, session, Directives, .. } = import \"schemas/directives.ncl\" in\n";
    shop.file("asked.ncl", &format!("{import}{directives}\n"));
    let args = [&["build", "--directives", "asked.ncl"][..], words].concat();
    shop.run_with(&args, "", b"", &[("LAMINA_REGISTRY_RETRIES", "0")])
}

#[test]
fn directives_give_way_to_nothing() {
    let shop = shop();
    // What is asked for is looked for in the registry that the directives name, and the command line's is not.
    let words = ["other", "--promote", "all", "--jobs", "2"];
    let asked = "{
      layers.names = [\"app\"], promote = 'none, compute.jobs = 2,
      registry = { host = \"localhost:1\", namespace = \"elsewhere\" },
    } | Directives";
    let said = build(&shop, asked, &words).snapshot();
    assert!(said.contains("LAYER gives way to the directives\n--promote gives way to the directives\n"), "{said}");
    assert!(said.contains("localhost:1/elsewhere/app:") && !said.contains("other:"), "{said}");
    assert!(!said.contains("--jobs gives way"), "{said}");
    // A selection replaces the whole one of the command line.
    let said = build(&shop, "{ layers.all = true } | Directives", &["app", "--dependents"]).snapshot();
    assert!(said.contains("/app:") && said.contains("/other:"), "{said}");
    // What is not said is the command line's to say.
    let said = build(&shop, "ci {}", &["other"]).snapshot();
    assert!(said.contains("/other:") && !said.contains("/app:"), "{said}");
}

#[test]
fn directives_that_say_nothing_that_can_be_done_are_refused() {
    let shop = shop();
    for (directives, what) in [
        ("{ layer = \"app\" } | Directives", "layer"),
        ("{ cache.actor = \"root\" } | Directives", "this is no actor"),
        ("{ compute.jobs = 1.5 } | Directives", "jobs"),
        ("{ events.url = \"nats://me:password@host\" } | Directives", "an address holds no login"),
        ("{ registry.host = \"x\" } | Directives", "namespace"),
        ("session { actor = \"agent:a\", disposition = 'keep } {}", "disposition"),
        ("1", "asked.ncl"),
    ] {
        let said = build(&shop, directives, &["app"]).snapshot();
        assert!(said.starts_with("exit code: 3\n") && said.contains(what), "{directives}: {said}");
        assert!(!said.contains("password"), "{said}");
    }
    let said = build(&shop, "{ layers.names = [\"ap\"] } | Directives", &[]).snapshot();
    assert!(said.starts_with("exit code: 2\n") && said.contains("did you mean `app`"), "{said}");
    // A file from elsewhere imports as if it lay at the catalog's root, and no further.
    let outside = shop.outside().join("mine.ncl");
    fs::write(&outside, "(import \"schemas/directives.ncl\").ci { layers.names = [\"app\"] }").unwrap();
    let args = ["build", "--directives", outside.to_str().unwrap()];
    let said = shop.run_with(&args, "", b"", &[("LAMINA_REGISTRY_RETRIES", "0")]).snapshot();
    assert!(said.contains("/app:"), "{said}");
    fs::write(&outside, "import \"../../secret.ncl\"").unwrap();
    let said = shop.run_with(&args, "", b"", &[]).snapshot();
    assert!(said.starts_with("exit code: 3\n") && said.contains("imports cannot leave the catalog"), "{said}");
}

#[test]
fn the_directives_of_a_layer_are_told() {
    let shop = shop();
    shop.replace(
        "catalog/catalog.ncl",
        "registry",
        "runners = [{ name = \"here\", provider = 'engine }, \
         { name = \"small\", provider = 'engine, largest = { cpu = 2, memory_mb = 4096 } }],\n  registry",
    );
    let answer = shop.run(["directives", "app"]).json(0);
    assert_eq!(answer["build"]["secrets"][0], json!({ "id": "token", "required": true }));
    assert_eq!(answer["secret_variables"]["token"], "LAMINA_SECRET_TOKEN");
    let hook = json!({ "command": ["true"], "timeout_s": 60, "env": ["MINE"] });
    assert_eq!(answer["hooks"], json!({ "pre_build": [hook], "post_build": [], "pre_promote": [] }));
    assert_eq!((&answer["args"]["A"], &answer["runner"]["sources"]), (&"1".into(), &json!(["here"])));
    assert_eq!((&answer["runner"]["tier"], &answer["runner"]["cpu"]), (&"cx32".into(), &4.into()));
    shop.run(["directives", "ap"]).stderr("error: there is no layer `ap`\nhint: did you mean `app`?\n").code(2);
}

const SECRET: &str = "a-value-that-nobody-may-see";

/// `integrate` with this document; its line, and all that was said.
fn integrate(shop: &Workshop, document: &Value, args: &[&str], env: &[(&str, &str)], code: i32) -> (Value, String) {
    let args = [&["integrate"][..], args].concat();
    let said = shop.run_with(&args, "", document.to_string().as_bytes(), env).any_stderr();
    let whole = said.snapshot();
    assert!(whole.starts_with(&format!("exit code: {code}\n")), "{whole}");
    assert!(!whole.contains(SECRET), "{whole}");
    let line = whole.lines().find(|line| line.starts_with('{'));
    (line.map(|line| serde_json::from_str(line).unwrap()).unwrap_or_default(), whole)
}

#[test]
fn secrets_that_were_delivered_are_compared_with_those_that_are_declared() {
    let shop = shop();
    let file = |name: &str, text: &str, mode: u32| {
        let path = shop.outside().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, open, empty) = (file("good", SECRET, 0o600), file("open", SECRET, 0o644), file("empty", "", 0o600));
    let large = file("large", &"x".repeat(600 * 1024), 0o600);
    let folder = shop.outside().to_str().unwrap().to_owned();
    let context = |workspace: &str, token: Value| json!({ "version": 1, "workspace": workspace, "secrets": { "token": token, "stray": { "env": "PATH" } } });
    let env = [("TOKEN", SECRET), ("EMPTY", "")];
    let name = "workshop";
    for (token, state, code) in [
        (json!({ "file": good }), "ready", 0),
        (json!({ "env": "TOKEN" }), "ready", 0),
        (json!({ "env": "TOKEN", "expires_at": "2999-01-01T00:00:00Z" }), "ready", 0),
        (json!({ "env": "TOKEN", "expires_at": "2026-01-01T00:00:00Z" }), "expired", 1),
        (json!({}), "missing", 1),
        (json!({ "file": good, "env": "TOKEN" }), "ambiguous", 1),
        (json!({ "file": "/no/such/file" }), "absent", 1),
        (json!({ "env": "NO_SUCH_VARIABLE" }), "absent", 1),
        (json!({ "file": folder }), "unreadable", 1),
        (json!({ "file": open }), "exposed", 1),
        (json!({ "file": empty }), "empty", 1),
        (json!({ "env": "EMPTY" }), "empty", 1),
        (json!({ "file": large }), "too-large", 1),
    ] {
        let (line, said) = integrate(&shop, &context(name, token.clone()), &["app"], &env, code);
        let found = line["secrets"].as_array().unwrap().iter().find(|secret| secret["id"] == "token").unwrap();
        assert_eq!((&found["state"], &line["ready"]), (&state.into(), &(code == 0).into()), "{token}: {said}");
        assert_eq!(line["unknown"], json!(["stray"]));
        assert!(said.contains("`stray` was delivered") && said.contains("no NATS is configured"), "{said}");
    }
    // A layer without secrets needs none; what was delivered to somebody else is not taken.
    let none = json!({ "version": 1, "workspace": name, "secrets": {} });
    assert_eq!(integrate(&shop, &none, &["other"], &[], 0).0["ready"], true);
    assert_eq!(integrate(&shop, &none, &[], &[], 1).0["layers"], json!(["app", "other"]));
    let (line, _) = integrate(&shop, &context("another", json!({ "env": "TOKEN" })), &["app"], &env, 1);
    assert_eq!((&line["workspace_known"], &line["ready"]), (&false.into(), &false.into()));
}

#[test]
fn what_is_no_secret_context_is_not_repeated() {
    let shop = shop();
    for document in [
        json!({ "version": 2, "workspace": "x", "secrets": {} }),
        json!({ "version": 1, "workspace": "x", "secrets": { "token": SECRET } }),
        json!({ "version": 1, "workspace": "x", "secrets": { "token": { "file": "f", "expires_at": SECRET } } }),
        json!({ "version": 1, "secrets": [SECRET] }),
        json!(SECRET),
    ] {
        let (line, said) = integrate(&shop, &document, &[], &[], 1);
        assert!(line.is_null() && said.contains("stdin holds no secret-delivery context"), "{said}");
    }
    let long = shop.run_with(&["integrate"], "", &vec![b' '; 2 << 20], &[]).snapshot();
    assert!(long.contains("it has more than 1048576 bytes"), "{long}");
}

/// An own NATS server; killed with this value.
struct Server {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Server {
    /// A server with these lines in its configuration; none, and a word about it, where nats-server is missing.
    fn start(test: &str, lines: &str, files: &[(&str, &str)]) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let lines = lines.replace("FOLDER", folder.path().to_str().unwrap());
        let config = folder.path().join("nats.conf");
        fs::write(&config, format!("listen: \"127.0.0.1:{port}\"\n{lines}\n")).unwrap();
        let mut programs = ["/usr/sbin/nats-server", "nats-server"].into_iter();
        let quiet = |program: &&str| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        let Some(program) = programs.find(quiet) else {
            eprintln!("{test} is skipped: there is no nats-server");
            return None;
        };
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program).arg("-c").arg(&config).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Self { child, url: format!("127.0.0.1:{port}"), folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(server.folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < HANGS, "nats-server does not listen: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has `integrate` tell its result, and returns what a subscriber got of it.
fn told(shop: &Workshop, options: async_nats::ConnectOptions, url: &str, env: &[(&str, &str)]) -> (String, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut subscriber = runtime.block_on(async {
        let client = options.connect(url).await.unwrap();
        let subscriber = client.subscribe("lamina.>").await.unwrap();
        client.flush().await.unwrap();
        client.request("nobody.listens.here", "".into()).await.unwrap_err();
        subscriber
    });
    let none = json!({ "version": 1, "workspace": "workshop", "secrets": {} });
    let (line, said) = integrate(shop, &none, &["other", "--events-url", url], env, 0);
    assert!(!said.contains("warning"), "{said}");
    let message = runtime.block_on(async { tokio::time::timeout(HANGS, subscriber.next()).await });
    let message = message.expect("a message").unwrap();
    let payload: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(payload, line);
    (message.subject.to_string(), payload)
}

/// A JWT of NATS: claims about one key, signed by another.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "jti": "test", "iat": now, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "test", "nats": nats,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[test]
fn a_creds_file_and_an_nkey_log_in() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({ "subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1,
                         "wildcards": true });
    let of_operator = jwt(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
    let of_account = jwt(&operator, &account, &json!({ "type": "account", "version": 2, "limits": limits }));
    let of_user = json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let seed = user.seed().unwrap();
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY \
         SEED-----\n{seed}\n------END USER NKEY SEED------\n",
        jwt(&account, &user, &of_user)
    );
    let lines = format!(
        "operator: FOLDER/operator.jwt\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}",
        account.public_key()
    );
    let files = [("operator.jwt", of_operator.as_str()), ("user.creds", &creds)];
    let Some(server) = Server::start("a_creds_file_and_an_nkey_log_in", &lines, &files) else { return };
    let shop = Workshop::new();
    shop.layer("other", RUST);
    let options = async_nats::ConnectOptions::with_credentials(&creds).unwrap();
    let path = server.path("user.creds");
    told(&shop, options, &server.url, &[("LAMINA_NATS_CREDS", &path)]);
    // Without them it is told to nobody, which is said, and is no failure; nor is it one that they can't be read.
    let none = json!({ "version": 1, "workspace": "workshop", "secrets": {} });
    let args = ["other", "--events-url", &server.url];
    let (_, said) = integrate(&shop, &none, &args, &[], 0);
    assert!(said.contains("warning: 1 of 1 events did not reach"), "{said}");
    for (file, what) in [("/no/such/file", "no events are told"), ("/dev/null", "no events are told")] {
        let (_, said) = integrate(&shop, &none, &args, &[("LAMINA_NATS_CREDS", file)], 0);
        assert!(said.contains(what) && !said.contains(&seed), "{said}");
    }
    drop(server);
    let users = format!("authorization {{ users = [{{ nkey: {} }}] }}", user.public_key());
    let text = format!("# mine\n{seed}\n");
    let server = Server::start("a_creds_file_and_an_nkey_log_in", &users, &[("user.nk", &text)]).unwrap();
    let options = async_nats::ConnectOptions::with_nkey(seed.clone());
    let (subject, _) = told(&shop, options, &server.url, &[("LAMINA_NATS_NKEY", &server.path("user.nk"))]);
    assert!(subject.starts_with("lamina.") && subject.ends_with(".integrate.completed"), "{subject}");
}

#[test]
fn a_server_with_tls_is_spoken_to_in_tls_alone() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    let lines = "tls { cert_file: \"FOLDER/cert.pem\", key_file: \"FOLDER/key.pem\" }";
    let files = [("cert.pem", cert.as_str()), ("key.pem", &key)];
    let test = "a_server_with_tls_is_spoken_to_in_tls_alone";
    let Some(server) = Server::start(test, lines, &files) else { return };
    let shop = Workshop::new();
    shop.layer("other", RUST);
    let (url, trusted) = (format!("tls://{}", server.url), server.path("cert.pem"));
    let options = async_nats::ConnectOptions::new().add_root_certificates(trusted.clone().into());
    told(&shop, options, &url, &[("SSL_CERT_FILE", &trusted)]);
    // Whose certificate nobody vouches for is told nothing.
    let none = json!({ "version": 1, "workspace": "workshop", "secrets": {} });
    let (_, said) = integrate(&shop, &none, &["other", "--events-url", &url], &[], 0);
    assert!(said.contains("warning: 1 of 1 events did not reach tls://"), "{said}");
    drop(server);
    // Nor is one that speaks no TLS.
    let server = Server::start(test, "", &[]).unwrap();
    let (_, said) = integrate(&shop, &none, &["other", "--events-url", &format!("tls://{}", server.url)], &[], 0);
    assert!(said.contains("warning: 1 of 1 events did not reach tls://"), "{said}");
}

#[test]
fn no_source_names_a_caller() {
    let shop = Workshop::new();
    let decision = fs::read_to_string(manifest_folder().join("adrs/005-no-caller-by-name.ncl")).unwrap();
    shop.layer("app", RUST).file("adrs/005-no-caller-by-name.ncl", &decision);
    // A catalog that is not lamina's own has no such sources.
    shop.run(["validate", "--only", "adr"]).any_stderr().success();
    shop.file("src/commands/build.rs", "// Where it runs makes no difference.\n");
    shop.run(["validate", "--only", "adr"]).any_stderr().success();
    for line in ["// as Jenkins does it", "std::env::var(\"GITHUB_ACTIONS\")"] {
        shop.file("src/commands/build.rs", &format!("{line}\n"));
        let said = shop.run(["validate", "--only", "adr"]).snapshot();
        assert!(said.starts_with("exit code: 3\n") && said.contains("ADR 005"), "{said}");
    }
}
