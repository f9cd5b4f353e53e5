//! Target folders: what is there stays, what was left behind is no matter, one writer at a time.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use lamina::warm::{Packed, Place, Settled, Target, pack, stage};
use tempfile::TempDir;

use crate::units::{PLACE, library, place, tree};

fn open(temp: &TempDir) -> Target {
    Target::open(&temp.path().join("target"), &["release".into()].into(), &mut |_| {}).unwrap()
}

fn packed(content: &str) -> (Place, Packed) {
    let temp = TempDir::new().unwrap();
    let place = library(temp.path(), "demo", "0123456789abcdef", 7, &[], content);
    let packed = pack(temp.path(), &place, temp.path()).unwrap();
    (place, packed)
}

fn settle(target: &Target, (place, packed): &(Place, Packed)) -> Settled {
    let staged = stage(target.staging(place), place.clone(), &packed.blob, packed.bytes).unwrap();
    target.settle(&staged, SystemTime::UNIX_EPOCH + Duration::from_secs(1000)).unwrap()
}

#[test]
fn a_unit_that_is_there_is_not_touched() {
    let temp = TempDir::new().unwrap();
    library(&temp.path().join("target"), "demo", "0123456789abcdef", 7, &[], "mine");
    let before = tree(&temp.path().join("target/release"));
    let target = open(&temp);
    assert!(target.has(&place(PLACE)));
    assert_eq!(settle(&target, &packed("theirs")), Settled::There);
    drop(target);
    let mut after = tree(&temp.path().join("target/release"));
    after.retain(|(path, ..)| !path.ends_with(".cargo-lock"));
    assert_eq!(after, before);
}

#[test]
fn a_unit_that_others_were_made_with_is_not_replaced_by_another() {
    let temp = TempDir::new().unwrap();
    // It was made with the unit 7, which is gone.
    library(&temp.path().join("target"), "upper", "fedcba9876543210", 8, &[7], "mine");
    let target = open(&temp);
    assert_eq!(settle(&target, &packed("theirs")), Settled::Needed);
    assert!(!target.has(&place(PLACE)));
}

#[test]
fn what_a_killed_lamina_left_is_replaced() {
    let temp = TempDir::new().unwrap();
    let release = temp.path().join("target/release");
    fs::create_dir_all(temp.path().join("target/.lamina/staged/release~demo-0123456789abcdef")).unwrap();
    fs::create_dir_all(release.join("deps")).unwrap();
    fs::create_dir_all(release.join("build/demo-0123456789abcdef/out")).unwrap();
    fs::write(release.join("deps/libdemo-0123456789abcdef.rlib"), "half of").unwrap();
    // cargo makes these before it compiles anything, and empties the hash of what it compiles anew.
    let fingerprint = release.join(".fingerprint/demo-0123456789abcdef");
    fs::create_dir_all(&fingerprint).unwrap();
    fs::write(fingerprint.join("lib-demo.json"), "{}").unwrap();
    fs::write(fingerprint.join("lib-demo"), "").unwrap();
    let target = open(&temp);
    assert!(!target.has(&place(PLACE)));
    assert_eq!(settle(&target, &packed("all of it")), Settled::Placed);
    drop(target);
    assert_eq!(fs::read_to_string(release.join("deps/libdemo-0123456789abcdef.rlib")).unwrap(), "all of it");
    let times =
        tree(&release).into_iter().filter(|(path, content, _)| content.is_some() && !path.ends_with(".cargo-lock"));
    assert!(times.map(|(.., time)| time).all(|time| time == Duration::from_secs(1000)));
    assert!(!temp.path().join("target/.lamina/staged").exists());
    assert!(!temp.path().join("target/CACHEDIR.TAG").exists());
}

#[test]
fn a_new_folder_is_marked_as_a_cache() {
    let temp = TempDir::new().unwrap();
    drop(open(&temp));
    let tag = fs::read_to_string(temp.path().join("target/CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

#[test]
fn a_folder_has_one_writer_at_a_time() {
    for lock in [".lamina/lock", "release/.cargo-lock"] {
        let temp = TempDir::new().unwrap();
        drop(open(&temp));
        // As cargo does it, or another lamina.
        let held = fs::File::open(temp.path().join("target").join(lock)).unwrap();
        held.lock().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let root = temp.path().join("target");
                let told = sender.clone();
                let target = Target::open(&root, &["release".into()].into(), &mut |path| {
                    told.send(path.display().to_string()).unwrap();
                });
                drop(target.unwrap());
                sender.send("opened".to_owned()).unwrap();
            });
            assert!(receiver.recv().unwrap().ends_with(lock));
            assert!(receiver.try_recv().is_err());
            held.unlock().unwrap();
            assert_eq!(receiver.recv().unwrap(), "opened");
        });
    }
}
