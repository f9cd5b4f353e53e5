//! `lamina plan` against a real registry, and against registries that fail: what is there is left alone, what is not
//! known is never taken for built.

use crate::built::{PROBE, push, push_proof, shop_at, shop_in};
use crate::registry::Namespace;
use crate::server::{Reply, Seen, Server};
use crate::workshop::{DEBIAN, RUST, Workshop, digest};

/// `base` ← `tools` ← `app`, and `other` apart from them; only `base` says how long it takes.
fn fill(shop: &Workshop) {
    shop.layer_with("base", RUST, "build.resources.expected_min = 4,").layer("tools", "base");
    shop.layer("app", "tools").layer("other", RUST);
}

/// The steps and the skipped layers of a plan: `build app`, `skip base`.
fn planned(shop: &Workshop, args: &[&str]) -> Vec<String> {
    let args = [&["plan"], args, &["--format", "json"]].concat();
    let plan = shop.run_with(&args, "", b"", &[]).json(0);
    let steps = plan["steps"].as_array().unwrap().iter();
    let steps = steps.map(|step| format!("{} {}", step["action"].as_str().unwrap(), step["layer"].as_str().unwrap()));
    let skipped = plan["skipped"].as_array().unwrap().iter();
    steps.chain(skipped.map(|skipped| format!("skip {}", skipped["layer"].as_str().unwrap()))).collect()
}

#[test]
fn what_the_registry_has_is_left_alone_and_all_else_is_built() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    fill(&shop);
    shop.run(["plan", "--all"])
        .stdout(
            "build  base   4 min  no image of this fingerprint\n\
             build  other         no image of this fingerprint\n\
             build  tools         no image of this fingerprint; base is built as well\n\
             build  app           no image of this fingerprint; tools is built as well\n",
        )
        .stderr(
            "4 layers to build\n\
             at least 4 min of building, 4 min from start to end (base → tools → app); no figure for other, tools and app\n",
        )
        .success();
    let (base, tools) = (push(&namespace, &shop, "base"), push(&namespace, &shop, "tools"));
    shop.run(["plan", "--all", "-v"])
        .stdout(&format!(
            "build  other  no image of this fingerprint\n\
             build  app    no image of this fingerprint\n\
             skip   base   up to date: {base}\n\
             skip   tools  up to date: {tools}\n"
        ))
        .stderr("2 layers to build, 2 layers up to date\nno layer says how long it takes\n")
        .success();
    let step = &shop.run(["plan", "app", "--format", "json"]).json(0)["steps"][0];
    assert_eq!((&step["needs"], &step["present"]), (&serde_json::json!([]), &serde_json::json!({ "tools": tools })));
    for layer in ["app", "other"] {
        push(&namespace, &shop, layer);
    }
    shop.run(["plan", "--all"]).stdout("nothing to build: all 4 layers are up to date\n").success();
    shop.run(["plan", "app"]).stdout("nothing to build: the layer is up to date\n").success();
    // An input of one layer: what depends on it has another fingerprint, too.
    shop.append("layers/tools/Dockerfile", "RUN true\n");
    assert_eq!(planned(&shop, &["--all"]), ["build tools", "build app", "skip base", "skip other"]);
}

#[test]
fn an_image_without_its_proof_is_proven_and_not_built() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    shop.layer_with("base", RUST, PROBE).layer("app", "base");
    let base = push(&namespace, &shop, "base");
    // The tools of the base are in the app's image, and are proven there as well.
    assert_eq!(planned(&shop, &["app"]), ["prove base", "build app"]);
    shop.run(["plan", "--all"])
        .stdout(
            "prove  base  an image without a proof that it is good\n\
             build  app   no image of this fingerprint\n",
        )
        .stderr("1 layer to build, 1 layer to prove\nno layer says how long it takes\n")
        .success();
    push_proof(&namespace, "base", &base);
    assert_eq!(planned(&shop, &["--all"]), ["build app", "skip base"]);
    push_proof(&namespace, "app", &push(&namespace, &shop, "app"));
    assert_eq!(planned(&shop, &["--all"]), ["skip base", "skip app"]);
}

#[test]
fn layers_outside_of_the_selection_are_added_where_they_are_needed_and_wanted() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    fill(&shop);
    push(&namespace, &shop, "base");
    shop.run(["plan", "app"])
        .stdout(
            "build  tools  no image of this fingerprint; needed by app\n\
             build  app    no image of this fingerprint; tools is built as well\n",
        )
        .stderr("2 layers to build\nno layer says how long it takes\n")
        .success();
    shop.run(["plan", "app", "--no-ancestors"])
        .stderr(
            "error: layers outside of the selection are needed: tools, the build base of app, has no image\n\
             hint: leave out --no-ancestors to have them built or proven as well\n",
        )
        .code(1);
    // Fingerprints name inputs: what is built stays built when the image that it was built from goes.
    push(&namespace, &shop, "app");
    assert_eq!(planned(&shop, &["app", "--no-ancestors"]), ["skip app"]);
    assert_eq!(planned(&shop, &["tools", "app"]), ["build tools", "skip app"]);
}

