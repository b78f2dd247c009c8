//! A line of text with numbers, byte by byte: for the last words of a guest, which has nothing else
//! left.

/// Writes `qga: `, the text, and the numbers in hexadecimal, as one line.
pub fn write(text: &str, words: &[u64], put: impl Fn(u8)) {
    b"qga: ".iter().chain(text.as_bytes()).for_each(|&byte| put(byte));
    for word in words {
        put(b' ');
        for digit in (0..16).rev() {
            let digit = (word >> (4 * digit) & 15) as u8;
            put(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
    b"\r\n".iter().for_each(|&byte| put(byte));
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    #[test]
    fn a_line_has_its_numbers_in_full() {
        let line = RefCell::new(Vec::new());
        super::write("gone", &[0, 0x1_0000_00AF], |byte| line.borrow_mut().push(byte));
        let expected = b"qga: gone 0000000000000000 00000001000000af\r\n";
        assert_eq!(line.into_inner(), expected);
    }
}
