//! The file of `--http-token-file`: the service asks for the tokens in it, the load client shows
//! the first.

use std::path::Path;

use super::Error;
use crate::tokens::Tokens;

/// The tokens of a file.
pub(super) fn read(path: &Path) -> Result<Tokens, Error> {
    let failed = |error: &dyn std::error::Error| {
        Error::Usage(format!("--http-token-file {}: {error}", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    Tokens::parse(&text).map_err(|error| failed(&error))
}
