//! Numbers of a card in a request's body.

use crate::http::Body;

/// A number of at least so many digits, without a text in between that would stay behind.
pub(crate) fn write_number(body: &mut Body, number: u16, digits_min: usize) {
    const PLACES: [u16; 5] = [10_000, 1_000, 100, 10, 1];
    for (index, place) in PLACES.into_iter().enumerate() {
        if number >= place || PLACES.len() - index <= digits_min {
            let digit = b"0123456789".get(usize::from(number / place % 10));
            body.write(digit.map_or(b"", std::slice::from_ref));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_they_need_or_are_told() {
        let written = |number, digits_min| {
            let mut body = Body::with_room(8);
            write_number(&mut body, number, digits_min);
            String::from_utf8(body.into_bytes()).unwrap()
        };
        assert_eq!([written(0, 1), written(7, 1), written(7, 2), written(2030, 1)], ["0", "7", "07", "2030"]);
    }
}
