//! The owner's side: searches that others are asked to help with.
//!
//! The owner repeats each second that it searches. Who has time asks for a number, and gets one
//! that nobody had before. What helpers do with theirs is not followed: a number is given once, and
//! its owner misses nobody.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use powd_core::{Difficulty, Seed, SeedLength, Solution, verify};

use super::wire::{Body, JobId, MemberId, Number, Search, To};

/// How often a search is announced.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// Searches that are announced at once. So many hard ones keep a cluster busy.
pub(super) const JOBS: usize = 64;

/// Helpers of one search whose reports are kept apart. When there are more, those that were silent
/// for longest go.
const HELPERS: usize = 4096;

/// Numbers that one search has out to one member at most within a second.
const CLAIMS_PER_SECOND: u32 = 8;

/// How long, and for how many searches, the last reports are waited for.
const WASTE: Duration = Duration::from_secs(3);
const ENDED: usize = 256;

/// A helper whose last report is older has gone.
const SILENT: Duration = Duration::from_secs(5);

/// What helpers are asked to search for.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) message: Arc<[u8]>,
    pub(super) difficulty: Difficulty,
    /// The length of the seeds that helpers try.
    pub(super) length: SeedLength,
    /// How many times it was begun, here or elsewhere.
    pub(super) epoch: u32,
}

#[derive(Debug, Default)]
pub(super) struct Owner {
    jobs: BTreeMap<JobId, Job>,
    /// What was out when a search ended, to know what was tried in vain.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    job: JobId,
    length: SeedLength,
    at: Duration,
    helpers: HashMap<(MemberId, Number), Help>,
}

/// Seeds that an owner has not heard of before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) hashes: u64,
    /// Those of them that were tried after the search had ended.
    pub(super) wasted: u64,
}

#[derive(Debug)]
struct Job {
    task: Task,
    /// The first number given; the others follow in a circle.
    first: Number,
    given: u32,
    helpers: HashMap<(MemberId, Number), Help>,
    claims: HashMap<MemberId, (Duration, u32)>,
    /// Seeds that helpers say they have tried.
    hashes: u64,
    next_announcement: Duration,
}

#[derive(Debug)]
struct Help {
    hashes: u64,
    heard: Duration,
}

/// What an owner says: to whom, and what.
pub(super) type Said<'a> = (To, Body<'a>);

/// What becomes of a find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// It is a solution.
    Right(Solution),
    /// It is none: its finder is not to be believed.
    Wrong,
    /// The search is over, or was begun anew.
    Late,
}

impl Owner {
    /// Whether another search can be announced.
    pub(super) fn has_room(&self) -> bool {
        self.jobs.len() < JOBS
    }

    /// Begins to ask for help. Numbers are given from `first` on: a drawn one, so that a message
    /// that is asked for again gets another seed.
    pub(super) fn begin(&mut self, job: JobId, task: Task, first: Number) {
        let job_of_task = Job {
            task,
            first,
            given: 0,
            helpers: HashMap::new(),
            claims: HashMap::new(),
            hashes: 0,
            next_announcement: Duration::ZERO,
        };
        self.jobs.insert(job, job_of_task);
    }

