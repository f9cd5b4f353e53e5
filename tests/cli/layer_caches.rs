//! Layer caches: the rule of who may read and write which, references, retention, and what `lamina cache explain` says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use lamina::cache::{
    Access, Disposition, Grants, Kept, Named, Namespace, Policy, Repository, Root, Session, Slot, Tagged, Why,
    Workspace, decide, judge,
};
use lamina::model::{Actor, ActorName, Digest, ImageRef, LayerName, Owner, OwnerKind};
use lamina::registry::{Links, parse_links};
use proptest::prelude::*;

use crate::workshop::{CATALOG, RUST, Workshop};

/// Few letters, so that names collide where they can.
fn layer_name() -> impl Strategy<Value = LayerName> {
    "[ab](-[ab]){0,2}".prop_map(|text| text.parse().unwrap())
}

fn workspace() -> impl Strategy<Value = Workspace> {
    "[ab](-[ab]){0,2}".prop_map(|text| text.parse().unwrap())
}

fn actor_name() -> impl Strategy<Value = ActorName> {
    "[ab]([._][ab]){0,2}".prop_map(|text| text.parse().unwrap())
}

fn owner() -> impl Strategy<Value = Owner> {
    (prop::sample::select(&OwnerKind::ALL[..]), actor_name()).prop_map(|(kind, name)| Owner { kind, name })
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![Just(Actor::Ci), actor_name().prop_map(Actor::CiAux), owner().prop_map(Actor::Own)]
}

fn namespace() -> impl Strategy<Value = Namespace> {
    prop_oneof![
        workspace().prop_map(Namespace::Ci),
        (owner(), workspace()).prop_map(|(owner, workspace)| Namespace::Dev(owner, workspace))
    ]
}

fn slot() -> impl Strategy<Value = Slot> {
    (namespace(), layer_name()).prop_map(|(namespace, layer)| Slot { namespace, layer })
}

fn grants() -> impl Strategy<Value = Grants> {
    let layers = prop::collection::btree_map(actor_name(), prop::collection::btree_set(layer_name(), 0..3), 0..3);
    (prop::option::of(workspace()), layers).prop_map(|(workspace, layers)| Grants { workspace, layers })
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Read), Just(Access::Write)]
}

