//! A member of a cluster, without its sockets, workers and clock: what it says and does, given what
//! it hears.
//!
//! It is an owner of its own searches and a helper of others'. All that it is told is checked here:
//! a winner by the oracle, numbers by their bounds, members by how they behave. What it wants done
//! it puts in a list of [`Action`]s.

use std::time::Duration;

use powd_core::Solution;

use super::helper::{Helper, Progress, Refused, Step, Work};
use super::owner::{Find, News, Owner, Said, Task};
use super::peers::{Peer, Peers};
use super::trust::{Deaf, Trust};
use super::wire::{Body, JobId, Kind, MemberId, Message, Number, To, Unread};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Send {
        to: To,
        kind: Kind,
        payload: Vec<u8>,
    },
    /// The workers are to begin, in that place for guests; what was there has ended.
    Begin(usize, Work),
    /// They are to stop.
    End(usize),
    /// Another member has found a solution, which the oracle has checked. The search is over.
    Found(JobId, Solution),
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    Version,
    Malformed,
    Bounds,
    Struck,
    Flood,
    Full,
    Stale,
}

impl Refusal {
    pub(super) const ALL: [Refusal; 7] = [
        Refusal::Version,
        Refusal::Malformed,
        Refusal::Bounds,
        Refusal::Struck,
        Refusal::Flood,
        Refusal::Full,
        Refusal::Stale,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Refusal::Version => "version",
            Refusal::Malformed => "malformed",
            Refusal::Bounds => "bounds",
            Refusal::Struck => "struck",
            Refusal::Flood => "flood",
            Refusal::Full => "full",
            Refusal::Stale => "stale",
        }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Refusal {
        match unread {
            Unread::Version => Refusal::Version,
            Unread::Malformed => Refusal::Malformed,
            Unread::Bounds => Refusal::Bounds,
        }
    }
}

impl From<Deaf> for Refusal {
    fn from(deaf: Deaf) -> Refusal {
        match deaf {
            Deaf::Struck => Refusal::Struck,
            Deaf::Flood => Refusal::Flood,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            Refused::Full => Refusal::Full,
            Refused::Stale => Refusal::Stale,
        }
    }
}

/// What a member counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Seeds that others say they tried for searches of this member.
    pub(super) hashes_received: u64,
    /// Those of them that were tried when the search was over already.
    pub(super) hashes_wasted: u64,
    /// Solutions that others found for it.
    pub(super) winners: u64,
    /// What others said was a solution, and was none.
    pub(super) wrong_winners: u64,
    /// Solutions of others that came when the search was over.
    pub(super) late_winners: u64,
    /// Messages that were not heard, by their reason.
    pub(super) refused: [u64; Refusal::ALL.len()],
}

/// What this member tells of itself.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) id: MemberId,
    pub(super) workers: u32,
    pub(super) label: String,
}

#[derive(Debug)]
pub(super) struct Node {
    me: Me,
    owner: Owner,
    helper: Helper,
    trust: Trust,
    peers: Peers,
    counts: Counts,
    actions: Vec<Action>,
}

impl Node {
    pub(super) fn new(me: Me) -> Node {
        Node {
            me,
            owner: Owner::default(),
            helper: Helper::default(),
            trust: Trust::default(),
            peers: Peers::default(),
            counts: Counts::default(),
            actions: Vec::new(),
        }
    }

    /// What was to be done since this was asked last.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The other members.
    pub(super) fn peers(&self) -> Vec<Peer> {
        self.peers.list()
    }

    /// Whether something is going on, so that ticks must come often.
    pub(super) fn is_active(&self) -> bool {
        !self.helper.is_idle() || !self.owner.jobs().is_empty()
    }

    /// Searches of others that workers of this member are at.
    pub(super) fn helping(&self) -> usize {
        self.helper.helping()
    }

    /// Whether help can be asked for with one search more.
    pub(super) fn has_room(&self) -> bool {
        self.owner.has_room()
    }

    /// Asks for help with a search of this member.
    pub(super) fn begin(&mut self, job: JobId, task: Task, first: Number, now: Duration) {
        self.owner.begin(job, task, first);
        self.announce(now);
    }

    /// The search has ended here: found, or called off.
    pub(super) fn end(&mut self, job: JobId, now: Duration) {
        if let Some(said) = self.owner.end(job, now) {
            self.say(said);
        }
    }

    /// Seeds that others have tried for a search of this member, and how many others are at it.
    pub(super) fn help(&self, job: JobId, now: Duration) -> (u64, usize) {
        self.owner.help(job, now)
    }

    /// The connection is there, again perhaps: others are to hear of this member.
    pub(super) fn connected(&mut self) {
        self.peers.beat_soon();
    }

    /// Stops for all others.
    pub(super) fn stop_helping(&mut self) {
        let actions = &mut self.actions;
        let me = self.me.id;
        self.helper.forget_all(|step| take(actions, me, step));
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self) {
        self.stop_helping();
        self.beat(Duration::ZERO, 0);
    }

