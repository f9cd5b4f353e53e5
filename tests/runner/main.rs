//! Providers of runners: what all of them hold to, each against the real thing.
//!
//! Each needs software of its own, and is skipped where that is missing, which it says: `process` buildkitd, buildctl
//! and root; `container` Docker and LAMINA_TEST_BUILDKIT_IMAGE, an image with BuildKit; `ssh` sshd and Docker; `command` jq and
//! Docker; `orchestrator` Docker; `kubernetes` kubectl, Docker, LAMINA_TEST_KUBECONFIG, that image as nodes pull it, and
//! LAMINA_TEST_POD_REGISTRY, the registry as pods reach it. All build on `library/busybox:stable` of LAMINA_LAB_REGISTRY
//! (HOST:PORT, without TLS).

mod cgroups;
mod contract;
mod kubernetes;
mod lab;
mod leftovers;
mod pool;
#[path = "../../examples/orchestrator/service.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod service;
#[path = "../build/shop.rs"]
#[allow(dead_code)]
mod shop;
mod ssh;
mod sshd;
mod story;
