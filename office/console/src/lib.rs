//! The office process: the HTTP API that the agent's desk speaks, its database, and the office's end of the door.
//!
//! # Invariants
//! - Nothing here can hold a card number or a security code: the crate links `wire` only, whose words cannot say one,
//!   and text that people type is refused when it looks like a card number.
//! - A record of the cde is acknowledged only after it and its effects are stored in one transaction: no outcome is
//!   lost and none is counted twice, whichever side is restarted.
//! - A payment's state from stored records wins over what is shown live.
//! - A user, and what acts for a user, sees the calls and payments of the user's own extension and no others, in
//!   answers, in live events and in their replay.
//! - A command's answer is given when the cde has given it: *secured* means confirmed by the media plane.
//!
//! # Layout
//! - [`config`]: `office.toml`. [`server`]: starts and stops everything. [`account`]: users, links and keys from the
//!   command line.
//! - `hub`: the live state, pure; `view`: the shapes it is shown in. `door`: the socket to the cde.
//! - `store`: what is asked of the database, one file a noun, and its contract; `store/sqlite`: the SQL. `http`: one file a noun under `/api/v1`.
//! - [`recorders`]: recorders elsewhere that are asked to pause.
//! - [`mod@recurring`]: recurring payments as leased jobs. [`restored`]: what is missing after a restore from a backup.
//! - `rights`: what a user may do with money. `secret`: passwords and tokens. `turns`: the idempotency keys being served. `clock`: the only place that reads the
//!   time. `zone`: the merchant's days. `xlsx`: tables as workbooks.

pub mod account;
mod app;
mod clock;
pub mod config;
mod door;
mod http;
mod hub;
pub mod recorders;
pub mod recurring;
pub mod restored;
mod rights;
mod secret;
pub mod server;
mod store;
mod turns;
mod view;
mod xlsx;
mod zone;

pub use account::{
    AccountError, FIRST_ADMIN, NewUser, api_key_add, api_key_revoke, api_keys, first_admin, sign_in_link, user_add,
    user_rights,
};
pub use config::{Config, ConfigError};
pub use recorders::{Recorder, check_recorders};
pub use restored::{AcceptError, MissingRecords, accept_missing, missing_records, missing_unaccepted};
pub use rights::{Right, Rights, RightsError};
pub use secret::SecretError;
pub use server::{Server, StartError, run};
pub use store::{StoreError, api_keys::ApiKey, users::Role};
pub use zone::Zone;
