//! `lamina why`: which inputs differ, through which parents, and why nothing does.

use crate::workshop::{RUST, Workshop, digest};

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("tools", "base").layer_with("app", "tools", "build.args.MODE = \"a\",");
    shop.append("layers/app/Dockerfile", "ARG MODE\n").layer("other", RUST).file("layers/tools/data.txt", "1\n2\n3\n");
    shop.commit("one");
    shop
}

#[test]
fn each_input_that_differs_is_shown() {
    let shop = shop();
    shop.append("layers/base/Dockerfile", "RUN make\n").replace("layers/tools/data.txt", "2\n", "two\n");
    shop.replace("layers/app/workflow.ncl", "MODE = \"a\"", "MODE = \"b\"").executable("layers/app/Dockerfile");
    shop.file("layers/app/new", "").replace("lamina.lock", &digest(1), &digest(2));
    insta::assert_snapshot!("why_stale", shop.run(["why", "app", "--since", "HEAD"]).snapshot());
    insta::assert_snapshot!(
        "why_stale_json",
        shop.run(["why", "app", "--since", "HEAD", "--format", "json"]).snapshot()
    );
}

#[test]
fn a_layer_that_did_not_change_is_stale_through_its_parents() {
    let shop = shop();
    shop.append("layers/base/Dockerfile", "RUN make\n");
    insta::assert_snapshot!("why_via_parent", shop.run(["why", "app", "--since", "HEAD"]).snapshot());
}

#[test]
fn why_not_is_answered_as_well() {
    let shop = shop();
    insta::assert_snapshot!("why_not", shop.run(["why", "app", "--since", "HEAD"]).snapshot());
    shop.append("layers/base/Dockerfile", "RUN make\n").append("layers/tools/workflow.ncl", "# a comment\n");
    insta::assert_snapshot!("why_not_other", shop.run(["why", "other", "--since", "HEAD"]).snapshot());
    let json = shop.run(["why", "other", "--since", "HEAD", "--format", "json"]).json(0);
    assert_eq!((&json["affected"], &json["reason"]), (&serde_json::json!(false), &serde_json::Value::Null));
    assert_eq!(json["fingerprint"]["old"], json["fingerprint"]["new"]);
}

#[test]
fn a_new_layer_is_new() {
    let shop = shop();
    shop.layer("fresh", "tools");
    insta::assert_snapshot!("why_new", shop.run(["why", "fresh", "--since", "HEAD"]).snapshot());
}

#[test]
fn a_long_difference_is_cut() {
    let shop = shop();
    let lines: String = (0..100).map(|line| format!("line {line}\n")).collect();
    shop.file("layers/tools/data.txt", &lines);
    let text = shop.run(["why", "tools", "--since", "HEAD"]).answer(0);
    assert!(text.ends_with("    … 44 lines more\n"), "{text}");
}

#[test]
fn a_layer_that_does_not_exist_is_a_usage_error() {
    let shop = shop();
    shop.run(["why", "tool", "--since", "HEAD"])
        .stderr("error: there is no layer `tool`\nhint: did you mean `tools`?\n")
        .code(2);
    shop.run(["why", "tools"])
        .stderr("error: which revision is it compared with?\nhint: name it with --since REV\n")
        .code(2);
}
