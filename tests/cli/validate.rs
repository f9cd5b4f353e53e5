//! A fixture for each code of a finding: what makes it, and how it is told.
//!
//! All fixtures start from a valid layer `base`; `validate` has to tell exactly the codes that the fixture states.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use lamina::diag::{Code, Severity};
use regex::Regex;

use crate::workshop::{DEBIAN, RUST, Workshop, digest, lock};

/// Codes without a fixture here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("limit-time", "hostile.rs: takes seconds"),
    ("limit-memory", "hostile.rs: takes seconds"),
    ("not-evaluated", "hostile.rs: takes several layers that break the evaluator"),
    ("context-unreadable", "nothing tells it today"),
];

macro_rules! fixtures {
    ($($name:ident [$($code:ident)*] $build:expr;)*) => {
        const FIXTURES: &[(&str, &[Code])] = &[$((stringify!($name), &[$(Code::$code),*])),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $build);
            }
        )*
    };
}

#[track_caller]
fn check(name: &str, build: impl Fn(&Workshop)) {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    build(&shop);
    let (_, expected) = FIXTURES.iter().find(|(fixture, _)| *fixture == name).unwrap();
    let shown = shop.run(["validate", "--check-dag"]).snapshot();
    let told = Regex::new(r"(?m)^(?:error|warning|note)\[([a-z0-9-]+)\]").unwrap();
    let told: BTreeSet<&str> = told.captures_iter(&shown).map(|found| found.get(1).unwrap().as_str()).collect();
    let codes: BTreeSet<&str> = expected.iter().map(|code| code.as_str()).collect();
    assert_eq!(told, codes, "{shown}");
    let code = if expected.iter().any(|code| code.severity() == Severity::Error) { 3 } else { 0 };
    assert!(shown.starts_with(&format!("exit code: {code}\n")), "{shown}");
    insta::assert_snapshot!(format!("finding_{name}"), shown);
}

