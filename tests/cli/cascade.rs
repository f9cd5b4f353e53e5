//! `lamina cascade --changed`: what a change means, which layers are selected, how it is told.

use crate::workshop::{DEBIAN, RUST, Workshop};

/// A layer of each class on two levels, a donor, and a runtime base of its own:
///
/// ```text
/// base ─┬─ tools ─┬─ app (donor: extra)
///       ├─ extra ─┘
///       └─ slim (runtime base: debian)
/// alone
/// ```
fn catalog(shop: &Workshop) {
    shop.lock(&[RUST, DEBIAN, "alpine:3.23"]);
    shop.layer("base", RUST).layer("tools", "base").layer("extra", "base").layer("alone", "alpine:3.23");
    shop.layer_with("app", "tools", "class = 'source-dep,\ndonors = [{ layer = \"extra\" }],\ncooked = {},");
    shop.workflow("slim", "build_base = { layer = \"base\" },\n  runtime_base = { image = \"debian:trixie-slim\" },");
}

#[track_caller]
fn names(changed: &[&str], expected: &[&str]) {
    let shop = Workshop::new();
    catalog(&shop);
    names_in(&shop, changed, expected);
}

#[track_caller]
fn names_in(shop: &Workshop, changed: &[&str], expected: &[&str]) {
    let args = [&["cascade", "--format", "names", "--changed"], changed].concat();
    let found = shop.run_with(&args, "", b"", &[]).answer(0);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{changed:?}");
}

#[test]
fn a_layer_reaches_all_that_depend_on_it_in_build_order() {
    names(&["base"], &["base", "extra", "slim", "tools", "app"]);
}

#[test]
fn a_donor_is_an_edge() {
    names(&["extra"], &["extra", "app"]);
}

#[test]
fn an_external_image_reaches_the_layers_that_use_it() {
    names(&[DEBIAN], &["slim"]);
    names(&["docker.io/library/debian:trixie-slim"], &["slim"]);
    let pinned = format!("alpine:3.23@{}", crate::workshop::digest(9));
    names(&[&pinned], &["alone"]);
}

#[test]
fn changes_add_up() {
    names(&["slim", "layers/tools/Dockerfile", "alpine:3.23"], &["alone", "slim", "tools", "app"]);
}

#[test]
fn paths_mean_what_is_made_from_them() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("layers/tools/src/main.rs", "")
        .file("layers/tools/notes.txt", "")
        .file("layers/tools/.dockerignore", "*.txt\n");
    shop.layer_with("text", "base", "docs = import \"text/docs.md\" as 'Text,").file("layers/text/text/docs.md", "d");
    shop.layer_with(
        "shared",
        "base",
        "build = { context = \"../../shared\", dockerfile = \"../../shared/Dockerfile\" },",
    );
    shop.file("shared/Dockerfile", &crate::workshop::dockerfile("base")).file("shared/a", "");
    shop.layer_with("named", "base", "build.contexts.web = \"../../web\",").file("web/.dockerignore", "*.log\n");
    shop.append("layers/named/Dockerfile", "COPY --from=web a /a\n").file("web/a", "").file("web/b/c", "");
    let cases: [(&str, &[&str]); 21] = [
        ("layers/tools/", &["tools", "app"]),
        ("layers/tools", &["tools", "app"]),
        ("./layers/tools/Dockerfile", &["tools", "app"]),
        ("layers/tools/src", &["tools", "app"]),
        ("layers/tools/src/main.rs", &["tools", "app"]),
        ("layers/tools/src/not-there-any-more.rs", &["tools", "app"]),
        ("layers/tools/.dockerignore", &["tools", "app"]),
        ("layers/tools/notes.txt", &[]),
        ("layers/text/text/docs.md", &["text"]),
        ("layers/text/text", &["text"]),
        ("shared/a", &["shared"]),
        ("shared/Dockerfile", &["shared"]),
        ("shared", &["shared"]),
        ("web/a", &["named"]),
        ("web/b", &["named"]),
        ("web", &["named"]),
        ("web/.dockerignore", &["named"]),
        ("layers/named/x", &["named"]),
        ("schemas/types.ncl", &["alone", "base", "extra", "named", "shared", "slim", "text", "tools", "app"]),
        ("lamina.lock", &["alone", "base", "extra", "named", "shared", "slim", "text", "tools", "app"]),
        (".", &["alone", "base", "extra", "named", "shared", "slim", "text", "tools", "app"]),
    ];
    for (path, expected) in cases {
        names_in(&shop, &[path], expected);
    }
    let absolute = shop.root().join("layers/tools/Dockerfile");
    names_in(&shop, &[absolute.to_str().unwrap()], &["tools", "app"]);
}

