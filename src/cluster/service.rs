//! What makes a member a micro service of NATS (ADR-32): it answers who looks for services, and
//! tells what it has done.
//!
//! By hand, not by the client's own services: at a drain these unsubscribe, and lose the requests
//! that are on their way.

use std::time::{Duration, SystemTime};

use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_util::stream::{SelectAll, select_all};
use serde::Serialize;

/// What can be asked of every service.
const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];

#[derive(Debug)]
pub(super) struct Service {
    name: String,
    id: String,
    started: SystemTime,
    /// In the order of [`Endpoint`].
    endpoints: [Endpoint; 2],
}

/// What can be asked of this one.
#[derive(Debug)]
struct Endpoint {
    name: &'static str,
    requests: u64,
    errors: u64,
    time: Duration,
}

/// Which one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Solve,
    Verify,
}

/// What all answers begin with.
#[derive(Serialize)]
struct Identity<'a> {
    r#type: String,
    name: &'a str,
    id: &'a str,
    version: &'static str,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {}

#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    identity: Identity<'a>,
    description: &'static str,
    endpoints: Vec<EndpointInfo<'a>>,
}

#[derive(Serialize)]
struct EndpointInfo<'a> {
    name: &'static str,
    subject: String,
    queue_group: &'a str,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Stats<'a> {
    #[serde(flatten)]
    identity: Identity<'a>,
    started: String,
    endpoints: Vec<EndpointStats<'a>>,
}

#[derive(Serialize)]
struct EndpointStats<'a> {
    name: &'static str,
    subject: String,
    queue_group: &'a str,
    num_requests: u64,
    num_errors: u64,
    last_error: &'static str,
    processing_time: u64,
    average_processing_time: u64,
}

impl Service {
    /// A service of that name, and what others ask of it.
    pub(super) async fn subscribe(
        client: &Client,
        name: &str,
        id: String,
    ) -> Result<(Service, SelectAll<Subscriber>), SubscribeError> {
        let mut subscribers = Vec::new();
        for verb in VERBS {
            for whom in [String::new(), format!(".{name}"), format!(".{name}.{id}")] {
                subscribers.push(client.subscribe(format!("$SRV.{verb}{whom}")).await?);
            }
        }
        let endpoint = |name| Endpoint {
            name,
            requests: 0,
            errors: 0,
            time: Duration::ZERO,
        };
        let service = Service {
            name: name.to_owned(),
            id,
            started: SystemTime::now(),
            endpoints: [endpoint("solve"), endpoint("verify")],
        };
        Ok((service, select_all(subscribers)))
    }

    /// Counts a request that has ended.
    pub(super) fn count(&mut self, call: Call, answered: bool, time: Duration) {
        let endpoint = &mut self.endpoints[call as usize];
        endpoint.requests += 1;
        endpoint.errors += u64::from(!answered);
        endpoint.time += time;
    }

    /// The answer to who asks about services. `None`: it asks for what is none of them.
    pub(super) fn answer(&self, message: &Message) -> Option<Vec<u8>> {
        let verb = message.subject.as_str().split('.').nth(1)?;
        let answer = match verb {
            "PING" => serde_json::to_vec(&self.identity("ping")),
            "INFO" => serde_json::to_vec(&self.info()),
            "STATS" => serde_json::to_vec(&self.stats()),
            _ => return None,
        };
        answer.ok()
    }

    fn identity(&self, kind: &str) -> Identity<'_> {
        Identity {
            r#type: format!("io.nats.micro.v1.{kind}_response"),
            name: &self.name,
            id: &self.id,
            version: env!("CARGO_PKG_VERSION"),
            metadata: Metadata {},
        }
    }

    fn info(&self) -> Info<'_> {
        let endpoints = self.endpoints.iter();
        Info {
            identity: self.identity("info"),
            description: "Proofs of work: seeds that make SHA-256 start with zeros",
            endpoints: endpoints
                .map(|endpoint| EndpointInfo {
                    name: endpoint.name,
                    subject: format!("{}.{}", self.name, endpoint.name),
                    queue_group: &self.name,
                    metadata: Metadata {},
                })
                .collect(),
        }
    }

    fn stats(&self) -> Stats<'_> {
        let endpoints = self.endpoints.iter();
        Stats {
            identity: self.identity("stats"),
            started: humantime::format_rfc3339_millis(self.started).to_string(),
            endpoints: endpoints
                .map(|endpoint| {
                    let time = endpoint.time.as_nanos() as u64;
                    EndpointStats {
                        name: endpoint.name,
                        subject: format!("{}.{}", self.name, endpoint.name),
                        queue_group: &self.name,
                        num_requests: endpoint.requests,
                        num_errors: endpoint.errors,
                        last_error: "",
                        processing_time: time,
                        average_processing_time: time.checked_div(endpoint.requests).unwrap_or(0),
                    }
                })
                .collect(),
        }
    }
}
