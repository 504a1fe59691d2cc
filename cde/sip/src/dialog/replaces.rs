//! Which dialog another one is to take the place of (RFC 3891).

use crate::message::Params;

/// The dialog, as whoever is to give it up knows it.
pub(crate) struct Replaces {
    pub(crate) call_id: String,
    /// Theirs, who give it up.
    pub(crate) to_tag: String,
    pub(crate) from_tag: String,
    /// Only while it rings.
    pub(crate) is_early_only: bool,
}

impl Replaces {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let at = value.iter().position(|byte| *byte == b';')?;
        let (call_id, params) = value.split_at_checked(at)?;
        let params = Params::parse(params)?;
        Some(Self {
            call_id: std::str::from_utf8(call_id.trim_ascii()).ok()?.to_owned(),
            to_tag: params.text("to-tag")?.to_owned(),
            from_tag: params.text("from-tag")?.to_owned(),
            is_early_only: params.find("early-only").is_some(),
        })
    }
}
