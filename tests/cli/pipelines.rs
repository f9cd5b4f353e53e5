//! A cascade for CI systems: matrices, child pipelines, comments, drawings. `pipelines_run.rs` runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::workshop::{CATALOG, DEBIAN, RUST, Workshop, digest};

/// A catalog in three waves, with an edge of each kind and a layer without a figure.
fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer_with("base", RUST, "build.resources.expected_min = 2,");
    shop.layer_with(
        "tool",
        "base",
        "build = {
           args.MODE = \"a b\",
           secrets = [{ id = \"token\", required = true }, { id = \"cache.key\" }],
           resources = { cpu = 4, memory_mb = 1024, time_budget_min = 20, expected_min = 5 },
         },",
    );
    shop.layer_with(
        "plain",
        "base",
        "build = {
           contexts = { shared = \"../../shared\", \"all\" = \"../..\" },
           ssh = [\"default\", \"git.example.org\"],
           network = 'host,
           labels.\"org.example.a\" = \"b=c d\",
           annotations.\"org.example.e\" = \"f\",
         },",
    );
    shop.file("shared/a", "").append(
        "layers/plain/Dockerfile",
        "COPY --from=shared a /a\nCOPY --from=all shared/a /b\nRUN --mount=type=ssh --mount=type=ssh,id=git.example.org true\n",
    );
    shop.workflow(
        "app",
        "build_base = { layer = \"tool\" },
         runtime_base = { image = \"debian:trixie-slim\" },
         donors = [{ layer = \"plain\" }],
         build = { target = \"final\", resources.expected_min = 3, platforms = [\"linux/amd64\", \"linux/arm64\"] },",
    );
    shop.dockerfile(
        "app",
        "ARG BUILD_BASE=rust:1.97.1-slim-trixie\nARG RUNTIME_BASE=debian:trixie-slim\nARG DONOR_PLAIN=debian:trixie-slim\n\
         FROM ${DONOR_PLAIN} AS plain\nFROM ${BUILD_BASE} AS build\nFROM ${RUNTIME_BASE} AS final\n\
         COPY --from=plain /a /a\nCOPY --from=build /b /b\n",
    );
    shop
}

/// Takes out the tags, which change with every file of the workshop.
fn tags(text: &str) -> String {
    static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bfp-[0-9a-f]{20}\b").unwrap());
    TAG.replace_all(text, "fp-[FINGERPRINT]").into_owned()
}

fn matrix(shop: &Workshop, args: &[&str]) -> Value {
    let args = [&["cascade", "--format", "github-matrix"], args].concat();
    let line = shop.run_with(&args, "", b"", &[]).any_stderr().answer(0);
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    serde_json::from_str(&line).unwrap()
}

fn jobs(matrix: &Value) -> Vec<&Value> {
    matrix["include"].as_array().unwrap().iter().collect()
}

/// The jobs of a pipeline for GitLab: what each needs, and its variables. Reads what lamina writes, and no other YAML.
pub fn gitlab_jobs(yaml: &str) -> BTreeMap<String, (Vec<String>, BTreeMap<String, String>)> {
    let variable = r#"(?s)\n    (LAMINA_\w+):\n      expand: false\n      value: ("(?:[^"\\]|\\.)*")"#;
    let variable = Regex::new(variable).unwrap();
    // The end of a line behind a backslash, and the blanks in front of the next line, are no part of the text.
    let fold = Regex::new(r"\\\n *").unwrap();
    let text = |scalar: &str| serde_json::from_str(&fold.replace_all(scalar, "")).unwrap();
    let mut jobs = BTreeMap::new();
    for part in yaml.split("\n\"build:").skip(1) {
        let (name, body) = part.split_once("\":\n").unwrap();
        let needs = body.lines().find_map(|line| line.strip_prefix("  needs: ")).unwrap();
        let variables = variable.captures_iter(body).map(|found| (found[1].to_owned(), text(&found[2]))).collect();
        jobs.insert(name.to_owned(), (serde_json::from_str(needs).unwrap(), variables));
    }
    jobs
}

#[test]
fn matrices_have_what_a_build_needs() {
    let run = shop().run(["cascade", "--changed", "base", "--format", "github-matrix"]);
    insta::assert_snapshot!(tags(&run.snapshot().replace("},{", "},\n{")));
}

#[test]
fn a_parent_is_named_by_its_image_and_an_external_image_by_its_digest() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN]);
    let matrix = matrix(&shop, &["--changed", "base"]);
    let all: BTreeMap<&str, &Value> = matrix["stages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(jobs)
        .map(|job| (job["layer"].as_str().unwrap(), job))
        .collect();
    let name =
        |layer: &str| format!("{}:{}", all[layer]["image"].as_str().unwrap(), all[layer]["tag"].as_str().unwrap());
    let args = |layer: &str| {
        all[layer]["build_args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(args("base"), [format!("BUILD_BASE=docker.io/library/{RUST}@{}", digest(1))]);
    assert_eq!(args("tool"), [format!("BUILD_BASE={}", name("base")), "MODE=a b".to_owned()]);
    let runtime = format!("RUNTIME_BASE=docker.io/library/{DEBIAN}@{}", digest(1));
    assert_eq!(
        args("app"),
        [format!("BUILD_BASE={}", name("tool")), format!("DONOR_PLAIN={}", name("plain")), runtime]
    );
    // The tag is that of the fingerprint.
    let shown = shop.run(["show", "tool", "--format", "json"]).any_stderr().json(0);
    assert_eq!(all["tool"]["tag"], format!("fp-{}", &shown["fingerprint"].as_str().unwrap()[..20]));
}

#[test]
fn a_mirror_stands_in_for_its_registry_and_an_image_without_a_digest_keeps_its_tag() {
    let shop = shop();
    shop.file("mirror.ncl", "{ mirrors.\"docker.io\" = \"mirror.example.com:5000\" }");
    let matrix = matrix(&shop, &["--changed", "base", "--overlay", "mirror.ncl"]);
    let stages = matrix["stages"].as_array().unwrap();
    assert_eq!(
        jobs(&stages[0])[0]["build_args"][0],
        format!("BUILD_BASE=mirror.example.com:5000/library/{RUST}@{}", digest(1))
    );
    assert_eq!(jobs(&stages[2])[0]["build_args"][2], format!("RUNTIME_BASE=mirror.example.com:5000/library/{DEBIAN}"));
}

#[test]
fn the_child_pipeline_has_a_job_a_layer() {
    let run = shop().run(["cascade", "--changed", "base", "--format", "gitlab"]);
    insta::assert_snapshot!(tags(&run.snapshot()));
}

#[test]
fn the_file_for_bake_has_a_target_a_layer() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN]);
    shop.replace("layers/tool/workflow.ncl", "a b", "a ${HOME} \\%{b}");
    insta::assert_snapshot!(tags(&shop.run(["export", "bake", "app"]).snapshot()));
    let targets = |args: &[&str]| {
        let file = shop.run_with(&[&["export", "bake"], args].concat(), "", b"", &[]).json(0);
        let all = file["target"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        (file["group"]["default"]["targets"].clone(), all)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        targets(&[]),
        (serde_json::json!(["app", "base", "plain", "tool"]), names(&["app", "base", "plain", "tool"]))
    );
    assert_eq!(targets(&["--only", "name=t*"]), (serde_json::json!(["tool"]), names(&["base", "tool"])));
    shop.run(["export", "bake", "base", "plain", "--out", "../bake.json"]).stderr("../bake.json: 2 layers\n").success();
    let written = std::fs::read_to_string(shop.outside().join("bake.json")).unwrap();
    assert_eq!(written, shop.run(["export", "bake", "base", "plain"]).answer(0));
    let nowhere = shop.run(["export", "bake", "--out", "nowhere/bake.json"]);
    nowhere.stderr("error: nowhere/bake.json can't be written: No such file or directory (os error 2)\n").code(1);
}

#[test]
fn a_catalog_without_names_for_images_is_not_exported() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN]).file("bad.ncl", "{ registry = \"not-a-host\" }");
    let told = shop.run(["export", "bake", "--overlay", "bad.ncl"]).snapshot();
    assert!(told.starts_with("exit code: 3\n----- stderr\nerror[catalog-value]: `not-a-host`"), "{told}");
    assert_eq!(told.matches("error[").count(), 1, "{told}");
}

