//! An earlier image of a layer as donor of its next build, and the unit manifest beside the image.

use lamina::event::ProbeResult;
use lamina::host::clock;
use lamina::publish::{self, Proof};
use lamina::registry::Registry;
use serde_json::{Value, json};

use crate::shop::{Shop, layer};

/// Cooks in a way that takes no time: it tells where what it has comes from.
const COOKS: &str = "ARG BUILD_BASE=busybox:stable
FROM scratch AS donor
FROM ${BUILD_BASE}
COPY stamp units.json /cooked/
ARG COOK_PROFILES=\"release dev\"
RUN --mount=type=bind,from=donor,target=/donor \\
    if [ -e /donor/cooked/crate ]; then cp /donor/cooked/crate /cooked/crate; echo reused > /cooked/how; \\
    else echo compiled > /cooked/crate; echo from nothing > /cooked/how; fi; \\
    echo \"$COOK_PROFILES\" >> /cooked/how; cp /cooked/units.json /cooked/web.units.json
";

const FIELDS: &str = "cooked = { profiles = [\"release\", \"dev\"] },
  tools_provided = [{ name = \"how\", probe = [\"cat\", \"/cooked/how\"] }],
  artifact_paths = [{ path = \"/cooked/crate\" }],";

fn manifest(layer: &str) -> Value {
    json!({
        "version": 1,
        "layer": layer,
        "environment": {
            "rustc": "rustc 1.97.1", "cargo": "cargo 1.97.1", "cargo_home": "/usr/local/cargo",
            "rustflags": [], "config": {}, "variables": {},
        },
        "cooks": [],
    })
}

fn shop(test: &str) -> Option<Shop> {
    let shop = Shop::new(test)?;
    shop.layer("web", "", "", FIELDS)
        .file("layers/web/Dockerfile", COOKS)
        .file("layers/web/units.json", &manifest("web").to_string())
        .lock();
    Some(shop)
}

/// What the image says of how it came to be, and with which profiles.
fn how(report: &Value) -> Vec<String> {
    let output = layer(report, "web")["probes"][0]["output"].as_array().unwrap();
    output.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

fn build(shop: &Shop, stamp: &str, args: &[&str]) -> Value {
    shop.file("layers/web/stamp", &format!("{} {stamp}\n", shop.unique));
    let (code, report) = shop.build(&[&["web"], args].concat());
    assert_eq!((code, &report["warnings"]), (Some(0), &json!([])), "{report:#}");
    report
}

/// Pushes an image that nobody has built: a configuration with labels, and a layer that is none.
fn push(shop: &Shop, tag: &str, labels: &Value, proven: bool) -> String {
    let image = format!("{}/{}/web:{tag}", shop.registry, shop.unique).parse().unwrap();
    shop.ask(async |registry| {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", "7".repeat(64))] },
        });
        let config = config.to_string().into_bytes();
        let rubbish = format!("no layer at all {}", shop.unique).into_bytes();
        let (size, rubbish_size) = (config.len(), rubbish.len());
        let config = registry.push_blob(&image, config).await.unwrap().digest;
        let rubbish = registry.push_blob(&image, rubbish).await.unwrap().digest;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": rubbish, "size": rubbish_size,
            }],
        });
        let bytes = manifest.to_string().into_bytes();
        let digest = registry.push_manifest(&image, media_type, bytes).await.unwrap().digest;
        if proven {
            let probe = ProbeResult {
                what: "how".to_owned(),
                declared_by: "web".parse().unwrap(),
                command: Vec::new(),
                platform: "linux/amd64".to_owned(),
                expected: None,
                output: Vec::new(),
                wrong: None,
            };
            let fingerprint = lamina::model::Fingerprint::new([7; 32]);
            let proof = Proof::new("web".parse().unwrap(), fingerprint, digest.clone(), clock::now(), vec![probe]);
            publish::record(registry, &image, &proof).await.unwrap();
        }
        digest.to_string()
    })
}

#[test]
fn a_build_takes_what_the_last_good_image_has_unless_it_is_to_be_clean() {
    let Some(shop) = shop("a_build_takes_what_the_last_good_image_has_unless_it_is_to_be_clean") else { return };
    let report = build(&shop, "one", &[]);
    assert_eq!(how(&report), ["from nothing", "release dev"]);
    let why = |report: &Value| layer(report, "web")["donor"]["why_none"].clone();
    assert_eq!(why(&report), "there is no earlier image of it");
    let first = layer(&report, "web")["digest"].as_str().unwrap().to_owned();

    // The commands of the next build name it, and say no more than they did for those who take none.
    shop.file("layers/web/stamp", &format!("{} two\n", shop.unique));
    let dry = shop.run(&["build", "web", "--dry-run"]);
    let context = format!("docker-image://{}/{}/web@{first}", shop.registry, shop.unique);
    assert!(dry.stdout.contains(&context), "{dry:?}");
    assert!(!shop.run(&["build", "web", "--dry-run", "--clean"]).stdout.contains("docker-image://"));

    let report = build(&shop, "two", &[]);
    assert_eq!(how(&report), ["reused", "release dev"], "{report:#}");
    let donor = &layer(&report, "web")["donor"];
    assert_eq!((donor["digest"].as_str(), &donor["why_none"]), (Some(&*first), &Value::Null));
    let event = shop.events().into_iter().find(|event| event["event"] == "donor").unwrap();
    assert_eq!(event["digest"].as_str(), Some(&*first));
    let text = shop.run(&["report"]).stdout;
    assert!(text.contains(&format!("donor latest@{}", &first["sha256:".len()..][..12])), "{text}");
    // It is no input: what has been built stays so.
    assert_eq!(layer(&shop.build(&["web"]).1, "web")["outcome"], "up-to-date");

    let report = build(&shop, "three", &["--clean"]);
    assert_eq!((how(&report)[0].as_str(), why(&report)), ("from nothing", "--clean".into()));

    // One that is not promoted is known to the machine that has built it.
    let report = build(&shop, "four", &["--promote", "none"]);
    let fourth = layer(&report, "web")["digest"].clone();
    let report = build(&shop, "five", &[]);
    assert_eq!(layer(&report, "web")["donor"]["digest"], fourth, "{report:#}");
    // Once more from nothing.
    let report = build(&shop, "five", &["--force", "--clean"]);
    assert_eq!(how(&report)[0], "from nothing");
}

