//! The pipelines for CI systems, checked by the schemas of those and run: what their jobs do is done here, with an
//! engine and a registry. Without these, or without `check-jsonschema`, the tests are skipped, and say so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::pipelines::{gitlab_jobs, scripts_of};
use crate::workshop::{CATALOG, Workshop, manifest_folder};

/// The program, from LAMINA_CHECK_JSONSCHEMA or PATH.
pub fn check_jsonschema() -> Option<PathBuf> {
    let program = std::env::var_os("LAMINA_CHECK_JSONSCHEMA").map_or("check-jsonschema".into(), PathBuf::from);
    let runs = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !runs {
        eprintln!("skipped: check-jsonschema is neither in LAMINA_CHECK_JSONSCHEMA nor on PATH");
    }
    runs.then_some(program)
}

/// What the schema has to say about files; nothing where they are valid.
pub fn complaints(program: &Path, schema: &str, files: &[PathBuf]) -> String {
    let mut command = Command::new(program);
    command.args(["--no-cache", "--builtin-schema", schema]);
    if schema == "vendor.gitlab-ci" {
        command.args(["--data-transform", "gitlab-ci"]);
    }
    let output = command.args(files).output().unwrap();
    if output.status.success() { String::new() } else { text(&output) }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_files_for_ci_systems_follow_their_schemas() {
    let Some(program) = check_jsonschema() else { return };
    let file = |path: &str| manifest_folder().join(path);
    let workflows = ["ci", "catalog", "wave"].map(|name| file(&format!(".github/workflows/{name}.yml")));
    assert_eq!(complaints(&program, "vendor.github-workflows", &workflows), "");
    assert_eq!(complaints(&program, "vendor.github-actions", &[file("action.yml")]), "");
    assert_eq!(complaints(&program, "vendor.gitlab-ci", &[file("ci/gitlab/lamina.gitlab-ci.yml")]), "");
    // The schemas have something to say at all.
    assert_ne!(complaints(&program, "vendor.github-workflows", &[file("action.yml")]), "");
}

#[test]
fn child_pipelines_follow_gitlabs_schema() {
    let Some(program) = check_jsonschema() else { return };
    let shop = Workshop::real();
    for (number, changed) in ["rust", "wasm", "./README.md"].into_iter().enumerate() {
        let yaml = shop.run(["cascade", "--changed", changed, "--format", "gitlab"]).any_stderr().answer(0);
        let file = shop.outside().join(format!("{number}.yml"));
        std::fs::write(&file, yaml).unwrap();
        assert_eq!(complaints(&program, "vendor.gitlab-ci", &[file]), "", "{changed}");
    }
}

/// The registry of the machine, where there are both an engine and a registry.
fn registry() -> Option<String> {
    let registry = std::env::var("LAMINA_LAB_REGISTRY").ok().filter(|_| std::env::var_os("DOCKER_HOST").is_some());
    if registry.is_none() {
        eprintln!("skipped: DOCKER_HOST or LAMINA_LAB_REGISTRY is not set, so there is nothing to build with");
    }
    registry
}

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().unwrap()
}

/// A catalog of small images in three waves, in a namespace of its own: a base, a tool with a secret and awkward
/// arguments, and an image that copies from the tool.
fn shop(registry: &str) -> Workshop {
    let image = format!("{registry}/library/busybox:stable");
    let output = docker(&["buildx", "imagetools", "inspect", &image, "--format", "{{json .Manifest.Digest}}"]);
    assert!(output.status.success(), "{}", text(&output));
    let digest: String = serde_json::from_slice(&output.stdout).unwrap();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let shop = Workshop::new();
    shop.file(
        "catalog/catalog.ncl",
        &CATALOG
            .replace("localhost:5000", registry)
            .replace("\"workshop\",\n  platforms", &format!("\"lamina-tests/pipelines-{time}\",\n  platforms")),
    );
    shop.file("lamina.lock", &format!("version = 1\n\n[[image]]\nreference = \"{image}@{digest}\"\n"));
    let base = format!("{{ image = \"{image}\" }}");
    shop.workflow("base", &format!("build_base = {base},\nruntime_base = {base},"));
    shop.dockerfile("base", &format!("ARG BUILD_BASE={image}\nFROM ${{BUILD_BASE}}\nRUN echo one > /base\n"));
    shop.workflow(
        "tool",
        r#"build_base = { layer = "base" },
           runtime_base = { layer = "base" },
           build = {
             args.TEXT = "$(touch /pwned) `id` \"a\"  'b' \\ $HOME ${HOME} \%{if} ",
             secrets = [{ id = "token", required = true }, { id = "absent" }],
           },"#,
    );
    shop.dockerfile(
        "tool",
        &format!(
            "ARG BUILD_BASE={image}\nFROM ${{BUILD_BASE}}\nARG TEXT\n\
             RUN --mount=type=secret,id=token test \"$(cat /run/secrets/token)\" = 's3 cret' && test -f /base\n\
             RUN printf '%s' \"$TEXT\" > /text\nCOPY file /file\n"
        ),
    );
    shop.file("layers/tool/file", "a file\n");
    shop.workflow(
        "app",
        &format!(
            "build_base = {{ layer = \"tool\" }},\nruntime_base = {base},\ndonors = [{{ layer = \"tool\" }}],\n\
             build = {{ target = \"final\", contexts.shared = \"../../shared\", network = 'none,\
             labels.\"org.example.a\" = \"b=c d\", annotations.\"org.example.e\" = \"f g\" }},"
        ),
    );
    shop.dockerfile(
        "app",
        &format!(
            "ARG BUILD_BASE={image}\nARG RUNTIME_BASE={image}\nARG DONOR_TOOL={image}\nFROM ${{DONOR_TOOL}} AS tool\n\
             FROM ${{BUILD_BASE}} AS build\nRUN test -f /base && test -f /file && test ! -e /pwned\n\
             FROM ${{RUNTIME_BASE}} AS final\nCOPY --from=build /base /base\nCOPY --from=tool /text /text\n\
             COPY --from=shared note /note\nFROM scratch AS unused\n"
        ),
    );
    shop.file("shared/note", "shared\n").commit("first");
    shop
}

