//! `--since`: a layer has changed when its fingerprint differs between two revisions, and for no other reason.

use crate::workshop::{DEBIAN, RUST, Workshop, digest};

/// `base` ← `tools` ← `app`, and `other` apart from them.
fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("tools", "base").layer("app", "tools").layer("other", RUST);
    shop.file("layers/tools/src/main.rs", "fn main() {}\n").file("layers/tools/.dockerignore", "*.log\n");
    shop.commit("one");
    shop
}

#[track_caller]
fn since(shop: &Workshop, expected: &str) {
    let found = shop.run(["cascade", "--since", "HEAD"]).any_stderr();
    found.stdout(expected).success();
}

/// A change that is made, and what it makes stale.
#[track_caller]
fn change(edit: impl Fn(&Workshop), expected: &str) {
    let shop = shop();
    edit(&shop);
    since(&shop, expected);
}

const NOTHING: &str = "no layer is affected\n";

#[test]
fn what_is_no_input_makes_nothing_stale() {
    let shop = shop();
    since(&shop, NOTHING);
    shop.append("layers/base/workflow.ncl", "# a comment\n");
    shop.replace("layers/tools/workflow.ncl", "layer = \"tools\",", "layer\n    =\n    \"tools\",");
    shop.replace("layers/app/workflow.ncl", "The layer app", "What it is for");
    shop.replace(
        "layers/other/workflow.ncl",
        "} | Workflow",
        "  docs = \"Text\",\n  build.resources.cpu = 7,\n  hooks.post_build = [{ command = [\"true\"] }],\n} | Workflow",
    );
    shop.replace(
        "schemas/workflow.ncl",
        "      hooks\n",
        "      color\n        | String\n        | optional,\n      hooks\n",
    );
    shop.append("schemas/types.ncl", "# a comment\n");
    shop.replace("catalog/catalog.ncl", "localhost:5000", "registry.example.org")
        .append("lamina.lock", "# a comment\n");
    shop.append("layers/tools/.dockerignore", "*.tmp\n")
        .file("layers/tools/a.log", "x")
        .file("layers/tools/b.tmp", "x");
    shop.file("README.md", "x").executable("layers/base/Dockerfile");
    shop.run(["validate"]).stderr("4 layers, 8 checks: no problem\n").success();
    since(&shop, NOTHING);
    let all = shop.run(["cascade", "--since", "HEAD", "--format", "json"]).json(0);
    assert_eq!((&all["affected"], &all["waves"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn a_field_of_the_build_makes_the_layer_stale() {
    change(
        |shop| {
            shop.replace("layers/tools/workflow.ncl", "} | Workflow", "  build.target = \"x\",\n} | Workflow");
        },
        "tools  build.target is new: \"x\" → tools\napp    build.target is new: \"x\" → tools → app (build base)\n",
    );
}

#[test]
fn a_build_argument_makes_the_layer_stale() {
    let shop = Workshop::new();
    shop.layer_with("base", RUST, "build.args.MODE = \"fast\",").commit("one");
    shop.replace("layers/base/workflow.ncl", "\"fast\"", "\"small\"");
    since(&shop, "base  build.args.MODE changed from \"fast\" to \"small\" → base\n");
    shop.replace("layers/base/workflow.ncl", "  build.args.MODE = \"small\",\n", "");
    since(&shop, "base  build.args.MODE is gone, was \"fast\" → base\n");
}

#[test]
fn the_dockerfile_makes_the_layer_stale() {
    change(
        |shop| {
            shop.append("layers/app/Dockerfile", "# even a comment\n");
        },
        "app  layers/app/Dockerfile changed → app\n",
    );
}

#[test]
fn files_of_the_context_make_the_layer_stale() {
    let app = |reason: &str| format!("tools  {reason} → tools\napp    {reason} → tools → app (build base)\n");
    change(
        |shop| {
            shop.append("layers/tools/src/main.rs", "\n");
        },
        &app("layers/tools/src/main.rs content changed"),
    );
    change(
        |shop| {
            shop.executable("layers/tools/src/main.rs");
        },
        &app("layers/tools/src/main.rs mode changed"),
    );
    // Nobody has added it to the index.
    change(
        |shop| {
            shop.file("layers/tools/new", "");
        },
        &app("layers/tools/new added"),
    );
    change(
        |shop| {
            shop.remove("layers/tools/src");
        },
        &app("layers/tools/src/main.rs removed"),
    );
    change(
        |shop| {
            shop.append("layers/tools/.dockerignore", "src\n");
        },
        &app("layers/tools/src/main.rs removed"),
    );
    change(
        |shop| {
            shop.remove("layers/tools/src/main.rs").link("layers/tools/src/main.rs", "elsewhere.rs");
        },
        &app("layers/tools/src/main.rs content changed"),
    );
}

#[test]
fn files_of_named_contexts_make_the_layer_stale() {
    let shop = Workshop::new();
    shop.layer_with("base", RUST, "build.contexts = { one = \"../../shared\", two = \"lib\" },");
    shop.append("layers/base/Dockerfile", "COPY --from=one /a /a\nCOPY --from=two /b /b\n");
    shop.file("shared/a", "1").file("shared/a.log", "1").file("shared/.dockerignore", "*.log\n");
    shop.file("layers/base/lib/b", "1").file("layers/base/.dockerignore", "lib\n").commit("one");
    shop.append("shared/a.log", "2");
    since(&shop, NOTHING);
    shop.append("shared/a", "2");
    since(&shop, "base  shared/a content changed → base\n");
    // What the layer's own ignore file leaves out of the build context is left out of no named one.
    shop.commit("two").append("layers/base/lib/b", "2");
    since(&shop, "base  layers/base/lib/b content changed → base\n");
    shop.commit("three").replace("layers/base/workflow.ncl", "one = ", "uno = ");
    since(&shop, "base  build.contexts.one is gone, was \"shared\" (and 1 more) → base\n");
}

#[test]
fn further_directives_make_the_layer_stale_and_tags_do_not() {
    let added = |fields: &str, expected: &str| {
        let shop = Workshop::new();
        shop.layer("base", RUST).commit("one");
        shop.replace("layers/base/workflow.ncl", "} | Workflow", &format!("  {fields},\n}} | Workflow"));
        since(&shop, expected);
    };
    added("tags = [\"1\"]", NOTHING);
    added("build = { ssh = [], network = 'default, contexts = {}, labels = {}, annotations = {} }", NOTHING);
    added("build.ssh = [\"b\", \"a\"]", "base  build.ssh is new: [\"a\",\"b\"] → base\n");
    added("build.network = 'none", "base  build.network is new: \"none\" → base\n");
    added("build.labels.\"a.b\" = \"c\"", "base  build.labels.a.b is new: \"c\" → base\n");
    added("build.annotations.a = \"c\"", "base  build.annotations.a is new: \"c\" → base\n");
}

#[test]
fn a_revision_with_the_schemas_before_tags_and_contexts_is_read() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    let [workflow, directives] = ["schemas/workflow.ncl", "schemas/build_directives.ncl"].map(|file| shop.read(file));
    let without = |text: &str, from: &str, to: &str| {
        let (head, rest) = text.split_once(from).unwrap();
        format!("{head}{to}{}", rest.split_once(to).unwrap().1)
    };
    shop.file("schemas/workflow.ncl", &without(&workflow, "      tags\n", "      build\n"));
    shop.file("schemas/build_directives.ncl", &without(&directives, "      contexts\n", "      platforms\n"))
        .commit("old");
    shop.file("schemas/workflow.ncl", &workflow).file("schemas/build_directives.ncl", &directives);
    since(&shop, NOTHING);
}

#[test]
fn a_moved_file_is_removed_and_added() {
    let shop = shop();
    shop.remove("layers/tools/src/main.rs").file("layers/tools/src/lib.rs", "fn main() {}\n");
    let json = shop.run(["cascade", "--since", "HEAD", "--format", "json"]).json(0);
    let texts: Vec<&str> = json["affected"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["layers/tools/src/lib.rs added", "layers/tools/src/main.rs removed"]);
}

#[test]
fn a_digest_of_the_lock_makes_its_users_stale() {
    let shop = shop();
    shop.layer("deb", DEBIAN).lock(&[RUST, DEBIAN]).commit("two");
    shop.replace("lamina.lock", &format!("{DEBIAN}@{}", digest(1)), &format!("{DEBIAN}@{}", digest(2)));
    since(
        &shop,
        "deb  build base debian:trixie-slim moved from sha256:010101010101 to sha256:020202020202 (and 1 more) → deb\n",
    );
    shop.lock(&[RUST]);
    since(
        &shop,
        "deb  build base debian:trixie-slim is not locked any more, was sha256:010101010101 (and 1 more) → deb\n",
    );
}

#[test]
fn the_lock_of_the_command_line_holds_for_both_revisions() {
    let shop = shop();
    shop.file("lab.lock", &shop.read("lamina.lock").replace(&digest(1), &digest(7)));
    shop.run(["cascade", "--since", "HEAD", "--lock", "lab.lock"]).stdout(NOTHING).success();
    let of = |args: &[&str]| {
        let args = [&["show", "base", "--format", "json"], args].concat();
        shop.run_with(&args, "", b"", &[]).json(0)["fingerprint"].to_string()
    };
    assert_ne!(of(&[]), of(&["--lock", "lab.lock"]));
    let from_env =
        shop.run_with(&["show", "base", "--format", "json"], "", b"", &[("LAMINA_LOCK", "lab.lock")]).json(0);
    assert_eq!(from_env["fingerprint"].to_string(), of(&["--lock", "lab.lock"]));
}

#[test]
fn a_new_layer_is_new_and_a_removed_one_is_named() {
    let shop = shop();
    shop.layer("fresh", "base").remove("layers/other");
    shop.run(["cascade", "--since", "HEAD"])
        .stdout("fresh  new layer → fresh\nother  removed\n")
        .stderr("1 of 4 layers is affected, in 1 wave\n")
        .success();
    let json = shop.run(["cascade", "--since", "HEAD", "--format", "json"]).json(0);
    assert_eq!(json["removed"], serde_json::json!(["other"]));
    shop.run(["cascade", "--since", "HEAD", "--format", "names"]).stdout("fresh\n").any_stderr().success();
}

#[test]
fn a_change_of_an_edge_makes_the_layer_stale() {
    change(
        |shop| {
            shop.replace("layers/app/workflow.ncl", "layer = \"tools\"", "layer = \"base\"");
        },
        "app  build_base changed from {\"layer\":\"tools\"} to {\"layer\":\"base\"} (and 1 more) → app\n",
    );
    change(
        |shop| {
            let donors = "  donors = [{ layer = \"other\" }],\n} | Workflow";
            shop.replace("layers/app/workflow.ncl", "} | Workflow", donors);
        },
        "app  donors.DONOR_OTHER is new: {\"layer\":\"other\"} → app\n",
    );
}

#[test]
fn an_image_of_another_name_makes_the_layer_stale() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN]);
    shop.replace("layers/other/workflow.ncl", RUST, DEBIAN);
    since(
        &shop,
        "other  build_base changed from {\"image\":\"rust:1.97.1-slim-trixie\"} to {\"image\":\"debian:trixie-slim\"} (and 1 more) → other\n",
    );
}

