//! Who we are to a NATS server.

use async_nats::ConnectOptions;

use crate::secret::Secret;

/// One of NATS's ways to say who one is.
pub(super) enum Login {
    /// `nats://token@host`, or key `token`.
    Token(Secret),
    /// `nats://user:password@host`
    Named(String, Secret),
    /// The seed of an nkey.
    Seed(Secret),
    /// The text of a credentials file.
    Credentials(Secret),
}

impl Login {
    /// What `token` holds, told by its form.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(token: &Secret) -> Result<Self, String> {
        let text = text(token)?.trim();
        let secret = || Secret::token(text).map_err(|weak| weak.to_string());
        if text.contains("-----BEGIN NATS USER JWT-----") {
            let login = Self::Credentials(secret()?);
            return login.with(ConnectOptions::new()).map(|_| login);
        }
        if text.starts_with("SU") && text.len() == 58 { secret().map(Self::Seed) } else { secret().map(Self::Token) }
    }

    /// `options` with it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn with(&self, options: ConnectOptions) -> Result<ConnectOptions, String> {
        match self {
            Self::Token(token) => Ok(options.token(text(token)?.to_owned())),
            Self::Named(name, password) => Ok(options.user_and_password(name.clone(), text(password)?.to_owned())),
            Self::Seed(seed) => Ok(options.nkey(text(seed)?.to_owned())),
            Self::Credentials(credentials) => {
                options.credentials(text(credentials)?).map_err(|_| "is not a usable NATS credentials file".to_owned())
            }
        }
    }

    /// Whether both are the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(ours), Self::Token(theirs))
            | (Self::Seed(ours), Self::Seed(theirs))
            | (Self::Credentials(ours), Self::Credentials(theirs)) => ours.same_as(theirs),
            (Self::Named(our_name, ours), Self::Named(their_name, theirs)) => {
                our_name == their_name && ours.same_as(theirs)
            }
            (Self::Token(_) | Self::Named(..) | Self::Seed(_) | Self::Credentials(_), _) => false,
        }
    }
}

fn text(secret: &Secret) -> Result<&str, String> {
    std::str::from_utf8(secret.expose()).map_err(|_| "is not text".to_owned())
}