#[test]
fn a_path_is_relative_to_the_current_folder_first() {
    let shop = Workshop::new();
    catalog(&shop);
    let waves = "tools\napp\n";
    let remark = "2 of 6 layers are affected, in 2 waves\n";
    let args = ["cascade", "--format", "waves", "--changed"];
    shop.run_with(&[&args[..], &["Dockerfile"]].concat(), "layers/tools", b"", &[])
        .stdout(waves)
        .stderr(remark)
        .success();
    shop.run_with(&[&args[..], &["../tools/"]].concat(), "layers/base", b"", &[])
        .stdout(waves)
        .stderr(remark)
        .success();
    shop.run_with(&[&args[..], &["layers/tools"]].concat(), "layers/base", b"", &[])
        .stdout(waves)
        .stderr(remark)
        .success();
}

#[test]
fn every_format_tells_the_same_layers() {
    let shop = Workshop::new();
    catalog(&shop);
    let remark = "3 of 6 layers are affected, in 2 waves\n";
    shop.run(["cascade", "--changed", "extra", "tools"])
        .stdout("extra  extra changed\ntools  tools changed\napp    tools changed → app (build base)\n")
        .stderr(remark)
        .success();
    shop.run(["cascade", "--changed", "extra", "tools", "--format", "names"])
        .stdout("extra\ntools\napp\n")
        .stderr(remark)
        .success();
    shop.run(["cascade", "--changed", "extra", "tools", "--format", "waves"])
        .stdout("extra tools\napp\n")
        .stderr(remark)
        .success();
    let json = shop.run(["cascade", "--changed", "extra", "tools", "--format", "json"]).json(0);
    assert_eq!(json["waves"], serde_json::json!([["extra", "tools"], ["app"]]));
    let via = serde_json::json!([
        { "layer": "tools", "edge": "build" },
        { "layer": "tools", "edge": "runtime" },
        { "layer": "extra", "edge": "donor" },
    ]);
    assert_eq!(json["affected"][2]["via"], via);
}

#[test]
fn nothing_affected_is_said_and_is_a_success() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("README.md", "");
    let remark = "1 path ignored by the catalog's list (-v names them)\n";
    shop.run(["cascade", "--changed", "README.md"]).stdout("no layer is affected\n").stderr(remark).success();
    shop.run(["cascade", "--changed", "README.md", "--exit-code"])
        .stdout("no layer is affected\n")
        .stderr(remark)
        .success();
    shop.run(["cascade", "--changed", "README.md", "--format", "names"]).stderr(remark).success();
    shop.run_reading(b"", ["cascade", "--changed", "-"]).stdout("no layer is affected\n").success();
}

#[test]
fn with_exit_code_something_affected_is_code_4() {
    let shop = Workshop::new();
    catalog(&shop);
    let run =
        |args: &[&str]| shop.run_with(&[&["cascade", "--format", "names", "--exit-code"], args].concat(), "", b"", &[]);
    run(&["--changed", "app"]).stdout("app\n").stderr("1 of 6 layers is affected, in 1 wave\n").code(4);
    run(&["--changed", "app", "--dependents-only"]).success();
    run(&["--changed", "app", "--only", "class=native-dep"]).success();
}

#[test]
fn selectors_apply_to_list_and_schedule_alike() {
    let shop = Workshop::new();
    catalog(&shop);
    let cases: [(&[&str], &str); 8] = [
        (&["--dependents-only"], "extra slim tools\napp\n"),
        (&["--max-distance", "0"], "base\n"),
        (&["--max-distance", "1"], "base\nextra slim tools\n"),
        (&["--max-distance", "1", "--dependents-only"], "extra slim tools\n"),
        (&["--only", "class=source-dep"], "app\n"),
        (&["--only", "name=*s"], "tools\n"),
        // The layers between them are left out, and the order stays.
        (&["--only", "name=base", "--only", "class=source-dep"], "base\napp\n"),
        // Neither waits for the other once what is between them is left out.
        (&["--only", "name={app,slim}"], "app slim\n"),
    ];
    for (selectors, waves) in cases {
        let run = |format| {
            let args = [&["cascade", "--changed", "base", "--format", format], selectors].concat();
            shop.run_with(&args, "", b"", &[])
        };
        assert_eq!(run("waves").answer(0), waves, "{selectors:?}");
        assert_eq!(run("names").answer(0), waves.replace(' ', "\n"), "{selectors:?}");
        let lines: Vec<Vec<&str>> = waves.lines().map(|line| line.split(' ').collect()).collect();
        let json = run("json").json(0);
        assert_eq!(json["waves"], serde_json::json!(lines), "{selectors:?}");
        let affected: Vec<&str> =
            json["affected"].as_array().unwrap().iter().map(|layer| layer["layer"].as_str().unwrap()).collect();
        assert_eq!(affected, lines.concat(), "{selectors:?}");
        let text = run("text").answer(0);
        let first: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(first, lines.concat(), "{selectors:?}");
    }
}

