//! The CPUs that this process may use, how many threads keep them busy, and binding threads to
//! them.
//!
//! The only user of `core_affinity`. A CPU is known by its number. It must not know what the
//! threads do.
//!
//! **When binding is sound.** A bound thread cannot give way: on a CPU that somebody else uses it
//! gets half of it, while another CPU may be idle. So threads get a CPU each only where they are as
//! many as the CPUs ([`one_each`]), and keep it as long as none waits for its CPU while another has
//! nothing to do ([`Bound`]; the engine looks). Otherwise all is left to the scheduler, which
//! prefers idle cores to busy ones and whole cores to the second hyper-thread of one. Rejected: the
//! first CPUs for fewer threads (every server would take the same ones, and two neighbouring
//! numbers may be one core); a draw (collides by chance); binding to what is idle at the start
//! (says nothing of later).

mod bound;
mod list;
mod quota;

use std::thread::available_parallelism;

pub use bound::Bound;
pub use list::{ListError, parse};

/// The most threads that are started: more than any machine has CPUs, and few enough to count and
/// to keep track of. Whether the system gives so many is found out by starting them.
pub const MAX_THREADS: usize = 10_000;

/// There is no such CPU, or this process may not use it, or may not bind threads at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot bind a thread to CPU {0}")]
pub struct PinError(pub usize);

/// Why a process cannot be kept to some CPUs.
#[derive(Debug, thiserror::Error)]
pub enum RestrictError {
    /// No such CPU, or this process may not use it.
    #[error(
        "CPU {cpu} is not one that this process may use; these are: {}",
        list::text(usable)
    )]
    Unusable {
        /// The CPU.
        cpu: usize,
        /// Those that it may use.
        usable: Vec<usize>,
    },
    /// The set of CPUs that is handed to the system has no place for this one.
    #[error("CPU {0} cannot be chosen, only those below {MASK_BITS}: `taskset` chooses any")]
    TooHigh(usize),
    /// The system refuses.
    #[error("the system does not let this process choose its CPUs: {0}")]
    Refused(#[source] std::io::Error),
}

/// The CPUs of a mask of fixed size, the one that libraries hand to the system.
const MASK_BITS: usize = 1024;

/// The threads that keep busy all that this process gets: one for each usable CPU, or fewer under a
/// cgroup's quota. A quota of 1.5 CPUs takes two.
pub fn available() -> usize {
    let cpus = usable().len();
    // std rounds down, which leaves a part of the quota unused.
    quota::cpus().map_or(cpus, |quota| cpus.min((quota.ceil() as usize).max(1)))
}

/// The CPUs of the calling thread's affinity mask. Where the system does not tell them, as many as
/// it counts, from 0 on.
pub fn usable() -> Vec<usize> {
    let mask = core_affinity::get_core_ids()
        .map(|cpus| cpus.into_iter().map(|cpu| cpu.id).collect::<Vec<_>>());
    let told = mask.or_else(allowed_and_online);
    told.filter(|cpus| !cpus.is_empty())
        .unwrap_or_else(|| (0..available_parallelism().map_or(1, usize::from)).collect())
}

/// The same from Linux's files. They are text, so no number of CPUs is too many for them; a mask of
/// [`MASK_BITS`] is refused on machines that may have more.
fn allowed_and_online() -> Option<Vec<usize>> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cpus = parse(allowed.trim()).ok()?;
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let online = parse(online.trim()).ok()?;
    cpus.retain(|cpu| online.contains(cpu));
    Some(cpus)
}

/// A CPU for each of `threads` threads: the usable ones in turn, so that more threads than CPUs
/// share them evenly. For measurements, whose user keeps others away.
pub fn assign(threads: usize) -> Vec<usize> {
    usable().into_iter().cycle().take(threads).collect()
}

/// A CPU for each of `threads` threads, if there is exactly one for each, no quota takes time from
/// them, and they can be let go again.
pub fn one_each(threads: usize) -> Option<Vec<usize>> {
    let cpus = usable();
    let has_quota = quota::cpus().is_some_and(|quota| quota < cpus.len() as f64);
    let fit_a_mask = cpus.iter().all(|&cpu| cpu < MASK_BITS);
    (threads == cpus.len() && !has_quota && fit_a_mask).then_some(cpus)
}

/// Binds the calling thread to a CPU.
pub fn pin(cpu: usize) -> Result<(), PinError> {
    // `core_affinity` panics beyond its mask.
    if cpu < MASK_BITS && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(PinError(cpu))
    }
}

/// Keeps the calling thread, and those that it starts from now on, to these CPUs.
pub fn restrict(cpus: &[usize]) -> Result<(), RestrictError> {
    let usable = usable();
    let absent = cpus.iter().copied().find(|cpu| !usable.contains(cpu));
    if let Some(cpu) = absent {
        return Err(RestrictError::Unusable { cpu, usable });
    }
    if let Some(cpu) = cpus.iter().copied().find(|&cpu| cpu >= MASK_BITS) {
        return Err(RestrictError::TooHigh(cpu));
    }
    set_mask(None, cpus).map_err(RestrictError::Refused)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_mask(thread: Option<rustix::thread::Pid>, cpus: &[usize]) -> std::io::Result<()> {
    let mut mask = rustix::thread::CpuSet::new();
    for &cpu in cpus {
        mask.set(cpu);
    }
    Ok(rustix::thread::sched_setaffinity(thread, &mask)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_mask(_: Option<std::convert::Infallible>, _: &[usize]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_cpus_share_them_evenly() {
        let cpus = usable();
        assert_eq!(assign(2 * cpus.len()), [&cpus[..], &cpus[..]].concat());
    }

    #[test]
    fn a_cpu_each_is_for_as_many_threads_as_cpus_only() {
        let cpus = usable();
        assert_eq!(one_each(cpus.len() + 1), None);
        assert_eq!(one_each(cpus.len() - 1), None);
        assert!(one_each(cpus.len()).is_none_or(|each| each == cpus));
    }

    // Elsewhere an affinity is a hint, or nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn threads_are_bound_to_cpus_that_there_are() {
        let cpu = usable()[0];
        let on_a_thread = |cpu| {
            std::thread::spawn(move || pin(cpu))
                .join()
                .expect("no panic")
        };
        assert_eq!(on_a_thread(cpu), Ok(()));
        for none in [1_000, 1_024, usize::MAX] {
            assert_eq!(on_a_thread(none), Err(PinError(none)));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_files_tell_what_the_mask_tells() {
        assert_eq!(allowed_and_online(), Some(usable()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_kept_to_a_cpu_has_no_other() {
        let last = *usable().last().expect("one at least");
        let seen = std::thread::spawn(move || restrict(&[last, last]).map(|()| usable()));
        assert_eq!(seen.join().expect("no panic").expect("it may"), [last]);
        let told = restrict(&[9_999]).expect_err("no such CPU").to_string();
        assert!(told.starts_with("CPU 9999 is not one that"), "{told}");
    }
}