#[test]
fn the_comment_says_what_is_rebuilt_and_how_long_it_takes() {
    insta::assert_snapshot!(shop().run(["cascade", "--changed", "base", "--format", "markdown"]).snapshot());
}

#[test]
fn the_comment_says_what_moved_in_the_lock_and_what_is_gone() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN, "node:24", "gone:1"]).layer("old", RUST).commit("first");
    shop.lock(&[RUST, DEBIAN, "node:25", "new:1", "new:2"]).remove("layers/old");
    shop.replace("lamina.lock", &format!("{DEBIAN}@{}", digest(1)), &format!("{DEBIAN}@{}", digest(2)));
    insta::assert_snapshot!(shop.run(["cascade", "--since", "HEAD", "--format", "markdown"]).snapshot());
}

#[test]
fn where_nothing_is_affected_each_format_says_so() {
    let shop = shop();
    shop.lock(&[RUST, DEBIAN]).commit("first");
    let run = |format: &str| shop.run(["cascade", "--since", "HEAD", "--format", format]);
    let matrix = run("github-matrix").json(0);
    assert_eq!(
        (&matrix["affected"], &matrix["stages"], &matrix["flat"]),
        (&0.into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    insta::assert_snapshot!("nothing_gitlab", run("gitlab").snapshot());
    run("markdown").stdout("<!-- lamina cascade -->\n### No layer is rebuilt\n").success();
    run("mermaid").stdout("graph LR\n").success();
    assert!(run("svg").answer(0).contains("<title id=\"title\">No layer is affected</title>"));
}

#[test]
fn drawings_mark_what_changed_and_leave_out_what_is_not_affected() {
    for format in ["dot", "mermaid", "svg"] {
        let run = shop().run(["cascade", "--changed", "plain", "--format", format]);
        insta::assert_snapshot!(format!("drawing_{format}"), run.snapshot());
    }
}

#[test]
fn the_whole_graph_is_drawn() {
    let shop = Workshop::real();
    let svg = shop.run(["graph", "--format", "svg"]).answer(0);
    assert_eq!(svg, shop.run(["graph", "--format", "svg"]).answer(0));
    insta::assert_snapshot!(svg);
}

/// Texts that mean something to those who read the answers.
const HOSTILE: &str = r#"$(touch PWNED) `touch PWNED` ${{ github.token }} $CI_JOB_TOKEN '"; touch PWNED # </details><script>alert(1)</script> --> @everyone #1 [a](http://a.example) \ ](x) `` * _ | ~ & < >"#;

fn hostile() -> Workshop {
    let shop = Workshop::new();
    let text = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"").replace("%{", "\\%{");
    shop.layer("base", RUST).layer_with("bad", "base", &format!("build.args.X = \"{text}\",\ndocs = \"{text}\","));
    shop.replace("layers/bad/workflow.ncl", "\"The layer bad\"", &format!("\"{text}\""));
    shop
}

#[test]
fn texts_of_the_catalog_stay_texts() {
    let shop = hostile();
    shop.commit("first").replace(
        "layers/bad/workflow.ncl",
        "build.args.X = \"$",
        "build.args.X = \"\u{202e}\u{2028}\\n$",
    );
    let run = |format: &str| shop.run(["cascade", "--since", "HEAD", "--format", format]).any_stderr();
    let value = format!("\u{202e}\u{2028}\n{HOSTILE}");
    let matrix = run("github-matrix").json(0);
    assert_eq!(matrix["stages"][0]["include"][0]["build_args"][1], format!("X={value}"));
    // All of a comment that comes from the catalog stands between backticks, of which there are more than in itself.
    let comment = run("markdown").answer(0);
    let span = Regex::new(r"(?m)^- `bad`: (`{3}) ?([^\n]*?) ?(`{3})$").unwrap();
    let reason = &span.captures(&comment).expect(&comment)[2];
    assert!(reason.contains("alert(1)") && !reason.contains("```"), "{comment}");
    assert!(!comment.contains('\u{202e}'), "{comment}");
    assert_eq!(comment.matches("<script>").count(), reason.matches("<script>").count());
    let svg = run("svg").answer(0);
    assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{svg}");
    let dot = run("dot").answer(0);
    assert!(dot.lines().all(|line| line.matches('"').count() - line.matches("\\\"").count() <= 6), "{dot}");
}

#[test]
fn gitlabs_jobs_read_a_line_an_argument() {
    let shop = hostile();
    let run = || shop.run(["cascade", "--changed", "bad", "--format", "gitlab"]).any_stderr();
    let jobs = gitlab_jobs(&run().answer(0));
    let arguments: Vec<&str> = jobs["bad"].1["LAMINA_ARGUMENTS"].split('\n').collect();
    assert!(arguments.contains(&format!("--build-arg=X={HOSTILE}").as_str()), "{arguments:#?}");
    assert!(arguments.iter().all(|argument| argument.starts_with("--")), "{arguments:#?}");
    assert_eq!(jobs["bad"].1["LAMINA_CONTEXT"], "layers/bad");
    shop.replace("layers/bad/workflow.ncl", "build.args.X = \"", "build.args.X = \"\\n");
    let said = run().snapshot();
    assert!(said.starts_with("exit code: 1\n----- stderr\nerror: an argument of bad holds a line break"), "{said}");
}

#[test]
fn a_registry_that_makes_no_image_is_an_error_with_a_place() {
    let shop = shop();
    for (registry, namespace) in [("myhost", "n"), ("localhost:5000", "UPPER"), ("--raw", "x"), ("a b.c", "n")] {
        shop.file(
            "catalog/catalog.ncl",
            &CATALOG
                .replace("\"localhost:5000\"", &format!("\"{registry}\""))
                .replace("namespace | default = \"workshop\"", &format!("namespace | default = \"{namespace}\"")),
        );
        for format in ["github-matrix", "gitlab"] {
            let said = shop.run(["cascade", "--changed", "base", "--format", format]).snapshot();
            assert!(said.starts_with("exit code: 3\n----- stderr\nerror[catalog-value]: `"), "{registry}: {said}");
            assert!(
                said.contains("make no name of an image") && said.contains("not every layer can be built"),
                "{said}"
            );
        }
    }
}

/// A catalog with so many layers on one.
fn wide(layers: usize, fields: &str) -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    for number in 0..layers {
        shop.layer_with(&format!("layer-{number}"), "base", fields);
    }
    shop
}

