//! Puts the git revision, where there is one, and the compiler's version into the binary, for `--version`.

use std::process::Command;

fn main() {
    // The revision changes with HEAD and with what HEAD points at.
    for path in [".git/HEAD", ".git/refs", ".git/packed-refs"] {
        if std::path::Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    let revision = line_of(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = line_of(Command::new(rustc).arg("--version"));
    println!(
        "cargo:rustc-env=POWD_REVISION={}",
        revision.as_deref().unwrap_or("unknown")
    );
    println!(
        "cargo:rustc-env=POWD_RUSTC={}",
        rustc.as_deref().unwrap_or("unknown")
    );
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
