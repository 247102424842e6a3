//! Takes jobs from the queue, one at a time, and searches for them through the engine.
//!
//! A drain drops whatever is being done at that moment, and gives the job back: the same as a
//! crash, but that the broker need not find out.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::Subscriber;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::broker::Broker;
use super::document::{Asked, End, Ended, Name, encode_effort, is_of_another_version};
use super::error::BrokerError;
use super::since;
use crate::engine::{Answer, Handle, SolveError};
use crate::jobs::{Bounds, JobError, Tally};

/// How long the broker lets a member wait for a job before it asks again.
const PULL: Duration = Duration::from_secs(30);

/// How often a member that waits looks whether the broker is there.
const LOOK: Duration = Duration::from_millis(250);

/// How often the time of a job is extended: some times while the broker waits for that.
const EXTEND: Duration = Duration::from_secs(1);

/// How long to wait before what the broker did not do is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A job that was begun more often than this has killed too many members. Each drain of its member
/// counts, too.
const BEGINNINGS: i64 = 64;

/// How long a job of another version is left to members that can read it. Each time counts as a
/// beginning: there is an hour for an upgrade.
const LEAVE: Duration = Duration::from_secs(60);

pub(super) struct Taker {
    searcher: Searcher,
    bounds: Bounds,
    /// The job that is searched for.
    hand: Option<Message>,
    /// What was said last of what is wrong.
    told: Option<BrokerError>,
}

/// Brings one job to its end.
struct Searcher {
    broker: Broker,
    engine: Handle,
    tally: Arc<dyn Tally>,
}

/// A job that a member has taken.
struct Taken<'a> {
    message: &'a Message,
    name: Name,
    asked: Asked,
    /// When it was asked for.
    at: SystemTime,
}

impl Taker {
    pub(super) fn new(
        broker: Broker,
        engine: Handle,
        bounds: Bounds,
        tally: Arc<dyn Tally>,
    ) -> Taker {
        Taker {
            searcher: Searcher {
                broker,
                engine,
                tally,
            },
            bounds,
            hand: None,
            told: None,
        }
    }

    /// Takes jobs until a drain begins.
    pub(super) async fn run(mut self, mut is_draining: watch::Receiver<bool>) {
        tokio::select! {
            _ = is_draining.wait_for(|is_draining| *is_draining) => {}
            never = self.take_all() => match never {},
        }
        if let Some(message) = self.hand.take() {
            let _ = message.ack_with(AckKind::Nak(None)).await;
        }
        self.searcher.broker.flush().await;
    }

    async fn take_all(&mut self) -> Infallible {
        loop {
            let connection = self.searcher.broker.connection();
            if connection.is_none() {
                sleep(LOOK).await;
                continue;
            }
            let Err(error) = self.take_while(connection).await;
            // What was taken comes again.
            self.hand = None;
            sleep(PAUSE).await;
            // What a broker says at its end is over with it.
            if self.searcher.broker.connection() == connection {
                self.tell(error);
            }
        }
    }

    /// Takes jobs over this connection, until something is wrong with the broker.
    async fn take_while(&mut self, connection: Option<u64>) -> Result<Infallible, JobError> {
        let queue = self.searcher.broker.prepare(self.bounds).await?;
        if self.told.take().is_some() {
            tracing::info!("jobs are kept at the broker");
        }
        loop {
            if let Some(message) = self.next(&queue, connection).await? {
                let message = self.hand.insert(message);
                self.searcher.finish(message).await?;
                self.hand = None;
            }
        }
    }

    /// The next job, if one comes soon.
    async fn next(
        &self,
        queue: &PullConsumer,
        connection: Option<u64>,
    ) -> Result<Option<Message>, JobError> {
        let refused = |error: &dyn ToString| BrokerError::Refused(error.to_string());
        let batch = queue.batch().max_messages(1).expires(PULL).messages();
        let mut batch = batch.await.map_err(|error| refused(&error))?;
        loop {
            tokio::select! {
                message = batch.try_next() => return message.map_err(|error| refused(&error).into()),
                // It has forgotten who waits when it comes back, however soon that is.
                () = sleep(LOOK) => if self.searcher.broker.connection() != connection {
                    return Err(BrokerError::Away.into());
                }
            }
        }
    }

    /// Says what is wrong, once.
    fn tell(&mut self, error: JobError) {
        let JobError::Broker(error) = error else {
            return;
        };
        // Of that the cluster tells.
        if error != BrokerError::Away && self.told.as_ref() != Some(&error) {
            tracing::warn!("jobs are refused until this is better: {error}");
            self.told = Some(error);
        }
    }
}

