//! Which pieces of the schedule stand behind which rounds.

use super::{MESSAGES, ROUND_PAIRS};

/// Two rounds of two states are a slot: this many in a batch.
pub(super) const SLOTS: usize = ROUND_PAIRS * MESSAGES / 2;

/// The most pieces in a slot.
pub(super) const MOST: usize = 8;

/// The pieces behind slot `s` are those from `starts[s]` to before `starts[s + 1]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    starts: [usize; SLOTS + 1],
}

impl Plan {
    /// As even as the costs of the pieces allow.
    pub(super) const fn even<const PIECES: usize>(costs: [usize; PIECES]) -> Plan {
        let mut total = 0;
        let mut piece = 0;
        while piece < PIECES {
            total += costs[piece];
            piece += 1;
        }
        let mut starts = [0; SLOTS + 1];
        let (mut slot, mut piece, mut spent) = (1, 0, 0);
        while slot <= SLOTS {
            // A piece is behind the slot in which its middle falls.
            while piece < PIECES && (2 * spent + costs[piece]) * SLOTS <= 2 * total * slot {
                spent += costs[piece];
                piece += 1;
            }
            starts[slot] = piece;
            assert!(piece - starts[slot - 1] <= MOST);
            slot += 1;
        }
        assert!(piece == PIECES);
        Plan { starts }
    }

    /// As soon as possible, up to `most` instructions a slot.
    pub(super) const fn filled<const PIECES: usize>(costs: [usize; PIECES], most: usize) -> Plan {
        let mut starts = [0; SLOTS + 1];
        let (mut slot, mut piece) = (1, 0);
        while slot <= SLOTS {
            let mut spent = 0;
            while piece < PIECES && spent + costs[piece] <= most {
                spent += costs[piece];
                piece += 1;
            }
            starts[slot] = piece;
            assert!(piece - starts[slot - 1] <= MOST);
            slot += 1;
        }
        assert!(piece == PIECES);
        Plan { starts }
    }

    /// The piece number `i` behind a slot, if it has so many.
    #[inline(always)]
    pub(super) const fn piece(&self, slot: usize, i: usize) -> Option<usize> {
        let piece = self.starts[slot] + i;
        if piece < self.starts[slot + 1] {
            Some(piece)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_has_its_place_in_order() {
        let costs: [usize; 96] = std::array::from_fn(|i| 1 + i % 7);
        for plan in [Plan::even(costs), Plan::filled(costs, 7)] {
            let pieces: Vec<usize> = (0..SLOTS)
                .flat_map(|slot| (0..MOST).filter_map(move |i| plan.piece(slot, i)))
                .collect();
            assert!(pieces.into_iter().eq(0..96));
        }
    }
}
