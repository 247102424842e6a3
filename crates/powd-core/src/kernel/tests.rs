//! Every kernel against the oracle, [`pow`](crate::pow): one suite, stamped on each.

use std::ops::Range;
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use super::*;
use crate::pow::{ALPHABET, Digest, Seed, SeedLength, digest};
use crate::sync::AtomicBool;

/// What the kernels scan: a template and what is in it.
struct Work {
    template: Template,
    seed_length: SeedLength,
    tail: Vec<u8>,
    message: Vec<u8>,
}

impl Work {
    fn new(seed_length: u8, message: &[u8]) -> Work {
        let seed_length = SeedLength::new(seed_length).expect("1 to 16");
        let tail: Vec<u8> = ALPHABET
            .iter()
            .rev()
            .copied()
            .take(seed_length.bytes())
            .skip(Template::MAX_HEAD_LENGTH.bytes())
            .collect();
        let mut template = Template::with_capacity(message.len());
        template.load(seed_length, message);
        template.fix_tail(&tail);
        Work {
            template,
            seed_length,
            tail,
            message: message.to_vec(),
        }
    }

    fn digest(&self, head: u32) -> Digest {
        let head = Seed::from_index(
            self.seed_length.min(Template::MAX_HEAD_LENGTH),
            u128::from(head),
        );
        let seed = Seed::from_bytes(&[head.as_bytes(), &self.tail].concat());
        digest(&seed.expect("1 to 16 characters"), &self.message)
    }

    fn first_word(&self, head: u32) -> u32 {
        u32::from_be_bytes(
            *self
                .digest(head)
                .as_bytes()
                .first_chunk()
                .expect("32 bytes"),
        )
    }

    fn heads(&self) -> u32 {
        self.template.heads()
    }

    /// The kernel's answer at difficulty 1 and at the bound that exactly one head of the range
    /// meets.
    #[track_caller]
    fn check(&self, kernel: Kernel, heads: Range<u32>) {
        let words: Vec<u32> = heads.clone().map(|head| self.first_word(head)).collect();
        let lowest_at_most = |bound| {
            let place = words.iter().position(|&word| word <= bound)?;
            Some(heads.start + place as u32)
        };
        let about = || {
            format!(
                "seed length {}, {} bytes, heads {heads:?}",
                self.seed_length,
                self.message.len()
            )
        };
        let smallest = words.iter().copied().min().unwrap_or(u32::MAX);
        for bound in [u32::MAX >> 4, smallest] {
            let found = first_at_most(kernel, &self.template, heads.clone(), bound);
            assert_eq!(
                found,
                lowest_at_most(bound),
                "at most {bound:#x}; {}",
                about()
            );
        }
        if let Some(below) = smallest.checked_sub(1) {
            let found = first_at_most(kernel, &self.template, heads.clone(), below);
            assert_eq!(found, None, "below the smallest; {}", about());
        }
    }
}

/// The lowest head of a range whose first state word is at most `bound`.
fn first_at_most(
    kernel: Kernel,
    template: &Template,
    heads: Range<u32>,
    bound: u32,
) -> Option<u32> {
    kernel.next_at_most(template, &mut heads.into(), bound)
}

