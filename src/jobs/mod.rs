//! Jobs: searches that outlive the requests which began them.
//!
//! A door begins a job, asks how it is, waits for its end, and cancels it. Where jobs are kept it
//! does not see: in memory, or at the broker of a cluster, where every member finds them. This
//! layer owns what a job is and both places. It must not know what a door speaks.

#[cfg(feature = "nats")]
mod durable;
mod memory;

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use powd_core::{Difficulty, Solution};

use crate::engine::{Answer, Handle, Query, SolveError};
#[cfg(feature = "nats")]
use crate::engine::{Engine, EngineError};

#[cfg(feature = "nats")]
use durable::Durable;
use memory::Memory;

/// Bounds on jobs.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Jobs that wait or search at once; as many ended ones are kept.
    pub max: NonZeroUsize,
    /// How long an ended one is kept.
    pub ttl: Duration,
}

/// What makes that asking twice begins one job: a digest of who asks and what it calls the job.
pub(crate) type Key = [u8; 32];

/// A job as it was a moment ago.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) query: Query,
    pub(crate) state: State,
    /// Seeds tried so far, on all cores.
    pub(crate) hashes: u64,
    /// From the request to now, or to the end.
    pub(crate) time: Duration,
}

/// What has become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its search has not begun.
    Waiting,
    /// Its search is under way.
    Searching,
    /// A seed was found.
    Found(Solution),
    /// A client has ended it.
    Cancelled,
    /// It has ended without a seed.
    Failed(SolveError),
}

/// Why there is nothing to tell of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JobError {
    /// It never was, or was forgotten.
    #[error("there is no such job, or no longer")]
    NotFound,
    /// Its key has another job.
    #[error("this key was used for another job")]
    KeyUsed,
    /// There are as many as may be: ask again later.
    #[error("too many jobs: try again later")]
    Full,
    /// The broker keeps documents of so many bytes. The one that tells its end would be longer.
    #[cfg(feature = "nats")]
    #[error("the broker keeps documents of {0} bytes: raise its max_payload")]
    TooLong(usize),
    /// The broker does not answer, or keeps nothing.
    #[cfg(feature = "nats")]
    #[error("{0}")]
    Broker(durable::BrokerError),
    /// It is kept wrongly, or cannot be named.
    #[error("{0}")]
    Failed(String),
}

/// Who counts the searches of jobs.
pub(crate) trait Tally: Debug + Send + Sync {
    /// One begins.
    fn begins(&self);
    /// One ends.
    fn ends(&self, difficulty: Difficulty, outcome: &Result<Answer, SolveError>);
    /// One is given up: its job has ended otherwise.
    fn gives_up(&self);
}

/// The jobs of a service.
#[derive(Debug)]
pub(crate) enum Jobs {
    /// In the memory of this process: they end with it.
    Memory(Arc<Memory>),
    /// At the broker, for all members of the cluster.
    #[cfg(feature = "nats")]
    Durable(Box<Durable>),
}

impl Jobs {
    /// Jobs in memory. They are searched for on the runtime of who creates them.
    pub(crate) fn in_memory(engine: Handle, bounds: Bounds, tally: Arc<dyn Tally>) -> Jobs {
        Jobs::Memory(Memory::new(engine, bounds, tally))
    }

    /// Jobs at the broker, and a thread that searches for them, one at a time.
    #[cfg(feature = "nats")]
    pub(crate) fn at_broker(
        engine: &mut Engine,
        broker: &crate::cluster::Options,
        bounds: Bounds,
        tally: Arc<dyn Tally>,
    ) -> Result<Jobs, EngineError> {
        let jobs = Durable::open(engine, broker, bounds, tally)?;
        Ok(Jobs::Durable(Box::new(jobs)))
    }

    /// Begins a job, or finds the one that was begun with the same key.
    pub(crate) async fn create(&self, query: Query, key: Option<Key>) -> Result<Report, JobError> {
        match self {
            Jobs::Memory(jobs) => jobs.create(query, key),
            #[cfg(feature = "nats")]
            Jobs::Durable(jobs) => jobs.create(query, key).await,
        }
    }

    /// How it is.
    pub(crate) async fn read(&self, id: &str) -> Result<Report, JobError> {
        match self {
            Jobs::Memory(jobs) => jobs.read(id),
            #[cfg(feature = "nats")]
            Jobs::Durable(jobs) => jobs.read(id).await,
        }
    }

    /// How it is when it has ended, or after so long.
    pub(crate) async fn wait(&self, id: &str, most: Duration) -> Result<Report, JobError> {
        match self {
            Jobs::Memory(jobs) => jobs.wait(id, most).await,
            #[cfg(feature = "nats")]
            Jobs::Durable(jobs) => jobs.wait(id, most).await,
        }
    }

    /// Ends it, unless it has ended: its search stops on every core.
    pub(crate) async fn cancel(&self, id: &str) -> Result<(), JobError> {
        match self {
            Jobs::Memory(jobs) => jobs.cancel(id),
            #[cfg(feature = "nats")]
            Jobs::Durable(jobs) => jobs.cancel(id).await,
        }
    }

    /// Takes in that a drain has begun: what would be lost with the process ends.
    pub(crate) fn begin_drain(&self) {
        match self {
            Jobs::Memory(jobs) => jobs.begin_drain(),
            // Its thread has a door of its own, which hears of it.
            #[cfg(feature = "nats")]
            Jobs::Durable(_) => {}
        }
    }
}

/// 128 bits that nobody guesses, as hex digits.
fn secret() -> Result<String, JobError> {
    let mut bytes = [0; 16];
    let made = getrandom::fill(&mut bytes);
    made.map_err(|error| JobError::Failed(format!("no entropy: {error}")))?;
    Ok(hex::encode(bytes))
}