    /// Does what is due.
    pub(super) fn tick(
        &mut self,
        now: Duration,
        has_idle_cores: bool,
        hash_rate: u64,
        progress: impl Fn(usize) -> Progress,
    ) {
        self.announce(now);
        let (actions, me) = (&mut self.actions, self.me.id);
        // Each member has an order of its own: they spread over the searches without a word.
        let rank = |job: JobId| mix(job.0 ^ mix(me.0));
        self.helper
            .tick(now, has_idle_cores, progress, rank, |step| {
                take(actions, me, step);
            });
        if let Some(period) = self.peers.tick(now) {
            self.beat(period, hash_rate);
        }
    }

    /// Takes in a message. An error says why it was refused, and who sent it, if that could be
    /// read.
    pub(super) fn hear(
        &mut self,
        kind: Kind,
        payload: &[u8],
        now: Duration,
        progress: impl Fn(usize) -> Progress,
    ) -> Result<(), (Refusal, Option<MemberId>)> {
        let heard = match Message::decode(kind, payload) {
            Err(unread) => Err((unread.into(), None)),
            // The broker gives members their own words back.
            Ok(message) if message.from == self.me.id => Ok(()),
            Ok(message) => {
                let from = message.from;
                let admitted = self.trust.admit(from, now).map_err(Refusal::from);
                let heard = admitted.and_then(|()| self.take_in(message, now, progress));
                heard.map_err(|refusal| (refusal, Some(from)))
            }
        };
        if let Err((refusal, _)) = heard {
            self.counts.refused[refusal as usize] += 1;
        }
        heard
    }

    fn take_in(
        &mut self,
        message: Message<'_>,
        now: Duration,
        progress: impl Fn(usize) -> Progress,
    ) -> Result<(), Refusal> {
        let Message { from, body } = message;
        let me = self.me.id;
        let actions = &mut self.actions;
        let say = |(to, body): Said<'_>| take(actions, me, Step::Say(to, body));
        match body {
            Body::Beat { workers, .. } => {
                self.trust.hear_workers(from, workers);
                self.peers.hear(from, &body, now);
            }
            Body::Claim { search, claim } => self.owner.claim(from, search, claim, now, say),
            Body::Report {
                search,
                number,
                hashes,
            } => {
                let report = (search, number, hashes);
                let news = self.owner.report(from, report, now, say);
                self.count(news);
            }
            Body::Found {
                search,
                number,
                hashes,
                seed,
            } => {
                let report = (search, number, hashes);
                let news = self.owner.report(from, report, now, say);
                self.count(news);
                match self.owner.check(search, seed) {
                    Find::Right(solution) => {
                        self.counts.winners += 1;
                        self.end(search.job, now);
                        self.actions.push(Action::Found(search.job, solution));
                    }
                    Find::Late => self.counts.late_winners += 1,
                    Find::Wrong => {
                        self.counts.wrong_winners += 1;
                        self.trust.strike(from, now);
                        let actions = &mut self.actions;
                        self.helper
                            .forget_owner(from, |step| take(actions, me, step));
                        return Err(Refusal::Struck);
                    }
                }
            }
            Body::Announce { .. } => {
                let step = |step: Step<'_>| take(actions, me, step);
                return Ok(self.helper.announced(from, &body, now, step)?);
            }
            Body::Number { .. } => {
                let step = |step: Step<'_>| take(actions, me, step);
                self.helper.numbered(from, &body, now, step);
            }
            Body::Over { search } => {
                let step = |step: Step<'_>| take(actions, me, step);
                self.helper.over(from, search, now, progress, step);
            }
        }
        Ok(())
    }

    fn count(&mut self, News { hashes, wasted }: News) {
        let counts = &mut self.counts;
        counts.hashes_received = counts.hashes_received.saturating_add(hashes);
        counts.hashes_wasted = counts.hashes_wasted.saturating_add(wasted);
    }

    fn announce(&mut self, now: Duration) {
        let (actions, me) = (&mut self.actions, self.me.id);
        self.owner
            .tick(now, |(to, body)| take(actions, me, Step::Say(to, body)));
    }

    fn beat(&mut self, period: Duration, hash_rate: u64) {
        let Me { id, workers, label } = &self.me;
        let body = Body::Beat {
            period_ms: period.as_millis() as u32,
            workers: *workers,
            hash_rate,
            label,
        };
        take(&mut self.actions, *id, Step::Say(To::All, body));
    }

    fn say(&mut self, (to, body): Said<'_>) {
        take(&mut self.actions, self.me.id, Step::Say(to, body));
    }
}

/// Puts a step among the actions, as bytes where it is said to others.
fn take(actions: &mut Vec<Action>, from: MemberId, step: Step<'_>) {
    actions.push(match step {
        Step::Say(to, body) => {
            let message = Message { from, body };
            Action::Send {
                to,
                kind: message.kind(),
                payload: message.encode(),
            }
        }
        Step::Begin(place, work) => Action::Begin(place, work),
        Step::End(place) => Action::End(place),
    });
}

/// Spreads numbers (the finalizer of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
