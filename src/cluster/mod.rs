//! Machines that search together, joined by a NATS broker.
//!
//! One machine's idle workers help with each other's searches; a cluster's do, too. A member
//! announces its hard searches; members with idle cores ask for a number, and try the seeds that
//! end with it. To a worker the cluster is one more helper on its board, and the search of another
//! member one more offer there. It is a door as well: `powd.solve` and `powd.verify`.
//!
//! `wire` is what members tell each other as bytes; `node` is what a member makes of it, without
//! sockets and clock, so that a simulation can drive a hundred of them; `member` is the thread
//! between node, workers and broker. It must know nothing of kernels, of the other doors, nor of
//! the command line, but for the flags that its texts name.

mod asker;
pub(crate) mod connection;
mod counters;
pub(crate) mod digits;
mod helper;
mod intake;
mod link;
mod member;
mod node;
mod options;
mod owner;
mod peers;
mod requests;
mod service;
#[cfg(test)]
mod simulation;
mod trust;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use async_nats::ConnectOptions;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::engine::{Durations, Engine, EngineError};

use connection::connect;
use counters::Counters;
use link::link;
use member::{FromWorkers, Member, Streams};
use node::{Me, Node};
use wire::MemberId;

pub use asker::{AskError, Asker, News};
pub use counters::Status;
pub use options::{Credentials, CredentialsError, Name, NameError, Options, Server, ServerError};
pub use peers::Peer;

/// A member of a cluster, for who watches it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: Arc<str>,
    id: MemberId,
    label: Arc<str>,
    workers: u32,
    counters: Arc<Counters>,
}

impl Cluster {
    /// Joins a running engine to the cluster, on a thread that the engine waits for. A broker that
    /// is not there is waited for meanwhile.
    ///
    /// # Errors
    ///
    /// When the system does not give a thread, or a random number.
    pub fn join(engine: &mut Engine, options: Options) -> Result<Cluster, EngineError> {
        let start = |error| EngineError::Start(error);
        let id = getrandom::u64().map_err(|error| start(io::Error::other(error)))?;
        let handle = engine.handle();
        let workers = handle.options().workers.get();
        let cluster = Cluster {
            name: options.name.as_str().into(),
            id: MemberId(id),
            label: label().into(),
            workers: workers.try_into().unwrap_or(u32::MAX),
            counters: Arc::default(),
        };
        let (link, appeals, news) = link();
        let guests = handle.join(Arc::new(link));
        let guests = guests.ok_or_else(|| start(io::Error::other("the engine has joined")))?;
        let workers = FromWorkers {
            appeals,
            news,
            guests,
        };
        let node = Node::new(Me {
            id: cluster.id,
            workers: cluster.workers,
            label: cluster.label.to_string(),
        });
        let drain = Arc::new(Notify::new());
        let begin = Arc::clone(&drain);
        let pass = engine.open_door(move || begin.notify_one());
        if pass.is_draining() {
            drain.notify_one();
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(start)?;
        let counters = Arc::clone(&cluster.counters);
        let me = cluster.id;
        engine.spawn("nats".to_owned(), move || {
            runtime.block_on(async {
                let (client, events) = connect(&options, ConnectOptions::no_echo).await?;
                let name = options.name.as_str();
                let subscribed = Streams::subscribe(&client, name, me, events).await;
                let (streams, service) = subscribed.map_err(io::Error::other)?;
                let member = Member::new(handle, client, options, counters, service, node, workers);
                member.run(streams, drain, pass).await;
                Ok(())
            })
        })?;
        Ok(cluster)
    }

    /// How it looks from here.
    pub fn status(&self) -> Status {
        let is_connected = self.counters.is_connected.load(Relaxed);
        let me = Peer {
            id: self.id.to_string(),
            label: self.label.to_string(),
            workers: self.workers,
            hash_rate: 0,
        };
        Status::new(
            self.name.to_string(),
            me,
            is_connected,
            self.counters.seen(),
        )
    }

    /// Requests that came by `powd.solve`, and how many of them were answered.
    pub fn requests(&self) -> (u64, u64) {
        let Counters {
            requests, replies, ..
        } = &*self.counters;
        (requests.load(Relaxed), replies.load(Relaxed))
    }

    /// How many times the broker was there anew.
    pub fn connections_opened(&self) -> u64 {
        self.counters.connections.load(Relaxed)
    }

    /// Errors answered, by code.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counters.errors()
    }

    /// How long the requests took that were answered.
    pub fn durations(&self) -> &Durations {
        &self.counters.durations
    }
}

/// What people call this machine, as far as a label can say it.
fn label() -> String {
    let names = rustix::system::uname();
    let name = names.nodename().to_string_lossy();
    let fits = |character: &char| character.is_ascii_graphic();
    let name: String = name.chars().filter(fits).take(64).collect();
    match wire::is_label(&name) {
        true => name,
        false => "powd".to_owned(),
    }
}
