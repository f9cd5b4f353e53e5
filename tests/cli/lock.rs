//! Pins against a real registry: what is locked, what is found to have moved, what an update changes.

use crate::registry::Namespace;
use crate::workshop::{CATALOG, Workshop, digest};

/// A catalog whose toolchain is `rust:VERSION-slim` of a namespace, with three layers in a row, and its lock.
fn catalog(namespace: &Namespace) -> Workshop {
    let shop = Workshop::new();
    let text = CATALOG
        .replace(
            "rust:%{rust.version}-slim-%{debian.release}",
            &format!("{}:%{{rust.version}}-slim", namespace.image("rust")),
        )
        .replace("  registry |", &format!("  plain_http = [\"{}\"],\n  registry |", namespace.host));
    shop.file("catalog/catalog.ncl", &text).remove("lamina.lock");
    let from_catalog = "let catalog = import \"../../catalog/catalog.ncl\" in\n";
    for (name, base) in [("rust", "{ image = catalog.images.toolchain }"), ("wasm", "{ layer = \"rust\" }")] {
        shop.workflow(
            name,
            &format!("build_base = {base},\n  runtime_base = {base},\n  build.resources.expected_min = 4,"),
        );
        let workflow = shop.read(&format!("layers/{name}/workflow.ncl"));
        let workflow = workflow.replacen("in\n", &format!("in\n{from_catalog}"), 1);
        shop.file(&format!("layers/{name}/workflow.ncl"), &workflow)
            .dockerfile(name, "ARG BUILD_BASE\nFROM ${BUILD_BASE}\n");
    }
    shop
}

/// The lines of a lock that hold a digest, without it.
fn entries(shop: &Workshop) -> Vec<String> {
    shop.read("lamina.lock").lines().filter(|line| line.contains("sha256:")).map(str::to_owned).collect()
}

#[test]
fn a_lock_is_filled_and_then_left_alone() {
    let Some(namespace) = Namespace::new() else { return };
    let digest = namespace.push_index("rust", "1.97.1-slim", "one", &["linux/amd64", "linux/arm64"]);
    let shop = catalog(&namespace);
    let image = format!("{}:1.97.1-slim", namespace.image("rust"));
    shop.run(["lock", "--check"])
        .stdout(&format!("{image}  missing in the lock\n"))
        .stderr(
            "error: lamina.lock is not what the catalog needs: 1 missing\n\
             hint: `lamina lock` adds what is missing and removes what is unused\n",
        )
        .code(3);
    shop.run(["lock"])
        .stdout(&format!("{image}  added: {digest}\n"))
        .stderr("lamina.lock: 1 added; it holds 1 image\n")
        .success();
    let text = shop.read("lamina.lock");
    assert!(
        text.contains(&format!(
            "\n[[image]]\nreference = \"{image}@{digest}\"\n\n[image.platforms]\n\"linux/amd64\" = "
        ))
    );
    assert!(text.contains("\"linux/arm64\" = \"sha256:") && text.starts_with("# The digests"), "{text}");
    shop.run(["lock"]).stderr("lamina.lock holds all there is to lock: 1 image\n").success();
    assert_eq!(shop.read("lamina.lock"), text);
    shop.run(["validate", "--only", "pins"]).stderr("2 layers, 1 check: no problem\n").success();
    shop.run(["lock", "--check", "--online"])
        .stderr("lamina.lock holds what the catalog needs: 1 image, as their tags say\n")
        .success();
}

#[test]
fn what_people_wrote_into_the_lock_stays_when_others_come_and_go() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.push("rust", "1.97.1-slim", "one");
    let shop = catalog(&namespace);
    let lock = format!(
        "# Ours.\nversion = 1 # the format\n\n# Nobody needs it any more.\n[[image]]\nreference = \"docker.io/library/busybox:1.36@{}\"\n\n\
         # The platform team moves this one.\n[[image]]\nreference = \"docker.io/library/debian:trixie-slim@{}\" # since May\n",
        digest(1),
        digest(2)
    );
    shop.file("lamina.lock", &lock);
    shop.layer("tools", "debian:trixie-slim");
    shop.run(["lock"]).any_stderr().answer(0);
    let text = shop.read("lamina.lock");
    let image = format!("{}:1.97.1-slim", namespace.image("rust"));
    let (before, after) = text.split_once(&format!("\n[[image]]\nreference = \"{image}@sha256:")).unwrap();
    assert_eq!(before, "# Ours.\nversion = 1 # the format\n");
    let kept = format!(
        "\"\n\n# The platform team moves this one.\n[[image]]\nreference = \"docker.io/library/debian:trixie-slim@{}\" # since May\n",
        digest(2)
    );
    assert_eq!(&after[64..], kept);
}