/// The examples of FIPS 180-4 and NIST's CAVP, the start of each as the seed.
fn nist_vectors(kernel: Kernel) {
    let vectors: [(&[u8], &str); 4] = [
        (
            b"a",
            "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        ),
        (
            b"abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (
            b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
              hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
        ),
    ];
    for (text, digest) in vectors {
        let first_word = u32::from_str_radix(&digest[..8], 16).expect("hex digits");
        for seed_length in (1..=16).take(text.len()) {
            let seed_length = SeedLength::new(seed_length).expect("1 to 16");
            let (seed, message) = text.split_at(seed_length.bytes());
            let (head, tail) = seed.split_at(seed_length.min(Template::MAX_HEAD_LENGTH).bytes());
            let head = Seed::from_bytes(head).expect("letters").index() as u32;
            let mut template = Template::with_capacity(128);
            template.load(seed_length, message);
            template.fix_tail(tail);
            let heads = head..head + 1;
            assert_eq!(
                first_at_most(kernel, &template, heads.clone(), first_word),
                Some(head)
            );
            assert_eq!(
                first_at_most(kernel, &template, heads, first_word - 1),
                None
            );
        }
    }
}

/// A head that beats all its neighbours, in every place of a range.
fn each_lane_is_the_only_winner(kernel: Kernel) {
    for message in [&b"a message of one block"[..], &[b'x'; 100]] {
        let work = Work::new(5, message);
        let words: Vec<u32> = (0..3000).map(|head| work.first_word(head)).collect();
        let place = words[200..2800]
            .iter()
            .enumerate()
            .min_by_key(|(_, word)| **word);
        let (winner, &word) = place.expect("2600 words");
        let winner = winner as u32 + 200;
        for lane in 0..40 {
            for behind in [1, 7, 40] {
                let heads = winner - lane..winner + behind;
                let found = first_at_most(kernel, &work.template, heads.clone(), word);
                assert_eq!(found, Some(winner), "lane {lane} of {heads:?}");
            }
            let heads = winner - lane..winner;
            assert_eq!(
                first_at_most(kernel, &work.template, heads, word),
                None,
                "just behind the range"
            );
            let heads = winner + 1..winner + 1 + lane;
            assert_eq!(
                first_at_most(kernel, &work.template, heads, word),
                None,
                "just before the range"
            );
        }
    }
}

/// Ranges of every short length, from odd starts, over the ends of rows and of the heads.
fn odd_ranges(kernel: Kernel) {
    for seed_length in [1, 2, 3, 4, 5] {
        let work = Work::new(seed_length, b"odd ranges");
        let heads = work.heads();
        let row = 3844;
        for start in [
            0,
            1,
            3,
            row - 9,
            row - 1,
            row,
            62 * row - 4,
            heads - 33,
            heads - 1,
            heads,
        ] {
            for count in (0..=34).filter(|_| start <= heads) {
                work.check(kernel, start..(start + count).min(heads));
            }
        }
    }
}

/// Nothing beyond the last head, however far the range goes.
fn heads_that_do_not_exist(kernel: Kernel) {
    for seed_length in [1, 2, 3, 4] {
        let work = Work::new(seed_length, b"");
        let heads = work.heads();
        for difficulty in [Difficulty::NONE, Difficulty::new(1).expect("0 to 64")] {
            assert_eq!(
                kernel.scan(&work.template, heads..heads + 100, difficulty),
                None
            );
            assert_eq!(
                kernel.scan(&work.template, u32::MAX - 1..u32::MAX, difficulty),
                None
            );
        }
        let mut beyond = Heads::from(heads - 3..u32::MAX);
        assert_eq!(kernel.next_at_most(&work.template, &mut beyond, 0), None);
        assert!(beyond.left().is_empty());
    }
}

/// Messages of every length from 0 to 200, and around each block boundary to 8192, behind seeds of
/// all lengths.
fn message_lengths(kernel: Kernel) {
    let message: Vec<u8> = (0..8192u32).map(|i| (i * 31 + i / 256) as u8).collect();
    let boundaries = (201..=8192).filter(|length| matches!(length % 64, 0 | 1 | 39..=56 | 63));
    for (round, length) in (0..=200).chain(boundaries).enumerate() {
        let seed_length = 1 + (round % 16) as u8;
        let work = Work::new(seed_length, &message[..length]);
        let start = (round as u32 * 977) % (work.heads() - 10);
        work.check(kernel, start..start + 10);
    }
}

/// Long scans, find after find, as a search makes them.
fn all_finds_of_a_long_range(kernel: Kernel) {
    let difficulty = Difficulty::new(2).expect("0 to 64");
    for (seed_length, message) in [(2, &b"short"[..]), (5, b"usual"), (7, &[b'y'; 150])] {
        let work = Work::new(seed_length, message);
        let end = work.heads().min(10_000);
        let expected: Vec<u32> = (0..end)
            .filter(|&head| difficulty.is_met_by(&work.digest(head)))
            .collect();
        let mut found = Vec::new();
        let mut heads = Heads::from(0..end);
        while let Some(head) = kernel.next_hit(&work.template, &mut heads, difficulty) {
            found.push(head);
            assert_eq!(heads.left(), head + 1..end);
        }
        assert_eq!(found, expected, "seed length {seed_length}");
        assert!(heads.left().is_empty());
    }
}

/// After a stop all heads are left and none was tried; without one all are tried.
fn stopping(kernel: Kernel) {
    let work = Work::new(5, b"message");
    let stop = AtomicBool::new(true);
    let mut heads = Heads::until(&stop, 7..100_000);
    for difficulty in [Difficulty::NONE, Difficulty::MAX] {
        let found = kernel.next_hit(&work.template, &mut heads, difficulty);
        assert_eq!((found, heads.left()), (None, 7..100_000));
    }
    stop.store(false, Relaxed);
    let found = kernel.next_hit(&work.template, &mut heads, Difficulty::MAX);
    assert_eq!((found, heads.left().is_empty()), (None, true));
}

/// A scan that another thread stops ends early.
fn stopping_from_another_thread(kernel: Kernel) {
    let work = Work::new(5, &[b'm'; 8192]);
    let (stop, begun) = (AtomicBool::new(false), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            begun.wait();
            stop.store(true, Relaxed);
        });
        begun.wait();
        // 1.9e9 blocks: many seconds even for the fastest kernel, so the stop comes first.
        let mut heads = Heads::until(&stop, 0..work.heads());
        let found = kernel.next_hit(&work.template, &mut heads, Difficulty::MAX);
        assert_eq!(found, None);
        assert!(!heads.left().is_empty());
    });
}