proptest! {
    #[test]
    fn ci_and_what_is_beside_it_have_no_part_in_anybodys_own_caches(
        name in prop::option::of(actor_name()), access in access(), owner in owner(), workspace in workspace(),
        layer in layer_name(), grants in grants(),
    ) {
        let actor = name.map_or(Actor::Ci, Actor::CiAux);
        let slot = Slot { namespace: Namespace::Dev(owner, workspace), layer };
        prop_assert_eq!(decide(&actor, access, &slot, &grants).unwrap_err().why, Why::CiTakesNothing);
    }

    #[test]
    fn everybody_reads_what_ci_has_built(
        actor in actor(), workspace in workspace(), layer in layer_name(), grants in grants(),
    ) {
        let slot = Slot { namespace: Namespace::Ci(workspace), layer };
        prop_assert_eq!(decide(&actor, Access::Read, &slot, &grants), Ok(()));
    }

    #[test]
    fn ci_writes_canonical_caches_those_beside_it_what_they_are_granted_and_nobody_else(
        actor in actor(), workspace in workspace(), layer in layer_name(), grants in grants(),
    ) {
        let granted = |name: &ActorName| {
            grants.workspace.as_ref() == Some(&workspace)
                && grants.layers.get(name).is_some_and(|layers| layers.contains(&layer))
        };
        let expected = match &actor {
            Actor::Ci => true,
            Actor::CiAux(name) => granted(name),
            Actor::Own(_) => false,
        };
        let slot = Slot { namespace: Namespace::Ci(workspace.clone()), layer: layer.clone() };
        prop_assert_eq!(decide(&actor, Access::Write, &slot, &grants).is_ok(), expected);
    }

    #[test]
    fn an_own_cache_is_its_owners(
        who in owner(), owner in owner(), access in access(), workspace in workspace(), layer in layer_name(),
        grants in grants(),
    ) {
        let slot = Slot { namespace: Namespace::Dev(owner.clone(), workspace), layer };
        let decided = decide(&Actor::Own(who.clone()), access, &slot, &grants);
        prop_assert_eq!(decided.is_ok(), who == owner);
    }

    #[test]
    fn two_caches_never_share_a_reference(one in slot(), other in slot()) {
        let root = Root::new("localhost:5000", "team/lamina");
        let (first, second) = (root.reference(&one).unwrap(), root.reference(&other).unwrap());
        prop_assert_eq!(first == second, one == other, "{} {}", first, second);
        prop_assert_eq!(root.slot(first.repository()), Some(one.clone()));
        prop_assert_eq!(one.to_string().parse::<Slot>(), Ok(one.clone()));
        prop_assert_eq!(one.namespace.to_string().parse::<Namespace>(), Ok(one.namespace));
    }

    /// Whatever namespaces somebody names, in any form that the command line takes.
    #[test]
    fn no_session_of_ci_has_a_reference_of_anybodys_own(
        aux in prop::option::of(actor_name()), workspace in workspace(), grants in grants(),
        read in prop::collection::vec(namespace(), 0..3), write in prop::option::of(namespace()), layer in layer_name(),
    ) {
        let actor = aux.map_or(Actor::Ci, Actor::CiAux);
        let named = Named { read, write };
        let is_forbidden = |namespace: &Namespace| matches!(namespace, Namespace::Dev(..));
        let is_refused = named.read.iter().chain(&named.write).any(is_forbidden);
        let session = Session { actor, workspace, grants, named, disposition: Disposition::Export };
        let image: ImageRef = format!("localhost:5000/team/{layer}:fp-0").parse().unwrap();
        let refs = session.references(&image, &layer);
        for reference in refs.from.iter().chain(&refs.to) {
            prop_assert!(reference.repository().starts_with("team/cache/ci/"), "{}", reference);
        }
        if is_refused {
            prop_assert!(session.check([&layer]).is_err());
        }
    }

    /// A session uses nothing that the rule forbids, and says so of what was named.
    #[test]
    fn a_session_keeps_to_the_rule(
        actor in actor(), workspace in workspace(), grants in grants(), layer in layer_name(),
        read in prop::collection::vec(namespace(), 0..3), write in prop::option::of(namespace()),
    ) {
        let session = Session { actor, workspace, grants, named: Named { read, write }, disposition: Disposition::Export };
        let uses = session.uses(&layer);
        for slot in &uses.from {
            prop_assert_eq!(decide(&session.actor, Access::Read, slot, &session.grants), Ok(()));
        }
        if let Some(slot) = &uses.to {
            prop_assert_eq!(decide(&session.actor, Access::Write, slot, &session.grants), Ok(()));
        }
        let unused = uses.from.len() < session.reads().len() || uses.to.is_none();
        prop_assert_eq!(unused, !uses.refused.is_empty());
        let discarding = Session { disposition: Disposition::Discard, ..session };
        prop_assert_eq!(discarding.uses(&layer).to, None);
    }

    /// A text that is taken is one part of a reference, and says what it said.
    #[test]
    fn hostile_names_are_refused_or_harmless(text in "[a-zA-Z0-9./_:@ \\-\u{0}é]{0,70}") {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Ok(name) = text.parse::<ActorName>() {
            prop_assert!(text.chars().all(|c| plain(c) || c == '.' || c == '_') && !text.contains(".."), "{:?}", text);
            prop_assert_eq!(name.as_str(), &*text);
        }
        if text.parse::<Workspace>().is_ok() {
            prop_assert!(text.chars().all(|c| plain(c) || c == '-'), "{:?}", text);
        }
        for kind in ["ci", "ci-aux", "human", "agent", "root", ""] {
            if let Ok(actor) = format!("{kind}:{text}").parse::<Actor>() {
                prop_assert_eq!(actor.to_string(), format!("{kind}:{text}"));
            }
        }
        if let Ok(slot) = text.parse::<Slot>() {
            prop_assert_eq!(&slot.to_string(), &text);
        }
        if let Some(name) = ActorName::reduced(&text) {
            prop_assert!(name.as_str().chars().all(plain));
        }
    }
}

