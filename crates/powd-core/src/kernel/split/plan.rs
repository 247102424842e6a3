//! Which pieces of the schedule stand behind which rounds.

use super::{MESSAGES, ROUND_PAIRS};

/// Two rounds of two states are a slot: this many in a batch.
pub(super) const SLOTS: usize = ROUND_PAIRS * MESSAGES / 2;

/// The most pieces in a slot.
pub(super) const MOST: usize = 24;

/// Which slots have pieces behind them.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct Spread {
    /// So many slots at the start of a batch have none.
    pub(super) bare: usize,
    /// From there on, the pieces of so many slots stand together behind the last of these.
    pub(super) group: usize,
}

impl Spread {
    /// Some behind each slot.
    pub(super) const SINGLY: Spread = Spread { bare: 0, group: 1 };
}

/// The pieces behind slot `s` are those from `starts[s]` to before `starts[s + 1]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    starts: [usize; SLOTS + 1],
}

impl Plan {
    /// As even as the costs of the pieces allow.
    pub(super) const fn even<const PIECES: usize>(costs: [usize; PIECES], spread: Spread) -> Plan {
        let Spread { bare, group } = spread;
        assert!((SLOTS - bare).is_multiple_of(group));
        let mut total = 0;
        let mut piece = 0;
        while piece < PIECES {
            total += costs[piece];
            piece += 1;
        }
        let mut starts = [0; SLOTS + 1];
        let (mut slot, mut piece, mut spent) = (bare + 1, 0, 0);
        while slot <= SLOTS {
            // Slots of the groups that are complete.
            let grouped = (slot - bare) / group * group;
            // A piece is behind the group in which its middle falls.
            while piece < PIECES
                && (2 * spent + costs[piece]) * (SLOTS - bare) <= 2 * total * grouped
            {
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

    const COSTS: [usize; 96] = {
        let mut costs = [0; 96];
        let mut i = 0;
        while i < 96 {
            costs[i] = 1 + i % 7;
            i += 1;
        }
        costs
    };

    const SPREADS: [Spread; 4] = [
        Spread::SINGLY,
        Spread { bare: 8, group: 4 },
        Spread { bare: 3, group: 25 },
        Spread { bare: 0, group: 8 },
    ];

    fn pieces(plan: Plan, slot: usize) -> impl Iterator<Item = usize> {
        (0..MOST).filter_map(move |i| plan.piece(slot, i))
    }

    #[test]
    fn every_piece_has_its_place_in_order() {
        for spread in SPREADS {
            let plan = Plan::even(COSTS, spread);
            let pieces = (0..SLOTS).flat_map(|slot| pieces(plan, slot));
            assert!(pieces.eq(0..96), "{spread:?}");
        }
    }

    #[test]
    fn each_group_has_its_share_behind_its_last_slot() {
        for spread in SPREADS {
            let plan = Plan::even(COSTS, spread);
            let Spread { bare, group } = spread;
            let share = COSTS.iter().sum::<usize>() as f64 * group as f64 / (SLOTS - bare) as f64;
            for slot in 0..SLOTS {
                let cost: usize = pieces(plan, slot).map(|piece| COSTS[piece]).sum();
                match slot >= bare && (slot + 1 - bare).is_multiple_of(group) {
                    // But for half of a piece at either end.
                    true => assert!((cost as f64 - share).abs() <= 7.0, "{spread:?}, {slot}"),
                    false => assert_eq!(cost, 0, "{spread:?}, {slot}"),
                }
            }
        }
    }
}
