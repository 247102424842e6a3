//! Puts the revision and the compiler's version into the binary, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let revision = told().or_else(packed).or_else(checked_out);
    let revision = revision.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=POWD_REVISION={revision}");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = line_of(Command::new(rustc).arg("--version"));
    let rustc = rustc.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=POWD_RUSTC={rustc}");
}

/// What whoever builds says: an image is built without the repository.
fn told() -> Option<String> {
    println!("cargo:rerun-if-env-changed=POWD_REVISION");
    std::env::var("POWD_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
}

/// What `cargo package` has left in sources that it packed.
fn packed() -> Option<String> {
    let note = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, revision) = note.split_once("\"sha1\": \"")?;
    revision.get(..12).map(str::to_owned)
}

/// The revision of this package's own repository, and when to ask again.
fn checked_out() -> Option<String> {
    // Sources unpacked inside another repository must not go by that one's revision.
    let top_level = git(&["rev-parse", "--show-toplevel"])?;
    let package = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?)
        .canonicalize()
        .ok()?;
    if Path::new(&top_level).canonicalize().ok()? != package {
        return None;
    }
    // It changes with HEAD and with what HEAD points at. Where these are git says: in a worktree
    // `.git` is a file, which names the directory of the one and, by another file, that of the
    // others.
    for name in ["HEAD", "refs", "packed-refs"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        // One that does not exist would count as changed at every build.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    line_of(Command::new("git").args(arguments))
}

/// What a command prints, if it succeeds with one line.
fn line_of(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!line.is_empty() && !line.contains('\n')).then_some(line)
}
