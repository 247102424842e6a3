//! One message, laid out as padded blocks behind a seed. What is the same for all seeds is computed
//! ahead.
#![cfg_attr(
    not(fast_kernels),
    allow(dead_code, reason = "what is computed ahead is for vectors")
)]

use super::constants::K;
use crate::pow::SeedLength;

/// Whether the schedule word `W[t]` of block 0 is constant: the same for all values of word 0.
///
/// Words 1 to 15 are. A later word is made of `W[t-2]`, `W[t-7]`, `W[t-15]` and `W[t-16]`, and is
/// constant if all four are, which is so for 17, 19 and 21.
pub(super) const fn is_constant(t: usize) -> bool {
    matches!(t, 1..=15 | 17 | 19 | 21)
}

/// No schedule word of block 0 from this one on has a constant term: `W[37]` is the last one, made
/// of `W[21]`.
pub(super) const CONSTANT_TERMS_END: usize = 38;

/// The constant part of the message schedule of block 0 (FIPS 180-4, section 6.2.2, step 1): what
/// does not depend on word 0.
#[derive(Clone, Debug)]
pub(crate) struct Hoisted {
    /// `W[t] + K[t]` where `W[t]` [is constant](is_constant); the other places have no meaning.
    pub(crate) words_plus_k: [u32; 22],
    /// For `t` from 16 on, the sum of the constant terms of `W[t]`.
    pub(crate) terms: [u32; CONSTANT_TERMS_END],
}

impl Hoisted {
    /// `W[t] + K[t]`, if it is constant.
    #[inline(always)]
    pub(crate) fn word_plus_k(&self, t: usize) -> Option<u32> {
        is_constant(t).then(|| self.words_plus_k[t])
    }
}

/// The blocks of `seed || message || padding` for all seeds of one length. It is the memory that a
/// searching thread uses again for each message.
///
/// A seed of any length lies within block 0. Its first four characters (or fewer), the *head*, lie
/// in word 0, which is what a scan varies. The characters behind them, the *tail*, stay the same
/// during a scan.
#[derive(Clone, Debug)]
pub struct Template {
    seed_length: SeedLength,
    message_bytes: usize,
    /// Block 0 as bytes, with zeros for the seed.
    first_block: [u8; 64],
    /// Block 0 as words, with the tail in it, and zeros for the head.
    words: [u32; 16],
    hoisted: Hoisted,
    /// The blocks behind block 0, as bytes, and as `W[t] + K[t]`.
    later_blocks: Vec<[u8; 64]>,
    later_words_plus_k: Vec<[u32; 64]>,
}

impl Template {
    /// The longest head. The tail begins behind it.
    pub const MAX_HEAD_LENGTH: SeedLength = SeedLength::of::<4>();

    /// Memory for messages of up to `max_message_bytes`: two allocations, of five bytes in all for
    /// each of the message's behind block 0.
    ///
    /// # Panics
    ///
    /// When no memory can be so large.
    pub fn with_capacity(max_message_bytes: usize) -> Template {
        let later = blocks(max_message_bytes.saturating_add(SeedLength::MAX.bytes())) - 1;
        let mut template = Template {
            seed_length: SeedLength::MIN,
            message_bytes: 0,
            first_block: [0; 64],
            words: [0; 16],
            hoisted: Hoisted {
                words_plus_k: [0; 22],
                terms: [0; CONSTANT_TERMS_END],
            },
            later_blocks: Vec::with_capacity(later),
            later_words_plus_k: Vec::with_capacity(later),
        };
        template.lay_out(SeedLength::MIN, b"");
        template.fix_tail(b"");
        template
    }

    /// Lays out `message` behind a seed of `seed_length` characters, whose place is left zero.
    /// Before a scan, seeds of more than four characters need [`fix_tail`](Template::fix_tail).
    ///
    /// A message that lies there already is compared and left as it is. Only a message longer than
    /// the capacity makes this allocate.
    pub fn load(&mut self, seed_length: SeedLength, message: &[u8]) {
        if !self.holds(seed_length, message) {
            self.lay_out(seed_length, message);
        }
        if seed_length <= Template::MAX_HEAD_LENGTH {
            self.fix_tail(b"");
        } else {
            // Takes out the tail of an earlier search: what is loaded does not depend on what was
            // there.
            self.words = words_of(&self.first_block);
        }
    }

    /// Whether this message lies here already, behind a seed of this length.
    ///
    /// A search loads its message again for each slice of its work. To compare 8 KiB takes 0.1 µs,
    /// to lay them out 20 to 60; 64 KiB take 1 to 9 µs and 300 to 420. For 20 bytes there is no
    /// difference (Zen 4, 2026-11).
    fn holds(&self, seed_length: SeedLength, message: &[u8]) -> bool {
        if (seed_length, message.len()) != (self.seed_length, self.message_bytes) {
            return false;
        }
        let (first, later) = split(seed_length, message);
        let first_held = &self.first_block[seed_length.bytes()..][..first.len()];
        let later_held = &self.later_blocks.as_flattened()[..later.len()];
        first == first_held && later == later_held
    }