#[test]
fn the_catalogs_knob_makes_all_layers_stale() {
    let shop = shop();
    shop.replace("catalog/catalog.ncl", "} | Catalog", "  cache_version = 1,\n} | Catalog");
    let waves = shop.run(["cascade", "--since", "HEAD", "--format", "waves"]).answer(0);
    assert_eq!(waves, "base other\ntools\napp\n");
}

#[test]
fn two_revisions_are_compared_without_the_work_tree() {
    let shop = shop();
    shop.append("layers/app/Dockerfile", "# two\n").commit("two");
    shop.append("layers/base/Dockerfile", "# three\n").commit("three");
    shop.append("layers/other/Dockerfile", "# dirty\n");
    let waves =
        |args: &[&str]| shop.run_with(&[&["cascade", "--format", "waves"], args].concat(), "", b"", &[]).answer(0);
    assert_eq!(waves(&["--since", "HEAD~2", "--until", "HEAD~1"]), "app\n");
    assert_eq!(waves(&["--since", "HEAD~1", "--until", "HEAD"]), "base\ntools\napp\n");
    assert_eq!(waves(&["--since", "HEAD", "--until", "HEAD~1"]), "base\ntools\napp\n");
    assert_eq!(waves(&["--since", "HEAD~2", "--until", "main"]), "base\ntools\napp\n");
    assert_eq!(waves(&["--since", "HEAD"]), "other\n");
    let json = shop.run(["cascade", "--since", "HEAD~1", "--until", "HEAD", "--format", "json"]).json(0);
    assert_eq!((json["since"].as_str(), json["until"].as_str()), (Some("HEAD~1"), Some("HEAD")));
}

