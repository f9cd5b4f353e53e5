//! What once went wrong, and must not again.

use crate::workshop::{RUST, Workshop};

#[test]
fn the_catalogs_platforms_reach_layers_that_do_not_import_it() {
    let shop = Workshop::new();
    shop.layer("a", RUST).layer_with("b", RUST, "docs = (import \"../../catalog/catalog.ncl\").rust.version,");
    shop.run(["cascade", "--changed", "catalog/catalog.ncl", "--format", "names"])
        .any_stderr()
        .stdout("a\nb\n")
        .success();
}

#[test]
fn an_overlay_reaches_layers_that_do_not_import_the_catalog() {
    let shop = Workshop::new();
    shop.layer("a", RUST).file("overlays/o.ncl", "{ platforms = [\"linux/arm64\"] }");
    let args = ["cascade", "--changed", "overlays/o.ncl", "--overlay", "overlays/o.ncl", "--format", "names"];
    shop.run(args).any_stderr().stdout("a\n").success();
}

/// A link would give files two names, and git does not look behind it.
#[test]
fn a_linked_context_folder_is_refused() {
    let shop = Workshop::new();
    shop.layer_with("a", RUST, "build.context = \"context\",")
        .file("shared/f", "x")
        .link("layers/a/context", "../../shared");
    let answer = shop.run(["validate", "--check-dag", "--format", "json"]).json(3);
    assert_eq!(answer["findings"][0]["code"], "not-a-file", "{answer:#}");
    shop.commit("one");
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().code(3);
}

#[test]
fn a_linked_layer_folder_is_refused() {
    let shop = Workshop::new();
    shop.layer("a", RUST).layer("b", RUST).file("elsewhere/f", "x");
    std::fs::rename(shop.root().join("layers/a"), shop.root().join("elsewhere/a")).unwrap();
    shop.link("layers/a", "../elsewhere/a");
    let answer = shop.run(["validate", "--format", "json"]).json(3);
    assert_eq!(answer["findings"][0]["message"], "layers/a is a link", "{answer:#}");
    assert_eq!(answer["layers"], 2);
}

#[test]
fn a_file_is_not_imported_through_a_link() {
    let shop = Workshop::new();
    shop.layer_with("a", RUST, "docs = import \"l.md\" as 'Text,")
        .file("docs/t.txt", "t")
        .link("layers/a/l.md", "../../docs/t.txt");
    let answer = shop.run(["validate", "--format", "json"]).json(3);
    assert_eq!(answer["findings"][0]["code"], "not-a-file", "{answer:#}");
    assert_eq!(answer["findings"][0]["file"], "layers/a/workflow.ncl", "{answer:#}");
}

#[test]
fn the_repository_itself_is_no_part_of_a_build_context() {
    let shop = Workshop::new();
    shop.layer_with("a", RUST, "build.context = \"../..\",").commit("one");
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().stdout("no layer is affected\n").success();
}

#[test]
fn a_folder_with_a_bad_name_hides_no_layer() {
    use std::os::unix::ffi::OsStrExt;
    let shop = Workshop::new();
    shop.layer("a", RUST);
    std::fs::create_dir(shop.root().join("layers").join(std::ffi::OsStr::from_bytes(b"z\xff"))).unwrap();
    let json = shop.run(["validate", "--format", "json"]).json(3);
    assert_eq!((&json["layers"], &json["warnings"]), (&serde_json::json!(1), &serde_json::json!(0)), "{json:#}");
}

#[test]
fn vendored_libraries_are_not_installed_by_consumers() {
    let shop = Workshop::new();
    let dep = "native_deps = [{ package = \"liboqs\", library = \"liboqs\", needed = 'both, source = 'vendored }],";
    shop.layer_with("a", RUST, dep);
    let json = shop.run(["show", "a", "--format", "json"]).json(0);
    assert_eq!(json["consumers_install"], serde_json::json!([]));
}

#[test]
fn a_default_may_be_put_together_from_other_arguments() {
    let shop = Workshop::new();
    shop.layer("a", RUST).dockerfile("a", "ARG V=1.97.1\nARG BUILD_BASE=rust:${V}-slim-trixie\nFROM ${BUILD_BASE}\n");
    shop.run(["validate"]).stderr("1 layer, 8 checks: no problem\n").success();
}

#[test]
fn an_empty_word_is_no_path() {
    let shop = Workshop::new();
    shop.layer("a", RUST);
    shop.run(["cascade", "--changed", ""]).any_stderr().code(2);
}

#[test]
fn an_absolute_path_in_a_list_is_a_path_of_the_catalog() {
    let shop = Workshop::new();
    shop.layer("a", RUST);
    let list = shop.root().join("layers/a/Dockerfile").display().to_string();
    shop.run_reading(list.as_bytes(), ["cascade", "--changed", "-", "--format", "names"])
        .any_stderr()
        .stdout("a\n")
        .success();
}

#[test]
fn every_code_belongs_to_a_check() {
    use lamina::{checks::CHECKS, diag::Code};
    for code in Code::ALL {
        assert!(CHECKS.iter().any(|check| check.codes.contains(code)), "{code}");
    }
}

#[test]
fn the_lock_of_the_command_line_is_a_path_that_counts() {
    let shop = Workshop::new();
    shop.layer("a", RUST).file("lab.lock", &shop.read("lamina.lock"));
    let args = ["cascade", "--changed", "lab.lock", "--lock", "lab.lock", "--format", "names"];
    shop.run(args).any_stderr().stdout("a\n").success();
}