    /// Ends a search, found or not. `None`: it had ended.
    pub(super) fn end(&mut self, job: JobId, now: Duration) -> Option<Said<'static>> {
        let ended = self.jobs.remove(&job)?;
        let search = ended.search(job);
        let is_old = |ended: &Ended| now >= ended.at + WASTE;
        while self.ended.len() >= ENDED || self.ended.front().is_some_and(is_old) {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            job,
            length: ended.task.length,
            at: now,
            helpers: ended.helpers,
        });
        Some((To::All, Body::Over { search }))
    }

    /// All searches, for an end.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// Seeds that helpers have tried for a search, and how many of them were heard lately.
    pub(super) fn help(&self, job: JobId, now: Duration) -> (u64, usize) {
        let Some(job) = self.jobs.get(&job) else {
            return (0, 0);
        };
        let helpers = job.helpers.iter();
        let there = helpers.filter(|(_, help)| now < help.heard + SILENT);
        let members: HashSet<MemberId> = there.map(|((member, _), _)| *member).collect();
        (job.hashes, members.len())
    }

    /// The announcements that are due.
    pub(super) fn tick(&mut self, now: Duration, mut say: impl FnMut(Said<'_>)) {
        for (&id, job) in &mut self.jobs {
            if now >= job.next_announcement {
                job.next_announcement = now + ANNOUNCE_EVERY;
                let body = Body::Announce {
                    search: job.search(id),
                    difficulty: job.task.difficulty,
                    length: job.task.length,
                    bytes: job.task.message.len() as u32,
                };
                say((To::All, body));
            }
        }
    }

    /// The search that is meant, if it is one of ours. Who asks about another one has not heard
    /// that it is over.
    fn find(&mut self, search: Search) -> Result<&mut Job, Body<'static>> {
        let job = self.jobs.get_mut(&search.job);
        job.filter(|job| job.task.epoch == search.epoch)
            .ok_or(Body::Over { search })
    }

    /// Gives a number to who asks for one.
    pub(super) fn claim(
        &mut self,
        from: MemberId,
        search: Search,
        claim: u32,
        now: Duration,
        mut say: impl FnMut(Said<'_>),
    ) {
        match self.find(search) {
            Err(over) => say((To::One(from), over)),
            Ok(job) => {
                if let Some(number) = job.give(from, now) {
                    let body = Body::Number {
                        search,
                        claim,
                        number,
                        message: &job.task.message,
                    };
                    say((To::One(from), body));
                }
            }
        }
    }

    /// Takes in how far a helper has come.
    pub(super) fn report(
        &mut self,
        from: MemberId,
        (search, number, hashes): (Search, Number, u64),
        now: Duration,
        mut say: impl FnMut(Said<'_>),
    ) -> News {
        let over = match self.find(search) {
            Ok(job) => return job.hear(from, number, hashes, now),
            Err(over) => over,
        };
        say((To::One(from), over));
        let ended = self.ended.iter_mut().find(|ended| ended.job == search.job);
        ended.map_or(News::default(), |ended| {
            ended.hear(from, number, hashes, now)
        })
    }

    /// Checks a find.
    pub(super) fn check(&mut self, search: Search, seed: Seed) -> Find {
        let Ok(job) = self.find(search) else {
            return Find::Late;
        };
        let task = &job.task;
        match verify(seed, &task.message, task.difficulty) {
            Some(solution) if seed.length() == task.length => Find::Right(solution),
            _ => Find::Wrong,
        }
    }
}

impl Job {
    fn search(&self, job: JobId) -> Search {
        Search {
            job,
            epoch: self.task.epoch,
        }
    }

    /// A number that nobody had. `None`: that member asks too often, or there is no number or no
    /// room left.
    fn give(&mut self, to: MemberId, now: Duration) -> Option<Number> {
        if self.given == Number::COUNT || !self.has_room(now) {
            return None;
        }
        let (since, claims) = self.claims.entry(to).or_insert((now, 0));
        if now >= *since + Duration::from_secs(1) {
            (*since, *claims) = (now, 0);
        }
        if *claims >= CLAIMS_PER_SECOND {
            return None;
        }
        *claims += 1;
        let number = self.first.behind(self.given);
        self.given += 1;
        let help = Help {
            hashes: 0,
            heard: now,
        };
        self.helpers.insert((to, number), help);
        Some(number)
    }

    fn has_room(&mut self, now: Duration) -> bool {
        if self.helpers.len() >= HELPERS {
            self.helpers.retain(|_, help| now < help.heard + SILENT);
            self.claims.retain(|_, (since, _)| now < *since + SILENT);
        }
        self.helpers.len() < HELPERS && self.claims.len() <= HELPERS
    }

    fn hear(&mut self, from: MemberId, number: Number, hashes: u64, now: Duration) -> News {
        let Some(help) = self.helpers.get_mut(&(from, number)) else {
            return News::default();
        };
        let hashes = possible(hashes, self.task.length);
        let more = hashes.saturating_sub(help.hashes);
        help.hashes += more;
        help.heard = now;
        self.hashes = self.hashes.saturating_add(more);
        News {
            hashes: more,
            wasted: 0,
        }
    }
}

/// Of the seeds that a helper says it has tried, those that its number has.
fn possible(hashes: u64, length: SeedLength) -> u64 {
    u128::from(hashes).min(Number::seeds(length)) as u64
}

impl Ended {
    /// The last report of a helper. What it has tried since the one before came at a steady rate:
    /// the part of it that was after the end is waste. The way of the report counts as such, too.
    fn hear(&mut self, from: MemberId, number: Number, hashes: u64, now: Duration) -> News {
        let Some(help) = self.helpers.remove(&(from, number)) else {
            return News::default();
        };
        let hashes = possible(hashes, self.length);
        let more = hashes.saturating_sub(help.hashes);
        let since = now.saturating_sub(help.heard).as_secs_f64();
        let after = now.saturating_sub(self.at).as_secs_f64();
        News {
            hashes: more,
            wasted: (more as f64 * (after / since.max(1e-6)).min(1.0)) as u64,
        }
    }
}