/// What the workflow says of the image stands in it.
fn has_labels_and_annotations(image: &str) {
    let inspect = |format: &str| text(&docker(&["buildx", "imagetools", "inspect", image, "--format", format]));
    let config = inspect("{{json .Image}}");
    assert!(config.contains(r#""org.example.a": "b=c d""#), "{config}");
    let manifest = text(&docker(&["buildx", "imagetools", "inspect", "--raw", image]));
    let index: Value = serde_json::from_str(&manifest).unwrap();
    // Of an index, the manifest of the image is the first; the next ones are attestations.
    let manifest = match index["manifests"][0]["digest"].as_str() {
        None => manifest,
        Some(digest) => {
            let (repository, _) = image.rsplit_once(':').unwrap();
            text(&docker(&["buildx", "imagetools", "inspect", "--raw", &format!("{repository}@{digest}")]))
        }
    };
    assert!(manifest.contains(r#""org.example.e": "f g""#), "{manifest}");
}

const TEXT: &str = "$(touch /pwned) `id` \"a\"  'b' \\ $HOME ${HOME} %{if} ";

/// Runs a script as a job does: with these variables and nothing else that it would not have there.
fn run(shop: &Workshop, shell: &[&str], script: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", script]).current_dir(shop.root()).env_clear();
    for name in ["PATH", "DOCKER_HOST", "DOCKER_CONFIG", "HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What a built image holds at a path.
fn content(shop: &Workshop, image: &str, path: &str) -> String {
    let out = shop.outside().join("out");
    let out = out.to_str().unwrap();
    let dockerfile = format!("FROM {image} AS image\nFROM scratch\nCOPY --from=image {path} /content\n");
    let file = shop.outside().join("Dockerfile.content");
    std::fs::write(&file, dockerfile).unwrap();
    let output = docker(&[
        "buildx",
        "build",
        "--output",
        out,
        "--file",
        file.to_str().unwrap(),
        shop.root().join("schemas").to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output));
    std::fs::read_to_string(Path::new(out).join("content")).unwrap()
}

#[test]
fn the_steps_of_the_workflow_build_a_change_wave_by_wave() {
    let Some(registry) = registry() else { return };
    let shop = shop(&registry);
    let workflow = std::fs::read_to_string(manifest_folder().join(".github/workflows/wave.yml")).unwrap();
    let scripts = scripts_of(&workflow);
    let script = scripts.iter().find(|script| script.contains("docker buildx build ")).unwrap();
    let matrix = || shop.run(["cascade", "--since", "HEAD", "--format", "github-matrix"]).any_stderr().json(0);
    let build = |job: &Value, secrets: &str| {
        run(&shop, &["bash"], script, &[("LAYER", &job.to_string()), ("BUILD_SECRETS", secrets)])
    };
    let secrets = r#"{"token": "s3 cret", "unused": "x"}"#;

    assert_eq!(matrix()["affected"], 0);
    shop.replace("layers/base/Dockerfile", "echo one", "echo two");
    let matrix = matrix();
    let mut built = Vec::new();
    for stage in matrix["stages"].as_array().unwrap() {
        for job in stage["include"].as_array().unwrap() {
            let image = format!("{}:{}", job["image"].as_str().unwrap(), job["tag"].as_str().unwrap());
            assert!(!docker(&["buildx", "imagetools", "inspect", &image]).status.success(), "{image} is new");
            if job["layer"] == "tool" {
                let output = build(job, "");
                assert!(!output.status.success(), "a secret is missing");
                assert!(text(&output).contains("needs the secret token"), "{}", text(&output));
            }
            let output = build(job, secrets);
            assert!(output.status.success(), "{job:#}\n{}", text(&output));
            assert!(text(&output).contains("::add-mask::s3 cret\n"), "{}", text(&output));
            assert!(docker(&["buildx", "imagetools", "inspect", &image]).status.success(), "{image} is there");
            let again = build(job, secrets);
            assert_eq!((again.status.code(), text(&again)), (Some(0), format!("{image} is there already\n")));
            built.push((job["layer"].as_str().unwrap().to_owned(), image));
        }
    }
    assert_eq!(built.iter().map(|(layer, _)| layer.as_str()).collect::<Vec<_>>(), ["base", "tool", "app"]);
    let app = &built[2].1;
    has_labels_and_annotations(app);
    assert_eq!(content(&shop, app, "/note"), "shared\n");
    assert_eq!((content(&shop, app, "/base"), content(&shop, app, "/text")), ("two\n".to_owned(), TEXT.to_owned()));
}

#[test]
fn the_jobs_of_the_child_pipeline_build_a_change_in_the_order_of_their_needs() {
    let Some(registry) = registry() else { return };
    let shop = shop(&registry);
    shop.replace("layers/base/Dockerfile", "echo one", "echo three");
    let yaml = shop.run(["cascade", "--since", "HEAD", "--format", "gitlab"]).any_stderr().answer(0);
    let script: String = yaml
        .split_once("  script:\n    - |\n")
        .unwrap()
        .1
        .lines()
        .take_while(|line| line.starts_with("      "))
        .map(|line| format!("{}\n", &line[6..]))
        .collect();
    let jobs = gitlab_jobs(&yaml);
    // Every POSIX shell that is here; the image that the jobs run in has BusyBox's.
    let shells: Vec<&[&str]> = [&["sh"][..], &["busybox", "sh"]]
        .into_iter()
        .filter(|shell| Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_ok())
        .collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    while done.len() < jobs.len() {
        let ready = jobs.iter().find(|(name, (needs, _))| {
            !done.contains(*name) && needs.iter().all(|need| done.contains(need.strip_prefix("build:").unwrap()))
        });
        let (name, (_, variables)) = ready.expect("some job can start");
        let with = |token: Option<&'static str>| {
            let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            variables.chain(token.map(|token| ("LAMINA_SECRET_TOKEN", token))).collect::<Vec<_>>()
        };
        if name == "tool" {
            let output = run(&shop, shells[0], &script, &with(None));
            assert!(
                !output.status.success() && text(&output).contains("the secret token is missing"),
                "{}",
                text(&output)
            );
        }
        let shell = shells[done.len() % shells.len()];
        let output = run(&shop, shell, &script, &with(Some("s3 cret")));
        assert!(output.status.success(), "{shell:?} {name}\n{}", text(&output));
        let image = &variables["LAMINA_IMAGE"];
        assert!(docker(&["buildx", "imagetools", "inspect", image]).status.success(), "{image} is there");
        let again = run(&shop, shell, &script, &with(None));
        assert_eq!((again.status.code(), text(&again)), (Some(0), format!("{image} is there already\n")));
        done.insert(name.clone());
    }
    assert_eq!(done.into_iter().collect::<Vec<_>>(), ["app", "base", "tool"]);
    let app = &jobs["app"].1["LAMINA_IMAGE"];
    has_labels_and_annotations(app);
    assert_eq!(content(&shop, app, "/note"), "shared\n");
    assert_eq!((content(&shop, app, "/base"), content(&shop, app, "/text")), ("three\n".to_owned(), TEXT.to_owned()));
}

#[test]
fn bake_builds_the_exported_graph_from_nothing() {
    let Some(registry) = registry() else { return };
    let shop = shop(&registry);
    let listed = shop.run(["list", "--format", "json"]).any_stderr().json(0);
    let tag = |layer: &str| {
        let layers = listed["layers"].as_array().unwrap();
        let layer = layers.iter().find(|found| found["layer"] == layer).unwrap();
        format!("fp-{}", &layer["fingerprint"].as_str().unwrap()[..20])
    };
    let told = shop.run(["export", "bake", "app", "--out", "bake.json"]);
    told.stderr("bake.json: 1 layer, with 2 that it depends on\n").success();
    let file: Value = serde_json::from_str(&shop.read("bake.json")).unwrap();
    let image = |layer: &str| file["target"][layer]["tags"][0].as_str().unwrap().to_owned();
    let bake = ["docker buildx bake --progress=plain --file bake.json --push"];
    let output = run(&shop, &["sh"], bake[0], &[("LAMINA_SECRET_TOKEN", "s3 cret")]);
    assert!(output.status.success(), "{}", text(&output));
    // What the children built on is the targets: the images were not there.
    for layer in ["base", "tool", "app"] {
        assert!(image(layer).ends_with(&format!("/{layer}:{}", tag(layer))), "{}", image(layer));
    }
    let app = image("app");
    has_labels_and_annotations(&app);
    let of = |path: &str| content(&shop, &app, path);
    assert_eq!((of("/base"), of("/text"), of("/note")), ("one\n".to_owned(), TEXT.to_owned(), "shared\n".to_owned()));
}

#[test]
fn the_action_computes_the_cascade_of_its_event() {
    if !Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no jq, which the action reads its answer with");
        return;
    }
    let action = std::fs::read_to_string(manifest_folder().join("action.yml")).unwrap();
    let scripts = scripts_of(&action);
    let script = scripts.iter().find(|script| script.contains("--format github-matrix")).unwrap();
    let shop = Workshop::nested("catalogs/one");
    shop.layer("base", crate::workshop::RUST).layer("a", "base").layer("b", "a").commit("first");
    let head = |shop: &Workshop| String::from_utf8(shop.git(&["rev-parse", "HEAD"])).unwrap().trim().to_owned();
    let base = head(&shop);
    shop.replace("layers/a/workflow.ncl", "The layer", "The changed layer").append("layers/a/Dockerfile", "RUN true\n");
    shop.commit("second");
    shop.file("two.ncl", "{ namespace = \"two\" }");
    let path = format!(
        "{}:{}",
        Path::new(env!("CARGO_BIN_EXE_lamina")).parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let run = |set: &[(&str, &str)]| {
        let file = |name: &str| shop.outside().join(name).to_str().unwrap().to_owned();
        let (output, summary, comment) = (file("output"), file("summary"), file("comment"));
        for file in [&output, &summary, &comment] {
            std::fs::write(file, "").unwrap();
        }
        let mut variables = vec![
            ("PATH", path.as_str()),
            ("LAMINA_CATALOG", "catalogs/one"),
            ("UNKNOWN", "error"),
            ("GITHUB_OUTPUT", &output),
            ("GITHUB_STEP_SUMMARY", &summary),
            ("COMMENT", &comment),
        ];
        variables.extend(["OVERLAY", "SINCE", "CHANGED", "ONLY", "BASE", "BEFORE"].map(|name| (name, "")));
        variables.extend_from_slice(set);
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(shop.root().join("../..")).env_clear().envs(variables);
        let ended = command.output().unwrap();
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&summary), read(&comment));
        (ended.status.code(), text(&ended), read(&output), read(&comment))
    };
    let layers = |output: &str| -> Vec<String> {
        let line = output.lines().find_map(|line| line.strip_prefix("matrix=")).unwrap();
        let matrix: Value = serde_json::from_str(line).unwrap();
        let jobs =
            matrix["flat"].as_array().unwrap().iter().flat_map(|part| part["include"].as_array().unwrap().clone());
        jobs.map(|job| job["image"].as_str().unwrap().to_owned()).collect()
    };

    // A pull request; a push; both compare with the first commit.
    for event in ["BASE", "BEFORE", "SINCE"] {
        let (code, said, output, comment) = run(&[(event, &base)]);
        assert_eq!(code, Some(0), "{event}: {said}");
        assert_eq!(layers(&output), ["localhost:5000/workshop/a", "localhost:5000/workshop/b"]);
        assert!(output.starts_with("affected=2\nstages=2\nmatrix={"), "{output}");
        assert!(comment.starts_with("<!-- lamina cascade -->\n### 2 of 3 layers are rebuilt"), "{comment}");
    }
    let (_, _, output, _) = run(&[("CHANGED", "a\nbase\n"), ("ONLY", "name=b\nname=base\n"), ("OVERLAY", "two.ncl\n")]);
    assert_eq!(layers(&output), ["localhost:5000/two/base", "localhost:5000/two/b"]);
    let (code, _, output, _) = run(&[("SINCE", "HEAD")]);
    assert_eq!((code, output.starts_with("affected=0\nstages=0\n")), (Some(0), true));
    // A new branch, or an event that replaced nothing.
    let (code, said, output, _) = run(&[("BEFORE", "0000000000000000000000000000000000000000")]);
    assert_eq!((code, output.as_str()), (Some(2), ""));
    assert!(said.contains("set the input 'since' or 'changed'"), "{said}");
    // Neither is run as a command, nor taken for an option.
    let (code, said, _, _) = run(&[("CHANGED", "$(touch pwned)\n--version")]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`$(touch pwned)`"), "{said}");
}
