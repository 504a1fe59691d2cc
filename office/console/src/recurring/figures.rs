//! How recurring payments do, for those who watch.

/// What is due for longer than this is overdue: somebody should look.
pub(crate) const OVERDUE_MS: i64 = 60 * 60 * 1000;

/// How recurring payments stand at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Agreements that payments are still taken of.
    pub(crate) active: i64,
    /// Payments to be taken, or asked after, now.
    pub(crate) due: i64,
    /// Payments that were to be taken more than an hour ago, and are not.
    pub(crate) overdue: i64,
    /// Payments that were given up as late, and nobody has decided about.
    pub(crate) missed: i64,
    /// Payments whose outcome is not known.
    pub(crate) unknown: i64,
    /// Leases that are held.
    pub(crate) leases: i64,
    /// How long the oldest of them has been, in milliseconds.
    pub(crate) lease_age_ms: i64,
    /// Texts for customers that nobody has taken.
    pub(crate) messages: i64,
}