#[test]
fn a_catalog_in_a_folder_of_the_repository_is_found_in_its_revisions() {
    let shop = Workshop::nested("deep/catalog");
    shop.layer("base", RUST).layer("app", "base").commit("one");
    since(&shop, NOTHING);
    shop.append("layers/app/Dockerfile", "# x\n");
    since(&shop, "app  layers/app/Dockerfile changed → app\n");
}

#[test]
fn selectors_hold_for_revisions_too() {
    let shop = shop();
    shop.append("layers/base/Dockerfile", "# x\n").append("layers/app/Dockerfile", "# x\n");
    let waves = |args: &[&str]| {
        shop.run_with(&[&["cascade", "--since", "HEAD", "--format", "waves"], args].concat(), "", b"", &[]).answer(0)
    };
    assert_eq!(waves(&[]), "base\ntools\napp\n");
    assert_eq!(waves(&["--dependents-only"]), "tools\n");
    assert_eq!(waves(&["--max-distance", "0"]), "base\napp\n");
    shop.run(["cascade", "--since", "HEAD", "--exit-code", "--format", "names"])
        .any_stderr()
        .stdout("base\ntools\napp\n")
        .code(4);
}

#[test]
fn a_revision_that_git_does_not_know_is_told() {
    let shop = shop();
    let hint = "hint: --unknown=all takes what can't be compared as changed, --unknown=ignore as unchanged\n";
    shop.run(["cascade", "--since", "nothing"])
        .stderr(&format!("error: git knows no revision `nothing`\n{hint}"))
        .code(5);
    shop.run(["cascade", "--since", "--help"]).any_stderr().code(2);
    shop.run(["cascade", "--since", "nothing", "--unknown=all", "--format", "names"])
        .stdout("base\nother\ntools\napp\n")
        .stderr("git knows no revision `nothing`: nothing can be compared\n4 of 4 layers are affected, in 3 waves\n")
        .success();
    shop.run(["cascade", "--since", "nothing", "--unknown=ignore"])
        .stdout(NOTHING)
        .stderr("git knows no revision `nothing`: nothing can be compared\n")
        .success();
    shop.run(["cascade", "--since", "HEAD", "--until", "nothing"])
        .stderr("error: git knows no revision `nothing`\n")
        .code(5);
}