#[test]
fn names_that_could_look_like_others_are_refused() {
    for text in ["", "a-b", "A", "a/b", "..", "a..b", ".a", "a.", "a\0", "a b", "é", "a_", "a__b", &"a".repeat(33)] {
        assert!(text.parse::<ActorName>().is_err(), "{text:?}");
    }
    for text in ["", "-", "a--b", "A", "a/b", "a.b", "..", "a\0", &"a".repeat(64)] {
        assert!(text.parse::<Workspace>().is_err(), "{text:?}");
    }
    for text in ["", "ci:", "ci:a", "CI", "human", "human:", "robot:a", "human:a:b", "ci-aux", "human:a-b"] {
        assert!(text.parse::<Actor>().is_err(), "{text:?}");
    }
    for text in ["ci", "ci/", "ci/a/b", "dev/a-b", "dev/human.a", "dev/human-a", "dev/human.a-", "dev/human.A-b", "x/a"]
    {
        assert!(text.parse::<Namespace>().is_err(), "{text:?}");
    }
    // The dash after the name is the first one: `human:a` in `b-c` is nobody else in another workspace.
    let slot: Slot = "dev/human.a-b-c/web".parse().unwrap();
    let Namespace::Dev(owner, workspace) = &slot.namespace else { panic!("{slot:?}") };
    assert_eq!((owner.to_string(), workspace.to_string()), ("human.a".to_owned(), "b-c".to_owned()));
}

/// What holds on to what, among a few digests.
fn tagged() -> impl Strategy<Value = Tagged> {
    let digest = || (0_u8..6).prop_map(digest);
    let links = (prop::collection::vec(digest(), 0..3), prop::option::of(digest()), prop::option::of(0_i64..100));
    ("[a-d]", digest(), links).prop_map(|(tag, digest, (children, subject, hours))| {
        let created = hours.map(|hours| Timestamp::from_second(NOW - hours * 3600).unwrap());
        Tagged { tag, digest, links: Links { children, subject, created, bytes: 1 } }
    })
}

const NOW: i64 = 1_800_000_000;

fn digest(number: u8) -> Digest {
    format!("sha256:{}", format!("{number:x}").repeat(64)).parse().unwrap()
}

proptest! {
    #[test]
    fn what_goes_is_old_known_and_held_by_nothing_that_stays(
        repositories in prop::collection::vec(
            (slot(), prop::collection::vec(tagged(), 0..6), prop::bool::weighted(0.2)), 1..4),
        keep in prop::option::of(0_u64..100), last in 0_usize..3, grace in 0_u64..50,
    ) {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let unread = |is: bool| is.then(|| "no".to_owned());
        let mut slots = BTreeSet::new();
        let repositories: Vec<Repository> = repositories
            .into_iter()
            .filter(|(slot, ..)| slots.insert(slot.clone()))
            .map(|(slot, tags, is_unread)| Repository { slot, tags, unread: unread(is_unread) })
            .collect();
        let policy = Policy { keep: keep.map(hours), last, grace: hours(grace) };
        let now = Timestamp::from_second(NOW).unwrap();
        let judged = judge(&repositories, policy, now);
        let mut of_namespace: BTreeMap<&Namespace, (usize, usize)> = BTreeMap::new();
        for (repository, kept) in repositories.iter().zip(&judged) {
            prop_assert_eq!(repository.tags.len(), kept.len());
            let stays: Vec<&Tagged> =
                repository.tags.iter().zip(kept).filter(|(_, kept)| kept.is_some()).map(|(tagged, _)| tagged).collect();
            let held: BTreeSet<&Digest> = stays.iter().flat_map(|tagged| &tagged.links.children).collect();
            for (tagged, kept) in repository.tags.iter().zip(kept) {
                let counts = of_namespace.entry(&repository.slot.namespace).or_default();
                counts.0 += usize::from(tagged.links.created.is_some());
                counts.1 += usize::from(kept.is_some() && tagged.links.created.is_some());
                if kept.is_some() {
                    continue;
                }
                prop_assert!(repository.unread.is_none(), "of what can't be read, nothing goes");
                let created = tagged.links.created.expect("what has no age stays");
                let age = hours(u64::try_from((NOW - created.as_second()) / 3600).unwrap());
                prop_assert!(age >= policy.grace && policy.keep.is_none_or(|keep| age >= keep));
                prop_assert!(!held.contains(&tagged.digest), "a part of an index that stays");
                prop_assert!(!stays.iter().any(|stays| stays.digest == tagged.digest), "the same under another tag");
                let subject = tagged.links.subject.as_ref();
                let is_kept = |digest: &&Digest| held.contains(*digest) || stays.iter().any(|stays| stays.digest == **digest);
                prop_assert!(subject.filter(is_kept).is_none(), "it refers to what stays");
            }
        }
        for (_, (aged, kept)) in of_namespace {
            prop_assert!(kept >= aged.min(last), "the youngest stay");
        }
    }
}