#[test]
fn a_tag_that_moved_is_found_and_moved() {
    let Some(namespace) = Namespace::new() else { return };
    let old = namespace.push("rust", "1.97.1-slim", "one");
    let shop = catalog(&namespace);
    shop.run(["lock"]).any_stderr().answer(0);
    let new = namespace.push("rust", "1.97.1-slim", "two");
    let image = format!("{}:1.97.1-slim", namespace.image("rust"));
    let short = |digest: &str| digest["sha256:".len()..][..12].to_owned();
    let arrow = format!("{} → {}", short(&old), short(&new));

    shop.run(["lock", "--check"])
        .stderr("lamina.lock holds what the catalog needs: 1 image; --online compares it with the registries\n")
        .success();
    shop.run(["lock", "--check", "--online"])
        .stdout(&format!("{image}  moved: {arrow}\n"))
        .stderr(
            "error: lamina.lock is not what the catalog needs: 1 moved\n\
             hint: `lamina update` moves the digests, and says what will be rebuilt\n",
        )
        .code(3);
    shop.run(["outdated"]).stdout(&format!("{image}  moved: {arrow}\n")).stderr("1 of 1 image is outdated\n").success();
    assert_eq!(shop.run(["outdated", "--exit-code", "--format", "json"]).json(4)["images"][0]["now"], *new);

    let before = shop.read("lamina.lock");
    let dry = shop.run(["update", "--dry-run"]).any_stderr().answer(0);
    assert_eq!(shop.read("lamina.lock"), before, "a dry run writes nothing");
    let redacted = |answer: &str| {
        let answer = answer.replace(&namespace.image("rust"), "[REGISTRY]/rust");
        answer.replace(&short(&old), "[OLD]").replace(&short(&new), "[NEW]")
    };
    insta::assert_snapshot!(redacted(&dry));
    let markdown = shop.run(["update", "--dry-run", "--format", "markdown"]).answer(0);
    insta::assert_snapshot!(redacted(&markdown));
    assert_eq!(shop.run(["update"]).any_stderr().answer(0), dry);
    assert_eq!(shop.read("lamina.lock"), before.replace(&old, &new));
    shop.run(["update"]).stdout("nothing to move\n").stderr("1 image: all tags stand for what is locked\n").success();
}

#[test]
fn a_newer_tag_is_set_where_the_catalog_says_it() {
    let Some(namespace) = Namespace::new() else { return };
    for tag in ["1.97.1-slim", "1.97.2-slim", "1.98.0-slim", "1.99.0-rc1-slim", "2.0.0-slim", "1.98.0-full", "latest"] {
        namespace.push("rust", tag, tag);
    }
    let shop = catalog(&namespace);
    shop.append("catalog/catalog.ncl", "# \"1.97.1\" in a comment is no place.\n");
    shop.run(["lock"]).any_stderr().answer(0);
    let image = format!("{}:1.97.1-slim", namespace.image("rust"));
    shop.run(["outdated"])
        .stdout(&format!("{image}  locked; 2.0.0-slim (major); 1.98.0-slim (minor); 1.97.2-slim (patch)\n"))
        .stderr("1 of 1 image is outdated\n")
        .success();
    let update = shop.run(["update", "--tags", "--format", "json"]).json(0);
    assert_eq!(update["files"], serde_json::json!(["catalog/catalog.ncl"]));
    let catalog = shop.read("catalog/catalog.ncl");
    assert!(catalog.contains("rust.version | default = \"1.98.0\"") && catalog.contains("# \"1.97.1\" in a comment"));
    assert_eq!(entries(&shop).len(), 1);
    assert!(entries(&shop)[0].contains(":1.98.0-slim@sha256:"));
    shop.run(["validate", "--only", "pins"]).any_stderr().answer(0);
    shop.run(["update", "--tags=major", "--dry-run"]).any_stderr().answer(0);
    assert_eq!(shop.read("catalog/catalog.ncl"), catalog, "a dry run writes nothing");
}

#[test]
fn a_tag_whose_place_is_not_found_is_not_moved() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.push("rust", "1.97.1-slim", "one");
    namespace.push("rust", "1.98.0-slim", "two");
    let shop = catalog(&namespace);
    shop.replace("catalog/catalog.ncl", "default = \"1.97.1\"", "default = \"1.97%{\".1\"}\"");
    shop.run(["lock"]).any_stderr().answer(0);
    let before = (shop.read("lamina.lock"), shop.read("catalog/catalog.ncl"));
    let image = namespace.image("rust");
    shop.run(["update", "--tags"])
        .stdout("nothing to move\n")
        .stderr(&format!(
            "{image}:1.97.1-slim could move to {image}:1.98.0-slim, but no single text in the catalog says so: change \
             it by hand, then run `lamina lock`\n1 image: all tags stand for what is locked\n"
        ))
        .success();
    assert_eq!((shop.read("lamina.lock"), shop.read("catalog/catalog.ncl")), before);
}