#[test]
fn without_a_repository_no_revision_can_be_read() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().code(5);
    shop.run(["cascade", "--since", "HEAD", "--unknown=all", "--format", "names"])
        .any_stderr()
        .stdout("base\n")
        .success();
}

#[test]
fn a_shallow_clone_is_told_how_to_get_more() {
    let shop = shop();
    shop.append("layers/app/Dockerfile", "# x\n").commit("two");
    let clone = shop.outside().join("clone");
    shop.git(&[
        "clone",
        "--quiet",
        "--depth",
        "1",
        &format!("file://{}", shop.root().display()),
        clone.to_str().unwrap(),
    ]);
    shop.run(["cascade", "--since", "HEAD~1", "--catalog", clone.to_str().unwrap()])
        .stderr(
            "error: git knows no revision `HEAD~1`\n\
             hint: this is a shallow clone: fetch more of the history (`git fetch --unshallow`)\n\
             hint: --unknown=all takes what can't be compared as changed, --unknown=ignore as unchanged\n",
        )
        .code(5);
}

#[test]
fn an_old_revision_that_is_invalid_follows_the_policy() {
    let shop = shop();
    shop.replace("layers/tools/workflow.ncl", "class = 'toolchain", "class = 'tool").commit("broken");
    shop.replace("layers/tools/workflow.ncl", "class = 'tool", "class = 'toolchain");
    insta::assert_snapshot!("since_broken", shop.run(["cascade", "--since", "HEAD"]).snapshot());
    let run = |policy| shop.run(["cascade", "--since", "HEAD", policy]).any_stderr();
    run("--unknown=all")
        .stdout(
            "tools  can't be evaluated in the other revision → tools\n\
             app    can't be evaluated in the other revision → tools → app (build base)\n",
        )
        .success();
    run("--unknown=ignore").stdout(NOTHING).success();
}