#[test]
fn the_cause_of_a_missing_fingerprint_is_told_by_its_own_change_under_ignore() {
    // tools was broken in the old revision; app's Dockerfile changed. What is known of app is not thrown away.
    let shop = Workshop::new();
    shop.layer("tools", RUST).layer("app", "tools");
    shop.replace("layers/tools/workflow.ncl", "'toolchain", "'tool").commit("broken");
    shop.replace("layers/tools/workflow.ncl", "'tool", "'toolchain").append("layers/app/Dockerfile", "# x\n");
    shop.run(["cascade", "--since", "HEAD", "--unknown=ignore", "--format", "names"])
        .any_stderr()
        .stdout("app\n")
        .success();
}

/// What lamina does not read makes no layer stale, whether layers use it or not.
#[test]
fn a_catalog_may_extend_its_schema() {
    let shop = Workshop::new();
    shop.layer("a", RUST).commit("one");
    let team = "      team\n        | String\n        | doc \"Who answers for it.\"\n        | default\n        = \"platform\",\n";
    shop.replace("schemas/workflow.ncl", "      summary\n", &format!("{team}      summary\n"));
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().stdout("no layer is affected\n").success();
    shop.replace("layers/a/workflow.ncl", "  summary =", "  team = \"web\",\n  summary =");
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().stdout("no layer is affected\n").success();
    shop.run(["validate"]).stderr("1 layer, 8 checks: no problem\n").success();
}

#[test]
fn an_old_catalog_that_is_broken_follows_the_policy() {
    let shop = Workshop::new();
    shop.layer("a", RUST).append("catalog/catalog.ncl", "}").commit("broken");
    let text = shop.read("catalog/catalog.ncl");
    shop.file("catalog/catalog.ncl", text.strip_suffix('}').unwrap());
    let run = |policy| shop.run(["cascade", "--since", "HEAD", policy, "--format", "names"]).any_stderr();
    run("--unknown=error").code(5);
    run("--unknown=all").stdout("a\n").success();
    run("--unknown=ignore").success();
}

/// Two layers on two tags of one image: `update --tags` moves both to the newest, and that is locked once.
#[test]
fn two_tags_that_move_to_one_become_one_entry() {
    use lamina::lock::{Lock, LockText};
    use lamina::model::ImageRef;
    let text = crate::workshop::lock(&["rust:1.97.1", "rust:1.98.0", "rust:1.99.0"]);
    let images = ["rust:1.97.1", "rust:1.98.0", "rust:1.99.0"].map(|name| name.parse::<ImageRef>().unwrap());
    let locked = Lock::parse("lock", &text).0.get(&images[2]).unwrap().clone();
    let mut edited = LockText::parse("lock", Some(&text)).unwrap();
    edited.rename(&images[0], &images[2], &locked);
    edited.rename(&images[1], &images[2], &locked);
    let (lock, findings) = Lock::parse("lock", &edited.to_string());
    assert_eq!(findings, Vec::new(), "{edited}");
    assert_eq!(lock.iter().map(|(image, _)| image).collect::<Vec<_>>(), [&images[2]]);
}

#[test]
fn a_path_that_ends_in_a_carriage_return_is_no_line_of_windows_between_nul() {
    let shop = Workshop::new();
    shop.layer_with("a", RUST, "").file("layers/a/.dockerignore", "*\n");
    let run = |list: &[u8]| shop.run_reading(list, ["cascade", "--changed", "-", "--format", "names"]).any_stderr();
    run(b"layers/a/Dockerfile\r\n").stdout("a\n").success();
    run(b"layers/a/Dockerfile\r\0").stdout("").success();
}

/// A registry's own words are cut before they are shown: a body may have megabytes of them.
#[test]
fn a_long_media_type_is_not_shown_as_a_whole() {
    let media_type = format!("application/vnd.oci.image.index.v1+json; {}", "x".repeat(1 << 20));
    let body = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"config\":{{\"digest\":\"\",\"size\":0}},\"layers\":[]}}"
    );
    let error = lamina::registry::parse_manifest(body.as_bytes(), None).unwrap_err().to_string();
    assert!(
        error.starts_with("its content is not what its type says, `application/vnd.oci.image.index")
            && error.len() < 200
    );
}

/// Found by fuzzing: the parser quotes what it does not find the end of, or does not know, as a whole.
#[test]
fn a_message_about_a_dockerfile_is_one_short_line() {
    for text in ["FROM a\nRUN <<\u{7}\u{1b}[31m\nx\n".to_owned(), format!("FROM a\n{}\n", "X".repeat(1 << 20))] {
        let finding = lamina::dockerfile::Dockerfile::parse("Dockerfile", &text).unwrap_err();
        assert!(!finding.message.contains(char::is_control) && finding.message.len() < 300, "{finding:?}");
    }
}

/// Found by fuzzing: the parser's place of the `ARG` ends within the last character.
#[test]
fn a_place_in_a_dockerfile_holds_whole_characters() {
    let text = "FROM a\nARG A \\\n#é";
    let dockerfile = lamina::dockerfile::Dockerfile::parse("Dockerfile", text).unwrap();
    assert!(text.get(dockerfile.stages[0].args[0].span.clone()).is_some(), "{dockerfile:?}");
}