#[test]
fn a_wide_wave_is_split_and_a_long_comment_is_cut() {
    let layers = 300;
    let shop = wide(layers, "");
    let matrix = matrix(&shop, &["--changed", "base"]);
    let sizes = |list: &str| matrix[list].as_array().unwrap().iter().map(|part| jobs(part).len()).collect::<Vec<_>>();
    assert_eq!((sizes("stages"), sizes("flat")), (vec![1, 256, 44], vec![256, 45]));
    assert_eq!((&matrix["affected"], &matrix["waves"]), (&301.into(), &2.into()));
    for (at, stage) in matrix["stages"].as_array().unwrap().iter().enumerate() {
        let wave = at.min(1) + 1;
        assert!(jobs(stage).iter().all(|job| job["stage"] == at + 1 && job["wave"] == wave));
    }
    let all = |list: &str| matrix[list].as_array().unwrap().iter().flat_map(jobs).cloned().collect::<Vec<_>>();
    assert_eq!(all("stages"), all("flat"));

    // A reason that is longer than what is told of it, for each layer.
    let folder = "x".repeat(250);
    for number in 0..layers {
        shop.file(&format!("layers/layer-{number}/{folder}"), "");
    }
    shop.commit("first");
    for number in 0..layers {
        shop.file(&format!("layers/layer-{number}/{folder}"), "changed");
    }
    let comment = shop.run(["cascade", "--since", "HEAD", "--format", "markdown"]).any_stderr().answer(0);
    assert!((60_000..=65_536).contains(&comment.len()), "{}", comment.len());
    let told = comment.lines().filter(|line| line.starts_with("- `layer-")).count();
    assert!(
        comment.ends_with(&format!(
            "</details>\n\nand {} layers more: a comment holds no more than this.\n",
            layers - told
        )),
        "{comment}"
    );
    assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count());
}