    fn lay_out(&mut self, seed_length: SeedLength, message: &[u8]) {
        self.seed_length = seed_length;
        self.message_bytes = message.len();

        let total = seed_length.bytes() + message.len();
        let (first, mut rest) = split(seed_length, message);
        self.first_block = [0; 64];
        self.first_block[seed_length.bytes()..][..first.len()].copy_from_slice(first);
        pad(&mut self.first_block, 0, total);

        self.later_blocks.clear();
        self.later_words_plus_k.clear();
        for index in 1..blocks(total) {
            let mut block = [0; 64];
            let (here, behind) = rest.split_at(rest.len().min(64));
            block[..here.len()].copy_from_slice(here);
            rest = behind;
            pad(&mut block, index, total);
            self.later_words_plus_k
                .push(words_plus_k(&words_of(&block)));
            self.later_blocks.push(block);
        }
    }

    /// Puts the tail of a seed, its characters from the fifth on, into block 0 in place of the one
    /// before, and computes what does not depend on word 0.
    ///
    /// # Panics
    ///
    /// When the length of `tail` is not that of the tail of a seed of the loaded length.
    pub fn fix_tail(&mut self, tail: &[u8]) {
        const MAX_TAIL: usize = SeedLength::MAX.bytes() - Template::MAX_HEAD_LENGTH.bytes();
        let (seed, head) = (self.seed_length.bytes(), Template::MAX_HEAD_LENGTH.bytes());
        assert_eq!(
            tail.len(),
            seed.saturating_sub(head),
            "characters behind the head"
        );
        let mut bytes = [0; MAX_TAIL];
        bytes[..tail.len()].copy_from_slice(tail);
        self.words = words_of(&self.first_block);
        for (word, bytes) in self.words[1..].iter_mut().zip(bytes.as_chunks().0) {
            *word |= u32::from_be_bytes(*bytes);
        }
        self.hoisted = hoist(&self.words);
    }

    /// The length of the seeds.
    pub(crate) fn seed_length(&self) -> SeedLength {
        self.seed_length
    }

    /// How many heads there are.
    pub(crate) fn heads(&self) -> u32 {
        self.seed_length.min(Template::MAX_HEAD_LENGTH).space() as u32
    }

    /// The blocks of seed, message and padding.
    pub fn blocks(&self) -> usize {
        1 + self.later_blocks.len()
    }

    /// Block 0 as words, zeros for the head.
    pub(crate) fn words(&self) -> &[u32; 16] {
        &self.words
    }

    /// The part of block 0 that is the same for all heads.
    pub(crate) fn hoisted(&self) -> &Hoisted {
        &self.hoisted
    }

    /// The blocks behind block 0, the same for all seeds, as bytes.
    pub(crate) fn later_blocks(&self) -> &[[u8; 64]] {
        &self.later_blocks
    }

    /// The blocks behind block 0 as `W[t] + K[t]`.
    pub(crate) fn later_words_plus_k(&self) -> &[[u32; 64]] {
        &self.later_words_plus_k
    }
}

/// The blocks that `length` bytes take with their padding: a one bit and 64 bits of length.
const fn blocks(length: usize) -> usize {
    length.saturating_add(9).div_ceil(64)
}

/// The blocks of one hash: of a seed and a message of so many bytes.
#[cfg(feature = "_shared")]
pub const fn hash_blocks(seed_length: SeedLength, message_bytes: usize) -> u64 {
    blocks(seed_length.bytes().saturating_add(message_bytes)) as u64
}

/// The part of a message that lies in block 0, behind a seed of this length, and the part behind
/// block 0.
fn split(seed_length: SeedLength, message: &[u8]) -> (&[u8], &[u8]) {
    message.split_at(message.len().min(64 - seed_length.bytes()))
}

/// Writes the part of the padding of `total` bytes (section 5.1.1) that lies in block `index`.
fn pad(block: &mut [u8; 64], index: usize, total: usize) {
    if total / 64 == index {
        block[total % 64] = 0x80;
    }
    if index + 1 == blocks(total) {
        block[56..].copy_from_slice(&(total as u64 * 8).to_be_bytes());
    }
}

fn words_of(block: &[u8; 64]) -> [u32; 16] {
    let (words, _) = block.as_chunks();
    std::array::from_fn(|t| u32::from_be_bytes(words[t]))
}

fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

fn small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// The message schedule of one block, each word with its round constant added.
fn words_plus_k(block: &[u32; 16]) -> [u32; 64] {
    let mut w = [0u32; 64];
    w[..16].copy_from_slice(block);
    for t in 16..64 {
        w[t] = small_sigma1(w[t - 2])
            .wrapping_add(w[t - 7])
            .wrapping_add(small_sigma0(w[t - 15]))
            .wrapping_add(w[t - 16]);
    }
    std::array::from_fn(|t| w[t].wrapping_add(K[t]))
}