/// Real solutions with seven and with exactly eight zeros, and the difficulties on both sides of
/// them.
fn difficulty_edges(kernel: Kernel) {
    for (message, tail, head, zeros) in KNOWN {
        let mut template = Template::with_capacity(64);
        template.load(SeedLength::DEFAULT, message.as_bytes());
        template.fix_tail(&[tail]);
        for nibbles in 0..=64 {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            let found = kernel.scan(&template, head..head + 1, difficulty);
            assert_eq!(
                found,
                (nibbles <= zeros).then_some(head),
                "{nibbles} of {zeros} zeros"
            );
        }
        let exactly = Difficulty::new(zeros).expect("0 to 64");
        let one_more = Difficulty::new(zeros + 1).expect("0 to 64");
        assert_eq!(
            kernel.scan(&template, head - 1000..head + 1000, exactly),
            Some(head)
        );
        assert_eq!(
            kernel.scan(&template, head - 1000..head + 1000, one_more),
            None
        );
    }
}

/// Message, fifth character, head, and the zeros of the digest.
const KNOWN: [(&str, u8, u32, u8); 3] = [
    ("powd 0", b'e', 12_068_384, 7),
    ("powd 0", b'1', 4_454_332, 7),
    ("powd 13", b'R', 11_396_030, 8),
];

/// Runs a test on the kernel of that name, or says that it was skipped.
fn with(name: &str, test: fn(Kernel)) {
    match Kernel::named(name) {
        Ok(kernel) => test(kernel),
        Err(error @ KernelError::Unavailable { .. }) => eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
}

/// Stamps the tests on each kernel, and the list of those that have them.
macro_rules! suite {
    ($list:ident: $($module:ident: $name:literal),*) => {
        const $list: &[&str] = &[$($name),*];
        $(
            mod $module {
                suite!(@tests $name nist_vectors each_lane_is_the_only_winner odd_ranges
                    heads_that_do_not_exist message_lengths all_finds_of_a_long_range difficulty_edges
                    stopping stopping_from_another_thread);
            }
        )*
    };
    (@tests $name:literal $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                super::with($name, super::$test);
            }
        )*
    };
}

#[cfg(all(fast_kernels, target_arch = "x86_64"))]
suite!(NATIVE:
    avx512_sha: "avx512-sha",
    avx2_sha: "avx2-sha",
    avx512: "avx512",
    avx512x2: "avx512x2",
    sha_ni: "sha-ni",
    avx2: "avx2"
);
#[cfg(all(fast_kernels, target_arch = "aarch64"))]
suite!(NATIVE:
    arm_sha: "arm-sha",
    neon_sha: "neon-sha",
    neon: "neon"
);
#[cfg(not(fast_kernels))]
suite!(NATIVE:);
suite!(EVERYWHERE: portable: "portable");

/// Whatever this CPU has: a kernel without the suite would go untested everywhere.
#[test]
fn every_kernel_of_this_build_has_the_suite() {
    let exist: Vec<&str> = kernels().map(|entry| entry.name).collect();
    assert_eq!([NATIVE, EVERYWHERE].concat(), exist);
}

