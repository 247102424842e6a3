//! The compression function (FIPS 180-4, section 6.2.2) for as many messages as a vector has lanes.
//!
//! The rounds are unrolled by a macro, so that every index is known and all words stay in
//! registers; a loop over `t` keeps the schedule in memory and costs a fifth.

use super::constants::{INITIAL_STATE, K};
use super::schedule::Schedule;
use super::template::Hoisted;
use crate::simd::Simd;

/// The working variables `a` to `h`, or the state between blocks.
type LaneState<S> = [<S as Simd>::Words; 8];

/// Calls a macro with each `t` from 1 to 63, in order.
macro_rules! for_each_round_after_0 {
    ($round:ident) => {
        $round!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        $round!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
        $round!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
        $round!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    };
}

/// The state after block 0, of which only word 0 differs between the lanes.
#[inline(always)]
pub(crate) fn compress_first<S: Simd>(simd: S, hoisted: &Hoisted, word0: S::Words) -> LaneState<S> {
    let mut schedule = Schedule::new(simd, hoisted, word0);
    let mut state = AFTER_ROUND_0.map(|word| simd.splat(word));
    state[0] = simd.add(state[0], word0);
    state[4] = simd.add(state[4], word0);
    macro_rules! rounds {
        ($($t:literal)*) => {
            $(
                let word_plus_k = match hoisted.word_plus_k($t) {
                    Some(word_plus_k) => simd.splat(word_plus_k),
                    None => {
                        let word = schedule.word($t);
                        simd.add(word, simd.splat(K[$t]))
                    }
                };
                state = round(simd, state, word_plus_k);
            )*
        };
    }
    for_each_round_after_0!(rounds);
    sum(simd, INITIAL_STATE.map(|word| simd.splat(word)), state)
}

/// The state after a block that is the same in all lanes, given as `W + K`.
#[inline(always)]
pub(crate) fn compress_later<S: Simd>(
    simd: S,
    words_plus_k: &[u32; 64],
    before: LaneState<S>,
) -> LaneState<S> {
    let mut state = round(simd, before, simd.splat(words_plus_k[0]));
    macro_rules! rounds {
        ($($t:literal)*) => {
            $( state = round(simd, state, simd.splat(words_plus_k[$t])); )*
        };
    }
    for_each_round_after_0!(rounds);
    sum(simd, before, state)
}

/// The working variables after round 0 but for word 0, which is still to be added to `a` and `e`.
const AFTER_ROUND_0: [u32; 8] = {
    let [a, b, c, d, e, f, g, h] = INITIAL_STATE;
    let big_sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let ch = (e & f) ^ (!e & g);
    let temporary1 = h
        .wrapping_add(big_sigma1)
        .wrapping_add(ch)
        .wrapping_add(K[0]);
    let big_sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let maj = (a & b) ^ (a & c) ^ (b & c);
    let temporary2 = big_sigma0.wrapping_add(maj);
    [
        temporary1.wrapping_add(temporary2),
        a,
        b,
        c,
        d.wrapping_add(temporary1),
        e,
        f,
        g,
    ]
};

#[inline(always)]
fn round<S: Simd>(
    simd: S,
    [a, b, c, d, e, f, g, h]: LaneState<S>,
    word_plus_k: S::Words,
) -> LaneState<S> {
    let big_sigma1 = simd.xor3(simd.rotr::<6>(e), simd.rotr::<11>(e), simd.rotr::<25>(e));
    let big_sigma0 = simd.xor3(simd.rotr::<2>(a), simd.rotr::<13>(a), simd.rotr::<22>(a));
    // Pinned, or the compiler adds `big_sigma1` first, which is ready last: three additions in the
    // chain from one `e` to the next in place of two (Zen 4, 2026-11: later blocks 18 % slower with
    // AVX-512, 5 % with AVX2).
    let early = simd.pin(simd.add(simd.add(h, word_plus_k), simd.ch(e, f, g)));
    let temporary1 = simd.add(early, big_sigma1);
    let temporary2 = simd.add(big_sigma0, simd.maj(a, b, c));
    [
        simd.add(temporary1, temporary2),
        a,
        b,
        c,
        simd.add(d, temporary1),
        e,
        f,
        g,
    ]
}

#[inline(always)]
fn sum<S: Simd>(simd: S, x: LaneState<S>, y: LaneState<S>) -> LaneState<S> {
    let mut sum = x;
    // No `array::from_fn`: of two vectors side by side its closure was not inlined, and was without
    // the instruction set (`avx512x2` a third slower).
    for word in 0..8 {
        sum[word] = simd.add(x[word], y[word]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::SeedLength;
    use crate::sha256::Template;
    #[cfg(target_arch = "aarch64")]
    use crate::simd::Neon;
    #[cfg(target_arch = "x86_64")]
    use crate::simd::{Avx2, Avx512, Avx512Vl};

    /// NIST's two-block example: the state after both blocks, all eight words, in every lane.
    fn two_blocks<S: Simd>(simd: S) {
        let text = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let expected: [u32; 8] = [
            0x248d_6a61,
            0xd206_38b8,
            0xe5c0_2693,
            0x0c3e_6039,
            0xa33c_e459,
            0x64ff_2167,
            0xf6ec_edd4,
            0x19db_06c1,
        ];
        let mut template = Template::with_capacity(64);
        template.load(SeedLength::of::<4>(), &text[4..]);
        let word0 = simd.splat(u32::from_be_bytes(*b"abcd"));
        let mut state = compress_first(simd, template.hoisted(), word0);
        assert_eq!(template.later_words_plus_k().len(), 1);
        state = compress_later(simd, &template.later_words_plus_k()[0], state);
        let all_lanes = (1 << S::LANES) - 1;
        for (word, expected) in state.into_iter().zip(expected) {
            assert_eq!(simd.lanes_at_most(word, expected), all_lanes);
            assert_eq!(simd.lanes_at_most(word, expected - 1), 0);
        }
    }

    #[test]
    fn nist_example_of_two_blocks_in_every_lane() {
        fn check<S: Simd>(witness: Result<S, Vec<&str>>) {
            match witness {
                Ok(simd) => two_blocks(simd),
                Err(lacks) => eprintln!("skipped: this CPU lacks {lacks:?}"),
            }
        }
        #[cfg(target_arch = "x86_64")]
        {
            check(Avx2::detect());
            check(Avx512Vl::detect());
            check(Avx512::detect());
        }
        #[cfg(target_arch = "aarch64")]
        check(Neon::detect());
    }
}
