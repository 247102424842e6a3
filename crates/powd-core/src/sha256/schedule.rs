//! The message schedule of block 0 in lanes, while only word 0 differs between them.

use super::template::{Hoisted, is_constant};
use crate::simd::Simd;

/// One operation of those that make a schedule word, in the order in which they are done: `W[t] =
/// small_sigma0(W[t-15]) + W[t-16] + W[t-7] + small_sigma1(W[t-2])`. What comes from `W[t-15]` is
/// early, what comes from `W[t-2]` is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `rotr 7` of `W[t-15]`.
    EarlyRotateBy7,
    /// `rotr 18` of `W[t-15]`.
    EarlyRotateBy18,
    /// `shr 3` of `W[t-15]`.
    EarlyShift,
    /// `small_sigma0(W[t-15])`, the exclusive or of the three.
    EarlyXor,
    /// `+ W[t-16]`.
    AddBack16,
    /// `+ W[t-7]`.
    AddBack7,
    /// `+` the sum of those terms that are constant.
    AddConstant,
    /// `rotr 17` of `W[t-2]`.
    LateRotateBy17,
    /// `rotr 19` of `W[t-2]`.
    LateRotateBy19,
    /// `shr 10` of `W[t-2]`.
    LateShift,
    /// `small_sigma1(W[t-2])`, the exclusive or of the three.
    LateXor,
    /// `+ small_sigma1(W[t-2])`.
    AddLate,
}

impl Step {
    /// All of them.
    pub(crate) const ALL: [Step; 12] = [
        Step::EarlyRotateBy7,
        Step::EarlyRotateBy18,
        Step::EarlyShift,
        Step::EarlyXor,
        Step::AddBack16,
        Step::AddBack7,
        Step::AddConstant,
        Step::LateRotateBy17,
        Step::LateRotateBy19,
        Step::LateShift,
        Step::LateXor,
        Step::AddLate,
    ];

    /// Whether it is a rotation.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn is_rotation(self) -> bool {
        matches!(
            self,
            Step::EarlyRotateBy7
                | Step::EarlyRotateBy18
                | Step::LateRotateBy17
                | Step::LateRotateBy19
        )
    }

    /// Whether it is an exclusive or.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn is_xor(self) -> bool {
        matches!(self, Step::EarlyXor | Step::LateXor)
    }

    /// Whether the word `W[t]` needs it: not if that is constant, and not for a term that is.
    pub(crate) const fn is_needed(self, t: usize) -> bool {
        let back = match self {
            Step::EarlyRotateBy7 | Step::EarlyRotateBy18 | Step::EarlyShift | Step::EarlyXor => 15,
            Step::AddBack16 => 16,
            Step::AddBack7 => 7,
            Step::AddConstant => return !is_constant(t) && has_constant_term(t),
            _ => 2,
        };
        !is_constant(t) && !is_constant(t - back)
    }
}

/// The last 16 schedule words of as many messages as there are lanes. Constant words are left out:
/// their part in the others is in [`Hoisted::terms`].
///
/// Every `t` and step in a call must be known at compile time once the call is inlined; only then
/// do the words stay in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule<'t, S: Simd> {
    simd: S,
    hoisted: &'t Hoisted,
    ring: [S::Words; 16],
    /// What there is of the next word.
    sum: Option<S::Words>,
    /// Parts of `small_sigma0` or `small_sigma1`.
    parts: [S::Words; 3],
}

impl<'t, S: Simd> Schedule<'t, S> {
    /// Before word 16.
    #[inline(always)]
    pub(crate) fn new(simd: S, hoisted: &'t Hoisted, word0: S::Words) -> Self {
        Schedule {
            simd,
            hoisted,
            ring: [word0; 16],
            sum: None,
            parts: [word0; 3],
        }
    }

    /// `W[t]`, by all its steps at once.
    #[inline(always)]
    pub(crate) fn word(&mut self, t: usize) -> S::Words {
        macro_rules! steps {
            ($($i:literal)*) => { $( self.step(t, Step::ALL[$i]); )* };
        }
        steps!(0 1 2 3 4 5 6 7 8 9 10 11);
        self.finish(t)
    }

    /// A step towards `W[t]`, if it needs that one.
    #[inline(always)]
    pub(crate) fn step(&mut self, t: usize, step: Step) {
        if !step.is_needed(t) {
            return;
        }
        let simd = self.simd;
        // `W[t - back]`: constant ones do not come here.
        let back15 = self.ring[(t - 15) % 16];
        let back2 = self.ring[(t - 2) % 16];
        let [x, y, z] = self.parts;
        match step {
            Step::EarlyRotateBy7 => self.parts[0] = simd.rotr::<7>(back15),
            Step::EarlyRotateBy18 => self.parts[1] = simd.rotr::<18>(back15),
            Step::EarlyShift => self.parts[2] = simd.shr::<3>(back15),
            Step::EarlyXor => self.sum = Some(simd.xor3(x, y, z)),
            Step::AddBack16 => self.add(self.ring[t % 16]),
            Step::AddBack7 => self.add(self.ring[(t - 7) % 16]),
            Step::AddConstant => self.add(simd.splat(self.hoisted.terms[t])),
            Step::LateRotateBy17 => self.parts[0] = simd.rotr::<17>(back2),
            Step::LateRotateBy19 => self.parts[1] = simd.rotr::<19>(back2),
            Step::LateShift => self.parts[2] = simd.shr::<10>(back2),
            Step::LateXor => self.parts[0] = simd.xor3(x, y, z),
            Step::AddLate => self.add(x),
        }
    }

    /// Adds a term to what there is of the next word.
    #[inline(always)]
    fn add(&mut self, term: S::Words) {
        self.sum = match self.sum {
            Some(sum) => Some(self.simd.add(sum, term)),
            None => Some(term),
        };
    }

    /// `W[t]` after all its steps: it becomes part of the schedule.
    ///
    /// # Panics
    ///
    /// When none of its steps was done. With all of them known at compile time nothing is left of
    /// the check.
    #[inline(always)]
    pub(crate) fn finish(&mut self, t: usize) -> S::Words {
        let word = self.sum.take().expect("W[t] after its steps");
        self.ring[t % 16] = word;
        word
    }
}

/// Whether one of the terms of `W[t]` is constant.
const fn has_constant_term(t: usize) -> bool {
    is_constant(t - 2) || is_constant(t - 7) || is_constant(t - 15) || is_constant(t - 16)
}