#[test]
fn an_invalid_new_revision_is_an_error_under_every_policy() {
    let shop = shop();
    shop.replace("layers/tools/workflow.ncl", "class = 'toolchain", "class = 'tool");
    for policy in ["--unknown=error", "--unknown=all", "--unknown=ignore"] {
        shop.run(["cascade", "--since", "HEAD", policy]).any_stderr().code(3);
    }
}

#[test]
fn a_revision_before_the_catalog_existed_knows_no_layer() {
    let shop = Workshop::bare("");
    shop.file("README.md", "").commit("nothing yet");
    for schema in std::fs::read_dir(crate::workshop::manifest_folder().join("schemas")).unwrap() {
        let schema = schema.unwrap();
        if schema.path().is_file() {
            let text = std::fs::read_to_string(schema.path()).unwrap();
            shop.file(&format!("schemas/{}", schema.file_name().to_str().unwrap()), &text);
        }
    }
    shop.file("catalog/catalog.ncl", crate::workshop::CATALOG).lock(&[RUST]).layer("base", RUST);
    shop.run(["cascade", "--since", "HEAD"]).any_stderr().code(5);
    shop.run(["cascade", "--since", "HEAD", "--unknown=all", "--format", "names"])
        .any_stderr()
        .stdout("base\n")
        .success();
}

#[test]
fn overlays_change_versions_and_not_identities() {
    let shop = Workshop::new();
    let base = "{ image = (import \"../../catalog/catalog.ncl\").images.toolchain }";
    shop.workflow("base", &format!("build_base = {base},\n  runtime_base = {base},"))
        .dockerfile("base", &crate::workshop::dockerfile(RUST));
    shop.lock(&[RUST, "rust:1.98.0-slim-trixie"]).commit("one");
    let outside = shop.outside();
    let overlay = |name: &str, text: &str| {
        std::fs::write(outside.join(name), text).unwrap();
        outside.join(name).to_str().unwrap().to_owned()
    };
    let mirror = overlay(
        "mirror.ncl",
        "{ mirrors.\"docker.io\" = \"127.0.0.1:5000\", plain_http = [\"127.0.0.1:5000\"], registry = \"other\" }",
    );
    let rust = overlay("rust.ncl", "{ rust.version = \"1.98.0\" }");
    let force = overlay("force.ncl", "{ rust.version | force = \"1.97.1\" }");
    let unknown = overlay("unknown.ncl", "{\n  mirors.\"docker.io\" = \"x\",\n}");
    let show = |overlays: &[&str]| {
        let mut args = vec!["show", "base", "--format", "json"];
        overlays.iter().for_each(|overlay| args.extend(["--overlay", *overlay]));
        let shown = shop.run_with(&args, "", b"", &[]).json(0);
        (shown["images"][0]["image"].as_str().unwrap().to_owned(), shown["fingerprint"].to_string())
    };
    let plain = show(&[]);
    assert_eq!(plain.0, "docker.io/library/rust:1.97.1-slim-trixie");
    assert_eq!(show(&[&mirror]), plain);
    assert_eq!(show(&[&rust]).0, "docker.io/library/rust:1.98.0-slim-trixie");
    assert_ne!(show(&[&rust, &mirror]).1, plain.1);
    assert_eq!(show(&[&rust, &force]), plain);
    assert!(shop.run(["validate", "--overlay", &rust]).answer(0).starts_with("warning[lock-unused]"));
    insta::assert_snapshot!("overlay_unknown_field", shop.run(["list", "--overlay", &unknown]).snapshot());
    insta::assert_snapshot!("overlay_missing", shop.run(["list", "--overlay", "no/such/file.ncl"]).snapshot());
    // Both revisions are read with the same overlays.
    shop.run(["cascade", "--since", "HEAD", "--overlay", &rust]).stdout(NOTHING).any_stderr().success();
}

