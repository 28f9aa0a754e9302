//! Who holds the root key: one trait, and one file for each provider.

mod bound;
mod file;
mod openbao;
mod pkcs11;
#[cfg(test)]
mod bao_tests;
#[cfg(test)]
mod softhsm_tests;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
pub(super) mod transit_server;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use self::file::FileRoot;
use self::openbao::Transit;
use self::pkcs11::Token;
use super::config::RootProvider;
use super::error::KeysError;
use super::slots::Slot;
use super::slots::Stored;
use crate::clock::Entropy;
use crate::crypto::KdfCost;
use crate::crypto::Secret;

/// What a provider is asked for, once it has answered.
pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeysError>> + Send + 'a>>;

/// The slot a key belongs to. A wrapped key opens at its own place and at no other.
pub(super) struct Place {
    /// What the key is for.
    pub(super) slot: Slot,
    /// Its number; of [`Slot::Epoch`] the epoch, which has a key of its own at a provider that
    /// can destroy one.
    pub(super) number: u32,
    /// Tenant, slot, number and state, length-prefixed: what the seal is bound to.
    pub(super) context: Vec<u8>,
}

/// Holds the key that wraps the keys of slots.
pub(super) trait Root: Send + Sync {
    /// The provider's word in privet.toml.
    fn kind(&self) -> &'static str;

    /// Wraps a key for its place and gives one line of text without spaces. `random` is fresh
    /// randomness, for a provider whose nonces are made here.
    fn wrap<'a>(
        &'a self,
        place: &'a Place,
        key: &'a Secret,
        random: &'a [u8; 16],
    ) -> Answer<'a, String>;

    /// Opens what [`Self::wrap`] made. `None`: it was not made by this root key for this place.
    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>>;

    /// Destroys the provider's own key of an epoch, for ever. What is gone already is no error,
    /// nor is a provider that has none.
    fn destroy(&self, epoch: u32) -> Answer<'_, ()>;

    /// The name of the root key that is in force, among those before and after it. No secret.
    fn name(&self, stored: &[Stored]) -> String;

    /// Whether what [`Self::wrap`] made was made by the root key that it uses now. A key that an
    /// epoch has for itself is no root key, and what it wraps is always new.
    fn is_newest<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, bool>;

    /// Makes the root key that follows the one named `change.from`, durably, unless an earlier
    /// call got that far. What is given wraps by it, and opens what either wrapped. The one before
    /// stays in force.
    fn next<'a>(self: Arc<Self>, change: Change<'a>) -> Answer<'a, Arc<dyn Root>>;

    /// Of what [`Self::next`] gave: puts it in force for every later start, and destroys the one
    /// before where that is possible here. To be called when every slot is wrapped by it.
    fn finish(self: Arc<Self>, entropy: &dyn Entropy) -> Answer<'_, Arc<dyn Root>>;

    /// Destroys what a kill has left of another root key that no slot needs.
    fn settle(&self, _stored: &[Stored], _entropy: &dyn Entropy) -> Result<(), KeysError> {
        Ok(())
    }

    /// What is left to do at the provider to end older root keys, in words for an operator.
    fn left_to_do(&self) -> Option<&'static str> {
        None
    }
}

/// A root key that is to be replaced.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// Its name.
    pub(super) from: &'a str,
    /// What stands on disk, wrapped by it or by the next.
    pub(super) stored: &'a [Stored],
    /// What opening the next may cost where it is sealed by a passphrase.
    pub(super) cost: KdfCost,
    pub(super) entropy: &'a dyn Entropy,
}

impl Place {
    /// The epoch whose own key wraps this one.
    fn epoch(&self) -> Option<u32> {
        (self.slot == Slot::Epoch).then_some(self.number)
    }
}

/// Makes the root key unless there is one. `slots` is where the keys it wraps stand: with those
/// there and the root key gone, none is made.
pub(super) async fn create(
    provider: &RootProvider,
    slots: &Path,
    cost: KdfCost,
    entropy: &dyn Entropy,
) -> Result<(), KeysError> {
    match provider {
        RootProvider::File { path, passphrase_file } => {
            file::create(path, passphrase_file, slots, cost, entropy)
        }
        RootProvider::OpenBao(settings) => Transit::new(settings)?.create(slots.exists()).await,
        RootProvider::Pkcs11(settings) => Token::new(settings).create(slots.exists()).await,
    }
}

/// Whether what the provider needs here is there, and for nobody else to read. Asks nobody.
pub(super) fn examine(provider: &RootProvider) -> Result<(), KeysError> {
    match provider {
        RootProvider::File { path, passphrase_file } => file::examine(path, passphrase_file),
        RootProvider::OpenBao(settings) => Transit::new(settings)?.examine(),
        RootProvider::Pkcs11(settings) => Token::new(settings).examine(),
    }
}

/// Seals the root key by the passphrase in `new_file` instead. Whoever has the older file and the
/// older passphrase still has the root key: that ends when the root key itself is replaced.
pub(super) fn change_passphrase(
    provider: &RootProvider,
    new_file: &Path,
    cost: KdfCost,
    entropy: &dyn Entropy,
) -> Result<(), KeysError> {
    match provider {
        RootProvider::File { path, passphrase_file } => {
            file::change_passphrase(path, (passphrase_file, new_file), cost, entropy)
        }
        RootProvider::OpenBao(_) => Err(KeysError::NoPassphrase { provider: "openbao" }),
        RootProvider::Pkcs11(_) => Err(KeysError::NoPassphrase { provider: "pkcs11" }),
    }
}

/// Opens the root key.
pub(super) async fn open(provider: &RootProvider) -> Result<Arc<dyn Root>, KeysError> {
    Ok(match provider {
        RootProvider::File { path, passphrase_file } => {
            Arc::new(FileRoot::open(path, passphrase_file)?)
        }
        RootProvider::OpenBao(settings) => {
            let transit = Transit::new(settings)?;
            transit.require_key().await?;
            Arc::new(transit)
        }
        RootProvider::Pkcs11(settings) => {
            let token = Token::new(settings);
            token.require_key().await?;
            Arc::new(token)
        }
    })
}
