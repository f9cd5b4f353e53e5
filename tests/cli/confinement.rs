//! Nothing outside of the catalog gets into an answer: not by an import, not by a link, not by the environment.

use std::fs;

use crate::workshop::{RUST, Workshop};

const SECRET: &str = "a text that must not be seen";

/// A catalog beside a file with the secret.
fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    fs::write(shop.outside().join("secret.txt"), SECRET).unwrap();
    shop
}

/// Validates a catalog whose only mistake is in the layer `bad`; nothing that is printed tells the secret.
#[track_caller]
fn refused(shop: &Workshop, code: &str) {
    for format in ["text", "json"] {
        let shown = shop.run(["validate", "--check-dag", "--format", format]).snapshot();
        assert!(shown.starts_with("exit code: 3\n") && shown.contains(code), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn imports_do_not_leave_the_catalog() {
    let outside = shop().outside().join("secret.txt").display().to_string();
    let hidden = format!("let {{ x ? import \"{outside}\" as 'Text }} = {{}} in x");
    let through_std = format!("let f = fun x => x in f (import \"{outside}\" as 'Text)");
    for import in ["import \"../../../secret.txt\" as 'Text", "import \"../../../secret.txt\"", &hidden, &through_std] {
        let shop = shop();
        let import = import.replace(&outside, shop.outside().join("secret.txt").to_str().unwrap());
        shop.layer_with("bad", RUST, &format!("docs = {import},"));
        refused(&shop, "import");
    }
}

#[test]
fn imports_do_not_leave_the_catalog_through_links() {
    let shop = shop();
    shop.layer_with("bad", RUST, "docs = import \"link.txt\" as 'Text,")
        .link("layers/bad/link.txt", "../../../secret.txt");
    refused(&shop, "not-a-file");
    shop.remove("layers/bad/link.txt").link("layers/bad/link.txt", shop.outside().join("secret.txt"));
    refused(&shop, "not-a-file");
    shop.remove("layers/bad/link.txt").link("layers/bad/folder", shop.outside());
    shop.layer_with("bad", RUST, "docs = import \"folder/secret.txt\" as 'Text,");
    refused(&shop, "not-a-file");
}

#[test]
fn files_beside_the_workflow_do_not_leave_the_catalog() {
    let secret = "../../../secret.txt";
    for file in ["Dockerfile", "workflow.ncl", ".dockerignore", "Cargo.toml"] {
        let shop = shop();
        shop.layer_with("bad", RUST, "class = 'source-dep,\ncooked = {},")
            .file("layers/bad/Cargo.toml", "")
            .file("layers/bad/Cargo.lock", "");
        let path = format!("layers/bad/{file}");
        if shop.root().join(&path).exists() {
            shop.remove(&path);
        }
        shop.link(&path, secret);
        refused(&shop, "not-a-file");
    }
    let shop = shop();
    shop.layer("bad", RUST).remove("lamina.lock").link("lamina.lock", "../secret.txt");
    refused(&shop, "not-a-file");
}

#[test]
fn a_link_in_a_build_context_is_its_own_content() {
    let shop = shop();
    shop.layer("linked", RUST).link("layers/linked/link", "../../../secret.txt");
    let fingerprint = || shop.run(["show", "linked", "--format", "json"]).json(0)["fingerprint"].to_string();
    let before = fingerprint();
    fs::write(shop.outside().join("secret.txt"), "other").unwrap();
    assert_eq!(fingerprint(), before);
    shop.remove("layers/linked/link").link("layers/linked/link", "../../../other.txt");
    assert_ne!(fingerprint(), before);
}

#[test]
fn decisions_read_files_of_the_catalog_only() {
    let shop = shop();
    shop.link("layers/base/link.txt", "../../../secret.txt");
    let adr = |files: &str| {
        format!(
            "let {{ Adr, .. }} = import \"../schemas/adr.ncl\" in {{ id = \"001\", title = \"t\", status = 'accepted, date = \"2026-01-01\", \
             context = \"c\", decision = \"d\", constraints = [{{ id = \"a\", severity = 'Hard, claim = \"c\", \
             check = 'Pattern {{ files = [\"{files}\"], pattern = \"must not\", must = 'BeAbsent }} }}] }} | Adr\n"
        )
    };
    shop.file("adrs/001-x.ncl", &adr("layers/*/*.txt"));
    refused(&shop, "not-a-file");
    shop.file("adrs/001-x.ncl", &adr("../*.txt"));
    shop.run(["validate"]).stderr("1 layer, 8 checks: no problem\n").success();
}

#[test]
fn an_overlay_from_outside_cannot_import() {
    let shop = shop();
    let overlay = shop.outside().join("overlay.ncl");
    fs::write(&overlay, "{ name = import \"secret.txt\" as 'Text }").unwrap();
    let shown = shop.run(["list", "--overlay", overlay.to_str().unwrap()]).snapshot();
    assert!(!shown.contains(SECRET), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn the_environment_is_out_of_reach() {
    let shop = shop();
    shop.layer_with("bad", RUST, "docs = import \"@env:SECRET\" as 'Text,");
    let shown = shop.run_with(&["validate"], "", b"", &[("SECRET", SECRET)]).snapshot();
    assert!(shown.starts_with("exit code: 3\n") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn files_of_the_command_line_are_regular_text() {
    let shop = shop();
    shop.fifo("pipe").bytes("binary", b"\xff").file("large", &"#".repeat((1 << 20) + 1));
    for (file, why) in [
        ("pipe", "it is not a regular file"),
        ("layers", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
        ("binary", "it is not UTF-8 at offset 0"),
        ("large", "it has more than 1048576 bytes"),
        ("nothing", "No such file or directory (os error 2)"),
    ] {
        let error = format!("error: {file} can't be read: {why}\n");
        let hint = if file == "nothing" { "hint: `lamina lock --lock FILE` writes it\n" } else { "" };
        shop.run(["list", "--overlay", file]).stderr(&error).code(1);
        shop.run(["list", "--lock", file]).stderr(&(error + hint)).code(1);
    }
}

#[test]
fn a_catalog_that_is_no_file_is_no_catalog() {
    let shop = Workshop::new();
    shop.remove("catalog/catalog.ncl").fifo("catalog/catalog.ncl");
    shop.run(["list"])
        .stderr(
            "error: there is no catalog in [CATALOG] or above it\nhint: a catalog has catalog/catalog.ncl at its root\n\
             hint: name it with --catalog DIR or LAMINA_CATALOG\n",
        )
        .code(2);
}
