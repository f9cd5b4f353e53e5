//! No text leads out of the catalog, or breaks what shows findings: tried on random ones. `fuzz.rs` tries the parsers.

use std::sync::Arc;

use lamina::diag::{Code, Diagnostic};
use lamina::model::RelPath;
use lamina::report::diagnostics;
use lamina::report::json::findings::Finding;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

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
