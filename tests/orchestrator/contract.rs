//! What lamina and the reference orchestrator say to each other is what the contract says.

use std::fs;
use std::path::Path;

use lamina::runner::Provider;
use lamina::runner::providers::orchestrator::Metrics;
use serde_json::{Value, json};

use crate::service::Exchange;
use crate::{Lab, record};

fn contract() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi/orchestrator.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The operation with this name.
fn operation<'c>(contract: &'c Value, op: &str) -> &'c Value {
    let paths = contract["paths"].as_object().unwrap();
    let all = paths.values().flat_map(|path| path.as_object().unwrap().values());
    all.into_iter().find(|operation| operation["operationId"] == op).unwrap()
}

/// A reference, followed.
fn followed<'c>(contract: &'c Value, value: &'c Value) -> &'c Value {
    match value["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// A schema of the contract, which may refer to others of it.
fn check(contract: &Value, schema: &Value, value: &Value, what: &str) {
    let mut whole =
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "components": contract["components"] });
    whole.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what}: {errors:?} in {value}");
}

fn keeps_to_it(contract: &Value, Exchange { op, question, key, status, answer, .. }: &Exchange) {
    let operation = operation(contract, op);
    match operation["requestBody"]["content"]["application/json"]["schema"] {
        Value::Null => assert!(question.is_null(), "{op} has no body: {question}"),
        ref schema => {
            check(contract, schema, question, &format!("the question of {op}"));
            check(contract, &json!({ "$ref": "#/components/schemas/Key" }), &json!(key), "the key");
        }
    }
    // What nobody got says nothing.
    let Some(status) = status else { return };
    let response = &operation["responses"][status.to_string()];
    assert!(!response.is_null(), "{op} never answers {status}");
    match &followed(contract, response)["content"]["application/json"]["schema"] {
        Value::Null => assert!(answer.is_null() || answer["error"].is_string(), "{op}: {answer}"),
        schema => check(contract, schema, answer, &format!("the answer {status} of {op}")),
    }
}

#[test]
fn all_that_is_said_keeps_to_the_contract() {
    let lab = Lab::new(1);
    let client = lab.client();
    let mut good = record();
    lab.misbehave("lease:status=503").misbehave("lease:lose");
    lab.acquire(&client, &mut good).unwrap();
    lab.acquire(&client, &mut record()).unwrap_err();
    let other = lamina::runner::Record { tier: None, ..good.clone() };
    lab.acquire(&client, &mut other.clone()).unwrap_err();
    lab.runtime.block_on(client.evidence(&good, good.asked_at)).unwrap();
    lab.misbehave("release:status=500");
    lab.release(&client, &good).unwrap();
    lab.runtime.block_on(client.evidence(&good, good.asked_at)).unwrap();
    lab.release(&client, &good).unwrap();
    lab.acquire(&client, &mut good).unwrap_err();
    let metrics = Metrics {
        lease: good.lease.to_string(),
        run: good.run.to_string(),
        workspace: "mini".to_owned(),
        layer: "app".to_owned(),
        succeeded: true,
        duration_ms: 9,
        peak_memory_mb: Some(4096),
        cpu_ms: None,
    };
    let layer = "app".parse().unwrap();
    lab.runtime.block_on(client.usual(&layer)).unwrap();
    lab.runtime.block_on(client.tell(&metrics)).unwrap();
    lab.runtime.block_on(client.usual(&layer)).unwrap();
    let stranger = crate::Orchestrator::new(&lab.url, None, &crate::Host::default());
    lab.acquire(&stranger, &mut record()).unwrap_err();
    let contract = contract();
    let exchanges = lab.service.exchanges();
    exchanges.iter().for_each(|exchange| keeps_to_it(&contract, exchange));
    let statuses = |op: &str| {
        let of = exchanges.iter().filter(|exchange| exchange.op == op).filter_map(|exchange| exchange.status);
        of.collect::<std::collections::BTreeSet<u16>>()
    };
    assert_eq!(statuses("lease"), [200, 401, 409, 410, 429, 503].into());
    assert_eq!(statuses("release"), [204, 404, 500].into());
    assert_eq!(statuses("evidence"), [404, 501].into());
    assert_eq!(statuses("p95"), [200, 404].into());
    assert_eq!(statuses("metrics"), [204].into());
}

#[test]
fn the_contract_refuses_what_is_not_one() {
    let contract = contract();
    let lease = &json!({ "$ref": "#/components/schemas/Lease" });
    let mut whole =
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "components": contract["components"] });
    whole.as_object_mut().unwrap().extend(lease.as_object().unwrap().clone());
    let validator = jsonschema::validator_for(&whole).unwrap();
    for (value, is_valid) in [
        (json!({ "lease_id": "vm-1", "state": "ready", "endpoint": { "buildkit": "tcp://a:1" } }), true),
        (json!({ "lease_id": "vm-1", "state": "pending" }), true),
        (json!({ "lease_id": "vm-1", "state": "ready" }), false),
        (json!({ "lease_id": "", "state": "pending" }), false),
        (json!({ "lease_id": "vm-1", "state": "ready", "endpoint": { "builder": "mine" } }), false),
        (json!({ "lease_id": "vm-1", "state": "ready", "endpoint": { "buildkit": "ssh://a" } }), false),
    ] {
        assert_eq!(validator.is_valid(&value), is_valid, "{value}");
    }
}
