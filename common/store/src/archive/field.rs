//! Numbers in a header: octal digits, or base 256 where the first bit is set.

/// Nothing was said.
pub(super) fn blank(field: &[u8]) -> bool {
    field.iter().all(|b| *b == 0 || *b == b' ')
}

/// The number of a field, 0 for a blank one. `None`: it is none, or more than 63 bits have room for.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        // Two's complement, of which the first byte has six bits and the sign.
        Some(first) if first & 0x80 != 0 => {
            let start = i128::from(first & 0x3f) - if first & 0x40 != 0 { 0x40 } else { 0 };
            let value = field[1..]
                .iter()
                .try_fold(start, |value, byte| value.checked_mul(256).map(|v| v + i128::from(*byte)));
            i64::try_from(value?).ok()
        }
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_space = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !is_space(b)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_space).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0_i64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8).map(|v| v + i64::from(byte - b'0')),
        _ => None,
    })
}

/// Digits, with a minus sign or without.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The sum over a header with the sum's own field as blanks. Old writers took bytes as signed.
pub(super) fn checksum_is_right(block: &[u8]) -> bool {
    let others = || block[..148].iter().chain(&block[156..]);
    let unsigned = others().map(|b| i64::from(*b)).sum::<i64>() + 8 * 32;
    let said = number(&block[148..156]);
    said == Some(unsigned) || said == Some(others().map(|b| i64::from(*b as i8)).sum::<i64>() + 8 * 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777\0"), Some(0o77777777777));
        assert_eq!(number(b"777777777777"), Some(0o777777777777));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"-000001\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Some(-256));
        let mut large = [0x80_u8; 12];
        assert_eq!(number(&large), None);
        large[0] = 0xbf;
        assert_eq!(number(&large), None);
        assert_eq!(decimal(b"-5"), Some(-5));
        for bad in [&b""[..], b"-", b"+5", b"5x", b" 5", b"99999999999999999999"] {
            assert_eq!(decimal(bad), None);
        }
    }
}
