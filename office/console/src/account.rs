//! Users, sign-in links and API keys, as the command line makes them. Each opens the database by itself and may be
//! used while the office runs.

use crate::{
    clock::now_ms,
    config::Config,
    rights::Rights,
    secret::{self, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, SecretError},
    store::{
        self, OfficeStore, StoreError,
        api_keys::ApiKey,
        audit::Entry,
        users::{Role, User, UserRow},
    },
};
use wire::{Extension, text_pan_like};

/// The longest e-mail address or name.
const TEXT_CHARS_MAX: usize = 254;
/// Who signs in by the link of the first start.
pub const FIRST_ADMIN: &str = "admin@localhost";
/// What an API key begins with, so that scanners of leaked secrets find it.
pub(crate) const API_KEY_PREFIX: &str = "twk_";

/// A user to be added.
pub struct NewUser {
    /// Signs in with it.
    pub email: String,
    /// Shown on the desk.
    pub name: String,
    /// The phone extension whose calls the user sees.
    pub extension: Option<Extension>,
    /// What the user may do.
    pub role: Role,
    /// What the user may do with money.
    pub rights: Rights,
    /// At least twelve characters.
    pub password: String,
}

/// Why an account was not made or found.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Too short.
    #[error("the password is too short: at least {PASSWORD_CHARS_MIN} characters")]
    PasswordShort,
    /// Too long.
    #[error("the password is too long: at most {PASSWORD_BYTES_MAX} bytes")]
    PasswordLong,
    /// The e-mail, or a part of it.
    #[error("the password must not be the e-mail address or the name in it")]
    PasswordIsEmail,
    /// Not an address.
    #[error("not an e-mail address: expected one @ and no spaces, at most {TEXT_CHARS_MAX} characters")]
    BadEmail,
    /// Empty, too long, not printable, or with something like a card number in it.
    #[error("not a name: expected 1 to {TEXT_CHARS_MAX} printable characters")]
    BadName,
    /// There is one already.
    #[error("there is already a user with this e-mail address")]
    EmailTaken,
    /// Somebody else's.
    #[error("another user already has this extension")]
    ExtensionTaken,
    /// The person has a good key of this name.
    #[error(
        "this person already has a key of this name: choose another, or revoke that one first (tonewall user keys --revoke)"
    )]
    KeyNameTaken,
    /// No good key has this name.
    #[error("there is no such key: tonewall user keys lists them")]
    NoSuchKey,
    /// Several people have one.
    #[error("several people have a key of this name: say whose with --email")]
    WhoseKey,
    /// There is none.
    #[error("there is no user with this e-mail address")]
    NoSuchUser,
    /// The machine.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a user.
pub async fn user_add(config: &Config, user: NewUser) -> Result<(), AccountError> {
    let store = store::open(&config.database).await?;
    let result = add(&*store, user).await;
    store.close().await;
    result
}

/// Sets what a user may do with money, from their next request on.
pub async fn user_rights(config: &Config, email: &str, rights: &Rights) -> Result<(), AccountError> {
    let store = store::open(&config.database).await?;
    let result = set_rights(&*store, email, rights).await;
    store.close().await;
    result
}

/// Makes a token for `/api/v1/session/auto?token=…` that signs this user in, once, within ten minutes.
pub async fn sign_in_link(config: &Config, email: &str) -> Result<String, AccountError> {
    let store = store::open(&config.database).await?;
    let result = link(&*store, email).await;
    store.close().await;
    result
}

/// On a first start nobody can sign in yet: makes the admin and a token as of [`sign_in_link`]. As long as nobody but
/// that admin exists and they have not signed in, each start makes a new token.
pub async fn first_admin(config: &Config) -> Result<Option<String>, AccountError> {
    let store = store::open(&config.database).await?;
    let result = first(&*store).await;
    store.close().await;
    result
}

/// Makes an API key that acts for this user: the same extension, the same name in the audit trail. It is shown once.
pub async fn api_key_add(config: &Config, email: &str, name: &str) -> Result<String, AccountError> {
    let store = store::open(&config.database).await?;
    let result = key(&*store, email, name).await;
    store.close().await;
    result
}

/// Every API key, the good ones first.
pub async fn api_keys(config: &Config) -> Result<Vec<ApiKey>, AccountError> {
    let store = store::open(&config.database).await?;
    let result = store.api_keys().await;
    store.close().await;
    Ok(result?)
}

