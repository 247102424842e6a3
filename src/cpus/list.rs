//! Lists of CPUs as text, `0-5,8`: as Linux writes them, and as people type them.

/// The most CPUs of one range: a slip of the keyboard must not fill memory.
const WIDEST: usize = 65_536;

/// Why a text is no list of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected CPU numbers and ranges, such as 0,2-3; a range has up to {WIDEST} CPUs")]
pub struct ListError;

/// The CPUs of a list, in its order.
pub fn parse(text: &str) -> Result<Vec<usize>, ListError> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.parse().map_err(|_| ListError)?;
        let last: usize = last.parse().map_err(|_| ListError)?;
        if last < first || last - first >= WIDEST {
            return Err(ListError);
        }
        cpus.extend(first..=last);
    }
    Ok(cpus)
}

/// The list of these CPUs, which are in order.
pub(super) fn text(cpus: &[usize]) -> String {
    let ranges = cpus.chunk_by(|one, next| one + 1 == *next);
    let ranges = ranges.map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(usize::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_numbers_and_ranges() {
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("0,2-4"), Ok(vec![0, 2, 3, 4]));
        assert_eq!(parse("1-65536"), Ok((1..=65_536).collect()));
        for wrong in ["", "a", "3-1", "1,", "-1", "0-65536"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for list in ["0", "0-1", "0,2-4,7", "1,3,5", ""] {
            assert_eq!(text(&parse(list).unwrap_or_default()), list);
        }
    }
}
