//! Jobs at the broker of a cluster: every member finds them, and whoever dies loses none.
//!
//! Nothing of a job is in the memory of a member, so there is nothing to keep in step. A job is
//! begun by one write, and has ended by another one; each is refused by the broker where it was
//! done before. So whatever dies between two steps, at most one job is begun for a key, and it
//! ends once:
//!
//! | step | who dies behind it |
//! | --- | --- |
//! | the ask is written | nobody was told its id: the client asks again, by its key for the same job |
//! | a member takes it | it does not extend its time: another member gets it |
//! | the end is written | another member gets it, sees that it has ended, and takes it from the queue |
//! | it is taken from the queue | it is over |
//!
//! `document` is what is kept, as bytes; `broker` keeps it, in `streams`; `taker` searches. The
//! connection is one of its own: it has to hear what this member says itself, and a flood of jobs
//! must not delay what members tell each other of their searches.

mod broker;
mod document;
mod error;
mod streams;
mod taker;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use broker::{Broker, Effort, Open};
use document::{Asked, End, Ended, Id, Name};
use taker::Taker;

use super::{Bounds, JobError, Key, Report, State, Tally};
use crate::cluster;
use crate::engine::{Engine, EngineError, Handle, Query};

pub(crate) use error::BrokerError;

/// How often who waits looks whether it has missed the end.
const LOOK: Duration = Duration::from_secs(2);

/// How many times a job may change while it is looked up by its key.
const LOOKS: usize = 3;

/// What a drain may take longer than the engine's.
const FAREWELL: Duration = Duration::from_secs(1);

/// The jobs of a cluster.
#[derive(Debug)]
pub(crate) struct Durable {
    broker: Broker,
    is_draining: watch::Receiver<bool>,
}

