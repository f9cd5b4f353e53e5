//! Donors that are not what they say: said so, passed over, and nothing of them is in the new image.

use crate::kitchen::{Cooked, Kitchen};
use crate::shop::layer;

/// Compiled in a few seconds.
const FEW: [(&str, &str); 3] = [("adler2", "=2.0.1"), ("miniz_oxide", "=0.8.9"), ("cfg-if", "=1.0.4")];

/// Cooks once more, because of a line in the set itself, with what somebody has put in the place of the last image.
fn cook_after(kitchen: &Kitchen, good: &Cooked, tampering: &str) -> Cooked {
    let latest = format!("{}/{}/web:latest", kitchen.shop.registry, kitchen.shop.unique);
    let dockerfile = format!("FROM {}\nRUN {tampering}\n", kitchen.image(&good.digest));
    kitchen.docker(&dockerfile, &["--push", "--tag", &latest]);
    let poisoned = kitchen.shop.digest("web", "latest").unwrap();
    assert_ne!(poisoned, good.digest);
    kitchen.shop.file("layers/web/set/src/lib.rs", &format!("// after {tampering}\n"));
    let cooked = kitchen.cook(&[]);
    assert_eq!(layer(&cooked.report, "web")["donor"]["digest"].as_str(), Some(&*poisoned), "{:#}", cooked.report);
    assert_eq!(cooked.units(), good.units(), "{tampering}: {}", cooked.log);
    cooked
}

#[test]
fn a_donor_that_is_tampered_with_or_stale_or_empty_changes_nothing() {
    let test = "a_donor_that_is_tampered_with_or_stale_or_empty_changes_nothing";
    let Some(kitchen) = Kitchen::new(test) else { return };
    let good = kitchen.crates(&FEW).cook(&[]);
    assert_eq!(good.counts(), [0, 3, 3], "{}", good.log);

    // Other code in a crate: neither it nor what stands on it is taken over.
    let tampering =
        "cd /cooked/target/release/deps && printf evil | dd of=$(ls libadler2-*.rlib) bs=1 seek=99 conv=notrunc";
    let cooked = cook_after(&kitchen, &good, tampering);
    assert_eq!(cooked.counts(), [1, 3, 2], "{}", cooked.log);
    assert!(cooked.log.contains(" is not taken: its files are not those of its manifest"), "{}", cooked.log);
    assert_eq!(cooked.compiled(), ["adler2@2.0.1", "miniz_oxide@0.8.9"].map(str::to_owned).into(), "{}", cooked.log);

    // Compiled by another compiler, or so it says; no manifest at all; nothing that was ever cooked.
    for (tampering, said) in [
        (
            "sed -i 's/rustc 1.97.1/rustc 1.96.0/' /cooked/web.units.json",
            "the donor is ignored: its compiler is `rustc 1.96.0",
        ),
        ("echo '{' > /cooked/web.units.json", "the donor is ignored: /donor/cooked/web.units.json is no unit manifest"),
        ("rm -r /cooked", "no donor: everything is compiled"),
    ] {
        let cooked = cook_after(&kitchen, &good, tampering);
        assert_eq!(cooked.counts(), [0, 3, 3], "{tampering}: {}", cooked.log);
        assert!(cooked.log.contains(said), "{tampering}: {}", cooked.log);
    }
}
