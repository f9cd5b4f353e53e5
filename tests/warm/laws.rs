//! Laws of archives and target folders.

use std::fs;
use std::time::SystemTime;

use lamina::warm::{Settled, Target, moment, stage};
use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use crate::units::{Entry, FOLDER, PLACE, archive, good, hash_text, place, tree};

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just("".to_owned()),
        Just("out".to_owned()),
        Just("deps".to_owned()),
        Just("build".to_owned()),
        Just(".fingerprint".to_owned()),
        Just(FOLDER.to_owned()),
        Just("libdemo-0123456789abcdef.rlib".to_owned()),
        Just("lib-demo".to_owned()),
        "[a-c]{1,3}",
    ];
    prop_oneof![
        2 => prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/")),
        3 => "[a-c]{1,2}".prop_map(|name| format!("build/{FOLDER}/out/{name}")),
        1 => "[a-c]{1,2}".prop_map(|name| format!("deps/lib{name}-0123456789abcdef.rlib")),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        6 => Just(EntryType::Regular),
        2 => Just(EntryType::Directory),
        1 => prop::sample::select(vec![EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo, EntryType::GNULongName]),
    ];
    let size = prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(|size| Some(size.into()))];
    (name(), kind, prop::collection::vec(any::<u8>(), 0..40), size).prop_map(|(name, kind, content, size)| {
        let content = if kind == EntryType::Regular { content } else { Vec::new() };
        Entry { name, kind, content, size: if kind == EntryType::Regular { size } else { None } }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Either the whole unit is in its place and nothing else has changed, or nothing has changed at all.
    #[test]
    fn a_unit_is_placed_whole_or_not_at_all(
        more in prop::collection::vec(entry(), 0..5),
        at in any::<prop::sample::Index>(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let temp = TempDir::new().unwrap();
        let root = temp.path().join("target");
        fs::create_dir_all(root.join("release/deps")).unwrap();
        fs::write(root.join("release/deps/libother-fedcba9876543210.rlib"), "as it was").unwrap();
        fs::write(temp.path().join("beside"), "as it was").unwrap();
        let target = Target::open(&root, &["release".into()].into(), &mut |_| {}).unwrap();
        let before = tree(temp.path());
        let mut entries = good();
        let at = at.index(entries.len() + 1);
        entries.splice(at..at, more);
        let (mut blob, bytes) = archive(&entries);
        if let Some(cut) = cut {
            blob.truncate(cut.index(blob.len()));
        }
        let place = place(PLACE);
        match stage(target.staging(&place), place.clone(), &blob, bytes) {
            Err(_) => prop_assert_eq!(tree(temp.path()), before),
            Ok(staged) => {
                prop_assert_eq!(target.settle(&staged, SystemTime::now()).unwrap(), Settled::Placed);
                drop(target);
                let after = tree(temp.path());
                for (path, content, time) in &before {
                    let is_staging = path.ends_with("staged");
                    prop_assert!(is_staging || after.contains(&(path.clone(), content.clone(), *time)), "{:?}", path);
                }
                let files = entries.iter().filter(|entry| entry.kind == EntryType::Regular);
                for entry in files.clone() {
                    prop_assert_eq!(&fs::read(root.join("release").join(&entry.name)).unwrap(), &entry.content);
                }
                let known = before.iter().filter(|(_, content, _)| content.is_some()).count();
                prop_assert_eq!(after.iter().filter(|(_, content, _)| content.is_some()).count(), known + files.count());
            }
        }
    }

    /// A unit is never older than what it depends on, whatever times these have.
    #[test]
    fn no_dependency_is_newer(times in prop::collection::vec(0u64..4_000_000_000, 0..6)) {
        let times: Vec<SystemTime> =
            times.into_iter().map(|secs| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(secs)).collect();
        let own = moment(times.iter().copied());
        prop_assert!(times.iter().all(|time| *time <= own));
    }
}

#[test]
fn hashes_are_written_from_the_lowest_byte() {
    assert_eq!(hash_text(0x0123_4567_89ab_cdef), "efcdab8967452301");
}
