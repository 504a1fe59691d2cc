//! A gateway's text before it goes on.

/// The longest text of a gateway that goes on.
pub const TEXT_BYTES_MAX: usize = 64;
/// The longest token or name of a charge at a gateway. One that is longer is no name: cut, it would name nothing.
pub const NAME_BYTES_MAX: usize = 128;

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Cut to the characters of names; nothing that could be a card number.
pub fn clean(text: &str) -> String {
    let cleaned: String = text.chars().filter(|c| allowed(*c)).take(TEXT_BYTES_MAX).collect();
    if wire::name_pan_like(&cleaned) { String::new() } else { cleaned }
}

/// A name that is sent back to the gateway later: whole, or none. Never a card number, and nothing that could leave its
/// place in a path or a body.
pub fn name(text: &str) -> Option<String> {
    let sound = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.');
    (sound && !wire::name_pan_like(text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_or_none() {
        assert_eq!(name("pi_3Nv.x-1").as_deref(), Some("pi_3Nv.x-1"));
        for bad in ["", "a/b", "..", "4242424242424242", "a b", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(name(bad), None, "{bad}");
        }
        assert_eq!(clean("4242 4242 4242 4242"), "");
        assert_eq!(clean("a/b c"), "abc");
    }
}