#[test]
fn what_is_forced_is_built_and_what_is_selected_on_top_of_it() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    fill(&shop);
    for layer in ["base", "tools", "app", "other"] {
        push(&namespace, &shop, layer);
    }
    assert_eq!(planned(&shop, &["tools", "--force"]), ["build tools"]);
    shop.run(["plan", "tools", "--dependents", "--force"])
        .stdout("build  tools  forced\nbuild  app    tools is built once more\n")
        .stderr("2 layers to build\nno layer says how long it takes\n")
        .success();
    assert_eq!(planned(&shop, &["--all", "--force"]), ["build base", "build other", "build tools", "build app"]);
    let plan = shop.run(["plan", "tools", "--force", "--format", "json"]).json(0);
    assert_eq!(
        (&plan["steps"][0]["forced"], plan["steps"][0]["present"].as_object().unwrap().len()),
        (&true.into(), 1)
    );
}

#[test]
fn changes_select_what_they_make_stale_and_what_is_built_of_it_is_left_alone() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    fill(&shop);
    shop.file("README.md", "").commit("one");
    for layer in ["base", "other"] {
        push(&namespace, &shop, layer);
    }
    shop.run(["plan", "--since", "HEAD"]).stdout("no layer is affected: there is nothing to build\n").success();
    shop.run(["plan", "--changed", "README.md"])
        .stdout("no layer is affected: there is nothing to build\n")
        .stderr("1 path ignored by the catalog's list (-v names them)\n")
        .success();
    assert_eq!(planned(&shop, &["--changed", "base"]), ["build tools", "build app", "skip base"]);
    assert_eq!(planned(&shop, &["--changed", "base", "--no-dependents"]), ["skip base"]);
    assert_eq!(planned(&shop, &["base"]), ["skip base"]);
    assert_eq!(planned(&shop, &["base", "--dependents"]), ["build tools", "build app", "skip base"]);
    assert_eq!(planned(&shop, &["--changed", "base", "other", "--only", "name=o*"]), ["skip other"]);
    assert_eq!(planned(&shop, &["--all", "--only", "name=app"]), ["build tools", "build app"]);
    shop.append("layers/tools/Dockerfile", "RUN true\n");
    shop.run(["plan", "--since", "HEAD"])
        .stdout(
            "build  tools  no image of this fingerprint; layers/tools/Dockerfile changed → tools\n\
             build  app    no image of this fingerprint; tools is built as well; layers/tools/Dockerfile changed → tools → app (build base)\n",
        )
        .stderr("2 layers to build\nno layer says how long it takes\n")
        .success();
}

#[test]
fn a_selection_that_means_nothing_is_a_wrong_command_line() {
    let shop = shop_at("127.0.0.1:9", "n");
    fill(&shop);
    shop.run(["plan"])
        .stderr("error: no layer is selected\nhint: name layers, or say --all, --changed X… or --since REV\n")
        .code(2);
    shop.run(["plan", "tolls"]).stderr("error: there is no layer `tolls`\nhint: did you mean `tools`?\n").code(2);
    for args in [
        &["plan", "app", "--all"][..],
        &["plan", "app", "--since", "HEAD"],
        &["plan", "--changed", "app", "--since", "HEAD"],
        &["plan", "--all", "--dependents", "--no-dependents"],
        &["plan", "--all", "--only", "clas=toolchain"],
    ] {
        assert_eq!(shop.run_with(args, "", b"", &[]).any_stderr().answer(2), "", "{args:?}");
    }
}

#[test]
fn frozen_refuses_external_images_without_a_digest() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    shop.layer("base", RUST).layer("free", DEBIAN);
    shop.run(["plan", "--all"])
        .stdout("build  base  no image of this fingerprint\nbuild  free  no image of this fingerprint\n")
        .stderr(
            "debian:trixie-slim has no digest in lamina.lock: its tag may move between two builds\n\
             2 layers to build\nno layer says how long it takes\n",
        )
        .success();
    let refused = shop.run(["plan", "--all", "--frozen"]).snapshot();
    insta::assert_snapshot!(refused);
    // A layer that is there needs no image any more, and neither does one that is not planned.
    assert_eq!(planned(&shop, &["base", "--frozen"]), ["build base"]);
    push(&namespace, &shop, "free");
    assert_eq!(planned(&shop, &["--all", "--frozen"]), ["build base", "skip free"]);
}

