//! Builds on runners of an orchestrator, which is the reference one of `examples/` and leases the engine at hand: what it
//! is told of them, and what it says of their size.

use lamina::runner::Endpoint;

use crate::farm::{table, written};
use crate::service::{Runners, Service};
use crate::shop::{Shop, layer, until};

const TOKEN: &str = "tok-91c-very-secret";

#[test]
fn an_orchestrator_leases_builds_hears_of_them_and_knows_their_size() {
    let test = "an_orchestrator_leases_builds_hears_of_them_and_knows_their_size";
    let Some(mut shop) = Shop::new(test) else { return };
    let engine = std::env::var("DOCKER_HOST").unwrap();
    let service = Service::new(Runners::Engines(vec![Endpoint::Docker(engine)]), Some(TOKEN.to_owned()));
    let url = format!("http://{}", service.serve_beside());
    shop.env.insert("LAB_TOKEN".into(), TOKEN.into());
    let row =
        format!("{{ name = \"cloud\", provider = 'orchestrator {{ url = \"{url}\", token_env = \"LAB_TOKEN\" }} }}");
    table(&shop, &[row]);
    shop.layer("base", "", "RUN true", "")
        .layer("app", "base", "RUN true", "")
        .layer("bad", "base", "RUN false", "")
        .lock();

    // An answer that is lost after the lease is asked for once more.
    service.misbehave("lease:lose".parse().unwrap());
    let (code, report) = shop.build(&["--all", "--keep-going"]);
    assert_eq!(code, Some(7), "{report:#}");
    assert_eq!(layer(&report, "app")["outcome"], "succeeded", "{report:#}");
    assert_eq!((service.leased(), written(&shop)), (Vec::<String>::new(), Vec::<String>::new()));
    assert_eq!(service.times_leased(), 3);

    // Told beside the build, which does not wait for long.
    let told = || {
        let exchanges = service.exchanges().into_iter().filter(|exchange| exchange.op == "metrics");
        let mut told: Vec<(String, bool)> = exchanges
            .map(|exchange| {
                (exchange.question["layer"].as_str().unwrap().to_owned(), exchange.question["succeeded"] == true)
            })
            .collect();
        told.sort();
        told
    };
    until("all three are told", || told().len() == 3);
    assert_eq!(told(), [("app", true), ("bad", false), ("base", true)].map(|(layer, good)| (layer.to_owned(), good)));
    for exchange in service.exchanges().into_iter().filter(|exchange| exchange.op == "metrics") {
        assert_eq!(exchange.question["workspace"], "mini", "{exchange:?}");
    }
    // Of another workspace it hears where one is named, from the lease to the figures.
    let before = service.exchanges().len();
    assert_eq!(shop.build(&["bad", "--workspace", "other"]).0, Some(7));
    until("the last one is told", || told().len() == 4);
    let exchanges = service.exchanges().split_off(before);
    for op in ["lease", "p95", "metrics"] {
        let exchange =
            exchanges.iter().find(|exchange| exchange.op == op).unwrap_or_else(|| panic!("{op}: {exchanges:?}"));
        let said = if op == "p95" { &exchange.query } else { &exchange.question };
        assert_eq!(said["workspace"], "other", "{exchange:?}");
    }
    let ran = shop.run(&["size", "app"]);
    assert!(ran.code == Some(0) && !ran.stderr.contains("cloud"), "{ran:?}");
    assert!(service.exchanges().iter().any(|exchange| exchange.op == "p95"));
    for text in [report.to_string(), ran.stdout, ran.stderr, format!("{:?}", shop.events())] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}
