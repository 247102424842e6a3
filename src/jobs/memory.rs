//! Jobs in the memory of this process.
//!
//! Open jobs are bounded, and so are those that are kept after their end: the oldest goes when
//! there is no room, or when its time is over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::{Bounds, JobError, Key, Report, State, Tally, secret};
use crate::engine::{Answer, Effort, Flow, Handle, Query, Solve, SolveError};

/// All jobs.
#[derive(Debug)]
pub(crate) struct Memory {
    engine: Handle,
    bounds: Bounds,
    tally: Arc<dyn Tally>,
    table: Mutex<Table>,
    is_draining: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    jobs: HashMap<String, Arc<Job>>,
    by_key: HashMap<Key, String>,
    /// Jobs whose state is not final.
    open: usize,
    /// The others, in the order of their ends.
    ended: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Job {
    id: String,
    key: Option<Key>,
    query: Query,
    asked: Instant,
    effort: Arc<Effort>,
    stage: watch::Sender<Stage>,
    /// Ends the search.
    cancel: Notify,
}

/// What has become of a job.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Open,
    Found(Answer),
    Cancelled(Duration),
    Failed(SolveError, Duration),
}

impl Stage {
    fn is_final(&self) -> bool {
        !matches!(self, Stage::Open)
    }
}

impl Job {
    fn report(&self) -> Report {
        let stage = *self.stage.borrow();
        let (state, time) = match stage {
            Stage::Open if self.effort.has_begun() => (State::Searching, self.asked.elapsed()),
            Stage::Open => (State::Waiting, self.asked.elapsed()),
            Stage::Found(answer) => (State::Found(answer.solution), answer.time),
            Stage::Cancelled(time) => (State::Cancelled, time),
            Stage::Failed(error, time) => (State::Failed(error), time),
        };
        let hashes = match stage {
            Stage::Found(answer) => answer.hashes,
            _ => self.effort.hashes(),
        };
        Report {
            id: self.id.clone(),
            query: self.query.clone(),
            state,
            hashes,
            time,
        }
    }
}

impl Table {
    /// Forgets what has ended too long ago, and what there is no room for.
    fn forget(&mut self, bounds: &Bounds) {
        while let Some((ended, id)) = self.ended.front() {
            if self.ended.len() <= bounds.max.get() && ended.elapsed() < bounds.ttl {
                return;
            }
            if let Some(key) = self.jobs.remove(id).and_then(|job| job.key) {
                self.by_key.remove(&key);
            }
            self.ended.pop_front();
        }
    }
}

impl Memory {
    pub(super) fn new(engine: Handle, bounds: Bounds, tally: Arc<dyn Tally>) -> Arc<Memory> {
        Arc::new(Memory {
            // Together they have the share of one client.
            engine: engine.of(Flow::new()),
            bounds,
            tally,
            table: Mutex::default(),
            is_draining: watch::Sender::new(false),
        })
    }

    pub(super) fn create(
        self: &Arc<Self>,
        query: Query,
        key: Option<Key>,
    ) -> Result<Report, JobError> {
        let (job, solve) = self.begin(query, key)?;
        if let Some(solve) = solve {
            self.tally.begins();
            tokio::spawn(Arc::clone(self).run(Arc::clone(&job), solve));
        }
        Ok(job.report())
    }

    pub(super) fn read(&self, id: &str) -> Result<Report, JobError> {
        self.find(id).map(|job| job.report())
    }

    pub(super) async fn wait(&self, id: &str, most: Duration) -> Result<Report, JobError> {
        let job = self.find(id)?;
        let mut stage = job.stage.subscribe();
        let _ = tokio::time::timeout(most, stage.wait_for(Stage::is_final)).await;
        Ok(job.report())
    }

    pub(super) fn cancel(&self, id: &str) -> Result<(), JobError> {
        let job = self.find(id)?;
        self.end(&job, Stage::Cancelled(job.asked.elapsed()));
        job.cancel.notify_one();
        Ok(())
    }

    pub(super) fn begin_drain(&self) {
        self.is_draining.send_replace(true);
    }

    /// The table, without what is to be forgotten.
    fn table(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(&self.bounds);
        table
    }

    fn find(&self, id: &str) -> Result<Arc<Job>, JobError> {
        let job = self.table().jobs.get(id).cloned();
        job.ok_or(JobError::NotFound)
    }

    /// A new job with its search, or the one that was begun with the same key.
    fn begin(&self, query: Query, key: Option<Key>) -> Result<(Arc<Job>, Option<Solve>), JobError> {
        let mut table = self.table();
        let known = key.and_then(|key| table.by_key.get(&key));
        if let Some(job) = known.and_then(|id| table.jobs.get(id)) {
            return match job.query == query {
                true => Ok((Arc::clone(job), None)),
                false => Err(JobError::KeyUsed),
            };
        }
        if table.open >= self.bounds.max.get() {
            return Err(JobError::Full);
        }
        let id = secret()?;
        let solve = self.engine.ask(query.clone());
        let job = Arc::new(Job {
            id: id.clone(),
            key,
            query,
            asked: Instant::now(),
            effort: Arc::clone(solve.effort()),
            stage: watch::Sender::new(Stage::Open),
            cancel: Notify::new(),
        });
        if let Some(key) = key {
            table.by_key.insert(key, id.clone());
        }
        table.jobs.insert(id, Arc::clone(&job));
        table.open += 1;
        Ok((job, Some(solve)))
    }

    /// A job from its beginning to its end.
    async fn run(self: Arc<Self>, job: Arc<Job>, solve: Solve) {
        let mut is_draining = self.is_draining.subscribe();
        let outcome = tokio::select! {
            outcome = solve => outcome,
            () = job.cancel.notified() => return self.tally.gives_up(),
            // It would be lost with the process: the drain does not wait for it.
            _ = is_draining.wait_for(|is_draining| *is_draining) => Err(SolveError::Draining),
        };
        self.tally.ends(job.query.difficulty, &outcome);
        let stage = match outcome {
            Ok(answer) => Stage::Found(answer),
            Err(error) => Stage::Failed(error, job.asked.elapsed()),
        };
        self.end(&job, stage);
    }

    /// Sets the final state, unless there is one.
    fn end(&self, job: &Job, stage: Stage) {
        let mut table = self.table();
        let has_ended = job.stage.send_if_modified(|now| {
            let is_open = !now.is_final();
            if is_open {
                *now = stage;
            }
            is_open
        });
        if has_ended {
            table.open -= 1;
            table.ended.push_back((Instant::now(), job.id.clone()));
            table.forget(&self.bounds);
        }
    }
}
