//! The doors by HTTP: the API for those who ask, and the admin address for those who watch.
//!
//! Each has threads of its own, which are bound to no CPU; the workers of the
//! [engine](crate::engine) are asked through its [`Handle`](crate::engine::Handle). The API runs on
//! several threads, the admin address on one, so that it answers while the API has more than it can
//! do. It must know nothing of kernels, nor of the command line, but for the flags that its texts
//! name.

mod accept;
mod admin;
mod api;
mod counters;
mod door;
mod gate;
mod held;
mod introduction;
mod listening;
mod options;
mod peer;
mod problem;
mod remainder;
mod socket;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::cpus;
use crate::engine::EngineError;
use crate::jobs::Jobs;
use crate::line;
use crate::sockets::{Listener, SocketFile};

pub use options::{Limits, Options};

/// Why a door by HTTP could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Its threads could not be started.
    #[error(transparent)]
    Start(#[from] EngineError),
}

/// The doors of one service that speak HTTP, and what they are told.
#[derive(Debug)]
pub struct Doors {
    /// Where the API is, if anywhere.
    pub http: Vec<Listener>,
    /// Where the admin address is, if anywhere.
    pub admin: Vec<Listener>,
    /// The cluster that is watched there, if there is one.
    #[cfg(feature = "nats")]
    pub cluster: Option<crate::cluster::Cluster>,
    /// The broker that keeps the jobs, if not the memory of this process.
    #[cfg(feature = "nats")]
    pub broker: Option<crate::cluster::Options>,
    /// What they are told.
    pub options: Options,
}

/// Files of one runtime: a poll, its copy, a waker.
const RUNTIME_FILES: usize = 3;

impl Doors {
    /// The files that they have open at most, beside connections that
    /// [`line::Limits::max_connections`] counts.
    pub fn files(&self) -> usize {
        let of_door = |listeners: &[Listener], connections: usize| match listeners.len() {
            0 => 0,
            listeners => listeners + RUNTIME_FILES + door::REFUSALS + connections,
        };
        of_door(&self.http, self.options.proxies.waiting())
            + of_door(&self.admin, admin::CONNECTIONS)
    }

    /// Opens them on a running service. When it returns, connections are accepted. The admin
    /// address answers until the process ends; its socket files are removed when what is returned
    /// is dropped.
    ///
    /// # Errors
    ///
    /// When the system does not give a thread or a poll.
    pub fn open(self, server: &mut line::Server) -> Result<AdminFiles, HttpError> {
        let Doors {
            http,
            mut admin,
            #[cfg(feature = "nats")]
            cluster,
            #[cfg(feature = "nats")]
            broker,
            options,
        } = self;
        let files = admin.iter_mut().filter_map(Listener::take_file).collect();
        let counters = Arc::<counters::Counters>::default();
        let engine = server.control().engine().clone();
        let in_memory = |tally| Jobs::in_memory(engine.clone(), options.jobs, tally);
        let tally = Arc::clone(&counters);
        #[cfg(feature = "nats")]
        let jobs = match broker.filter(|_| !http.is_empty()) {
            Some(broker) => Jobs::at_broker(server.engine(), &broker, options.jobs, tally)?,
            None => in_memory(tally),
        };
        #[cfg(not(feature = "nats"))]
        let jobs = in_memory(tally);
        let api = api::Api::new(engine, options, counters, jobs);
        if !admin.is_empty() {
            let watched = admin::Watched::new(
                server.control(),
                api.clone(),
                #[cfg(feature = "nats")]
                cluster,
            );
            admin::open(admin, watched)?;
        }
        if !http.is_empty() {
            // Each that wakes up takes a worker's CPU, and wakes the next: half as many as CPUs
            // answer as many easy requests, and leave batches more of the workers.
            let threads = NonZeroUsize::new(cpus::available() / 2).unwrap_or(NonZeroUsize::MIN);
            let runtime = runtime("http", threads)?;
            let admission = Arc::clone(server.admission());
            door::open(server.engine(), http, admission, api, runtime)?;
        }
        Ok(AdminFiles(files))
    }
}

/// The socket files of the admin address.
#[derive(Debug)]
pub struct AdminFiles(#[expect(dead_code, reason = "removes them when dropped")] Vec<SocketFile>);

/// A runtime with so many threads of that name.
fn runtime(name: &str, threads: NonZeroUsize) -> Result<Runtime, EngineError> {
    Builder::new_multi_thread()
        .worker_threads(threads.get())
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(EngineError::Start)
}
