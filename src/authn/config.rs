//! Which issuers and client certificates are believed, and about what.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::AuthnError;
use super::settings;
use crate::types::DomainId;
use crate::types::RecipientId;
use crate::types::Region;

/// Everything that can show who somebody is.
#[derive(Clone, Debug, Default)]
pub struct AuthnConfig {
    /// The issuers whose tokens are believed; their names differ.
    pub issuers: Vec<IssuerConfig>,
    /// The client certificates that are believed.
    pub certificates: Vec<CertificatePrincipal>,
}

impl AuthnConfig {
    /// Everything that makes these settings unusable, before any file is read.
    pub fn faults(&self) -> Vec<AuthnError> {
        settings::faults(self)
    }
}

/// An issuer of tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerConfig {
    /// What its tokens say under `iss`, letter for letter.
    pub name: String,
    /// What its tokens must say under `aud`.
    pub audience: String,
    /// Where its public keys are.
    pub jwks: JwksSource,
    /// The algorithms it signs with; a token under another is refused.
    pub algorithms: Vec<Algorithm>,
    /// Where each fact stands in a token. The names `roles`, `purposes`, `ticket`, `subject`,
    /// `region`, `recipient` and `mfa` are known; any other becomes a claim for `rows: { …: caller.NAME }`.
    ///
    /// A path is a member's name, or names joined by `.`. After a last `:` stands a value: `acr:gold`
    /// holds when `acr` is `gold` or lists it.
    pub claims: BTreeMap<String, String>,
    /// Which of these facts are believed.
    pub may_assert: MayAssert,
    /// The domain of its subject ids; `person` without.
    pub subject_domain: Option<DomainId>,
    /// Whom its callers pass data to, where their tokens name nobody.
    pub recipient: Option<RecipientId>,
    /// How far its clock may differ, in seconds; at most [`IssuerConfig::MAX_LEEWAY_S`].
    pub leeway_s: u64,
    /// How often its keys are read again, in seconds.
    pub refresh_s: u64,
}

impl IssuerConfig {
    /// The most an issuer's clock may differ, in seconds.
    pub const MAX_LEEWAY_S: u64 = 60;

    /// An issuer with the default leeway (30 s) and refresh (10 minutes) that may assert nothing.
    pub fn new(name: &str, audience: &str, jwks: JwksSource) -> Self {
        Self {
            name: name.to_owned(),
            audience: audience.to_owned(),
            jwks,
            algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
            claims: BTreeMap::new(),
            may_assert: MayAssert::default(),
            subject_domain: None,
            recipient: None,
            leeway_s: 30,
            refresh_s: 600,
        }
    }
}

/// Where an issuer's public keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JwksSource {
    /// A file.
    File(PathBuf),
    /// An `https` URL.
    Url {
        /// The URL.
        url: String,
        /// Authorities in PEM that its server is verified against; the system's without.
        ca: Option<PathBuf>,
    },
}

/// A signature algorithm that tokens may use.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name in tokens and key sets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Reads the name, letter for letter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// What an issuer is believed about. The default is nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MayAssert {
    /// Which roles.
    pub roles: Allowed,
    /// Which purposes; a token that names none may be used for these.
    pub purposes: Allowed,
    /// Whether that there is a ticket.
    pub ticket: bool,
    /// Which recipients of data.
    pub recipients: Allowed,
}

/// Some of the words there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Allowed {
    /// All of them; written `"*"`.
    Any,
    /// These.
    Only(BTreeSet<Box<str>>),
}

impl Allowed {
    /// Whether `word` is among them.
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(words) => words.contains(word),
        }
    }
}

impl Default for Allowed {
    /// None of them.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

/// A client certificate and whom it stands for.
#[derive(Clone, Debug)]
pub struct CertificatePrincipal {
    /// Which certificate.
    pub matches: CertificateMatch,
    /// A stable name of whom it stands for.
    pub owner: String,
    /// Its roles.
    pub roles: Vec<Box<str>>,
    /// The purposes it may name; any without.
    pub purposes: Option<Vec<Box<str>>>,
    /// Where it is.
    pub region: Option<Region>,
    /// Whom it passes data to.
    pub recipient: Option<RecipientId>,
}

/// How a client certificate is recognised, once its chain was verified in the handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateMatch {
    /// A DNS name among its alternative names, in any case, without wildcards.
    Dns(String),
    /// The SHA-256 of the certificate in DER.
    Sha256([u8; 32]),
    /// A URI among its alternative names, letter for letter.
    Uri(String),
}
