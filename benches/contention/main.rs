//! Cycles from one `sha256rnds2` to the next: alone, and beside each of the instructions that the
//! kernels of x86-64 have beside it. What makes it more takes starts from the rounds on this CPU.
//!
//! A cycle is one addition in a chain of them, timed in turn with the loops, since a CPU's clock
//! may change.

#[cfg(target_arch = "x86_64")]
mod loops;
#[cfg(target_arch = "x86_64")]
mod tables;
#[cfg(target_arch = "x86_64")]
mod timing;

fn main() {
    #[cfg(target_arch = "x86_64")]
    tables::print();
    #[cfg(not(target_arch = "x86_64"))]
    println!("contention: these are instructions of x86-64");
}