fixtures! {
    valid [] |_| {};

    // Nickel
    syntax [Syntax] |shop| {
        shop.layer("bad", "base").replace("layers/bad/workflow.ncl", "\"The layer bad\",", "\"The layer bad\"");
    };
    syntax_of_a_schema [Syntax] |shop| { shop.append("schemas/types.ncl", "}"); };
    contract [Contract] |shop| {
        shop.layer_with("bad", "base", r#"
            class = 'toolchian,
            native_deps = [{ package = "zlib1g-dev", library = "zlib", needed = "build" }],
            artifact_paths = [{ path = "/a" }, { path = "b" }],
            build = { resources.cpu = 1.5, platforms = ["Linux"] },
        "#);
    };
    contract_of_a_base [Contract] |shop| {
        shop.workflow("bad", "build_base = {},\n  runtime_base = { layer = \"base\", image = \"debian:13\" },");
    };
    contract_of_an_image [Contract] |shop| {
        shop.workflow("bad", "build_base = { image = \"rust\" },\n  runtime_base = { image = \"rust:1@sha256:0\" },");
    };
    contract_beyond_the_schema [Contract] |shop| {
        shop.layer_with("bad", "base", r#"
            build = { args = { BUILD_BASE = "x", DONOR_X = "y" }, context = "../../..", dockerfile = "../../../Dockerfile" },
        "#);
    };
    contract_of_the_catalog [Contract] |shop| {
        shop.replace("catalog/catalog.ncl", "[\"linux/amd64\"]", "[\"amd64\"]");
    };
    contract_of_a_decision [Contract] |shop| { adr(shop, "001", "", "status = 'decided,"); };
    missing_field [MissingField] |shop| {
        shop.file("layers/bad/workflow.ncl", &format!("{}{{ layer = \"bad\" }} | Workflow\n", crate::workshop::WORKFLOW));
    };
    unknown_field [UnknownField] |shop| {
        shop.layer_with("bad", "base", "sumary = \"x\",").layer_with("worse", "base", "build = { contxt = \".\" },");
    };
    unknown_field_hides_no_other_mistake [UnknownField Contract MissingField] |shop| {
        shop.workflow("bad", "class = 'tool,\n  sumary = \"x\",\n  build = { contxt = \".\" },\n  build_base = { layer = \"base\" },");
    };
    contract_not_applied [ContractNotApplied] |shop| {
        shop.file("layers/bad/workflow.ncl", "{ layer = \"bad\" }");
        shop.file("layers/function/workflow.ncl", "{ layer = fun x => x }");
        shop.file("layers/number/workflow.ncl", "42");
    };
    merge_conflict [MergeConflict] |shop| {
        shop.layer("bad", "base").replace("layers/bad/workflow.ncl", "} | Workflow", "} & { summary = \"other\" } | Workflow");
    };
    type_error [Type] |shop| { shop.layer_with("bad", "base", "docs = (\"a\" : Number),"); };
    import_of_a_missing_file [Import] |shop| {
        shop.layer("bad", "base").replace("layers/bad/workflow.ncl", "schemas/workflow.ncl", "schemas/workflo.ncl");
    };
    import_of_an_outside_file [Import] |shop| {
        shop.layer_with("bad", "base", "docs = import \"/etc/passwd\" as 'Text,");
        shop.layer_with("worse", "base", "docs = import \"../../../outside.txt\" as 'Text,");
    };
    import_of_a_broken_file [NotUtf8] |shop| {
        shop.layer_with("bad", "base", "docs = import \"docs.md\" as 'Text,").bytes("layers/bad/docs.md", b"ok\n\xff");
    };
    recursion [Recursion] |shop| { shop.layer_with("bad", "base", "docs = summary,\nsummary = docs,"); };
    evaluation [Evaluation] |shop| { shop.layer_with("bad", "base", "docs = {}.nothing,"); };
    limit_depth [LimitDepth] |shop| {
        shop.file("layers/bad/workflow.ncl", &format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)));
    };
    catalog_value [CatalogValue] |shop| {
        shop.replace("catalog/catalog.ncl", "} | Catalog", "  ignored = [\"docs/**\", \"a[\"],\n} | Catalog");
    };
    catalog_is_missing_its_contract [ContractNotApplied] |shop| { shop.file("catalog/catalog.ncl", "{ name = \"x\" }"); };

    // Files
    not_utf8 [NotUtf8] |shop| {
        shop.bytes("layers/bad/workflow.ncl", b"{\n  layer = \"\xc3\x28\"\n}");
        shop.layer("dockerfile", "base").bytes("layers/dockerfile/Dockerfile", b"FROM \xfe");
    };
    not_a_file [NotAFile] |shop| {
        shop.fifo("layers/fifo/workflow.ncl");
        shop.link("layers/link/workflow.ncl", "/etc/passwd");
        shop.file("layers/folder/workflow.ncl/x", "");
    };
    not_a_file_in_a_context [NotAFile] |shop| { shop.layer("bad", "base").fifo("layers/bad/pipe"); };
    too_large [TooLarge] |shop| { shop.file("layers/bad/workflow.ncl", &"#".repeat((1 << 20) + 1)); };
    unreadable [Unreadable] |shop| {
        shop.layer("bad", "base");
        std::fs::write(shop.root().join("layers/bad").join(OsStr::from_bytes(b"x\xff")), "").unwrap();
    };

    // Names
    layer_name [LayerName] |shop| {
        shop.layer("bad", "base").replace("layers/bad/workflow.ncl", "layer = \"bad\"", "layer = \"other\"");
    };
    layer_folder [LayerFolder] |shop| {
        shop.file("layers/empty/README.md", "").file("layers/Not_A_Name/workflow.ncl", "{}");
    };
    unknown_layer [UnknownLayer] |shop| {
        shop.workflow("bad", "build_base = { layer = \"bsae\" },\n  runtime_base = { layer = \"base\" },\n  donors = [{ layer = \"nothing-like-it\" }],");
        shop.dockerfile("bad", "ARG BUILD_BASE=rust:1\nARG RUNTIME_BASE=rust:1\nARG DONOR_NOTHING_LIKE_IT=rust:1\n\
            FROM ${BUILD_BASE} AS build\nFROM ${DONOR_NOTHING_LIKE_IT} AS donor\nFROM ${RUNTIME_BASE}\nCOPY --from=build /a /a\nCOPY --from=donor /b /b\n");
    };
    duplicate [Duplicate] |shop| {
        shop.layer_with("bad", "base", r#"
            donors = [{ layer = "base" }, { layer = "base" }],
            native_deps = [
              { package = "zlib1g", library = "zlib", needed = 'run },
              { package = "zlib1g", library = "libz.so", needed = 'run },
            ],
            tools_provided = [{ name = "a", probe = ["a"] }, { name = "a", probe = ["b"] }],
            artifact_paths = [{ path = "/a" }, { path = "/a" }],
            tags = ["a", "a"],
            build = { ssh = ["s", "s"], secrets = [{ id = "s" }, { id = "s" }], platforms = ["linux/amd64", "linux/amd64"] },
        "#);
    };
    cycle [Cycle] |shop| {
        let two = |build: &str, runtime: &str| format!("build_base = {{ layer = \"{build}\" }},\n  runtime_base = {{ layer = \"{runtime}\" }},");
        let text = "ARG BUILD_BASE=rust:1\nARG RUNTIME_BASE=rust:1\nFROM ${BUILD_BASE} AS build\nFROM ${RUNTIME_BASE}\nCOPY --from=build /a /a\n";
        shop.workflow("a", &two("base", "c")).dockerfile("a", text);
        shop.workflow("b", &two("a", "base")).dockerfile("b", text);
        shop.workflow("c", &(two("base", "base") + "\n  donors = [{ layer = \"b\" }],"));
        shop.dockerfile("c", "ARG BUILD_BASE=rust:1\nARG DONOR_B=rust:1\nFROM ${DONOR_B} AS b\nFROM ${BUILD_BASE}\nCOPY --from=b /a /a\n");
    };
    cycle_of_one [Cycle] |shop| { shop.layer("self", "self"); };

    // Dockerfiles
    dockerfile_missing [DockerfileMissing] |shop| {
        shop.layer("bad", "base").remove("layers/bad/Dockerfile");
        shop.layer_with("named", "base", "build.dockerfile = \"build/Dockerfile\",").remove("layers/named/Dockerfile");
    };
    dockerfile_syntax [DockerfileSyntax] |shop| {
        shop.layer("bad", "base").dockerfile("bad", "ARG BUILD_BASE=rust:1\nFROM ${BUILD_BASE}\nRUNN make\n");
        shop.layer("empty", "base").dockerfile("empty", "");
    };
    from_undeclared [FromUndeclared] |shop| {
        shop.layer("bad", "base").dockerfile("bad", "ARG BUILD_BASE=rust:1\nARG OTHER=rust:1\n\
            FROM ${OTHER} AS other\nFROM node:24-slim AS node\nFROM ${BUILD_BASE}\n\
            COPY --from=other /a /a\nCOPY --from=node /b /b\nCOPY --from=ghcr.io/acme/tool:3@sha256:0 /c /c\n\
            RUN --mount=from=golang:1,target=/go go build\nCOPY --from=${BUILD_BASE} /d /d\nCOPY --from=nothing /e /e\n");
    };
    from_undeclared_where_a_platform_has_no_stage [FromUndeclared PlatformMissing] |shop| {
        let stages = "ARG BUILD_BASE=rust:1\nFROM scratch AS tool-amd64\nFROM tool-${TARGETARCH} AS tool\n\
                      FROM tool-$BUILDARCH AS made\nFROM ${BUILD_BASE}\nCOPY --from=tool /a /a\nCOPY --from=made /b /b\n";
        shop.layer("good", "base").dockerfile("good", stages);
        shop.layer_with("bad", "base", "build.platforms = [\"linux/amd64\", \"linux/riscv64\"],").dockerfile("bad", stages);
    };
    from_undeclared_in_a_stage_that_is_not_built [] |shop| {
        shop.layer("good", "base").dockerfile("good", "ARG BUILD_BASE=rust:1\nFROM node:24 AS unused\nFROM ${BUILD_BASE}\n");
    };
    a_dockerfile_with_most_of_its_syntax_is_valid [] |shop| {
        shop.layer_with("good", "base", "donors = [{ layer = \"base\" }],\nbuild = { secrets = [{ id = \"s\" }], target = \"last\" },");
        shop.file("layers/good/a file", "").file("layers/good/src/main.rs", "");
        shop.dockerfile("good", "# syntax=docker/dockerfile:1\nARG BUILD_BASE=\"rust:1\"\nARG DONOR_BASE='rust:1'\n\
            FROM --platform=$BUILDPLATFORM ${DONOR_BASE:-rust:1} AS Donor\nFROM $BUILD_BASE as build\n\
            COPY --link [\"a file\", \"/x\"]\nCOPY <<END /y\nFROM nothing:1\nEND\nRUN <<END\nFROM nothing:2\nEND\n\
            COPY --chown=1:1 ./src/. src/*.rs /z/\nADD https://example.org/a.git#v1 /g\nONBUILD RUN true\n\
            RUN --mount=type=secret,id=s --mount=type=bind,from=donor,target=/d \\\n    # a comment\n    make\n\
            FROM scratch AS unused\nFROM build AS last\nCOPY --from=DONOR /a /b\nCOPY --from=1 /a /b\n\
            HEALTHCHECK NONE\nFROM nothing:3 AS behind\n");
    };
    base_unused [BaseUnused FinalStageBase] |shop| {
        shop.layer("bad", "base").dockerfile("bad", "FROM scratch\n");
    };
    runtime_base_unused [BaseUnused FinalStageBase] |shop| {
        shop.lock(&[RUST, DEBIAN]);
        shop.workflow("bad", "build_base = { layer = \"base\" },\n  runtime_base = { image = \"debian:trixie-slim\" },");
        shop.dockerfile("bad", "ARG BUILD_BASE=rust:1\nFROM ${BUILD_BASE}\n");
    };
    donor_unused [DonorUnused] |shop| { shop.layer_with("bad", "base", "donors = [{ layer = \"base\" }],"); };
    final_stage_base [FinalStageBase] |shop| {
        shop.lock(&[RUST, DEBIAN]);
        shop.workflow("bad", "build_base = { layer = \"base\" },\n  runtime_base = { image = \"debian:trixie-slim\" },");
        shop.dockerfile("bad", "ARG BUILD_BASE=rust:1\nARG RUNTIME_BASE=debian:trixie-slim\n\
            FROM ${RUNTIME_BASE} AS run\nFROM ${BUILD_BASE}\nCOPY --from=run /a /a\n");
    };
    arg_default [ArgDefault] |shop| {
        shop.layer("none", "base").dockerfile("none", "ARG BUILD_BASE\nFROM ${BUILD_BASE}\n");
        shop.layer("no-tag", "base").dockerfile("no-tag", "ARG BUILD_BASE=rust\nFROM ${BUILD_BASE}\n");
        shop.layer("undeclared", "base").dockerfile("undeclared", "FROM ${BUILD_BASE}\n");
        shop.layer("other", RUST).dockerfile("other", "ARG BUILD_BASE=rust:1.96.0-slim-trixie\nFROM ${BUILD_BASE}\n");
        shop.layer_with("value", "base", "build.args.VERSION = \"2\",")
            .dockerfile("value", "ARG BUILD_BASE=rust:1\nFROM ${BUILD_BASE}\nARG VERSION=1\n");
    };
    arg_undeclared [ArgUndeclared] |shop| {
        shop.layer_with("bad", "base", "build.args = { VERSION = \"2\", HTTP_PROXY = \"http://proxy\", BUILDKIT_INLINE_CACHE = \"1\" },");
    };
    secret_undeclared [SecretUndeclared] |shop| {
        shop.layer_with("bad", "base", "build.secrets = [{ id = \"known\" }],").append("layers/bad/Dockerfile",
            "RUN --mount=type=secret,id=known --mount=type=secret,id=token,target=/t make\nRUN --mount=type=secret,target=/run/x/unnamed make\n");
    };
    ssh_undeclared [SshUndeclared] |shop| {
        shop.layer_with("bad", "base", "build.ssh = [\"known\"],").append("layers/bad/Dockerfile",
            "RUN --mount=type=ssh,id=known true\nRUN --mount=type=ssh true\nRUN --mount=id=git.example.org,type=ssh,required true\n");
    };
    named_contexts_are_no_images [] |shop| {
        shop.layer_with("good", "base", "build = { contexts = { copied = \"../../shared\", mounted = \".\", stage = \"src\" }, target = \"last\" },");
        shop.file("shared/a", "").file("layers/good/src/b", "");
        shop.append("layers/good/Dockerfile", "COPY --from=copied a /a\nRUN --mount=from=mounted,target=/m true\n\
            FROM stage AS of-stage\nFROM ${BUILD_BASE} AS last\nCOPY --from=0 /a /a\nCOPY --from=of-stage b /b\n");
    };
    context_unused [ContextUnused] |shop| {
        shop.layer_with("bad", "base", "build.contexts = { shared = \"../../shared\", used = \".\" },");
        shop.file("shared/a", "").file("layers/bad/a", "").append("layers/bad/Dockerfile", "COPY --from=used a /a\n");
    };
    context_name [ContextName] |shop| {
        shop.layer_with("bad", "base", "build.contexts.tools = \".\",").dockerfile("bad",
            "ARG BUILD_BASE=rust:1\nFROM ${BUILD_BASE} AS Tools\nFROM ${BUILD_BASE}\nCOPY --from=tools /a /a\n");
    };
    context_empty [ContextEmpty] |shop| {
        shop.layer_with("bad", "base", "build.contexts = { shared = \"../../shared\", ignored = \"lib\" },");
        shop.file("layers/bad/lib/a", "").file("layers/bad/lib/.dockerignore", "*\n");
        shop.append("layers/bad/Dockerfile", "COPY --from=shared a /a\nCOPY --from=ignored a /b\n");
    };
    names_beyond_the_contract [Contract] |shop| {
        shop.layer_with("bad", "base", r#"
            tags = ["1.0", "latest"],
            build = {
              contexts = { Shared = ".", "0" = ".", scratch = ".", outside = "../../..", "a b" = "." },
              labels = { "" = "x", "dev.lamina.x" = "x", "a=b" = "x", "org.example/ok" = "x" },
              annotations."dev.lamina.y" = "y",
            },
        "#);
    };
    tags_of_laminas_own [Contract] |shop| {
        shop.layer_with("bad", "base", r#"tags = ["fp-0", "ok"],"#).layer_with("no-tag", "base", r#"tags = ["-x"],"#);
    };
    target_unknown [TargetUnknown] |shop| { shop.layer_with("bad", "base", "build.target = \"final\","); };
    copy_source [CopySource] |shop| {
        shop.layer("bad", "base").append("layers/bad/Dockerfile",
            "COPY there* missing.txt /a/\nCOPY src/ /b\nCOPY secret.txt workflow.ncl /c\nADD https://example.org/x /d\nCOPY . /e\n");
        shop.file("layers/bad/there.txt", "").file("layers/bad/src/main.rs", "").file("layers/bad/secret.txt", "");
        shop.file("layers/bad/.dockerignore", "secret.txt\n");
    };

    // Pins
    unpinned [Unpinned] |shop| { shop.layer("bad", "alpine:3.23"); };
    unpinned_without_a_lock [Unpinned] |shop| { shop.remove("lamina.lock"); };
    lock_syntax [LockSyntax Unpinned] |shop| { shop.file("lamina.lock", "version = 1\n[[image]]\nreference = 7\n"); };
    lock_with_wrong_entries [LockSyntax] |shop| {
        shop.file("lamina.lock", &(lock(&[RUST, RUST]).replace("version = 1", "version = 2")
            + "[[image]]\nreference = \"alpine:3\"\n[[image]]\nreference = \"alpine:3@sha256:0\"\n[[image]]\nreference = \"alpine\"\n"));
    };
    lock_unused [LockUnused] |shop| { shop.lock(&[RUST, DEBIAN]); };
    platform_missing [PlatformMissing] |shop| {
        shop.layer_with("bad", RUST, "build.platforms = [\"linux/amd64\", \"linux/arm64\"],");
        shop.append("lamina.lock", &format!("\n[image.platforms]\n\"linux/amd64\" = \"{}\"\n", digest(2)));
    };

    // Native dependencies and cooked sets
    native_deps [NativeDeps AdrHard] |shop| {
        shop.layer_with("bad", "base", "class = 'native-dep,\ncooked = {},");
        cooked(shop, "bad");
        real_adrs(shop);
    };
    native_deps_installed [NativeDepsInstalled] |shop| {
        shop.layer_with("bad", "base", r#"native_deps = [
          { package = "libssl-dev", library = "openssl", needed = 'build },
          { package = "pkg-config", library = "openssl", needed = 'build },
          { package = "libssl3", library = "libssl.so.3", needed = 'run },
          { package = "liboqs", library = "liboqs", needed = 'both, source = 'vendored },
        ],"#).append("layers/bad/Dockerfile", "RUN apt-get update && apt-get install -y pkg-config=1.8 libssl-doc\n");
    };
    cooked_set_is_missing [Cooked] |shop| {
        shop.layer_with("none", "base", "class = 'source-dep,");
        shop.layer_with("empty", "base", "class = 'source-dep,\ncooked = {},");
        shop.layer_with("broken", "base", "class = 'source-dep,\ncooked.path = \"set\",");
        shop.file("layers/broken/set/Cargo.toml", "[package\n").file("layers/broken/set/Cargo.lock", "version = 4\n");
    };
    cargo_lock [CargoLock] |shop| {
        shop.layer_with("bad", "base", "class = 'source-dep,\ncooked = {},");
        cooked(shop, "bad");
        shop.replace("layers/bad/Cargo.toml", "[dependencies]", "[dependencies]\nserde = \"2\"\nnew = { package = \"tokio\", version = \"1\" }");
        shop.replace("layers/bad/Cargo.toml", "name = \"bad\"", "name = \"renamed\"");
        shop.layer_with("broken", "base", "class = 'source-dep,\ncooked = {},");
        cooked(shop, "broken");
        shop.append("layers/broken/Cargo.lock", "[[package]]\n");
        shop.layer_with("fewer", "base", "class = 'source-dep,\ncooked = {},");
        cooked(shop, "fewer");
        shop.replace("layers/fewer/Cargo.toml", "itoa = \"1\"\n", "");
    };
    cooked_profiles [Contract] |shop| {
        for (name, profiles) in [("none", ""), ("word", r#""release thin""#), ("key", r#""release:fast=yes""#), ("value", r#""release:lto=""#)] {
            shop.layer_with(name, "base", &format!("class = 'source-dep,\ncooked.profiles = [{profiles}],"));
            cooked(shop, name);
        }
    };
    cooked_profiles_beyond_the_contract [Contract Duplicate] |shop| {
        shop.layer_with("again", "base", "class = 'source-dep,\ncooked.profiles = [\"release:lto=thin,debug=1\", \"release:debug=1,lto=thin\"],");
        shop.layer_with("twice", "base", "class = 'source-dep,\ncooked.profiles = [\"release:lto=thin,lto=off\"],");
        shop.layer_with("own", "base", "class = 'source-dep,\ncooked = {},\nbuild.args.COOK_PROFILES = \"dev\",");
        ["again", "twice", "own"].iter().for_each(|name| cooked(shop, name));
    };
    cooked_profile_of_older_schemas [Contract] |shop| {
        let schema = "  target_dir\n    | t.AbsolutePath";
        shop.replace("schemas/workflow.ncl", schema, &format!("  profile | t.Identifier | default = \"release\",\n{schema}"));
        shop.layer_with("old", "base", "class = 'source-dep,\ncooked.profile = \"dev\",");
        shop.layer_with("release", "base", "class = 'source-dep,\ncooked.profile = \"release\",");
        ["old", "release"].iter().for_each(|name| cooked(shop, name));
    };
    build_graph_keeps_its_ceilings [] |shop| {
        shop.layer_with("part", "base", "class = 'source-dep,\ncooked.ceilings = { packages = 1, units = 1, duplicates = 0, cone.itoa = 1 },");
        cooked(shop, "part");
        units(shop, "part", "  itoa 1.0.15 lib target direct\n");
    };
    build_graph [BuildGraph] |shop| {
        for name in ["missing", "stale", "moved", "broken", "calls"] {
            let fields = match name {
                "missing" => "class = 'source-dep,\ncooked.ceilings.packages = 1,",
                "calls" => "class = 'source-dep,\ncooked.calls = [[\"--features\", \"x\"]],",
                _ => "class = 'source-dep,\ncooked = {},",
            };
            shop.layer_with(name, "base", fields);
            cooked(shop, name);
        }
        units(shop, "stale", "  itoa 1.0.14 lib target direct\n  ryu 1.0.0 lib target\n");
        shop.append("layers/stale/Cargo.lock", "\n[[package]]\nname = \"new\"\nversion = \"1.0.0\"\n");
        units(shop, "moved", "  itoa 1.0.15 lib target direct\n");
        shop.append("layers/moved/Cargo.toml", "\n[features]\ndefault = []\n");
        units(shop, "broken", "  itoa 1.0.15 lib target direct > ryu\n");
    };
    ceiling [Ceiling] |shop| {
        shop.layer_with("grown", "base", "class = 'source-dep,\ncooked.ceilings = { packages = 1, units = 1, duplicates = 0, cone = { itoa = 1, nothing = 1 } },");
        shop.layer_with("lowered", "base", "class = 'source-dep,\ncooked.ceilings = { packages = 0, cpu_s = 1, bytes = 10 },");
        shop.layer_with("several", "base", "class = 'source-dep,\ncooked.ceilings = { duplicates = 0, cone.itoa = 1 },");
        ["grown", "lowered", "several"].into_iter().for_each(|name| cooked(shop, name));
        units(
            shop,
            "grown",
            "+ itoa 0.4.8 lib target\n  itoa 1.0.15 lib target direct\n  ryu 1.0.0 lib target direct > +itoa@0.4.8\n",
        );
        units(shop, "several", "  itoa 0.4.8 lib target direct\n  itoa 1.0.15 lib target direct\n");
        units(shop, "lowered", "  itoa 1.0.15 lib target direct\n");
        shop.replace("layers/lowered/units.snap", "\ncook", "\nmeasured cpu_ms 1001 bytes 11\n\ncook");
    };
    second_time [SecondTime] |shop| {
        let fields = "class = 'source-dep,\ncooked.ceilings.second_time = 0,";
        shop.layer_with("below", "base", "class = 'source-dep,\ncooked = {},").layer_with("above", "below", fields);
        shop.layer_with("alone", "base", fields);
        ["below", "above", "alone"].into_iter().for_each(|name| cooked(shop, name));
        units(shop, "below", "  itoa 1.0.15 lib target direct\n");
        units(shop, "above", "  itoa 1.0.15 lib target direct [no-panic]\n  ryu 1.0.0 lib target direct\n");
        units(shop, "alone", "  itoa 1.0.15 lib target direct\n");
    };
    cooked_ceilings [Contract UnknownField] |shop| {
        shop.layer_with("part", "base", "class = 'source-dep,\ncooked.ceilings.units = 1.5,");
        shop.layer_with("below", "base", "class = 'source-dep,\ncooked.ceilings.cone.libc = -1,");
        shop.layer_with("other", "base", "class = 'source-dep,\ncooked.ceilings.crates = 1,");
        ["part", "below", "other"].iter().for_each(|name| cooked(shop, name));
    };
    cooked_profiles_that_the_dockerfile_does_not_take [ArgUndeclared ArgDefault] |shop| {
        for name in ["lost", "other", "fine"] {
            shop.layer_with(name, "base", "class = 'source-dep,\ncooked.profiles = [\"release\", \"dev\"],");
            cooked(shop, name);
        }
        shop.append("layers/other/Dockerfile", "ARG COOK_PROFILES=release\n");
        shop.append("layers/fine/Dockerfile", "ARG COOK_PROFILES=\"release dev\"\n");
        shop.layer_with("default", "base", "class = 'source-dep,\ncooked = {},");
        cooked(shop, "default");
    };
    donor_stage [DonorStage] |shop| {
        for name in ["fine", "bad"] {
            shop.layer_with(name, "base", "class = 'source-dep,\ncooked = {},");
            cooked(shop, name);
        }
        let dockerfile = |donor: &str, rest: &str| {
            format!("ARG BUILD_BASE={RUST}\nFROM scratch AS donor\n{donor}FROM ${{BUILD_BASE}}\n\
                     RUN --mount=type=bind,from=donor,target=/donor true\n{rest}")
        };
        shop.dockerfile("fine", &dockerfile("", ""));
        shop.dockerfile("bad", &dockerfile("COPY Cargo.toml /\n", "COPY --from=donor /cooked /cooked\n"));
    };

    // Decisions
    adr_hard [AdrHard] |shop| {
        real_adrs(shop);
        shop.layer("bad", "base").dockerfile("bad", "ARG BUILD_BASE='rust:1'\nFROM ${BUILD_BASE}\n")
            .append("layers/bad/workflow.ncl", "# DOCKER_HOST\n");
        shop.replace("layers/bad/Dockerfile", "ARG BUILD_BASE=", "ARG  BUILD_BASE=");
    };
    adr_soft [AdrSoft] |shop| {
        adr(shop, "004", r#"{
            id = "documented", severity = 'Soft, claim = "Every layer has documentation.",
            check = 'Field { field = "docs", must = 'BePresent }, hint = "Write a paragraph.",
        }"#, "");
    };
    adr_rules [AdrHard] |shop| {
        let rule = |id: &str, field: &str, must: &str| format!(
            "{{ id = \"{id}\", severity = 'Hard, claim = \"{id}\", check = 'Field {{ field = \"{field}\", must = {must} }} }},"
        );
        let rules = [
            rule("absent", "class", "'BeAbsent"), rule("present", "docs", "'BePresent"),
            rule("non-empty", "tools_provided", "'BeNonEmpty"), rule("be", "class", "'Be \"native-dep\""),
            rule("not-be", "class", "'NotBe \"toolchain\""), rule("match", "summary", "'Match \"^A\""),
            rule("holds", "build.cache_version", "'Be \"0\""), rule("holds-too", "build_base.image", "'Match \"trixie$\""),
        ];
        adr(shop, "005", &rules.concat(), "");
    };
    adr_invalid [AdrInvalid] |shop| {
        adr(shop, "001", r#"
            { id = "regex", severity = 'Hard, claim = "c", check = 'Pattern { files = ["layers/*/Dockerfile"], pattern = "(", must = 'BeAbsent } },
            { id = "glob", severity = 'Hard, claim = "c", check = 'Pattern { files = ["layers/[/Dockerfile"], pattern = "a", must = 'BeAbsent } },
            { id = "match", severity = 'Hard, claim = "c", check = 'Field { field = "class", must = 'Match "[" } },
        "#, "");
        adr(shop, "002", "", "");
        shop.replace("adrs/002-fixture.ncl", "id = \"002\"", "id = \"001\"");
    };
}

/// A decision.
fn adr(shop: &Workshop, id: &str, constraints: &str, fields: &str) {
    let status = if fields.contains("status") { "" } else { "status = 'accepted," };
    let text = format!(
        "let {{ Adr, .. }} = import \"../schemas/adr.ncl\" in\n{{\n  id = \"{id}\",\n  title = \"A decision\",\n  {status}{fields}\n  \
         date = \"2026-01-01\",\n  context = \"c\",\n  decision = \"d\",\n  constraints = [{constraints}],\n}} | Adr\n"
    );
    shop.file(&format!("adrs/{id}-fixture.ncl"), &text);
}

/// The decisions of this repository, and the source file that one of them is about.
fn real_adrs(shop: &Workshop) {
    let root = crate::workshop::manifest_folder();
    let adrs = std::fs::read_dir(root.join("adrs")).unwrap();
    let adrs = adrs.map(|adr| format!("adrs/{}", adr.unwrap().file_name().to_str().unwrap()));
    for file in adrs.chain(["src/run/scheduler.rs".to_owned()]) {
        shop.file(&file, &std::fs::read_to_string(root.join(&file)).unwrap());
    }
}

/// A build-graph snapshot of a layer's cooked set, of the files as they are.
fn units(shop: &Workshop, name: &str, units: &str) {
    let files = ["Cargo.toml", "Cargo.lock"].map(|file| (file.to_owned(), shop.read(&format!("layers/{name}/{file}"))));
    let cooks = vec!["release".to_owned()];
    let inputs = lamina::crates::Inputs { files: files.into(), targets: Vec::new(), cooks };
    let digest = inputs.digest().unwrap();
    let text = format!("version 1\ninputs {digest}\nhost x86_64-unknown-linux-gnu\n\ncook release\n{units}");
    shop.file(&format!("layers/{name}/units.snap"), &text);
}

/// A cooked set as cargo writes it.
fn cooked(shop: &Workshop, name: &str) {
    shop.file(
        &format!("layers/{name}/Cargo.toml"),
        &format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\n\n[dependencies]\nitoa = \"1\"\n"),
    );
    shop.file(
        &format!("layers/{name}/Cargo.lock"),
        &format!(
            "version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"0.0.0\"\ndependencies = [\n \"itoa\",\n]\n\n[[package]]\n\
             name = \"itoa\"\nversion = \"1.0.15\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
             checksum = \"4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c\"\n\n[[package]]\n\
             name = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
             checksum = \"4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c\"\n"
        ),
    );
}

#[test]
fn each_code_has_a_fixture() {
    let told: BTreeSet<Code> = FIXTURES.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
    for code in Code::ALL {
        let elsewhere = ELSEWHERE.iter().any(|(other, _)| *other == code.as_str());
        assert!(told.contains(code) != elsewhere, "{code}: a fixture, or a reason in ELSEWHERE, and not both");
    }
}