#[test]
fn a_mirror_has_a_lock_of_its_own() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.push("acme/base", "3", "mirrored");
    let shop = Workshop::new();
    shop.layer("base", &format!("{}:3", namespace.repository("acme/base"))).lock(&[]);
    let overlay = format!("{{ mirrors.\"docker.io\" = \"{0}\", plain_http = [\"{0}\"] }}\n", namespace.host);
    shop.file("mirror.ncl", &overlay);
    let before = shop.read("lamina.lock");
    let options = ["--overlay", "mirror.ncl", "--lock", "mirror.lock"];
    let run = |words: &[&str]| shop.run_with(&[words, &options].concat(), "", b"", &[]);
    run(&["list"])
        .stderr(
            "error: mirror.lock can't be read: No such file or directory (os error 2)\n\
             hint: `lamina lock --lock FILE` writes it\n",
        )
        .code(1);
    run(&["lock"]).any_stderr().answer(0);
    assert!(shop.read("mirror.lock").contains(&format!("docker.io/{}:3@sha256:", namespace.repository("acme/base"))));
    assert_eq!(shop.read("lamina.lock"), before);
    run(&["lock", "--check", "--online"])
        .stderr("mirror.lock holds what the catalog needs: 1 image, as their tags say\n")
        .success();
}

#[test]
fn a_tag_that_is_gone_and_one_that_never_was_are_told_apart_from_a_silent_registry() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = catalog(&namespace);
    let image = format!("{}:1.97.1-slim", namespace.image("rust"));
    shop.run(["lock"])
        .stderr(&format!(
            "{image}: {} has no such image\nerror: the image could not be looked up\nhint: nothing was written\n",
            namespace.host
        ))
        .code(6);
    shop.lock(&[&image]);
    let gone = format!("{image}  gone: its registry has no such tag any more\n");
    shop.run(["lock", "--check", "--online"]).any_stderr().stdout(&gone).code(3);
}

#[test]
fn without_a_network_only_what_needs_it_fails() {
    let shop = Workshop::new();
    // Nothing listens on port 1.
    shop.layer("rust", "127.0.0.1:1/rust:1.97.1-slim").lock(&["127.0.0.1:1/rust:1.97.1-slim"]);
    shop.replace("catalog/catalog.ncl", "  registry |", "  plain_http = [\"127.0.0.1:1\"],\n  registry |");
    let before = shop.read("lamina.lock");
    shop.run(["lock", "--check"]).any_stderr().answer(0);
    shop.run(["lock"]).any_stderr().answer(0);
    for args in [["lock", "--check", "--online"].as_slice(), &["outdated"], &["update"]] {
        let args = [args, &["--registry-retries", "0"]].concat();
        insta::assert_snapshot!(shop.run_with(&args, "", b"", &[]).snapshot());
    }
    assert_eq!(shop.read("lamina.lock"), before);
}

#[test]
fn tags_of_two_variants_move_together_where_one_text_says_both() {
    let Some(namespace) = Namespace::new() else { return };
    for tag in ["1.97.1-slim", "1.98.0-slim", "1.97.1-full", "1.98.0-full"] {
        namespace.push("rust", tag, tag);
    }
    let shop = catalog(&namespace);
    shop.replace(
        "catalog/catalog.ncl",
        "    runtime |",
        &format!("    full = \"{}:%{{rust.version}}-full\",\n    runtime |", namespace.image("rust")),
    );
    shop.replace(
        "layers/wasm/workflow.ncl",
        "build_base = { layer = \"rust\" }",
        "build_base = { image = catalog.images.full }",
    );
    shop.run(["lock"]).any_stderr().answer(0);
    let update = shop.run(["update", "--tags", "--format", "json"]).json(0);
    let moves: Vec<(&str, &str)> = update["moves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|moved| {
            let tag = |field: &str| {
                moved[field].as_str().unwrap().rsplit_once("/rust:").unwrap().1.split_once('@').unwrap().0
            };
            (tag("old"), tag("new"))
        })
        .collect();
    assert_eq!(moves, [("1.97.1-full", "1.98.0-full"), ("1.97.1-slim", "1.98.0-slim")]);
    shop.run(["lock", "--check", "--online"]).any_stderr().answer(0);
}

#[test]
fn an_image_that_nobody_names_is_no_argument() {
    let shop = Workshop::new();
    shop.layer("rust", crate::workshop::RUST);
    shop.run(["outdated", "ruts"])
        .stderr("error: there is no image `ruts`\nhint: there are: rust:1.97.1-slim-trixie\n")
        .code(2);
}