#[test]
fn old_caches_go_and_what_a_kept_one_holds_stays() {
    let at = |hours: i64| Some(Timestamp::from_second(NOW - hours * 3600).unwrap());
    let tag = |tag: &str, number: u8, hours: Option<i64>| Tagged {
        tag: tag.to_owned(),
        digest: digest(number),
        links: Links { created: hours.and_then(at), ..Links::default() },
    };
    let mut index = tag("latest", 1, Some(1));
    index.links.children = vec![digest(2)];
    let mut signature = tag("signature", 3, Some(900));
    signature.links.subject = Some(digest(2));
    let by_name = tag(&format!("sha256-{}", "1".repeat(64)), 4, Some(900));
    let tags =
        vec![index, tag("child", 2, Some(900)), signature, by_name, tag("old", 5, Some(900)), tag("what", 6, None)];
    let repository = Repository { slot: "ci/shop/web".parse().unwrap(), tags, unread: None };
    let policy = Policy { keep: Some(Duration::from_secs(7 * 24 * 3600)), last: 0, grace: Duration::ZERO };
    let now = Timestamp::from_second(NOW).unwrap();
    let judged = judge(std::slice::from_ref(&repository), policy, now);
    let expected = vec![
        Some(Kept::Recent),
        Some(Kept::Child),
        Some(Kept::Referrer),
        Some(Kept::Referrer),
        None,
        Some(Kept::Ageless),
    ];
    assert_eq!(judged, [expected]);
    let unread = Repository { unread: Some("403".to_owned()), ..repository };
    assert!(judge(&[unread], policy, now)[0].iter().all(|kept| *kept == Some(Kept::Unread)));
}

