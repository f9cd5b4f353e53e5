//! Registries that are down, fail, stall or lie.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::proxy::{Do, Proxy};
use crate::shop::{Shop, layer};

/// A catalog whose registry is behind a proxy.
fn behind(shop: &Shop, proxy: &Proxy) {
    shop.layer("it", "", "RUN true", "tags = [\"latest\"],").lock();
    shop.catalog(&proxy.host);
}

#[test]
fn a_registry_that_does_not_answer_is_never_up_to_date() {
    let Some(shop) = Shop::new("a_registry_that_does_not_answer_is_never_up_to_date") else { return };
    shop.layer("it", "", "RUN true", "").lock();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    shop.catalog(&closed);
    let ran = shop.run(&["build", "it", "--registry-retries", "0"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), ""), "{ran:?}");
    for (what, said) in [(Do::Fail, "500"), (Do::Stall, "")] {
        let proxy = Proxy::start(&shop.registry, move |_, _| what);
        shop.catalog(&proxy.host);
        let ran = shop.run(&["build", "it", "--registry-retries", "0", "--registry-timeout", "2"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), ""), "{what:?}: {ran:?}");
        assert!(ran.stderr.contains(said) && !proxy.seen().is_empty(), "{what:?}: {ran:?}");
    }
    assert_eq!(shop.tags("it"), Vec::<String>::new());
}

#[test]
fn a_registry_that_fails_after_the_plan_fails_the_layer_and_the_next_run_completes() {
    let test = "a_registry_that_fails_after_the_plan_fails_the_layer_and_the_next_run_completes";
    let Some(shop) = Shop::new(test) else { return };
    // It does not take the image.
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let proxy = Proxy::start(&shop.registry, move |method, path| match method {
        "PUT" | "POST" | "PATCH" if !is_well.load(Ordering::SeqCst) && path.contains("/it/") => Do::Fail,
        _ => Do::Pass,
    });
    behind(&shop, &proxy);
    let (code, report) = shop.build(&["it", "--registry-retries", "0"]);
    assert_eq!((code, layer(&report, "it")["failure"]["kind"].as_str()), (Some(6), Some("registry")), "{report:#}");
    assert_eq!(shop.tags("it"), Vec::<String>::new());
    well.store(true, Ordering::SeqCst);
    let (code, report) = shop.build(&["it"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(shop.digest("it", "latest").is_some());
}

#[test]
fn a_digest_that_a_registry_lies_about_is_never_used() {
    let Some(shop) = Shop::new("a_digest_that_a_registry_lies_about_is_never_used") else { return };
    // What lamina reads lies; what the engine pushes is let through.
    let proxy = Proxy::start(&shop.registry, |method, path| match method {
        "GET" if path.contains("/manifests/fp-") => Do::Lie,
        _ => Do::Pass,
    });
    behind(&shop, &proxy);
    let (code, report) = shop.build(&["it", "--registry-retries", "0"]);
    assert_eq!((code, layer(&report, "it")["failure"]["kind"].as_str()), (Some(6), Some("registry")), "{report:#}");
    assert!(layer(&report, "it")["failure"]["message"].as_str().unwrap().contains("trusted"), "{report:#}");
    assert_eq!(shop.digest("it", "latest"), None);
}