/// Revokes the key of this name, also while the office runs: the next request with it is refused, and the streams of events
/// that it has opened end within a second. Where several people have a key of this name, `email` says whose.
pub async fn api_key_revoke(config: &Config, name: &str, email: Option<&str>) -> Result<ApiKey, AccountError> {
    let store = store::open(&config.database).await?;
    let result = revoke(&*store, name, email).await;
    store.close().await;
    result
}

async fn add(store: &dyn OfficeStore, user: NewUser) -> Result<(), AccountError> {
    check_text(&user)?;
    check_password(&user.email, &user.password)?;
    if store.user_by_email(&user.email).await?.is_some() {
        return Err(AccountError::EmailTaken);
    }
    if let Some(extension) = &user.extension
        && store.extension_taken(extension).await?
    {
        return Err(AccountError::ExtensionTaken);
    }
    let hash = secret::hash_password(&user.password)?;
    let row = UserRow {
        email: &user.email,
        name: &user.name,
        role: user.role,
        extension: user.extension.as_ref(),
        rights: &user.rights,
        password_hash: &hash,
    };
    let now = now_ms();
    store.user_insert(now, &row).await?;
    Ok(store.audit(&Entry::system(now, "user_add", user.role.as_str(), &user.email)).await?)
}

async fn set_rights(store: &dyn OfficeStore, email: &str, rights: &Rights) -> Result<(), AccountError> {
    if !store.user_rights(email, rights).await? {
        return Err(AccountError::NoSuchUser);
    }
    Ok(store.audit(&Entry::system(now_ms(), "user_rights", &rights.to_string(), email)).await?)
}

async fn first(store: &dyn OfficeStore) -> Result<Option<String>, AccountError> {
    if store.users().await? == 0 {
        let user = NewUser {
            email: FIRST_ADMIN.to_owned(),
            name: "Admin".to_owned(),
            extension: None,
            role: Role::Admin,
            rights: Rights::default(),
            // Known to nobody: links are the way in.
            password: secret::token()?,
        };
        add(store, user).await?;
    }
    if store.users().await? == 1 && !store.has_signed_in(FIRST_ADMIN).await? {
        return link(store, FIRST_ADMIN).await.map(Some).or_else(|error| match error {
            // Somebody else is the only user.
            AccountError::NoSuchUser => Ok(None),
            error => Err(error),
        });
    }
    Ok(None)
}

async fn link(store: &dyn OfficeStore, email: &str) -> Result<String, AccountError> {
    let (user, token, now) = (known(store, email).await?, secret::token()?, now_ms());
    store.link_insert(now, user.id, &token).await?;
    store.audit(&Entry::system(now, "sign_in_link", "ok", &user.email)).await?;
    Ok(token)
}

async fn key(store: &dyn OfficeStore, email: &str, name: &str) -> Result<String, AccountError> {
    if !text_ok(name) {
        return Err(AccountError::BadName);
    }
    let (user, key, now) = (known(store, email).await?, format!("{API_KEY_PREFIX}{}", secret::token()?), now_ms());
    if !store.api_key_insert(now, user.id, name, &key).await? {
        return Err(AccountError::KeyNameTaken);
    }
    store.audit(&Entry::system(now, "api_key_add", "ok", &format!("{name} of {}", user.email))).await?;
    Ok(key)
}

async fn revoke(store: &dyn OfficeStore, name: &str, email: Option<&str>) -> Result<ApiKey, AccountError> {
    let mut keys = store.api_keys().await?;
    keys.retain(|key| key.revoked_at.is_none() && key.name == name);
    keys.retain(|key| email.is_none_or(|email| key.user.eq_ignore_ascii_case(email)));
    let first = keys.first().cloned().ok_or(AccountError::NoSuchKey)?;
    if keys.iter().any(|key| key.user != first.user) {
        return Err(AccountError::WhoseKey);
    }
    // Before names were one key's, a person could have several of one name: whoever names them means them all.
    for key in &keys {
        store.api_key_revoke(key.id, "system", &Entry::system(now_ms(), "api_key_revoke", "ok", &key.object())).await?;
    }
    Ok(first)
}

async fn known(store: &dyn OfficeStore, email: &str) -> Result<User, AccountError> {
    store.user_by_email(email).await?.ok_or(AccountError::NoSuchUser)
}

fn text_ok(text: &str) -> bool {
    (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control) && !text_pan_like(text)
}

