//! Two lamina at once.

use serde_json::Value;

use crate::shop::{Shop, layer};

#[test]
fn two_at_once_agree_on_the_images() {
    let Some(shop) = Shop::new("two_at_once_agree_on_the_images") else { return };
    let probe = "tools_provided = [{ name = \"top\", probe = [\"cat\", \"/top\"], version = \"top\" }],\n  tags = [\"latest\"],";
    shop.layer("base", "", "RUN sleep 1 && echo base > /base", "")
        .layer("top", "base", "RUN cat /base && echo top > /top", probe)
        .lock();
    let args = ["build", "--all", "--format", "json", "--progress", "plain"];
    let both = [shop.start(&args), shop.start(&args)];
    let reports = both.map(|running| {
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    });
    // Each may have pushed in the very moment when the other did; then one of the images has the tag, and both are good.
    for name in ["base", "top"] {
        let both = reports.each_ref().map(|report| layer(report, name)["digest"].as_str().map(str::to_owned));
        let tag = layer(&reports[0], name)["image"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        assert!(both.contains(&shop.digest(name, &tag)), "{both:?}");
    }
    let tops = reports.each_ref().map(|report| layer(report, "top")["digest"].as_str().map(str::to_owned));
    assert!(tops.contains(&shop.digest("top", "latest")), "{tops:?}");
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, &report["totals"]["up_to_date"]), (Some(0), &Value::from(2)), "{report:#}");
    assert_eq!(shop.digest("top", "latest").as_deref(), layer(&report, "top")["digest"].as_str());
}

#[test]
fn what_somebody_else_has_pushed_meanwhile_is_not_built() {
    let Some(shop) = Shop::new("what_somebody_else_has_pushed_meanwhile_is_not_built") else { return };
    // While `first` is built, somebody else builds `second`.
    shop.layer(
        "first",
        "",
        "RUN true",
        "hooks = { pre_build = [{ command = [\"sh\", \"-c\", \"while ! test -e ../../go; do sleep 0.1; done\"] }] },",
    )
    .layer("second", "", "RUN true", "")
    .lock();
    let running = shop.start(&["build", "--all", "--jobs", "1", "--format", "json", "--progress", "plain"]);
    let (code, theirs) = shop.build(&["second"]);
    assert_eq!(code, Some(0), "{theirs:#}");
    shop.file("go", "");
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let second = layer(&report, "second");
    assert_eq!((second["origin"].as_str(), &second["digest"]), (Some("found"), &layer(&theirs, "second")["digest"]));
}
