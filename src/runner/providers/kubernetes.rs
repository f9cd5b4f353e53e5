//! Ephemeral BuildKit pods, by buildx' driver kubernetes: requests and limits are the size, and a lease is a deployment
//! that is named as the lease.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::builder::{self, Driver, MADE};
use super::tool::Tool;
use super::{Host, folder};
use crate::engine::INSTALL_DOCKER;
use crate::model::Size;
use crate::runner::{About, Endpoint, Evidence, LeaseId, NoteHandle, Provider, ProviderError, Record};

/// How kubectl comes to a machine.
const KUBECTL: &str = "install kubectl (https://kubernetes.io/docs/tasks/tools/)";

/// After a request that was given up, the cluster may still make what was asked for.
const LATE: Duration = Duration::from_secs(1);

/// When the pods of a build are looked at first: most of what is no build is over by then.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// And how often after that.
const LOOK: Duration = Duration::from_secs(10);

/// Where pods are leased, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The context of the kubeconfig; the current one where it is absent.
    pub context: Option<String>,
    /// The namespace; the context's where it is absent.
    pub namespace: Option<String>,
    /// How many pods a lease has; one where it is absent.
    pub replicas: Option<u32>,
    /// What the nodes have to be labelled with.
    pub node_selector: BTreeMap<String, String>,
    /// The image of BuildKit; buildx' own where it is absent.
    pub image: Option<String>,
}

impl Settings {
    /// The options of buildx' driver for a size, in order.
    pub fn options(&self, size: Size) -> Vec<(String, String)> {
        let (cpu, memory) = (size.cpu.to_string(), format!("{}Mi", size.memory_mb));
        let replicas = self.replicas.map(|replicas| replicas.to_string());
        let labels: Vec<String> = self.node_selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let options = [
            ("namespace", self.namespace.clone()),
            ("replicas", replicas),
            ("requests.cpu", Some(cpu.clone())),
            ("requests.memory", Some(memory.clone())),
            ("limits.cpu", Some(cpu)),
            ("limits.memory", Some(memory)),
            ("nodeselector", Some(labels.join(",")).filter(|labels| !labels.is_empty())),
            ("image", self.image.clone()),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// The arguments of `docker` that make a lease's builder and start it, with the file of buildkitd's configuration.
    pub fn create(&self, lease: &LeaseId, size: Size, configuration: &str) -> Vec<String> {
        builder::create(lease, "kubernetes", &self.options(size), configuration)
    }

    /// The arguments of `kubectl` for a question, in the right context and namespace.
    pub fn kubectl(&self, question: &[&str]) -> Vec<String> {
        let of = |option: &str, value: &Option<String>| value.iter().map(|value| format!("{option}={value}")).collect();
        let mut args: Vec<String> = of("--context", &self.context);
        args.extend::<Vec<String>>(of("--namespace", &self.namespace));
        args.extend(question.iter().map(|word| (*word).to_owned()));
        args
    }
}

/// What a list holds; nothing where there is none.
fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Of what `kubectl get pods --output json` answers: the containers that have ended, also before a restart. The pod, the
/// container, and the reason where there is one.
fn ended(pods: &Value) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    list(pods.get("items")).flat_map(move |pod| {
        let name = pod.pointer("/metadata/name").and_then(Value::as_str);
        list(pod.pointer("/status/containerStatuses")).flat_map(move |container| {
            ["state", "lastState"].into_iter().filter_map(move |field| {
                let ended = container.get(field)?.get("terminated")?;
                Some((name?, container.get("name")?.as_str()?, ended.get("reason").and_then(Value::as_str)))
            })
        })
    })
}

/// Of what `kubectl get pods --output json` answers: that a container was killed because memory ran out.
pub fn out_of_memory(pods: &Value) -> Option<String> {
    let (pod, container, _) = ended(pods).find(|(.., reason)| *reason == Some("OOMKilled"))?;
    Some(format!("Kubernetes says OOMKilled of the container {container} of pod {pod}"))
}

/// What is known of the pods of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Those that were there at first: names that are given once.
    first: BTreeSet<String>,
}

impl Pods {
    /// Of what `kubectl get pods --output json` answers, now and again: that a pod is gone, or a container of it has ended.
    /// What came in its place knows nothing of the build.
    pub fn lost(&mut self, pods: &Value) -> Option<String> {
        let items = pods.get("items")?.as_array()?;
        let name = |pod: &Value| Some(pod.pointer("/metadata/name")?.as_str()?.to_owned());
        let is_leaving = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_some();
        let ended = ended(pods).next().map(|(pod, container, reason)| {
            format!("the container {container} of pod {pod} has ended: {}", reason.unwrap_or("nobody says why"))
        });
        let there: BTreeSet<String> = items.iter().filter(|pod| !is_leaving(pod)).filter_map(name).collect();
        if self.first.is_empty() {
            self.first.clone_from(&there);
        }
        let gone = || self.first.iter().find(|name| !there.contains(*name));
        let none = || there.is_empty().then(|| "the lease has no pod any more".to_owned());
        ended.or_else(|| Some(format!("the pod {} is gone", gone()?))).or_else(none)
    }
}

