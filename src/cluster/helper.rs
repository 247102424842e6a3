//! The helper's side: searches of others, and what this member does for them.
//!
//! An announcement is a lease: while its owner repeats it, a member with idle cores may search for
//! it. It asks for a number, and has its workers try the seeds of that number. When the owner says
//! that it is over, or says nothing for some seconds, they stop. Nothing is given back, and nobody
//! waits for a helper.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use powd_core::{Difficulty, Seed, SeedLength};

use super::wire::{Body, JobId, MemberId, Number, Search, To};
use crate::engine::Guests;

/// An owner that has not announced a search for so long has gone, or cannot be heard.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// Searches of others that this member helps with at once.
pub(super) const GUESTS: usize = Guests::PLACES;

/// Searches of others that are remembered, of all owners and of one.
const JOBS: usize = 1024;
const JOBS_OF_ONE: usize = 64;

/// Searches that are over are remembered for so long, and so many of them: an announcement may come
/// late, or twice.
const TOMBSTONE: Duration = Duration::from_secs(10);
const TOMBSTONES: usize = 1024;

/// A claim that has no answer by then is lost, or was refused.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a search is left alone after a claim without an answer.
const CLAIM_PAUSE: Duration = Duration::from_secs(2);

/// How often an owner hears how far its helper is.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How often a find is said again until the owner says that it is over.
const FOUND_EVERY: Duration = Duration::from_millis(500);

/// What the workers are to search for, in one of the places for guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) message: Vec<u8>,
    pub(super) difficulty: Difficulty,
    pub(super) length: SeedLength,
    pub(super) number: Number,
}

/// How far the workers have come with a guest's search.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) hashes: u64,
    pub(super) found: Option<Seed>,
    /// All seeds of the number were tried.
    pub(super) is_exhausted: bool,
}

/// What a helper does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Say(To, Body<'a>),
    /// The workers are to begin, in that place; what was there has ended.
    Begin(usize, Work),
    /// They are to stop.
    End(usize),
}

/// Why an announcement is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no room for more searches.
    Full,
    /// It is another's search, or an older beginning of this one.
    Stale,
}

#[derive(Debug, Default)]
pub(super) struct Helper {
    jobs: BTreeMap<JobId, Known>,
    over: VecDeque<(Duration, Search)>,
    claims: u32,
}

#[derive(Debug)]
struct Known {
    owner: MemberId,
    epoch: u32,
    difficulty: Difficulty,
    length: SeedLength,
    bytes: u32,
    heard: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It can be helped with, from that time on.
    Known { from: Duration },
    /// A number was asked for.
    Claimed {
        place: usize,
        claim: u32,
        at: Duration,
    },
    /// The workers search.
    Helping {
        place: usize,
        number: Number,
        hashes: u64,
        found: Option<Seed>,
        next_report: Duration,
    },
}

impl Known {
    fn search(&self, job: JobId) -> Search {
        Search {
            job,
            epoch: self.epoch,
        }
    }
}

impl Helper {
    /// Whether there is anything to keep track of.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Searches that the workers have been given.
    pub(super) fn helping(&self) -> usize {
        let states = self.jobs.values().map(|known| &known.state);
        states
            .filter(|state| matches!(state, State::Helping { .. }))
            .count()
    }

