//! Nanoseconds per SHA-256 block: the first one of a message, which holds the seed, and a later
//! one, whose schedule is computed once for all seeds.

#[path = "support/scanning.rs"]
mod scanning;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use powd_core::unstable::{INITIAL_STATE, Template, digest, whole_batches};
use powd_core::{Difficulty, Kernel, Scan, Seed};
use scanning::{check, template};
use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

/// The yardstick: one block through the `sha2` crate.
fn reference(criterion: &mut Criterion) {
    let mut block = [0; 64];
    block[..3].copy_from_slice(b"abc");
    block[3] = 0x80;
    block[63] = 24;
    let mut state = INITIAL_STATE;
    compress256(&mut state, &[*GenericArray::from_slice(&block)]);
    assert_eq!(
        state[0].to_be_bytes(),
        digest(&Seed::from_bytes(b"a").expect("a letter"), b"bc").as_bytes()[..4]
    );

    criterion.bench_function("compress/sha2", |bencher| {
        let mut count = 0u32;
        bencher.iter(|| {
            count = count.wrapping_add(1);
            block[..4].copy_from_slice(&count.to_be_bytes());
            let mut state = INITIAL_STATE;
            compress256(&mut state, &[*GenericArray::from_slice(&block)]);
            state[0]
        });
    });
}

/// The time of `count` heads, none of which is a find.
fn scan_time(kernel: Kernel, template: &Template, count: u64) -> Duration {
    let all = Template::MAX_HEAD_LENGTH.space() as u64;
    let start = Instant::now();
    for first in (0..count).step_by(all as usize) {
        let heads = 0..(count - first).min(all) as u32;
        assert_eq!(kernel.scan(template, heads, Difficulty::MAX), None);
    }
    start.elapsed()
}

fn kernels(criterion: &mut Criterion) {
    let long = [b'x'; 8192];
    for kernel in Kernel::available() {
        check(kernel, b"a message of a block");
        check(kernel, &long);
    }
    let mut group = criterion.benchmark_group("compress/first");
    for kernel in Kernel::available() {
        let template = template(b"a message of a block");
        group.bench_function(BenchmarkId::from_parameter(kernel), |bencher| {
            bencher.iter_custom(|blocks| scan_time(kernel, &template, blocks));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("compress/later");
    for kernel in Kernel::available() {
        let template = template(&long);
        let blocks_per_head = template.blocks() as u64;
        group.bench_function(BenchmarkId::from_parameter(kernel), |bencher| {
            bencher.iter_custom(|blocks| {
                // Whole batches, so that no lane is idle; the time is then that of as many blocks
                // as asked for.
                let heads = whole_batches(blocks.div_ceil(blocks_per_head)).get();
                let time = scan_time(kernel, &template, heads);
                time.mul_f64(blocks as f64 / (heads * blocks_per_head) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reference, kernels);
criterion_main!(benches);