impl Searcher {
    /// Brings a job to its end, and takes it from the queue then.
    async fn finish(&self, message: &Message) -> Result<(), JobError> {
        let Some((taken, beginnings)) = read(message) else {
            return self.leave(message).await;
        };
        let name = &taken.name;
        // Before the look, so that no end comes between.
        let mut over = self.broker.hear_over(name).await?;
        if self.has_ended(name).await? {
            return self.drop_from_queue(message).await;
        }
        let mut asks = self.broker.hear_effort(name).await?;
        let end = match beginnings > BEGINNINGS {
            true => {
                tracing::error!(job = %name, "a job was begun {BEGINNINGS} times without an end: it has failed");
                Some((Err(SolveError::Failed), 0))
            }
            false => {
                if beginnings > 1 {
                    tracing::info!(job = %name, beginnings, "a job is taken up from a member that has not ended it");
                }
                self.search(&taken, &mut over, &mut asks).await
            }
        };
        if let Some((outcome, hashes)) = end {
            self.write_end(&taken, outcome, hashes).await;
        }
        self.drop_from_queue(message).await
    }

    /// Leaves a job that cannot be read here to those that can, or drops it where nobody can.
    async fn leave(&self, message: &Message) -> Result<(), JobError> {
        let subject = message.subject.as_str();
        if is_of_another_version(&message.payload) {
            tracing::warn!(
                subject,
                "a job of another version is left to members that can read it"
            );
            return sent(message.ack_with(AckKind::Nak(Some(LEAVE))).await);
        }
        tracing::error!(subject, "a job cannot be read, and is dropped");
        self.drop_from_queue(message).await
    }

    /// Whether a job has ended, also where it cannot be read how: no other end can be written.
    async fn has_ended(&self, name: &Name) -> Result<bool, JobError> {
        match self.broker.ended(name).await {
            Ok(ended) => Ok(ended.is_some()),
            Err(JobError::Failed(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The outcome of a search, and the seeds tried. `None`: the job has ended otherwise.
    async fn search(
        &self,
        taken: &Taken<'_>,
        over: &mut Subscriber,
        asks: &mut Subscriber,
    ) -> Option<(Result<Answer, SolveError>, u64)> {
        let mut solve = self.engine.ask(taken.asked.query.clone());
        let effort = Arc::clone(solve.effort());
        self.tally.begins();
        let mut ticks = interval(EXTEND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                outcome = &mut solve => {
                    if outcome == Err(SolveError::Draining) {
                        // The drain ends this here at once.
                        pending::<()>().await;
                    }
                    self.tally.ends(taken.asked.query.difficulty, &outcome);
                    return Some((outcome, effort.hashes()));
                }
                Some(_) = over.next() => {}
                Some(ask) = asks.next() => {
                    self.broker.answer(ask, encode_effort(effort.hashes())).await;
                    continue;
                }
                _ = ticks.tick() => self.extend(taken.message).await,
            }
            // Without the broker the search goes on.
            if let Ok(true) = self.has_ended(&taken.name).await {
                self.tally.gives_up();
                return None;
            }
        }
    }

    /// Writes how a job has ended, as soon as the broker takes it.
    async fn write_end(&self, taken: &Taken<'_>, outcome: Result<Answer, SolveError>, hashes: u64) {
        let time = since(taken.at);
        let (end, hashes, time) = match outcome {
            Ok(answer) => (
                End::Found(answer.solution),
                answer.hashes,
                answer.time.max(time),
            ),
            Err(error) => (End::Failed(error), hashes, time),
        };
        let ended = Ended {
            asked: taken.asked.clone(),
            end,
            hashes,
            time,
        };
        // Where it has ended otherwise meanwhile, that counts.
        let mut is_told = false;
        while let Err(error) = self.broker.put_ended(&taken.name, &ended).await {
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(job = %taken.name, "the end of a job is kept until the broker takes it: {error}");
            }
            sleep(PAUSE).await;
            self.extend(taken.message).await;
        }
        self.broker.tell_over(&taken.name).await;
    }

    /// Says that the job is not lost.
    async fn extend(&self, message: &Message) {
        // What waits for a connection would fill a queue.
        if self.broker.is_there() {
            let _ = message.ack_with(AckKind::Progress).await;
        }
    }

    async fn drop_from_queue(&self, message: &Message) -> Result<(), JobError> {
        // Where that is lost, another member finds that it has ended.
        sent(message.ack().await)
    }
}

/// What is said of a job to the broker.
fn sent(said: Result<(), async_nats::Error>) -> Result<(), JobError> {
    said.map_err(|error| BrokerError::Refused(error.to_string()).into())
}

/// A job as it came, and how many times it was begun.
fn read(message: &Message) -> Option<(Taken<'_>, i64)> {
    let name = message.subject.as_str().rsplit('.').next()?;
    let info = message.info().ok()?;
    let taken = Taken {
        message,
        name: name.parse().ok()?,
        asked: Asked::decode(&message.payload)?,
        at: info.published.into(),
    };
    Some((taken, info.delivered))
}