#[test]
fn matrices_that_github_would_not_take_are_an_error() {
    let shop = wide(100, &format!("build.args.LONG = \"{}\",", "x".repeat(3000)));
    let said = shop.run(["cascade", "--changed", "base", "--format", "github-matrix"]).snapshot();
    let expected = Regex::new(
        "^exit code: 1\n----- stderr\nerror: the matrices have 6[0-9]{5} UTF-16 units, and GitHub takes 500000 from a job\n\
         hint: build a part at a time: --only class=CLASS, --only name=GLOB or --max-distance N\n$",
    );
    assert!(expected.unwrap().is_match(&said), "{said}");
}

#[test]
fn what_gitlab_and_mermaid_do_not_take_is_said() {
    let shop = wide(51, "");
    let donors: String = (0..51).map(|number| format!("{{ layer = \"layer-{number}\" }},")).collect();
    shop.layer_with("all", "base", &format!("donors = [{donors}],"));
    shop.run(["cascade", "--changed", "base", "--format", "gitlab"]).any_stderr().answer(0);
    let said = shop.run(["cascade", "--changed", "base", "--format", "gitlab"]).snapshot();
    assert!(said.ends_with("the job of all needs 52 others, and GitLab allows 50 by default\n"), "{said}");
    let shop = wide(501, "");
    let said = shop.run(["graph", "--format", "mermaid"]).snapshot();
    assert!(
        said.contains("has 502 edges and ") && said.contains("and Mermaid draws 500 and 50000 by default"),
        "{said}"
    );
}