    /// Takes in that `owner` searches.
    pub(super) fn announced(
        &mut self,
        owner: MemberId,
        body: &Body<'_>,
        now: Duration,
        step: impl FnMut(Step<'_>),
    ) -> Result<(), Refused> {
        let &Body::Announce {
            search,
            difficulty,
            length,
            bytes,
        } = body
        else {
            return Ok(());
        };
        if self.is_over(search, now) {
            // It was on its way when the search ended.
            return Ok(());
        }
        match self.jobs.get_mut(&search.job) {
            Some(known) if known.epoch == search.epoch && known.owner == owner => {
                known.heard = known.heard.max(now);
                return Ok(());
            }
            Some(known) if known.epoch >= search.epoch => return Err(Refused::Stale),
            // Begun anew, by this owner or another one.
            Some(_) => self.forget(search.job, step),
            None => {}
        }
        let of_owner = self.jobs.values().filter(|known| known.owner == owner);
        if self.jobs.len() >= JOBS || of_owner.count() >= JOBS_OF_ONE {
            return Err(Refused::Full);
        }
        let known = Known {
            owner,
            epoch: search.epoch,
            difficulty,
            length,
            bytes,
            heard: now,
            state: State::Known {
                from: Duration::ZERO,
            },
        };
        self.jobs.insert(search.job, known);
        Ok(())
    }

    /// Takes in that a search is over, if its owner says so. Tells it how far the workers have come
    /// by then.
    pub(super) fn over(
        &mut self,
        owner: MemberId,
        search: Search,
        now: Duration,
        progress: impl Fn(usize) -> Progress,
        mut step: impl FnMut(Step<'_>),
    ) {
        let is_owner = |known: &Known| known.owner == owner && known.epoch <= search.epoch;
        match self.jobs.get(&search.job) {
            Some(known) if !is_owner(known) => return,
            Some(known) => {
                if let State::Helping { place, number, .. } = known.state {
                    let body = Body::Report {
                        search: known.search(search.job),
                        number,
                        hashes: progress(place).hashes,
                    };
                    step(Step::Say(To::One(owner), body));
                }
                self.forget(search.job, step);
            }
            None => {}
        }
        if self.over.len() >= TOMBSTONES {
            self.over.pop_front();
        }
        self.over.push_back((now, search));
    }

    fn is_over(&mut self, search: Search, now: Duration) -> bool {
        while let Some((at, _)) = self.over.front() {
            if now < *at + TOMBSTONE {
                break;
            }
            self.over.pop_front();
        }
        let same_or_later = |over: &Search| over.job == search.job && over.epoch >= search.epoch;
        self.over.iter().any(|(_, over)| same_or_later(over))
    }

    /// Takes the number that was asked for. One that was not asked for, or comes twice, is left.
    pub(super) fn numbered(
        &mut self,
        owner: MemberId,
        body: &Body<'_>,
        now: Duration,
        mut step: impl FnMut(Step<'_>),
    ) {
        let &Body::Number {
            search,
            claim,
            number,
            message,
        } = body
        else {
            return;
        };
        let Some(known) = self.jobs.get_mut(&search.job) else {
            return;
        };
        let State::Claimed {
            place,
            claim: asked,
            ..
        } = known.state
        else {
            return;
        };
        let is_asked_for = known.owner == owner && known.epoch == search.epoch && asked == claim;
        if !is_asked_for || message.len() != known.bytes as usize {
            return;
        }
        known.state = State::Helping {
            place,
            number,
            hashes: 0,
            found: None,
            next_report: now + REPORT_EVERY,
        };
        let work = Work {
            message: message.to_vec(),
            difficulty: known.difficulty,
            length: known.length,
            number,
        };
        step(Step::Begin(place, work));
    }

    /// Does what is due: forgets owners that are silent, tells how far the workers are, and asks
    /// for numbers if there are idle cores. `progress` is of the guests' places; `rank` says which
    /// of the searches to help with first.
    pub(super) fn tick(
        &mut self,
        now: Duration,
        has_idle_cores: bool,
        progress: impl Fn(usize) -> Progress,
        rank: impl Fn(JobId) -> u64,
        mut step: impl FnMut(Step<'_>),
    ) {
        let silent = |known: &Known| now >= known.heard + LEASE;
        let gone: Vec<JobId> = self.jobs_that(silent).collect();
        gone.into_iter().for_each(|job| self.forget(job, &mut step));
        for (&job, known) in &mut self.jobs {
            known.tick(job, now, &progress, &mut step, &mut self.claims);
        }
        if has_idle_cores {
            self.claim_more(now, rank, step);
        }
    }

    fn jobs_that(&self, holds: impl Fn(&Known) -> bool) -> impl Iterator<Item = JobId> {
        let jobs = self.jobs.iter();
        jobs.filter(move |(_, known)| holds(known))
            .map(|(&job, _)| job)
    }

    /// Asks for numbers for as many searches as there are free places.
    fn claim_more(
        &mut self,
        now: Duration,
        rank: impl Fn(JobId) -> u64,
        mut step: impl FnMut(Step<'_>),
    ) {
        for place in 0..GUESTS {
            if self.jobs.values().any(|known| known.place() == Some(place)) {
                continue;
            }
            let is_free = |known: &Known| match known.state {
                State::Known { from } => now >= from,
                State::Claimed { .. } | State::Helping { .. } => false,
            };
            let Some(job) = self.jobs_that(is_free).min_by_key(|job| rank(*job)) else {
                return;
            };
            let Some(known) = self.jobs.get_mut(&job) else {
                return;
            };
            known.claim(job, place, now, &mut self.claims, &mut step);
        }
    }

    /// Ends all that is done for `owner`, which is not to be believed.
    pub(super) fn forget_owner(&mut self, owner: MemberId, mut step: impl FnMut(Step<'_>)) {
        let jobs: Vec<JobId> = self.jobs_that(|known| known.owner == owner).collect();
        jobs.into_iter().for_each(|job| self.forget(job, &mut step));
    }

    /// Ends all.
    pub(super) fn forget_all(&mut self, mut step: impl FnMut(Step<'_>)) {
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.forget(job, &mut step));
    }

    fn forget(&mut self, job: JobId, mut step: impl FnMut(Step<'_>)) {
        let Some(known) = self.jobs.remove(&job) else {
            return;
        };
        if let State::Helping { place, .. } = known.state {
            step(Step::End(place));
        }
    }
}

impl Known {
    /// The place of the workers that it has, or is about to have.
    fn place(&self) -> Option<usize> {
        match self.state {
            State::Known { .. } => None,
            State::Claimed { place, .. } | State::Helping { place, .. } => Some(place),
        }
    }

    fn claim(
        &mut self,
        job: JobId,
        place: usize,
        now: Duration,
        claims: &mut u32,
        step: &mut impl FnMut(Step<'_>),
    ) {
        *claims = claims.wrapping_add(1);
        self.state = State::Claimed {
            place,
            claim: *claims,
            at: now,
        };
        let body = Body::Claim {
            search: self.search(job),
            claim: *claims,
        };
        step(Step::Say(To::One(self.owner), body));
    }

    fn tick(
        &mut self,
        job: JobId,
        now: Duration,
        progress: &impl Fn(usize) -> Progress,
        step: &mut impl FnMut(Step<'_>),
        claims: &mut u32,
    ) {
        let search = self.search(job);
        let owner = To::One(self.owner);
        match &mut self.state {
            State::Known { .. } => {}
            State::Claimed { at, .. } => {
                if now >= *at + CLAIM_TIMEOUT {
                    self.state = State::Known {
                        from: now + CLAIM_PAUSE,
                    };
                }
            }
            State::Helping {
                place,
                number,
                hashes,
                found,
                next_report,
            } => {
                let (place, number) = (*place, *number);
                let at = progress(place);
                *hashes = at.hashes;
                let is_new = found.is_none() && at.found.is_some();
                *found = found.or(at.found);
                if now < *next_report && !is_new && !at.is_exhausted {
                    return;
                }
                let hashes = *hashes;
                let (every, body) = match *found {
                    Some(seed) => (
                        FOUND_EVERY,
                        Body::Found {
                            search,
                            number,
                            hashes,
                            seed,
                        },
                    ),
                    None => (
                        REPORT_EVERY,
                        Body::Report {
                            search,
                            number,
                            hashes,
                        },
                    ),
                };
                *next_report = now + every;
                let is_used_up = found.is_none() && at.is_exhausted;
                step(Step::Say(owner, body));
                if is_used_up {
                    step(Step::End(place));
                    self.claim(job, place, now, claims, step);
                }
            }
        }
    }
}
