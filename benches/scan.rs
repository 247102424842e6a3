//! Hashes per second of every kernel, for messages of one, two and 16 blocks, and what a short scan
//! costs, from the layout of its message to its find.

#[path = "support/scanning.rs"]
mod scanning;

use std::hint::black_box;
use std::ops::Range;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use powd_core::unstable::{Template, whole_batches};
use powd_core::{Difficulty, Kernel, Scan, SeedLength};
use scanning::{check, first_solution, template};

const MESSAGE_BYTES: [usize; 3] = [20, 100, 1000];

fn message(bytes: usize) -> Vec<u8> {
    (b' '..=b'~').cycle().take(bytes).collect()
}

/// Many heads and no find: the rate of a hard search.
fn long_scans(criterion: &mut Criterion) {
    for bytes in MESSAGE_BYTES {
        let message = message(bytes);
        let template = template(&message);
        let heads = whole_batches(16_384 / template.blocks() as u64).get() as u32;
        let mut group = criterion.benchmark_group(format!("scan/{bytes}-bytes"));
        group.throughput(Throughput::Elements(u64::from(heads)));
        for kernel in Kernel::available() {
            check(kernel, &message);
            group.bench_function(BenchmarkId::from_parameter(kernel), |bencher| {
                bencher.iter(|| {
                    let found = kernel.scan(&template, black_box(0..heads), Difficulty::MAX);
                    assert_eq!(found, None);
                });
            });
        }
        group.finish();
    }
}

/// Short scans that the oracle makes too, before the others are timed.
const CHECKED_SCANS: u32 = 100;

/// The heads of scan number `number`, far more than it takes.
fn heads_of(number: u32) -> Range<u32> {
    let start = number % 10_000;
    start..start + 100_000
}

/// The kernel's part in a short request: lay out the message, scan until the first find. What else
/// there is (the draw, the oracle, the reply) `service` measures. Difficulty 0, where the service
/// lays nothing out, shows what the layout costs; difficulty 1 (16 hashes on average) what lanes
/// cost that were not needed.
fn short_scans(criterion: &mut Criterion) {
    for nibbles in [0, 1, 2] {
        let difficulty = Difficulty::new(nibbles).expect("0 to 64");
        let mut group = criterion.benchmark_group(format!("short-scan/difficulty-{nibbles}"));
        for kernel in Kernel::available() {
            let mut template = Template::with_capacity(64);
            let mut find = |number: u32| {
                template.load(SeedLength::DEFAULT, &number.to_be_bytes());
                template.fix_tail(b"a");
                kernel.scan(&template, heads_of(number), difficulty)
            };
            for number in 0..CHECKED_SCANS {
                let expected = first_solution(&number.to_be_bytes(), heads_of(number), difficulty);
                assert_eq!(find(number), expected, "{kernel}");
            }
            let mut number = 0u32;
            group.bench_function(BenchmarkId::from_parameter(kernel), |bencher| {
                bencher.iter(|| {
                    number = number.wrapping_add(1);
                    assert!(find(number).is_some());
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, long_scans, short_scans);
criterion_main!(benches);