/// The schedule without the terms that depend on word 0.
fn hoist(block: &[u32; 16]) -> Hoisted {
    let mut w = [0u32; CONSTANT_TERMS_END];
    w[1..16].copy_from_slice(&block[1..]);
    for t in 16..CONSTANT_TERMS_END {
        let term = |back: usize, sigma: fn(u32) -> u32| match is_constant(t - back) {
            true => sigma(w[t - back]),
            false => 0,
        };
        w[t] = term(2, small_sigma1)
            .wrapping_add(term(7, |word| word))
            .wrapping_add(term(15, small_sigma0))
            .wrapping_add(term(16, |word| word));
    }
    Hoisted {
        words_plus_k: std::array::from_fn(|t| w[t].wrapping_add(K[t])),
        terms: w,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Padding by its definition, on bytes.
    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.push(0x80);
        while bytes.len() % 64 != 56 {
            bytes.push(0);
        }
        bytes.extend((text.len() as u64 * 8).to_be_bytes());
        bytes
    }

    fn lengths() -> impl Iterator<Item = usize> {
        let around_each_boundary = (256..8192).filter(|length| matches!(length % 64, 40..=63 | 0));
        (0..=200).chain(around_each_boundary)
    }

    #[test]
    fn blocks_are_seed_message_and_padding_at_every_length() {
        let message: Vec<u8> = (0..8192u32).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut template = Template::with_capacity(8192);
        for (round, length) in lengths().enumerate() {
            let seed_length = SeedLength::new(1 + (round % 16) as u8).expect("1 to 16");
            let seed = &b"0123456789abcdef"[..seed_length.bytes()];
            let (head, tail) = seed.split_at(seed_length.min(Template::MAX_HEAD_LENGTH).bytes());
            template.load(seed_length, &message[..length]);
            template.fix_tail(tail);

            let expected = padded(&[seed, &message[..length]].concat());
            let mut words = *template.words();
            for (place, &character) in head.iter().enumerate() {
                words[0] |= u32::from(character) << (24 - 8 * place);
            }
            let first: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(first, expected[..64], "length {length}, seed {seed_length}");
            assert_eq!(
                template.later_blocks().concat(),
                expected[64..],
                "length {length}"
            );
            assert_eq!(template.blocks(), expected.len() / 64);
        }
    }

    #[test]
    fn a_tail_replaces_the_one_before() {
        let mut template = Template::with_capacity(64);
        template.load(SeedLength::of::<16>(), b"message");
        template.fix_tail(b"zzzzzzzzzzzz");
        template.fix_tail(b"abcdefghijkl");
        assert_eq!(template.words()[1..4], [0x61626364, 0x65666768, 0x696a6b6c]);
    }

    #[test]
    #[should_panic(expected = "capacity overflow")]
    fn what_no_memory_can_hold_is_no_capacity() {
        Template::with_capacity(usize::MAX);
    }

    /// Whatever was there before, a template holds what was loaded last: the same length or another
    /// one, the same message, one that differs in a single byte, or one that is cut off.
    #[test]
    fn what_is_loaded_replaces_what_was_there() {
        let lengths = [SeedLength::of::<5>(), SeedLength::of::<6>()];
        let mut used = Template::with_capacity(0);
        for length in [0, 1, 58, 59, 60, 64, 123, 300] {
            let message = vec![b'm'; length];
            let mut loads = vec![message.clone(), message.clone()];
            for place in [0, length / 2, length.saturating_sub(1)] {
                let mut other = message.clone();
                other.get_mut(place).into_iter().for_each(|byte| *byte = 0);
                loads.extend([other, message[..place].to_vec(), message.clone()]);
            }
            for (message, seed_length) in loads.iter().flat_map(|m| lengths.map(|l| (m, l))) {
                let mut fresh = Template::with_capacity(0);
                for template in [&mut fresh, &mut used] {
                    template.load(seed_length, message);
                    template.load(seed_length, message);
                    template.fix_tail(&b"xy"[..seed_length.bytes() - 4]);
                }
                assert_eq!(used.words(), fresh.words());
                assert_eq!(used.later_blocks(), fresh.later_blocks());
                assert_eq!(used.later_words_plus_k(), fresh.later_words_plus_k());
            }
        }
    }

    #[test]
    fn hoisted_words_are_those_of_the_full_schedule() {
        let block: [u32; 16] = std::array::from_fn(|t| 0x9e37_79b9u32.wrapping_mul(t as u32 + 1));
        let hoisted = hoist(&block);
        let full = words_plus_k(&block);
        for t in (1..22).filter(|&t| is_constant(t)) {
            assert_eq!(hoisted.words_plus_k[t], full[t], "word {t}");
        }
    }

    #[test]
    fn constant_words_are_those_that_no_first_word_changes() {
        let schedules = [1, 2, 0x1234_5678, 0x8000_0001].map(|first| {
            let mut block = [1; 16];
            block[0] = first;
            words_plus_k(&block)
        });
        for t in 0..64 {
            let same = schedules
                .iter()
                .all(|schedule| schedule[t] == schedules[0][t]);
            assert_eq!(is_constant(t), same, "word {t}");
        }
    }
}