/// The kernels and the flags of `/proc/cpuinfo` that each one needs: said again, apart from the
/// detection, and not by `cfg(fast_kernels)`, which leaves kernels out where nothing is optimised.
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
const NEEDS: &[(&str, &[&str])] = &[
    ("avx512-sha", &["avx2", "avx512f", "avx512vl", "sha_ni"]),
    ("avx2-sha", &["avx2", "sha_ni"]),
    ("avx512", &["avx512f"]),
    ("avx512x2", &["avx512f"]),
    ("sha-ni", &["avx", "sha_ni"]),
    ("avx2", &["avx2"]),
    ("portable", &[]),
];
#[cfg(all(feature = "simd", target_arch = "aarch64"))]
const NEEDS: &[(&str, &[&str])] = &[
    ("arm-sha", &["asimd", "sha2"]),
    ("neon-sha", &["asimd", "sha2"]),
    ("neon", &["asimd"]),
    ("portable", &[]),
];
#[cfg(not(all(feature = "simd", any(target_arch = "x86_64", target_arch = "aarch64"))))]
const NEEDS: &[(&str, &[&str])] = &[("portable", &[])];

/// The kernels that this CPU must have by what Linux says of it.
#[cfg(target_os = "linux")]
fn needed_by_cpuinfo() -> Vec<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").expect("Linux has it");
    let is_flags = |line: &&str| line.starts_with("flags") || line.starts_with("Features");
    let flags = cpuinfo.lines().find(is_flags).unwrap_or_default();
    let flags: Vec<&str> = flags.split_whitespace().collect();
    NEEDS
        .iter()
        .filter(|(_, needs)| needs.iter().all(|flag| flags.contains(flag)))
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// With `POWD_REQUIRE_KERNELS=1`, as in CI: what the CPU has is detected, so that the suite runs on
/// it. With names in place of the 1, for an emulator, whose Linux tells of another CPU: these, and
/// no others.
#[test]
#[cfg(target_os = "linux")]
fn no_kernel_of_this_cpu_is_left_out() {
    let expected = match std::env::var("POWD_REQUIRE_KERNELS").as_deref() {
        Err(_) => return eprintln!("skipped: POWD_REQUIRE_KERNELS is not set"),
        Ok("1") => needed_by_cpuinfo(),
        Ok(names) => names.split(',').map(str::to_owned).collect(),
    };
    let available: Vec<&str> = Kernel::available().map(|kernel| kernel.name()).collect();
    assert_eq!(available, expected);
}

#[test]
fn every_kernel_goes_by_its_name() {
    for kernel in Kernel::available() {
        assert_eq!(Kernel::named(kernel.name()), Ok(kernel));
    }
}

#[test]
fn an_unknown_kernel_is_an_error_that_names_the_known() {
    let error = Kernel::named("sse9")
        .expect_err("no such thing")
        .to_string();
    assert!(error.contains("\"sse9\""), "{error}");
    assert!(error.contains("portable"), "{error}");
}

/// Above difficulty 8 the first word has to be zero and others decide: a candidate that fails there
/// is passed over. One that fails in the first word is reported: a false hit, which is counted.
#[test]
fn later_words_decide_above_eight() {
    // The digest of "fgTZommessage" starts with eight zeros, and an f.
    let mut template = Template::with_capacity(64);
    template.load(SeedLength::of::<6>(), b"message");
    template.fix_tail(b"om");
    let near = Seed::from_bytes(b"fgTZ").expect("letters").index() as u32;
    let claim_each = |heads: &mut Heads<'_>, bound: u32| {
        assert_eq!(bound, 0);
        heads.left().next()
    };
    let next_hit = |heads: Range<u32>, difficulty| {
        next_hit_by(&template, &mut heads.into(), difficulty, claim_each)
    };
    for nibbles in [9, 63, 64] {
        let difficulty = Difficulty::new(nibbles).expect("0 to 64");
        assert_eq!(next_hit(near..near + 1, difficulty), None);
        assert_eq!(next_hit(near..near + 100, difficulty), Some(near + 1));
    }
    let eight = Difficulty::new(8).expect("0 to 64");
    assert_eq!(next_hit(near..near + 1, eight), Some(near));
}

/// The second look at a candidate is at the right digest.
#[test]
fn a_candidate_is_completed_to_its_digest() {
    for (seed_length, length) in [(1, 0), (3, 20), (5, 60), (16, 200)] {
        let work = Work::new(seed_length, &vec![b'm'; length]);
        for head in [0, 1, 61] {
            assert_eq!(
                super::portable::digest(&work.template, head),
                Some(work.digest(head))
            );
        }
        assert_eq!(super::portable::digest(&work.template, work.heads()), None);
    }
}
