//! A reference orchestrator: what `schemas/openapi/orchestrator.json` says, in as few lines as that takes, for trying
//! lamina's runners of the kind `orchestrator` and as a beginning of one's own. Leases are kept in memory.
//!
//! ```text
//! cargo run --example orchestrator -- --listen 127.0.0.1:8080 --buildkit tcp://10.0.0.5:1234 --docker tcp://10.0.0.6:2375
//! cargo run --example orchestrator -- --process
//! cargo run --example orchestrator -- --process --fault lease:lose --fault 'status=503*3'
//! ```
//!
//! The token that is asked for stands in the variable ORCHESTRATOR_TOKEN.

#[allow(dead_code, reason = "tests look into it")]
mod service;

use std::net::SocketAddr;
use std::process::ExitCode;

use lamina::engine::Environment;
use lamina::model::ProviderKind;
use lamina::runner::Endpoint;
use lamina::runner::providers::{self, Host};

use service::{Fault, Runners, Service};

const USAGE: &str =
    "orchestrator [--listen ADDRESS] (--buildkit ADDRESS | --docker ADDRESS)… | --process [--fault FAULT]…

  --listen ADDRESS    where it listens [default: 127.0.0.1:8080]
  --buildkit ADDRESS  an engine that is leased: tcp://HOST:PORT; may be repeated
  --docker ADDRESS    a Docker engine that is leased; may be repeated
  --process           lease an own buildkitd each time, as the provider `process` does
  --fault FAULT       misbehave: [OP:]slow=MS, status=CODE, lose, lie=JSON or die, with *N for N requests";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), String> {
    let mut listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
    let (mut engines, mut faults, mut process) = (Vec::new(), Vec::new(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} takes a value"));
        match arg.as_str() {
            "--listen" => listen = value()?.parse().map_err(|error| format!("--listen: {error}"))?,
            "--buildkit" => engines.push(Endpoint::Buildkit(value()?)),
            "--docker" => engines.push(Endpoint::Docker(value()?)),
            "--process" => process = true,
            "--fault" => faults.push(value()?.parse::<Fault>()?),
            _ => return Err(format!("`{arg}` is not known")),
        }
    }
    let runners = match (process, engines.is_empty()) {
        (false, false) => Runners::Engines(engines),
        (true, true) => {
            let state = std::env::temp_dir().join("lamina-orchestrator");
            let host = Host { env: Environment::of_process(), state, ..Host::default() };
            let kind = ProviderKind::Process { rootless: false };
            let provider = providers::open(&kind, &host).map_err(|error| error.to_string())?;
            Runners::Provider(provider)
        }
        _ => return Err("either engines or --process".to_owned()),
    };
    let token = std::env::var("ORCHESTRATOR_TOKEN").ok().filter(|token| !token.is_empty());
    let service = Service::new(runners, token);
    faults.into_iter().for_each(|fault| service.misbehave(fault));
    let address = service.serve(listen).await.map_err(|error| format!("{listen}: {error}"))?;
    println!("listening at http://{address}");
    std::future::pending::<()>().await;
    Ok(())
}
