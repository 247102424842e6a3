//! Other programs on the same CPUs.

use std::process::{Child, Command};

/// Programs that want a CPU and nothing else, killed when dropped.
#[derive(Debug)]
pub struct Busy(Vec<Child>);

impl Busy {
    /// So many, wherever the system puts them.
    pub fn start(count: usize) -> Busy {
        Busy::by(count, Command::new("sh")).expect("a shell")
    }

    /// So many on one CPU; none where there is no `taskset`.
    pub fn on(cpu: usize, count: usize) -> Option<Busy> {
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", &cpu.to_string(), "sh"]);
        Busy::by(count, taskset)
    }

    fn by(count: usize, mut shell: Command) -> Option<Busy> {
        shell.args(["-c", "while :; do :; done"]);
        let mut all = Busy(Vec::new());
        for _ in 0..count {
            all.0.push(shell.spawn().ok()?);
        }
        Some(all)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for busy in &mut self.0 {
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}