#[test]
fn jobs_wait_for_what_they_depend_on_through_layers_that_are_left_out() {
    let shop = Workshop::new();
    shop.layer("a", RUST).layer("b", "a").layer("c", "b");
    let yaml = shop.run(["cascade", "--changed", "a", "--only", "name=a", "--only", "name=c", "--format", "gitlab"]);
    let needs: BTreeMap<String, Vec<String>> =
        gitlab_jobs(&yaml.any_stderr().answer(0)).into_iter().map(|(name, (needs, _))| (name, needs)).collect();
    assert_eq!(needs, BTreeMap::from([("a".to_owned(), vec![]), ("c".to_owned(), vec!["build:a".to_owned()])]));
}

#[test]
fn the_workflow_has_as_many_stages_as_it_says() {
    let workflow = include_str!("../../.github/workflows/catalog.yml");
    let most = Regex::new(r#""\$STAGES" -gt (\d+)"#).unwrap();
    let most: usize = most.captures(workflow).unwrap()[1].parse().unwrap();
    assert!(workflow.contains(&format!("this workflow has {most}.")));
    let stage = Regex::new(
        r"(?m)^  wave-(\d+):\n    needs: (.*)\n    if: .* >= (\d+)\n(?:.*\n){5}      matrix: .*stages\[(\d+)\]",
    )
    .unwrap();
    let stages: Vec<_> = stage.captures_iter(workflow).collect();
    assert_eq!(stages.len(), most);
    for (at, stage) in stages.iter().enumerate() {
        let number = at + 1;
        let needs = if at == 0 { "cascade".to_owned() } else { format!("[cascade, wave-{at}]") };
        assert_eq!(
            (&stage[1], &stage[2], &stage[3], &stage[4]),
            (&*number.to_string(), &*needs, &*number.to_string(), &*at.to_string())
        );
    }
}

#[test]
fn nothing_from_outside_is_written_into_a_script() {
    let files = [
        include_str!("../../action.yml"),
        include_str!("../../.github/workflows/catalog.yml"),
        include_str!("../../.github/workflows/wave.yml"),
        include_str!("../../.github/workflows/ci.yml"),
    ];
    let pinned = Regex::new(r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+$").unwrap();
    let mut scripts = BTreeSet::new();
    for file in files {
        for script in scripts_of(file) {
            assert!(!script.contains("${{"), "{script}");
            scripts.insert(script);
        }
        // What others wrote is named by its commit, with the version beside it.
        for uses in file.lines().filter_map(|line| line.split_once("uses: ").map(|(_, uses)| uses)) {
            assert!(uses.starts_with("./") || pinned.is_match(uses), "{uses}");
        }
    }
    assert!(scripts.len() > 10, "the scripts are read");
}

/// The texts of all `run:` in a workflow or an action.
pub fn scripts_of(file: &str) -> Vec<String> {
    let lines: Vec<&str> = file.lines().collect();
    let mut scripts = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, script)) = line.split_once("run: ") else { continue };
        if !before.trim_matches([' ', '-']).is_empty() {
            continue;
        }
        if script != "|" {
            scripts.push(script.to_owned());
            continue;
        }
        let depth = before.len() + 2;
        let body =
            lines[at + 1..].iter().take_while(|line| line.is_empty() || line.len() - line.trim_start().len() >= depth);
        scripts.push(body.map(|line| format!("{}\n", line.get(depth..).unwrap_or(""))).collect());
    }
    scripts
}