#[test]
fn a_base_that_lacks_a_platform_is_found_before_anything_is_built() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    let platforms = |platforms: &str| format!("build.platforms = [{platforms}],");
    shop.layer_with("image", RUST, &platforms("\"linux/amd64\", \"linux/arm64\""));
    shop.layer_with("parent", "image", &platforms("\"linux/amd64\", \"linux/riscv64\""));
    shop.append("lamina.lock", &format!("\n[image.platforms]\n\"linux/amd64\" = \"{}\"\n", digest(2)));
    let refused = shop.run(["plan", "--all"]).snapshot();
    insta::assert_snapshot!(refused);
    let found = shop.run(["validate", "--only", "pins", "--format", "json"]).json(3);
    let found: Vec<_> = found["findings"].as_array().unwrap().iter().map(|finding| &finding["layer"]).collect();
    assert_eq!(found, ["image", "parent"]);
    for layer in ["image", "parent"] {
        push(&namespace, &shop, layer);
    }
    assert_eq!(planned(&shop, &["--all"]), ["skip image", "skip parent"]);
}

#[test]
fn the_answer_is_the_one_that_its_schema_says() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    fill(&shop);
    shop.layer_with("proven", RUST, PROBE);
    for layer in ["base", "other", "proven"] {
        push(&namespace, &shop, layer);
    }
    let answer = shop.run(["plan", "--changed", "other", "app", "proven", "--format", "json"]).snapshot();
    let answer = answer.replace(&namespace.image("x").replace("/x", ""), "[REGISTRY]/[NAMESPACE]");
    let answer = answer.replace(namespace.name(), "[NAMESPACE]").replace(&namespace.host, "[REGISTRY]");
    let tag = regex::Regex::new("fp-[0-9a-f]{20}").unwrap();
    insta::assert_snapshot!(tag.replace_all(&answer, "[TAG]"));
}

/// What a registry says that knows a tag.
fn known() -> Reply {
    Reply::new(200, "").header("Docker-Content-Digest", &digest(7))
}

/// Runs `plan` and `status` against a registry that fails; neither has an answer.
#[track_caller]
fn refuses(host: &str, env: &[(&str, &str)], expected: &str) {
    let shop = shop_at(host, "n");
    shop.layer_with("base", RUST, PROBE).layer("app", "base");
    for args in
        [&["plan", "--all"][..], &["plan", "app", "--format", "json"], &["status"], &["plan", "--all", "--force"]]
    {
        let env = [&[("LAMINA_REGISTRY_RETRIES", "0")], env].concat();
        let said = shop.run_with(args, "", b"", &env).snapshot().replace(host, "[REGISTRY]");
        assert!(said.starts_with("exit code: 6\n----- stderr\n"), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_registry_that_can_not_answer_says_nothing_about_layers() {
    for status in [500, 502, 503, 403, 429, 418] {
        let server = Server::start(move |_, _| Reply::new(status, "{}"));
        refuses(&server.host, &[], "could not be looked up");
    }
    let server = Server::start(|_, _| Reply::silence());
    refuses(&server.host, &[("LAMINA_REGISTRY_TIMEOUT", "1")], "no answer within 1 s");
    let server = Server::start(|_, _| Reply::new(200, "").header("Docker-Content-Digest", "sha256:nonsense"));
    refuses(&server.host, &[], "can't be trusted");
    let host = {
        let server = Server::start(|_, _| known());
        server.host.clone()
    };
    while std::net::TcpStream::connect(&host).is_ok() {}
    refuses(&host, &[], "can't be reached");
}

#[test]
fn one_question_without_an_answer_is_enough() {
    // The image is there, and about its proof nothing is known.
    let server = Server::start(|seen: &Seen, _| match seen.target.contains("/proof-") {
        true => Reply::new(500, ""),
        false => known(),
    });
    refuses(&server.host, &[], "failed with status 500");
    // All but one layer are known not to be there.
    let server = Server::start(|seen: &Seen, _| match seen.target.contains("/app/") {
        true => Reply::new(503, ""),
        false => Reply::new(404, ""),
    });
    refuses(&server.host, &[], "1 of 2 images could not be looked up");
}

#[test]
fn a_registry_that_recovers_is_asked_again() {
    let server = Server::start(|_, number| if number == 0 { Reply::new(500, "") } else { known() });
    let shop = shop_at(&server.host, "n");
    shop.layer("base", RUST);
    shop.run(["plan", "--all"]).stdout("nothing to build: the layer is up to date\n").success();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_layer_costs_one_question_or_two_and_all_are_asked_at_once() {
    // No question is answered before all layers have been asked about, and none of the second ones before all of those.
    let all = std::sync::Barrier::new(12);
    let server = Server::start(move |_, _| {
        all.wait();
        known()
    });
    let shop = shop_at(&server.host, "n");
    shop.layer_with("base", RUST, PROBE);
    for number in 0..11 {
        shop.layer(&format!("layer-{number}"), "base");
    }
    shop.run(["plan", "--all"]).stdout("nothing to build: all 12 layers are up to date\n").success();
    let asked = server.asked();
    assert_eq!(asked.len(), 24);
    assert!(asked.iter().all(|asked| asked.starts_with("HEAD /v2/n/")), "{asked:?}");
}
