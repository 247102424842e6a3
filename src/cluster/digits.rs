//! Numbers and ids in what is written to the broker: each has one form, so that what is equal is
//! equal byte for byte.

/// Whether it is a number in decimal digits, without a sign and without zeros before it.
pub(crate) fn are_decimal(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (text.len() == 1 || !text.starts_with('0'))
}

/// Whether it is so many hex digits, lowercase.
pub(crate) fn are_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_digit)
}