#[test]
fn a_donor_that_is_foreign_or_unproven_or_broken_fails_no_build() {
    let Some(shop) = shop("a_donor_that_is_foreign_or_unproven_or_broken_fails_no_build") else { return };
    let why = |report: &Value| layer(report, "web")["donor"]["why_none"].as_str().unwrap_or_default().to_owned();
    push(&shop, "latest", &json!({ "dev.lamina.layer": "other" }), true);
    let report = build(&shop, "one", &["--promote", "none"]);
    assert!(why(&report).ends_with("web:latest is an image of other"), "{report:#}");
    assert_eq!(how(&report)[0], "from nothing");
    // What this machine knows to be good is taken instead.
    push(&shop, "latest", &json!({ "dev.lamina.layer": "web" }), false);
    let report = build(&shop, "two", &["--promote", "none"]);
    assert_eq!(how(&report)[0], "reused");
    std::fs::remove_dir_all(shop.beside("state")).unwrap();
    let report = build(&shop, "three", &["--promote", "none"]);
    assert!(why(&report).ends_with("web:latest is not proven"), "{report:#}");
    // It passes for one, and the engine can't read it: once more without it.
    std::fs::remove_dir_all(shop.beside("state")).unwrap();
    let broken = push(&shop, "latest", &json!({ "dev.lamina.layer": "web" }), true);
    let report = build(&shop, "four", &["--promote", "none"]);
    assert_eq!((how(&report)[0].as_str(), layer(&report, "web")["attempts"].as_u64()), ("from nothing", Some(1)));
    assert!(why(&report).contains("can't be used"), "{report:#}");
    let donors: Vec<Value> = shop.events().into_iter().filter(|event| event["event"] == "donor").collect();
    assert_eq!((donors.len(), donors[0]["digest"].as_str()), (2, Some(&*broken)));
}

#[test]
fn the_unit_manifest_of_a_cooked_layer_is_kept_beside_its_image() {
    let Some(shop) = shop("the_unit_manifest_of_a_cooked_layer_is_kept_beside_its_image") else { return };
    let report = build(&shop, "one", &[]);
    let digest = layer(&report, "web")["digest"].as_str().unwrap().to_owned();
    let tag = format!("units-{}", &digest["sha256:".len()..][..20]);
    assert!(shop.tags("web").contains(&tag), "{:?}", shop.tags("web"));
    let shown = shop.run(&["show", "web", "--units", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
    assert_eq!((&shown["digest"], &shown["current"]), (&digest.as_str().into(), &true.into()));

    // One that is missing, broken or another layer's is told, and fails nothing.
    for (content, why) in [
        (None, "the image has no /cooked/gone.json"),
        (Some("{".to_owned()), "/cooked/web.units.json: it is no unit manifest: "),
        (Some(manifest("other").to_string()), "/cooked/web.units.json is about the layer `other`"),
    ] {
        let gone = if content.is_none() { "units = \"/cooked/gone.json\", " } else { "" };
        shop.layer("web", "", "", &FIELDS.replace("cooked = { ", &format!("cooked = {{ {gone}")))
            .file("layers/web/Dockerfile", COOKS)
            .file("layers/web/units.json", &content.unwrap_or_default());
        let (code, report) = shop.build(&["web"]);
        assert_eq!(code, Some(0), "{report:#}");
        let message = report["warnings"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("nobody can ask what is cooked into it: {why}")), "{message}");
    }
}

#[test]
fn verify_puts_a_unit_manifest_where_there_is_none() {
    let Some(shop) = shop("verify_puts_a_unit_manifest_where_there_is_none") else { return };
    // An image from before there were any.
    shop.layer("web", "", "", &FIELDS.replace("cooked = { profiles = [\"release\", \"dev\"] },", ""));
    shop.file("layers/web/Dockerfile", COOKS);
    let (code, report) = shop.build(&["web"]);
    assert_eq!(code, Some(0), "{report:#}");
    let digest = layer(&report, "web")["digest"].as_str().unwrap().to_owned();
    assert!(!shop.tags("web").iter().any(|tag| tag.starts_with("units-")));
    shop.layer("web", "", "", FIELDS).file("layers/web/Dockerfile", COOKS);
    let ran = shop.run(&["verify", "web", "--digest", &digest]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("web: what is cooked into it is kept beside the image"), "{ran:?}");
    assert!(shop.tags("web").iter().any(|tag| tag.starts_with("units-")));
}
