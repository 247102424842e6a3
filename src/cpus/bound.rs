//! A thread that is bound to a CPU, as others see it: what time it got, and how it is let go.

use std::io;
use std::time::Duration;

use super::PinError;

/// A bound thread of this process.
#[derive(Debug)]
pub struct Bound {
    /// Its number, where that can be had.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    thread: rustix::thread::Pid,
}

impl Bound {
    /// Binds the calling thread to a CPU.
    ///
    /// # Errors
    ///
    /// As [`pin`](super::pin).
    pub fn this_thread(cpu: usize) -> Result<Bound, PinError> {
        super::pin(cpu)?;
        Ok(Bound {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            thread: rustix::thread::gettid(),
        })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Bound {
    /// The CPU time that it has had so far, to the hundredth of a second; none where the system
    /// does not tell.
    pub fn cpu_time(&self) -> Option<Duration> {
        let thread = self.thread.as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
        let ticks = ticks(&stat)?;
        Some(Duration::from_secs_f64(
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        ))
    }

    /// Lets it run on all of these CPUs.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn release(&self, cpus: &[usize]) -> io::Result<()> {
        super::set_mask(Some(self.thread), cpus)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Bound {
    /// Nothing: elsewhere an affinity is a hint, which needs no watching.
    pub fn cpu_time(&self) -> Option<Duration> {
        None
    }

    /// Nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn release(&self, _: &[usize]) -> io::Result<()> {
        Ok(())
    }
}

/// The CPU time in a line of `/proc/PID/stat`: fields 14 and 15 (proc_pid_stat(5)). The second
/// field, the thread's name, may have any characters.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (cut off"), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_to_and_let_go() {
        let usable = super::super::usable();
        let last = *usable.last().expect("one at least");
        let end = Instant::now() + Duration::from_secs(60);
        std::thread::spawn(move || {
            let bound = Bound::this_thread(last).expect("it may");
            assert_eq!(super::super::usable(), [last]);
            while bound.cpu_time().expect("there is /proc") < Duration::from_millis(30) {
                assert!(Instant::now() < end, "no time");
            }
            bound.release(&usable).expect("it may");
            assert_eq!(super::super::usable(), usable);
        })
        .join()
        .expect("no panic");
    }
}