fn check_text(user: &NewUser) -> Result<(), AccountError> {
    let email_ok = match user.email.split_once('@') {
        Some((local, domain)) => !local.is_empty() && !domain.is_empty() && !domain.contains('@'),
        None => false,
    };
    if !email_ok || !text_ok(&user.email) || user.email.chars().any(char::is_whitespace) {
        return Err(AccountError::BadEmail);
    }
    if text_ok(&user.name) { Ok(()) } else { Err(AccountError::BadName) }
}

fn check_password(email: &str, password: &str) -> Result<(), AccountError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(AccountError::PasswordShort);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(AccountError::PasswordLong);
    }
    let (email, password) = (email.to_lowercase(), password.to_lowercase());
    let local = email.split('@').next().unwrap_or_default();
    if password == email || password == local { Err(AccountError::PasswordIsEmail) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{api_keys::Shown, tests::store};

    fn user(email: &str, extension: &str, password: &str) -> NewUser {
        let extension = extension.parse().ok();
        NewUser {
            email: email.into(),
            name: "Amy".into(),
            extension,
            role: Role::Agent,
            rights: Rights::default(),
            password: password.into(),
        }
    }

    #[tokio::test]
    async fn passwords_names_and_doubles_are_checked() {
        let (store, _folder) = store().await;
        let good = "a long password";
        add(&*store, user("amy@example.com", "1001", good)).await.unwrap();
        for (new, error) in [
            (user("AMY@example.com", "1002", good), "e-mail"),
            (user("bob@example.com", "1001", good), "extension"),
            (user("bob@example.com", "1002", "elevenchars"), "too short"),
            (user("bob@example.com", "1002", "Bob@Example.com"), "must not be"),
            (user("bob", "1002", good), "not an e-mail"),
            (user("4242424242424242@example.com", "1002", good), "not an e-mail"),
        ] {
            let said = add(&*store, new).await.unwrap_err().to_string();
            assert!(said.contains(error), "{said}");
        }
    }

    #[tokio::test]
    async fn the_first_start_gives_a_link_until_it_is_used_or_somebody_was_added() {
        let (store, _folder) = store().await;
        assert!(first(&*store).await.unwrap().is_some(), "nobody is there");
        let token = first(&*store).await.unwrap().expect("nobody has signed in");
        let admin = store.link_take(now_ms(), &token).await.unwrap().unwrap();
        assert_eq!((admin.email.as_str(), admin.role), (FIRST_ADMIN, Role::Admin));
        store.audit(&Entry { who: admin.email, ..Entry::system(1, "sign_in", "link", "session") }).await.unwrap();
        assert!(first(&*store).await.unwrap().is_none(), "the admin has signed in");

        let (other, _folder) = store::tests::store().await;
        add(&*other, user("amy@example.com", "1001", "a long password")).await.unwrap();
        assert!(first(&*other).await.unwrap().is_none(), "somebody was added by hand");
    }

    #[tokio::test]
    async fn links_and_keys_need_a_user() {
        let (store, _folder) = store().await;
        assert!(matches!(link(&*store, "amy@example.com").await, Err(AccountError::NoSuchUser)));
        add(&*store, user("amy@example.com", "1001", "a long password")).await.unwrap();
        let key = key(&*store, "amy@example.com", "crm").await.unwrap();
        assert!(key.starts_with("twk_"));
        let shown = store.api_key_shown(0, &key, true).await.unwrap();
        assert!(matches!(shown, Shown::Good(user, name) if user.email == "amy@example.com" && name == "crm"));
    }

    #[tokio::test]
    async fn a_name_that_several_people_use_revokes_nobodys_key_by_chance() {
        let (store, _folder) = store().await;
        for (email, extension) in [("amy@example.com", "1001"), ("bob@example.com", "1002")] {
            add(&*store, user(email, extension, "a long password")).await.unwrap();
            key(&*store, email, "crm").await.unwrap();
        }
        assert!(matches!(key(&*store, "amy@example.com", "crm").await, Err(AccountError::KeyNameTaken)));
        assert!(matches!(revoke(&*store, "cmr", None).await, Err(AccountError::NoSuchKey)));
        assert!(matches!(revoke(&*store, "crm", None).await, Err(AccountError::WhoseKey)));
        assert_eq!(revoke(&*store, "crm", Some("Bob@example.com")).await.unwrap().user, "bob@example.com");
        assert_eq!(revoke(&*store, "crm", None).await.unwrap().user, "amy@example.com", "the only one left");
        assert!(matches!(revoke(&*store, "crm", None).await, Err(AccountError::NoSuchKey)));
    }
}
