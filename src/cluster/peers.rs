//! Who else is there: members say so now and then, the less often the more they are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::wire::{Body, MemberId};

/// The least time between two signs of life of one member.
const PERIOD_MIN: Duration = Duration::from_secs(2);

/// So much longer for each member: all together send no more than 50 a second, however many they
/// are.
const PERIOD_PER_MEMBER: Duration = Duration::from_millis(20);

/// A member that says nothing for so many of its periods has gone.
const PERIODS: u32 = 3;

/// The longest period that is believed.
const PERIOD_MAX: Duration = Duration::from_secs(120);

/// Members that are known; more are not shown.
const MEMBERS: usize = 4096;

/// A member as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// Its worker threads.
    pub workers: u32,
    /// Seeds per second, for whomever.
    pub hash_rate: u64,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    members: BTreeMap<MemberId, Known>,
    next_beat: Duration,
}

#[derive(Debug)]
struct Known {
    workers: u32,
    hash_rate: u64,
    label: String,
    gone_at: Duration,
}

impl Peers {
    /// Takes in a sign of life.
    pub(super) fn hear(&mut self, from: MemberId, body: &Body<'_>, now: Duration) {
        let &Body::Beat {
            period_ms,
            workers,
            hash_rate,
            label,
        } = body
        else {
            return;
        };
        if period_ms == 0 {
            self.members.remove(&from);
            return;
        }
        if self.members.len() >= MEMBERS && !self.members.contains_key(&from) {
            return;
        }
        let is_new = !self.members.contains_key(&from);
        let period = Duration::from_millis(period_ms.into()).min(PERIOD_MAX);
        let known = Known {
            workers,
            hash_rate,
            label: label.to_owned(),
            gone_at: now + PERIODS * period,
        };
        self.members.insert(from, known);
        if is_new {
            // So that it need not wait for long to know us.
            self.next_beat = self.next_beat.min(now + PERIOD_MIN / 4);
        }
    }

    /// Forgets who has gone. Some time from now, if it is time for a sign of life of our own.
    pub(super) fn tick(&mut self, now: Duration) -> Option<Duration> {
        self.members.retain(|_, known| now < known.gone_at);
        (now >= self.next_beat).then(|| {
            let period = PERIOD_MIN.max(PERIOD_PER_MEMBER * self.members.len() as u32);
            self.next_beat = now + period;
            period
        })
    }

    /// The next sign of life is due at once: nobody has heard us for some time.
    pub(super) fn beat_soon(&mut self) {
        self.next_beat = Duration::ZERO;
    }

    pub(super) fn list(&self) -> Vec<Peer> {
        let peer = |(id, known): (&MemberId, &Known)| Peer {
            id: id.to_string(),
            label: known.label.clone(),
            workers: known.workers,
            hash_rate: known.hash_rate,
        };
        self.members.iter().map(peer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(period_ms: u32) -> Body<'static> {
        Body::Beat {
            period_ms,
            workers: 2,
            hash_rate: 5,
            label: "one",
        }
    }

    #[test]
    fn who_is_silent_or_leaves_is_gone() {
        let mut peers = Peers::default();
        let at = Duration::from_millis;
        peers.hear(MemberId(1), &beat(2000), at(0));
        peers.hear(MemberId(2), &beat(2000), at(0));
        peers.hear(MemberId(2), &beat(0), at(10));
        peers.tick(at(5999));
        let labels: Vec<_> = peers.list().into_iter().map(|peer| peer.id).collect();
        assert_eq!(labels, ["0000000000000001"]);
        peers.tick(at(6000));
        assert_eq!(peers.list(), []);
    }

    #[test]
    fn the_more_members_the_rarer_the_signs() {
        let mut peers = Peers::default();
        let now = Duration::from_secs(100);
        assert_eq!(peers.tick(now), Some(PERIOD_MIN));
        assert_eq!(peers.tick(now), None);
        for member in 0..10_000 {
            peers.hear(MemberId(member), &beat(60_000), now);
        }
        assert!(peers.list().len() == MEMBERS);
        let period = peers.tick(now + PERIOD_MIN);
        assert_eq!(period, Some(PERIOD_PER_MEMBER * MEMBERS as u32));
    }
}
