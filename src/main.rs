//! The `powd` binary: everything lives in the library.

fn main() -> std::process::ExitCode {
    powd::cli::run()
}
