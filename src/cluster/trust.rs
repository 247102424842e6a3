//! Who is listened to: members that lie are not for a while, members that flood not for now.

use std::collections::HashMap;
use std::time::Duration;

use super::wire::MemberId;

/// How long a member is not listened to that has said what is not so.
const STRUCK: Duration = Duration::from_secs(60);

/// Messages per second that one member can send for long: hundreds of searches that come and go.
const RATE: f64 = 500.0;

/// So many more for each of its workers: one ends at most twenty searches a second that are worth
/// an announcement, each of which takes a word at its end as well.
const RATE_PER_WORKER: f64 = 40.0;

/// The workers that count: with more, no more searches are announced at once.
const WORKERS: u32 = 64;

/// Messages that it can send at once.
const BURST: f64 = 1000.0;

/// Members that are remembered.
const MEMBERS: usize = 8192;

/// What is known of those who have said something lately.
#[derive(Debug, Default)]
pub(super) struct Trust {
    members: HashMap<MemberId, Record>,
}

#[derive(Debug)]
struct Record {
    /// What it can send before it floods, at the time of its last message.
    tokens: f64,
    at: Duration,
    /// How fast these come back.
    rate: f64,
    struck_until: Option<Duration>,
}

/// Why a member is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deaf {
    /// It has lied.
    Struck,
    /// It says too much.
    Flood,
}

impl Trust {
    /// Whether a message of `from` that comes at `now` is listened to.
    pub(super) fn admit(&mut self, from: MemberId, now: Duration) -> Result<(), Deaf> {
        let record = self.record(from, now).ok_or(Deaf::Flood)?;
        if record.struck_until.is_some_and(|until| now < until) {
            return Err(Deaf::Struck);
        }
        record.tokens = (record.tokens - 1.0).max(-1.0);
        match record.tokens >= 0.0 {
            true => Ok(()),
            false => Err(Deaf::Flood),
        }
    }

    /// `from` says that it has so many workers.
    pub(super) fn hear_workers(&mut self, from: MemberId, workers: u32) {
        if let Some(record) = self.members.get_mut(&from) {
            record.rate = RATE + RATE_PER_WORKER * f64::from(workers.min(WORKERS));
        }
    }

    /// `from` has said what is not so.
    pub(super) fn strike(&mut self, from: MemberId, now: Duration) {
        if let Some(record) = self.record(from, now) {
            record.struck_until = Some(now + STRUCK);
        }
    }

    /// Whether it has lied lately.
    #[cfg(test)]
    pub(super) fn is_struck(&self, member: MemberId, now: Duration) -> bool {
        let record = self.members.get(&member);
        record.is_some_and(|record| record.struck_until.is_some_and(|until| now < until))
    }

    /// The record of a member; none when there are too many.
    fn record(&mut self, member: MemberId, now: Duration) -> Option<&mut Record> {
        if self.members.len() >= MEMBERS && !self.members.contains_key(&member) {
            self.members.retain(|_, record| record.refill(now));
            if self.members.len() >= MEMBERS {
                return None;
            }
        }
        let record = self.members.entry(member).or_insert(Record {
            tokens: BURST,
            at: now,
            rate: RATE,
            struck_until: None,
        });
        record.refill(now);
        Some(record)
    }
}

impl Record {
    /// Takes in the time that has passed. Says whether there is anything to remember.
    fn refill(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(BURST);
        self.at = self.at.max(now);
        self.tokens < BURST || self.struck_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_liar_is_not_heard_for_a_while() {
        let mut trust = Trust::default();
        let (liar, other) = (MemberId(1), MemberId(2));
        assert_eq!(trust.admit(liar, SECOND), Ok(()));
        trust.strike(liar, SECOND);
        assert_eq!(trust.admit(liar, 2 * SECOND), Err(Deaf::Struck));
        assert_eq!(trust.admit(other, 2 * SECOND), Ok(()));
        assert!(trust.is_struck(liar, 60 * SECOND));
        assert_eq!(trust.admit(liar, 61 * SECOND), Ok(()));
    }

    #[test]
    fn a_flood_passes_and_whoever_caused_it_is_heard_again() {
        let mut trust = Trust::default();
        let heard = |trust: &mut Trust, now| {
            let messages = (0..5000).map(|_| trust.admit(MemberId(1), now));
            messages.filter(Result::is_ok).count()
        };
        assert_eq!(heard(&mut trust, SECOND), BURST as usize);
        assert_eq!(heard(&mut trust, SECOND), 0);
        assert!((490..=510).contains(&heard(&mut trust, 2 * SECOND)));
    }

    #[test]
    fn a_member_with_many_workers_has_more_to_say() {
        let mut trust = Trust::default();
        let mut refused = |workers: u32, per_second: u32| {
            let from = MemberId(workers.into());
            let messages = 20 * per_second;
            let refused = (0..messages).filter(|&message| {
                let now = SECOND * message / per_second;
                if message % (2 * per_second) == 0 {
                    let _ = trust.admit(from, now);
                    trust.hear_workers(from, workers);
                }
                trust.admit(from, now).is_err()
            });
            refused.count()
        };
        // Twice what may come for long of a member that has not told.
        assert_eq!(refused(128, 1000), 0);
        assert_eq!(refused(64, 1000), 0);
        assert!(refused(1, 1000) > 0);
        // However many it says.
        assert!(refused(u32::MAX, 10_000) > 0);
    }

    #[test]
    fn members_that_are_made_up_use_bounded_memory() {
        let mut trust = Trust::default();
        trust.strike(MemberId(0), SECOND);
        for member in 0..100_000 {
            let _ = trust.admit(MemberId(member), SECOND);
        }
        assert!(trust.members.len() <= MEMBERS);
        assert!(trust.is_struck(MemberId(0), SECOND));
        // A second later those are forgotten.
        assert_eq!(trust.admit(MemberId(1 << 40), 3 * SECOND), Ok(()));
        assert!(trust.members.len() <= 2 && trust.is_struck(MemberId(0), SECOND));
    }
}
