//! Pods: what buildx and kubectl are asked, what their answers mean, and the contract, where there is a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lamina::engine::Environment;
use lamina::event::RunId;
use lamina::model::{ProviderKind, Size};
use lamina::runner::providers::{Host, KubernetesSettings as Settings, Pods, open, pods_out_of_memory};
use lamina::runner::{LeaseId, Owner, Record, Request};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::contract::{Fixture, fixture};
use crate::lab::{has, program};

const SIZE: Size = Size { cpu: 4, memory_mb: 8192 };

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runners.md")).unwrap()
}

#[test]
fn what_is_called_stands_in_the_documentation() {
    let settings = Settings {
        context: Some("builders".to_owned()),
        namespace: Some("lamina".to_owned()),
        replicas: Some(1),
        node_selector: [("pool", "build"), ("kubernetes.io/arch", "amd64")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        image: None,
    };
    let lease: LeaseId = "lamina-20261122-040502-3k9w2m7q".parse().unwrap();
    let create = settings.create(&lease, SIZE, "buildkitd.toml").join(" ").replace(" --", " \\\n    --");
    assert!(page().contains(&format!("docker {create}\n")), "docs/runners.md has no `docker {create}`");
    let pods = settings.kubectl(&["get", "pods", "--selector=app=lamina-20261122-040502-3k9w2m7q0", "--output=json"]);
    assert!(page().contains(&format!("kubectl {}\n", pods.join(" "))), "docs/runners.md has no {pods:?}");
}

#[test]
fn what_is_not_set_is_left_to_buildx() {
    let options = Settings::default().options(SIZE);
    let names: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"]);
    assert_eq!(options[3].1, "8192Mi");
    assert_eq!(Settings::default().kubectl(&["get", "pods"]), ["get", "pods"]);
}

#[test]
fn a_container_that_was_killed_for_memory_is_found_now_and_before_its_restart() {
    let pods = |field: &str, reason: &str| {
        let container = json!({ "name": "buildkitd", field: { "terminated": { "reason": reason, "exitCode": 137 } } });
        let healthy = json!({ "name": "qemu", "state": { "running": {} }, "lastState": {} });
        json!({ "items": [
            { "metadata": { "name": "one" }, "status": { "phase": "Pending" } },
            { "metadata": { "name": "two" }, "status": { "containerStatuses": [healthy, container] } },
        ] })
    };
    let said = "Kubernetes says OOMKilled of the container buildkitd of pod two";
    for field in ["state", "lastState"] {
        assert_eq!(pods_out_of_memory(&pods(field, "OOMKilled")).as_deref(), Some(said));
        assert_eq!(pods_out_of_memory(&pods(field, "Error")), None);
    }
    for odd in [json!(null), json!([]), json!({ "items": {} }), json!({ "items": [1, null, {}] })] {
        assert_eq!(pods_out_of_memory(&odd), None, "{odd}");
    }
}

#[test]
fn a_pod_that_is_gone_replaced_or_restarted_is_lost() {
    let pod = |name: &str, more: serde_json::Value| {
        let mut pod = json!({ "metadata": { "name": name }, "status": { "containerStatuses": [] } });
        pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pod
    };
    let well = || pod("one", json!({}));
    let ended = |field: &str, reason: &str| {
        let container = json!({ "name": "buildkitd", field: { "terminated": { "reason": reason } } });
        pod("one", json!({ "status": { "containerStatuses": [container] } }))
    };
    let leaving = pod("one", json!({ "metadata": { "name": "one", "deletionTimestamp": "2026-11-22T12:08:24Z" } }));
    let said = "the container buildkitd of pod one has ended: OOMKilled";
    for (later, lost) in [
        (vec![well()], None),
        (vec![well(), pod("two", json!({}))], None),
        (vec![pod("two", json!({}))], Some("the pod one is gone")),
        (vec![leaving.clone(), pod("two", json!({}))], Some("the pod one is gone")),
        (vec![leaving], Some("the pod one is gone")),
        (vec![], Some("the pod one is gone")),
        (vec![ended("state", "OOMKilled")], Some(said)),
        (vec![ended("lastState", "OOMKilled")], Some(said)),
    ] {
        let mut pods = Pods::default();
        assert_eq!(pods.lost(&json!({ "items": [well()] })), None);
        assert_eq!(pods.lost(&json!({ "items": later })).as_deref(), lost, "{later:?}");
    }
    assert_eq!(Pods::default().lost(&json!({ "items": [] })).as_deref(), Some("the lease has no pod any more"));
    for odd in [json!(null), json!([]), json!({ "items": 1 })] {
        assert_eq!(Pods::default().lost(&odd), None, "{odd}");
    }
}

/// `kubernetes`, where there is a cluster. Its nodes pull the image of BuildKit, and its pods reach the registry.
fn cluster(test: &str) -> Option<Fixture> {
    let names = ["LAMINA_TEST_KUBECONFIG", "LAMINA_TEST_POD_REGISTRY", "LAMINA_TEST_BUILDKIT_IMAGE"];
    let programs = ["kubectl", "docker"].iter().all(|name| program(name).is_some());
    let [Some(kubeconfig), Some(registry), image @ Some(_)] = names.map(|name| std::env::var(name).ok()) else {
        has(test, "it takes LAMINA_TEST_KUBECONFIG, LAMINA_TEST_POD_REGISTRY and LAMINA_TEST_BUILDKIT_IMAGE", false);
        return None;
    };
    if !has(test, "it takes kubectl and docker", programs) {
        return None;
    }
    let (context, namespace, replicas, node_selector) = (None, None, None, BTreeMap::new());
    let kind = ProviderKind::Kubernetes { context, namespace, replicas, node_selector, image };
    let mut fixture = fixture("kubernetes", kind, &registry);
    fixture.host.env = fixture.host.env.with("KUBECONFIG", &kubeconfig);
    fixture.left = Box::new(move |lease| {
        let begun = Instant::now();
        loop {
            let mut kubectl = Command::new("kubectl");
            kubectl.args(["get", "deployments,configmaps,pods", "--output=name"]).env("KUBECONFIG", &kubeconfig);
            let said = kubectl.output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let left: Vec<String> =
                said.lines().filter(|line| line.contains(lease.as_str())).map(str::to_owned).collect();
            // Pods take their time to end.
            if left.is_empty() || begun.elapsed() > Duration::from_secs(60) {
                return left;
            }
            sleep(Duration::from_millis(200));
        }
    });
    Some(fixture)
}

#[test]
fn kubernetes_holds() {
    if let Some(fixture) = cluster("the contract of kubernetes") {
        fixture.holds();
    }
}

/// A program that is missing is said at once, nothing was made, and nothing has to be released.
#[test]
fn what_is_missing_is_said_and_lasts() {
    let folder = TempDir::new().unwrap();
    let host = Host { env: Environment::default(), state: folder.path().to_owned(), ..Host::default() };
    let (context, namespace, replicas, image, network) = (None, None, None, None, None);
    let kubernetes =
        ProviderKind::Kubernetes { context, namespace, replicas, node_selector: BTreeMap::new(), image: image.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (kind, missing) in [
        (kubernetes, "kubectl"),
        (ProviderKind::Container { image, network }, "docker"),
        (ProviderKind::Process { rootless: false }, "buildkitd"),
        (ProviderKind::Process { rootless: true }, "buildkitd"),
    ] {
        let provider = open(&kind, &host).unwrap();
        let now = Timestamp::now();
        let (layer, tier, platforms) = ("layer".parse().unwrap(), None, Vec::new());
        let request = Request { layer, size: SIZE, tier, platforms, minutes: 1 };
        let lease = LeaseId::new(now, 1);
        let record = Record::new(lease, Owner::this(), RunId::new(now, 1), ("row", &kind), &request, now);
        let noted = |_: &str| panic!("something was made");
        let acquired = runtime.block_on(provider.acquire(&record, &noted, &CancellationToken::new()));
        let error = acquired.unwrap_err();
        assert_eq!(error.message, format!("there is no {missing} on PATH"));
        assert!(!error.passing && !error.hints.is_empty(), "{error:?}");
        runtime.block_on(provider.release(&record)).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path().join("runners")).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