/// Leases BuildKit pods.
#[derive(Debug)]
pub struct Kubernetes {
    about: About,
    host: Host,
    settings: Settings,
}

impl Kubernetes {
    /// A provider by a kubeconfig.
    pub fn new(host: Host, settings: Settings) -> Self {
        let detail = "docker buildx, driver kubernetes".to_owned();
        Self { about: About { leases: true, sized: true, detail, ..About::default() }, host, settings }
    }

    fn kubectl(&self) -> Result<Tool<'_>, ProviderError> {
        Tool::find(&self.host, "kubectl", KUBECTL)
    }

    /// buildx takes a kubeconfig and no context: a kubeconfig that has only the one, in the lease's folder.
    async fn kubeconfig(&self, record: &Record) -> Result<Option<PathBuf>, ProviderError> {
        let Some(context) = &self.settings.context else { return Ok(None) };
        let question = ["config", "view", "--raw", "--flatten", "--minify"];
        let said = self.kubectl()?.ask(self.settings.kubectl(&question)).await?;
        if !said.is_good {
            let complaint = said.complaint();
            let error = ProviderError::lasting(format!("the context {context} can't be read: {complaint}"));
            return Err(error.hint("`kubectl config get-contexts` lists those that there are"));
        }
        let file = folder::make(&self.host, &record.lease)?.join("kubeconfig");
        private(&file, &said.out)
            .map_err(|error| ProviderError::lasting(format!("{} can't be written: {error}", file.display())))?;
        Ok(Some(file))
    }

    async fn lease(
        &self,
        record: &Record,
        note: &NoteHandle<'_>,
        cancel: &CancellationToken,
    ) -> Result<Endpoint, ProviderError> {
        self.kubectl()?;
        Tool::find(&self.host, "docker", INSTALL_DOCKER)?;
        let kubeconfig = self.kubeconfig(record).await?;
        let kubeconfig = kubeconfig.map(|file| ("KUBECONFIG", file.to_string_lossy().into_owned()));
        let options = self.settings.options(record.size);
        let driver = Driver { name: "kubernetes", options: &options, environment: kubeconfig.as_slice() };
        builder::make(&self.host, record, driver, note, cancel).await?;
        Ok(Endpoint::Builder(record.lease.to_string()))
    }

    /// The pods of a lease, as kubectl says them.
    async fn pods(&self, record: &Record) -> Result<Value, ProviderError> {
        // Pods have the deployment's name as their label.
        let label = format!("--selector=app={}0", record.lease);
        let question = self.settings.kubectl(&["get", "pods", &label, "--output=json"]);
        let said = self.kubectl()?.ask(question).await?;
        if !said.is_good {
            return Err(ProviderError::passing(format!("kubectl get pods: {}", said.complaint())));
        }
        serde_json::from_str(&said.out).map_err(|error| ProviderError::passing(format!("kubectl get pods: {error}")))
    }

    async fn observe(&self, record: &Record) -> Result<Evidence, ProviderError> {
        Ok(Evidence { oom: out_of_memory(&self.pods(record).await?), alone: true, usage: None })
    }

    /// buildx waits for ever for a pod that is gone, so the cluster is asked now and again.
    async fn watch(&self, record: &Record) -> String {
        let mut pods = Pods::default();
        let mut wait = FIRST_LOOK;
        loop {
            tokio::time::sleep(wait).await;
            // That the cluster does not answer for once says nothing of its pods.
            if let Ok(Some(why)) = self.pods(record).await.map(|said| pods.lost(&said)) {
                return why;
            }
            wait = LOOK;
        }
    }

    async fn free(&self, record: &Record) -> Result<(), ProviderError> {
        if let Some(handle) = &record.handle {
            builder::forget(&Tool::find(&self.host, "docker", INSTALL_DOCKER)?, &record.lease).await?;
            self.delete(&record.lease).await?;
            if handle != MADE {
                tokio::time::sleep(LATE).await;
                self.delete(&record.lease).await?;
            }
        }
        folder::clear(&self.host, &record.lease).await
    }

    /// buildx forgets a builder also where it does not reach the cluster, so the cluster itself is asked.
    async fn delete(&self, lease: &LeaseId) -> Result<(), ProviderError> {
        let (deployment, configuration) = (format!("deployment/{lease}0"), format!("configmap/{lease}0-config"));
        let question = ["delete", &deployment, &configuration, "--ignore-not-found", "--wait=false"];
        let said = self.kubectl()?.ask(self.settings.kubectl(&question)).await?;
        match said.is_good {
            true => Ok(()),
            false => Err(ProviderError::passing(format!("kubectl delete {deployment}: {}", said.complaint()))),
        }
    }
}

/// Writes a file that only this user can read: there is a login in it.
fn private(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

impl Provider for Kubernetes {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        self.lease(record, note, cancel).boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, _since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        self.observe(record).boxed()
    }

    fn lost<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, String> {
        self.watch(record).boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.free(record).boxed()
    }
}