#[test]
fn what_a_manifest_holds_on_to_is_read_or_refused() {
    let (one, two) = (digest(1), digest(2));
    let cache = format!(
        r#"{{"schemaVersion": 2, "config": {{"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": "{one}", "size": 7}},
        "layers": [{{"digest": "{two}", "size": 5, "annotations": {{"buildkit/createdat": "2026-11-21T21:18:51.02801877Z"}}}},
        {{"digest": "{two}", "size": 6, "annotations": {{"buildkit/createdat": "2026-11-20T21:18:51Z"}}}}]}}"#
    );
    let links = parse_links(cache.as_bytes()).unwrap();
    assert_eq!((links.bytes, links.children.len(), &links.subject), (18, 0, &None));
    assert_eq!(links.created.unwrap().to_string(), "2026-11-21T21:18:51.02801877Z");
    let index = format!(r#"{{"manifests": [{{"digest": "{one}"}}], "subject": {{"digest": "{two}"}}}}"#);
    let links = parse_links(index.as_bytes()).unwrap();
    assert_eq!((links.children, links.subject, links.created), (vec![one], Some(two), None));
    for broken in
        ["", "[]", "<html>", r#"{"layers": [{"digest": "md5:0"}]}"#, r#"{"manifests": 1}"#, r#"{"subject": []}"#]
    {
        assert!(parse_links(broken.as_bytes()).is_err(), "{broken}");
    }
}

fn shop() -> Workshop {
    let shop = Workshop::new();
    let catalog = CATALOG.replacen("  registry |", "  caches.granted = { docs = [\"web\"] },\n  registry |", 1);
    shop.file("catalog/catalog.ncl", &catalog).layer("web", RUST).layer("api", RUST);
    shop
}

#[test]
fn explain_says_who_reads_and_writes_what() {
    let shop = shop();
    for (name, actor) in [
        ("ci", "ci"),
        ("aux", "ci-aux:docs"),
        ("other", "ci-aux:other"),
        ("human", "human:ann"),
        ("agent", "agent:fix.1"),
    ] {
        let run = shop.run(["cache", "explain", "web", "--actor", actor]);
        insta::assert_snapshot!(format!("cache_explain_{name}"), run.snapshot());
    }
    insta::assert_snapshot!(shop.run(["cache", "explain", "api", "--actor", "ci-aux:docs"]).snapshot());
    let args =
        ["cache", "explain", "web", "--actor", "human:ann", "--cache-disposition", "discard", "--workspace", "pr-7"];
    insta::assert_snapshot!(shop.run(args).snapshot());
    let args =
        ["cache", "explain", "web", "--actor", "ci", "--cache-from", "dev/human.ann-workshop", "--format", "json"];
    insta::assert_snapshot!(shop.run(args).snapshot());
}

#[test]
fn the_actor_is_said_by_the_option_the_variable_ci_or_the_user() {
    let shop = shop();
    let actor = |env: &[(&str, &str)], args: &[&str]| {
        let args: Vec<&str> = ["cache", "explain", "web", "--format", "json"].iter().chain(args).copied().collect();
        let answer = shop.run_with(&args, "", b"", env).json(0);
        answer["actor"].as_str().unwrap().to_owned()
    };
    let all = [("CI", "true"), ("USER", "ann"), ("LAMINA_ACTOR", "agent:fixer")];
    assert_eq!(actor(&all, &["--actor", "human:bo"]), "human:bo");
    assert_eq!(actor(&all, &[]), "agent:fixer");
    assert_eq!(actor(&all[..2], &[]), "ci");
    assert_eq!(actor(&all[1..2], &[]), "human:ann");
}

#[test]
fn what_is_no_actor_and_no_namespace_is_a_wrong_command_line() {
    let shop = shop();
    for args in [
        ["--actor", "human:Ann"],
        ["--actor", "root"],
        ["--workspace", "../x"],
        ["--cache-from", "dev/ann-shop"],
        ["--cache-to", "ci/a/b"],
    ] {
        shop.run(["cache", "explain", "web", args[0], args[1]]).any_stderr().code(2);
    }
    // Nothing is removed without being told what stays.
    shop.run(["cache", "prune"]).any_stderr().code(2);
}

#[test]
fn a_catalog_says_where_sccache_keeps_crates() {
    for (backend, wrong) in [
        ("'local", false),
        ("'s3 { bucket = \"b\" }", false),
        ("'s3 { bucket = \"b\", endpoint = \"http://s3:9000\", region = \"eu-1\", prefix = \"team\" }", false),
        ("'redis { endpoint = \"redis://cache:6379\", prefix = \"team\" }", false),
        ("'webdav { endpoint = \"https://dav/x\" }", false),
        ("'s3 { bucket = \"b'; rm -rf ~\" }", true),
        ("'s3 {}", true),
        ("'memcached {}", true),
    ] {
        let shop = Workshop::new();
        shop.layer("base", RUST);
        let line = format!("  sccache.backend = {backend},\n}} | Catalog");
        shop.replace("catalog/catalog.ncl", "} | Catalog", &line);
        let told = shop.run(["validate"]).any_code();
        // What is wrong has a place.
        assert_eq!(told.contains("error[") && told.contains("--> catalog/catalog.ncl:"), wrong, "{backend}: {told}");
    }
}
