//! No text breaks a parser, or what shows findings: tried on random ones.

use std::sync::Arc;

use lamina::diag::{Code, Diagnostic};
use lamina::dockerfile::Dockerfile;
use lamina::lock::Lock;
use lamina::model::{Digest, ImageRef, LayerName, Platform, RelPath};
use lamina::report::diagnostics;
use lamina::report::json::findings::Finding;
use lamina::tree::Ignore;
use proptest::prelude::*;
use proptest::sample::Index;

/// Texts that parsers may meet, made from real ones by cutting, doubling and inserting.
fn mutated(samples: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof!["\\PC{0,4}", "[\\x00-\\x20\"'$\\\\{}\\[\\]*!#@:/=<]{0,4}"];
    (0..samples.len(), prop::collection::vec((any::<Index>(), any::<Index>(), piece), 0..5)).prop_map(
        |(sample, edits)| {
            let mut chars: Vec<char> = samples[sample].chars().collect();
            for (start, length, piece) in edits {
                let start = start.index(chars.len() + 1);
                let end = start + length.index(chars.len() - start + 1).min(12);
                chars.splice(start..end, piece.chars());
            }
            chars.into_iter().collect()
        },
    )
}

const DOCKERFILES: &[&str] = &[
    include_str!("../../layers/rust/Dockerfile"),
    include_str!("../../layers/nushell/Dockerfile"),
    "# escape=`\nARG A=b C\nFROM --platform=$P ${A:-x} AS y\nCOPY --from=y [\"a b\", \"c\"]\nRUN <<EOF\nEOF\nADD <<A <<B /\na\nA\nb\nB\n",
    "FROM a\nRUN --mount=type=secret,id=x,from=y --mount [\"a\"]\nONBUILD COPY --from=0 a b\nSHELL [\"a\"]\n",
];
const LOCKS: &[&str] = &[
    include_str!("../../lamina.lock"),
    "version = 1\n[[image]]\nreference = \"a:1@sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n\
     platforms = { \"linux/amd64\" = \"sha256:00\" }\n",
];
const IGNORES: &[&str] =
    &["*\n!Cargo.toml\n!src/**/*.rs\n", "**/[a-z]?.[^ch]\n/a/../b/\n\\#x\n# c\n!\n", "a/**/b\n**\n***/c[\n"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_dockerfile_or_a_finding(text in prop_oneof!["(?s).{0,60}", mutated(DOCKERFILES)]) {
        match Dockerfile::parse("Dockerfile", &text) {
            Ok(parsed) => {
                if let Some(last) = parsed.final_stage(None) {
                    prop_assert!(parsed.reachable(last).contains(&last));
                }
                for (at, stage) in parsed.stages.iter().enumerate() {
                    for reference in std::iter::once(&stage.from).chain(&stage.uses) {
                        parsed.target(reference, at);
                        prop_assert!(text.get(reference.span.clone()).is_some());
                    }
                    parsed.final_stage(stage.name.as_deref());
                }
                parsed.all_args().for_each(|arg| assert!(parsed.global_arg(&arg.name).is_none_or(|found| found.name == arg.name)));
            }
            Err(finding) => {
                prop_assert_eq!(finding.code, Code::DockerfileSyntax);
                prop_assert!(text.get(finding.labels[0].span.clone()).is_some());
            }
        }
    }

    #[test]
    fn any_text_is_a_lock_or_findings(text in prop_oneof!["(?s).{0,60}", mutated(LOCKS)]) {
        let (lock, findings) = Lock::parse("lamina.lock", &text);
        for finding in &findings {
            prop_assert!(text.get(finding.labels[0].span.clone()).is_some());
            diagnostics::text(finding, &|_| Some(Arc::from(text.as_str())), false);
        }
        prop_assert!(lock.iter().all(|(image, _)| lock.get(image).is_some()));
    }

    #[test]
    fn any_text_is_a_list_of_patterns(text in prop_oneof!["(?s).{0,60}", mutated(IGNORES)], path in "[a-c/.*\\[\\]]{0,20}|\\PC{0,20}") {
        let ignore = Ignore::parse(&text);
        if ignore.excludes_all_below(&path) {
            let below = format!("{path}/x");
            prop_assert!(ignore.excludes(&below));
        }
    }

    #[test]
    fn any_text_is_an_image_or_an_error(text in prop_oneof!["\\PC{0,40}", "[a-z.:/@-]{0,30}", "[a-z]{1,5}(/[a-z0-9._-]{1,6}){0,3}:[a-z0-9.]{1,5}"]) {
        if let Ok(image) = text.parse::<ImageRef>() {
            prop_assert_eq!(&image.to_string().parse::<ImageRef>().unwrap(), &image);
            prop_assert_eq!(&image.familiar().parse::<ImageRef>().unwrap(), &image);
        }
        let _ = ImageRef::parse_pinned(&text);
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Platform>();
        let _ = text.parse::<LayerName>();
    }

    #[test]
    fn a_path_never_leaves_the_catalog(folder in "[a-c/.]{0,12}", text in prop_oneof!["[a-c/.]{0,20}", "(?s).{0,20}"]) {
        let Ok(folder) = RelPath::new(&folder) else { return Ok(()) };
        if let Ok(joined) = folder.join(&text) {
            let parts: Vec<&str> = joined.as_str().split('/').collect();
            prop_assert!(joined.as_str().is_empty() || parts.iter().all(|part| !["", ".", ".."].contains(part)));
            prop_assert_eq!(&RelPath::new(joined.as_str()).unwrap(), &joined);
            if let Some(parent) = joined.parent() {
                prop_assert_eq!(joined.below(&parent), Some(joined.file_name()));
            }
        }
    }

    #[test]
    fn any_place_in_any_text_is_shown(
        text in prop_oneof!["(?s).{0,40}", "[a-zä\\t\\r\\n]{0,40}"],
        spans in prop::collection::vec((0..50usize, 0..50usize), 1..4),
        color: bool,
    ) {
        let mut finding = Diagnostic::new(Code::Contract, "a message").note("a note\nof lines").help("");
        for (start, length) in spans {
            finding = finding.label("file", start..start + length, if length % 2 == 0 { "said" } else { "" });
        }
        let texts = |_: &str| Some(Arc::from(text.as_str()));
        prop_assert!(diagnostics::text(&finding, &texts, color).contains("a message"));
        let json = serde_json::to_value(Finding::new(&finding, &texts)).unwrap();
        prop_assert!(json["labels"][0]["start"]["line"].as_u64().unwrap() >= 1);
    }
}