impl Durable {
    /// Connects to the broker, which may come later, and begins to take jobs from it.
    pub(super) fn open(
        engine: &mut Engine,
        options: &cluster::Options,
        bounds: Bounds,
        tally: Arc<dyn Tally>,
    ) -> Result<Durable, EngineError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(EngineError::Start)?;
        let broker = runtime.block_on(async {
            let (client, _) = cluster::connection::connect(options, |plain| plain).await?;
            let broker = Broker::new(client, options.name.as_str()).await;
            broker.map_err(|error| io::Error::other(error.to_string()))
        });
        let broker = broker.map_err(EngineError::Start)?;
        let (drain, is_draining) = watch::channel(false);
        let pass = engine.open_door({
            let drain = drain.clone();
            move || {
                drain.send_replace(true);
            }
        });
        if pass.is_draining() {
            drain.send_replace(true);
        }
        let handle = engine.handle();
        let taker = Taker::new(broker.clone(), handle.clone(), bounds, tally);
        let begun = is_draining.clone();
        engine.spawn("jobs".to_owned(), move || {
            runtime.block_on(async {
                taker.run(begun).await;
                drop(pass);
                // Requests that are under way need the connection.
                until_drained(&handle).await;
            });
            Ok(())
        })?;
        Ok(Durable {
            broker,
            is_draining,
        })
    }

    pub(super) async fn create(&self, query: Query, key: Option<Key>) -> Result<Report, JobError> {
        let asked = Asked::new(query)?;
        let Some(key) = key else {
            let name = Name::drawn()?;
            return match self.broker.put_open(&name, &asked).await? {
                true => Ok(begun(&name, asked)),
                false => Err(JobError::Failed("two jobs with one name".to_owned())),
            };
        };
        let name = Name::of_key(&key);
        for _ in 0..LOOKS {
            if let Some(ended) = self.broker.ended(&name).await? {
                return same(&asked, &ended.asked).map(|()| of_ended(&name, ended));
            }
            if self.broker.put_open(&name, &asked).await? {
                // Unless it has ended since that was looked up: it left the queue, after its end
                // was written. Who takes what was queued now sees that, and drops it.
                return match self.broker.ended(&name).await? {
                    Some(ended) => same(&asked, &ended.asked).map(|()| of_ended(&name, ended)),
                    None => Ok(begun(&name, asked)),
                };
            }
            if let Some(open) = self.broker.open(&name).await? {
                same(&asked, &open.asked)?;
                return self.of_open(&name, open).await;
            }
            // It has ended meanwhile.
        }
        Err(BrokerError::Late.into())
    }

    pub(super) async fn read(&self, id: &str) -> Result<Report, JobError> {
        let Id { name, secret } = id.parse().map_err(|()| JobError::NotFound)?;
        // In this order: it leaves the queue after its end was written.
        let open = self.broker.open(&name).await?;
        let ended = self.broker.ended(&name).await?;
        if let Some(ended) = ended.filter(|ended| ended.asked.secret == secret) {
            return Ok(of_ended(&name, ended));
        }
        match open.filter(|open| open.asked.secret == secret) {
            Some(open) => self.of_open(&name, open).await,
            None => Err(JobError::NotFound),
        }
    }

    pub(super) async fn wait(&self, id: &str, most: Duration) -> Result<Report, JobError> {
        let Id { name, .. } = id.parse().map_err(|()| JobError::NotFound)?;
        let until = Instant::now() + most;
        let mut is_draining = self.is_draining.clone();
        // Before the first look, so that no end comes between.
        let mut over = self.broker.hear_over(&name).await?;
        loop {
            let report = tokio::select! {
                report = self.read(id) => report?,
                // It has ended while it was looked at.
                Some(_) = over.next() => continue,
            };
            let is_open = matches!(report.state, State::Waiting | State::Searching);
            if !is_open || Instant::now() >= until || *is_draining.borrow() {
                return Ok(report);
            }
            tokio::select! {
                Some(_) = over.next() => {}
                // It goes on elsewhere: who waits here is told so far.
                _ = is_draining.wait_for(|is_draining| *is_draining) => {}
                () = sleep_until(until.min(Instant::now() + LOOK)) => {}
            }
        }
    }

    pub(super) async fn cancel(&self, id: &str) -> Result<(), JobError> {
        let Id { name, secret } = id.parse().map_err(|()| JobError::NotFound)?;
        let open = self.broker.open(&name).await?;
        let ended = self.broker.ended(&name).await?;
        if ended.is_some_and(|ended| ended.asked.secret == secret) {
            return Ok(());
        }
        let open = open.filter(|open| open.asked.secret == secret);
        let open = open.ok_or(JobError::NotFound)?;
        let ended = Ended {
            hashes: self.broker.effort(&name).await.hashes(),
            time: since(open.at),
            end: End::Cancelled,
            asked: open.asked,
        };
        // Where it has just ended otherwise, that counts.
        self.broker.put_ended(&name, &ended).await?;
        self.broker.tell_over(&name).await;
        // It may have stood in the queue for longer than its end is kept.
        self.broker.take_out(open.sequence).await;
        Ok(())
    }

    async fn of_open(&self, name: &Name, open: Open) -> Result<Report, JobError> {
        let effort = self.broker.effort(name).await;
        if effort == Effort::Unknown
            && let Some(ended) = self.broker.ended(name).await?
        {
            return Ok(of_ended(name, ended));
        }
        Ok(Report {
            state: match effort {
                Effort::None => State::Waiting,
                Effort::Hashes(_) | Effort::Unknown => State::Searching,
            },
            hashes: effort.hashes(),
            time: since(open.at),
            ..begun(name, open.asked)
        })
    }
}

/// A job that was queued just now.
fn begun(name: &Name, asked: Asked) -> Report {
    let id = Id {
        name: name.clone(),
        secret: asked.secret,
    };
    Report {
        id: id.to_string(),
        query: asked.query,
        state: State::Waiting,
        hashes: 0,
        time: Duration::ZERO,
    }
}

fn of_ended(name: &Name, ended: Ended) -> Report {
    Report {
        state: ended.end.into(),
        hashes: ended.hashes,
        time: ended.time,
        ..begun(name, ended.asked)
    }
}

/// One key is for one job.
fn same(asked: &Asked, kept: &Asked) -> Result<(), JobError> {
    let is_same = asked.query == kept.query;
    is_same.then_some(()).ok_or(JobError::KeyUsed)
}

/// By the clock of this machine; the broker's may be another one.
fn since(at: SystemTime) -> Duration {
    at.elapsed().unwrap_or_default()
}

async fn until_drained(engine: &Handle) {
    let until = Instant::now() + engine.options().drain_timeout + FAREWELL;
    while !engine.has_drained() && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
    }
}
