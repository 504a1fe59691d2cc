//! A gateway's keys: is it one, and is it for money?

/// Does a gateway of the cde's file move money?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No: test keys only.
    #[default]
    Test,
    /// Yes: live keys only.
    Live,
}

/// Why a key is not taken. It is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Something else.
    #[error("its key is not {expected}")]
    NotAKey {
        /// What a key looks like.
        expected: &'static str,
    },
    /// In test mode.
    #[error("its key is a live one, which moves money: set mode = \"live\" if that is meant, else use the test key")]
    LiveKey,
    /// In live mode.
    #[error("its key is a test one, which moves no money: use the live key, or leave out mode = \"live\"")]
    TestKey,
}