#[test]
fn a_wrong_condition_is_a_usage_error() {
    let shop = Workshop::new();
    catalog(&shop);
    for (condition, why) in [
        ("class=toolchan", "classes are toolchain, source-dep and native-dep; did you mean `toolchain`?"),
        ("class=x", "classes are toolchain, source-dep and native-dep"),
        ("tier=1", "write class=CLASS or name=GLOB"),
        ("name=[", "error parsing glob '[': unclosed character class; missing ']'"),
    ] {
        shop.run(["cascade", "--changed", "app", "--only", condition])
            .stderr(&format!(
                "error: invalid value '{condition}' for '--only <CONDITION>': `{condition}` is no condition: {why}\n\n\
                 For more information, try '--help'.\n"
            ))
            .code(2);
    }
}

#[test]
fn an_unknown_word_is_an_error_with_a_suggestion() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.run(["cascade", "--changed", "tool"])
        .stderr(
            "error: `tool` is no layer, no path and no external image of the catalog\nhint: did you mean `tools`?\n",
        )
        .code(2);
    shop.run(["cascade", "--changed", "base", "quux:1"])
        .stderr(
            "error: `quux:1` is no layer, no path and no external image of the catalog\n\
             hint: there are: alone, app, base, extra, slim, tools\n",
        )
        .code(2);
}

#[test]
fn a_path_that_no_layer_claims_follows_the_policy() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("schemas/unused.ncl", "{}").file("catalog/notes.txt", "");
    shop.run(["cascade", "--changed", "schemas/unused.ncl"])
        .stderr(
            "error: `schemas/unused.ncl` lies in the catalog, and no layer claims that\n\
             hint: if it can make no layer stale, add a glob to `ignored` in catalog/catalog.ncl\n\
             hint: a removed layer is seen by --since REV; --unknown=all takes every layer as changed, --unknown=ignore none\n",
        )
        .code(5);
    let run = |policy| {
        shop.run(["cascade", "--format", "names", "--changed", "schemas/unused.ncl", "catalog/notes.txt", policy])
    };
    run("--unknown=all")
        .stdout("alone\nbase\nextra\nslim\ntools\napp\n")
        .stderr("6 of 6 layers are affected, in 3 waves\n")
        .success();
    run("--unknown=ignore").stderr("2 paths claimed by no layer, and ignored (-v names them)\n").success();
    shop.run(["cascade", "--changed", "layers/gone/Dockerfile", "adrs/gone.txt"]).any_stderr().stdout("").code(5);
}

#[test]
fn paths_that_change_nothing_are_counted_and_named_on_request() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("layers/tools/.dockerignore", "*.txt\n");
    shop.replace("catalog/catalog.ncl", "} | Catalog", "  ignored = [\"**/*.md\", \"docs/**\"],\n} | Catalog");
    let paths = b"src/main.rs\nREADME.md\ndocs/a/b.html\nlayers/tools/a.txt\njustfile\n";
    shop.run_reading(paths, ["cascade", "--changed", "-"])
        .stdout("no layer is affected\n")
        .stderr(
            "2 paths outside of the catalog's folders (-v names them)\n\
             2 paths ignored by the catalog's list (-v names them)\n\
             1 path of the catalog from which no layer is built (-v names them)\n",
        )
        .success();
    shop.run_reading(paths, ["cascade", "--changed", "-", "-v"])
        .stdout("no layer is affected\n")
        .stderr(
            "2 paths outside of the catalog's folders\n  src/main.rs\n  justfile\n\
             2 paths ignored by the catalog's list\n  README.md (**/*.md)\n  docs/a/b.html (docs/**)\n\
             1 path of the catalog from which no layer is built\n  layers/tools/a.txt (left out of the build context)\n",
        )
        .success();
    let json = shop.run_reading(paths, ["cascade", "--changed", "-", "--format", "json"]).json(0);
    assert_eq!(
        json["paths"],
        serde_json::json!({
            "outside": ["src/main.rs", "justfile"],
            "ignored": [{ "path": "README.md", "glob": "**/*.md" }, { "path": "docs/a/b.html", "glob": "docs/**" }],
            "not_built": [{ "path": "layers/tools/a.txt", "why": "left out of the build context" }],
            "unclaimed": [],
        })
    );
}

#[test]
fn verbose_text_tells_all_reasons() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("layers/tools/a", "");
    let list = b"layers/tools/a\nlayers/tools/workflow.ncl\nlayers/tools/Dockerfile\n";
    shop.run_reading(list, ["cascade", "--changed", "-"])
        .stdout(
            "tools  layers/tools/workflow.ncl changed (and 2 more) → tools\n\
             app    layers/tools/workflow.ncl changed (and 2 more) → tools → app (build base)\n",
        )
        .any_stderr()
        .success();
    let all = "layers/tools/workflow.ncl changed, layers/tools/Dockerfile changed, layers/tools/a changed → tools";
    shop.run_reading(list, ["cascade", "--changed", "-", "-v"])
        .stdout(&format!("tools  {all}\napp    {all} → app (build base)\n"))
        .any_stderr()
        .success();
}