#[test]
fn a_secret_can_name_no_file_of_the_machine() {
    let shop = Workshop::new();
    shop.layer_with("a", RUST, "build.secrets = [{ id = \"ok\" }, { id = \"x,src=/etc/hostname\" }],");
    // A file that does not apply its contract.
    let text = shop.read("layers/a/workflow.ncl").replace("| Workflow", "").replace(crate::workshop::WORKFLOW, "");
    let rest = "docs = null, donors = [], native_deps = [], tools_provided = [], artifact_paths = [], cooked = null,\
         hooks = { before_build = [], after_build = [] }, build = { dockerfile = \"Dockerfile\", context = \".\", \
         target = null, args = {}, platforms = null, cache_version = 0, \
         resources = { cpu = 1, memory_mb = 1, disk_mb = 1, time_budget_min = 1 } },";
    let text = text.replacen('{', &format!("{{ {rest}"), 1).replace(
        "build.secrets = [{ id = \"ok\" }, { id",
        "build.secrets = [{ id = \"ok\", required = false }, { required = false, id",
    );
    shop.file("layers/a/workflow.ncl", &text);
    let said = shop.run(["cascade", "--changed", "a", "--format", "gitlab"]).snapshot();
    assert!(
        said.starts_with("exit code: 3\n----- stderr\nerror[contract]: `x,src=/etc/hostname` is no id of a secret"),
        "{said}"
    );
}

#[test]
fn a_layer_that_has_no_fingerprint_can_not_be_built() {
    let shop = shop();
    shop.remove("layers/base/Dockerfile");
    insta::assert_snapshot!(shop.run(["cascade", "--changed", "plain", "--format", "github-matrix"]).snapshot());
}