#[test]
fn what_fingerprints_tell_is_among_what_the_changed_paths_tell() {
    type Edit = fn(&Workshop);
    let edits: [(&str, Edit); 12] = [
        ("a Dockerfile", |shop| {
            shop.append("layers/tools/Dockerfile", "# x\n");
        }),
        ("a field", |shop| {
            shop.replace("layers/app/workflow.ncl", "} | Workflow", "build.target = \"x\" } | Workflow");
        }),
        ("a default of a schema", |shop| {
            shop.replace("schemas/build_directives.ncl", "= \"Dockerfile\"", "= \"D\"");
        }),
        ("a default that is an input", |shop| {
            shop.replace(
                "schemas/build_directives.ncl",
                "| std.number.Nat\n        | doc \"Raise",
                "| std.number.Nat\n        | doc \"Lift",
            );
            shop.replace(
                "schemas/build_directives.ncl",
                "        | default\n        = 0,",
                "        | default\n        = 1,",
            );
        }),
        ("a digest", |shop| {
            shop.replace("lamina.lock", &digest(1), &digest(2));
        }),
        ("a file of a context", |shop| {
            shop.append("layers/tools/src/main.rs", "x");
        }),
        ("a new file", |shop| {
            shop.file("layers/tools/src/deep/new.rs", "");
        }),
        ("a removed file", |shop| {
            shop.remove("layers/tools/src/main.rs");
        }),
        ("a mode", |shop| {
            shop.executable("layers/tools/src/main.rs");
        }),
        ("less in the context", |shop| {
            shop.append("layers/tools/.dockerignore", "src\n");
        }),
        ("more in the context", |shop| {
            shop.remove("layers/tools/.dockerignore");
        }),
        ("another parent", |shop| {
            shop.replace("layers/app/workflow.ncl", "\"tools\"", "\"other\"");
        }),
    ];
    for (what, edit) in edits {
        let shop = shop();
        shop.file("layers/tools/left-out.log", "").commit("two");
        edit(&shop);
        if what == "a default of a schema" {
            for name in ["base", "tools", "app", "other"] {
                shop.file(&format!("layers/{name}/D"), &shop.read(&format!("layers/{name}/Dockerfile")));
            }
        }
        let names = |run: crate::workshop::Run| -> Vec<String> { run.answer(0).lines().map(str::to_owned).collect() };
        let by_fingerprint = names(shop.run(["cascade", "--since", "HEAD", "--format", "names"]));
        shop.git(&["add", "--all", "--intent-to-add"]);
        let paths = shop.git(&["diff", "--name-only", "-z", "HEAD"]);
        let by_path = names(shop.run_reading(&paths, ["cascade", "--changed", "-", "--format", "names"]));
        assert!(!by_fingerprint.is_empty(), "{what} is an input");
        assert!(by_fingerprint.iter().all(|name| by_path.contains(name)), "{what}: {by_fingerprint:?}, {by_path:?}");
    }
}
