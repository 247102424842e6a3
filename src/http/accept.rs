//! What a client takes, as of its `Accept` (RFC 9110, section 12.5.1).

use axum::http::header::{ACCEPT, HeaderMap};

/// The types and ranges that it names, in their order, without those that it does not take (`q=0`).
/// Other weights are not looked at.
pub(super) fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(ACCEPT).into_iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.filter_map(|range| {
        let mut parts = range.split(';');
        let name = parts.next()?.trim();
        let is_refused = parts.any(|part| {
            let weight = part.split_once('=').filter(|(name, _)| is(name, "q"));
            weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0))
        });
        (!is_refused).then_some(name)
    })
}

/// Names are compared without regard to case.
pub(super) fn is(name: &str, known: &str) -> bool {
    name.trim().eq_ignore_ascii_case(known)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_has_no_weight_is_not_taken() {
        let mut headers = HeaderMap::new();
        for value in ["a/b;q=0, c/d ; Q=0.000,e/f;v=1;q=0.1", "g/h", "i/*"] {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        let names: Vec<_> = accepted(&headers).collect();
        assert_eq!(names, ["e/f", "g/h", "i/*"]);
    }
}
