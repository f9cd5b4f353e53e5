//! `lamina.lock`: in the first line what is done to it, then its text.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use lamina::lock::{Lock, LockText, Locked};
use lamina::model::{Digest, ImageRef, Platform};
use lamina::report::diagnostics;

use super::split;

/// What is locked, without places.
type Entries = BTreeMap<ImageRef, (Digest, BTreeMap<Platform, Digest>)>;

/// Images of one repository and of others, that sort before and behind each other.
static IMAGES: LazyLock<Vec<ImageRef>> = LazyLock::new(|| {
    let names = ["a.example/a:1", "debian:trixie-slim", "rust:1.97.1", "rust:1.98.0", "z.example:5000/z/z:9"];
    names.iter().map(|name| name.parse().expect("it is an image")).collect()
});

pub fn run(data: &[u8]) {
    let (steps, text) = split(data, b'\n');
    let text = String::from_utf8_lossy(text);
    let (lock, findings) = Lock::parse("lock", &text);
    for finding in &findings {
        assert!(text.get(finding.labels[0].span.clone()).is_some(), "{finding:?}");
        // Putting a finding into words costs more than all the rest; short texts have the same places.
        if text.len() < 32 {
            diagnostics::text(finding, &|_| Some(Arc::from(&*text)), false);
        }
    }
    for (image, locked) in lock.iter() {
        assert_eq!(lock.get(image), Some(locked));
        assert!(text.get(locked.span.clone()).is_some_and(|text| text.contains(locked.digest.as_str())), "{locked:?}");
    }
    let mut edited = match LockText::parse("lock", Some(&text)) {
        Ok(edited) => edited,
        Err(found) => return assert_eq!(found, findings),
    };
    assert!(findings.is_empty());
    let mut entries = entries(&lock);
    let mut known: Vec<ImageRef> = entries.keys().take(3).cloned().collect();
    known.extend(IMAGES.iter().cloned());
    let image = |byte: u8| &known[usize::from(byte) % known.len()];
    for step in steps.chunks_exact(3).take(3) {
        let (one, other) = (image(step[1]), image(step[2]));
        let new = locked(step[2]);
        let value = (new.digest.clone(), new.platforms.clone());
        match step[0] % 3 {
            0 => {
                edited.set(one, &new);
                entries.insert(one.clone(), value);
            }
            1 => {
                edited.rename(one, other, &new);
                // Also where the other one alone is locked: it is what was meant.
                if entries.remove(one).is_some() || entries.contains_key(other) {
                    entries.insert(other.clone(), value);
                }
            }
            _ => {
                edited.remove(one);
                entries.remove(one);
            }
        }
    }
    assert_eq!(read_again(&edited), entries, "after {steps:?}: {edited}");
    // What it writes, it reads and writes as it is.
    let written = edited.to_string();
    assert_eq!(LockText::parse("lock", Some(&written)).expect("it was written just now").to_string(), written);
}

fn entries(lock: &Lock) -> Entries {
    lock.iter().map(|(image, locked)| (image.clone(), (locked.digest.clone(), locked.platforms.clone()))).collect()
}

fn read_again(edited: &LockText) -> Entries {
    let text = edited.to_string();
    let (lock, findings) = Lock::parse("lock", &text);
    assert!(findings.is_empty(), "{findings:?} in {text}");
    entries(&lock)
}

/// A value for each byte, with up to two platforms.
fn locked(byte: u8) -> Locked {
    let digest = |byte: u8| format!("sha256:{byte:064x}").parse::<Digest>().expect("it is a digest");
    let platforms = ["linux/amd64", "linux/arm64"].iter().take(usize::from(byte / 4 % 3));
    let platforms = platforms.map(|name| (name.parse().expect("it is a platform"), digest(byte ^ 255)));
    Locked { digest: digest(byte), platforms: platforms.collect(), span: 0..0 }
}