#[test]
fn lists_are_read_as_git_prints_them() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.file("layers/tools/ä \"q\"\t.rs", "").commit("one");
    shop.append("layers/tools/ä \"q\"\t.rs", "x").append("layers/extra/Dockerfile", "#\n");
    let waves = "extra tools\napp\n";
    let lists = [
        shop.git(&["diff", "--name-only"]),
        shop.git(&["diff", "--name-only", "-z"]),
        b"layers/extra/Dockerfile\r\n\"layers/tools/\\303\\244.rs\"\r\n".to_vec(),
        b"\n\nlayers/extra/Dockerfile\n./layers/tools/Dockerfile".to_vec(),
    ];
    assert!(lists[0].starts_with(b"layers/extra") && lists[0].contains(&b'"'));
    for list in lists {
        let found = shop.run_reading(&list, ["cascade", "--changed", "-", "--format", "waves"]).answer(0);
        assert_eq!(found, waves, "{}", String::from_utf8_lossy(&list));
    }
}

#[test]
fn paths_of_a_list_are_relative_to_the_repository() {
    let shop = Workshop::nested("deep/catalog");
    catalog(&shop);
    shop.commit("one");
    shop.append("layers/extra/Dockerfile", "#\n");
    let list = shop.git(&["diff", "--name-only"]);
    assert_eq!(list, b"deep/catalog/layers/extra/Dockerfile\n");
    let run = |list: &[u8]| shop.run_reading(list, ["cascade", "--changed", "-", "--format", "names"]);
    assert_eq!(run(&list).answer(0), "extra\napp\n");
    // As `git diff --relative` prints them.
    assert_eq!(run(b"layers/extra/Dockerfile\n").answer(0), "extra\napp\n");
    run(b"deep/other\nREADME\n").stderr("2 paths outside of the catalog's folders (-v names them)\n").success();
}

#[test]
fn paths_that_lead_out_of_the_catalog_are_outside() {
    let shop = Workshop::new();
    catalog(&shop);
    for path in ["../x", "/etc/passwd", "layers/../../x"] {
        shop.run(["cascade", "--changed", path])
            .stdout("no layer is affected\n")
            .stderr("1 path outside of the catalog's folders (-v names them)\n")
            .success();
    }
}

#[test]
fn an_image_without_a_digest_is_said() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.lock(&[RUST, DEBIAN]);
    shop.run(["cascade", "--changed", "alone"])
        .stdout("alone  alone changed\n")
        .stderr("1 of 6 layers is affected, in 1 wave\nalpine:3.23 has no digest in the lock: a move of its tag goes unnoticed\n")
        .success();
    let json = shop.run(["cascade", "--changed", "alone", "--format", "json"]).json(0);
    assert_eq!(json["unlocked"], serde_json::json!(["docker.io/library/alpine:3.23"]));
}

#[test]
fn an_invalid_catalog_has_no_cascade() {
    let shop = Workshop::new();
    catalog(&shop);
    shop.layer("bad", "basse");
    shop.run(["cascade", "--changed", "base"])
        .stderr(
            "error[unknown-layer]: bad names `basse` as its build base, which is no layer\n \
             --> layers/bad/workflow.ncl:6:26\n  |\n6 |   build_base = { layer = \"basse\" },\n  |                          ^^^^^^^\n  |\n  \
             = help: did you mean `base`?\n  = help: for an external image write { image = \"NAME:TAG\" }\n\n\
             error[unknown-layer]: bad names `basse` as its runtime base, which is no layer\n \
             --> layers/bad/workflow.ncl:7:28\n  |\n7 |   runtime_base = { layer = \"basse\" },\n  |                            ^^^^^^^\n  |\n  \
             = help: did you mean `base`?\n  = help: for an external image write { image = \"NAME:TAG\" }\n\n\
             error: the catalog is invalid\n",
        )
        .code(3);
}

#[test]
fn an_overlay_in_the_catalog_is_a_path_of_it() {
    let shop = Workshop::new();
    shop.layer("own", RUST).layer_with(
        "from-catalog",
        RUST,
        "docs = (import \"../../catalog/catalog.ncl\").rust.version,",
    );
    shop.file("overlays/mirror.ncl", "{ mirrors.\"docker.io\" = \"127.0.0.1:5000\" }");
    let overlay =
        ["cascade", "--changed", "overlays/mirror.ncl", "--format", "names", "--overlay", "overlays/mirror.ncl"];
    assert!(shop.run(overlay).answer(0).contains("from-catalog\n"));
}
