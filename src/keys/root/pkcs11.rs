//! A root key in a token of PKCS#11, such as a hardware security module. It never leaves there:
//! the token wraps the keys of slots with AES-256-GCM; the slot of an epoch by `KEY-epoch-N`, which
//! is destroyed on the token when the epoch ends. The root key is replaced by `KEY-root-2` and so
//! on; who wants the one before gone destroys it on the token.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Function;
use cryptoki::context::Pkcs11;
use cryptoki::error::Error;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::KeyType;
use cryptoki::object::ObjectClass;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::session::UserType;
use cryptoki::slot::Slot as TokenSlot;
use cryptoki::types::AuthPin;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Answer;
use super::Change;
use super::Place;
use super::Root;
use super::bound;
use crate::clock::Entropy;
use crate::crypto;
use crate::crypto::Secret;
use crate::keys::config::HardwareToken;
use crate::keys::error::KeysError;
use crate::keys::fault::ProviderFault;
use crate::keys::files;
use crate::keys::slots::Stored;

/// One token.
pub(super) struct Token {
    settings: HardwareToken,
    /// One call at a time: a token that hangs holds up one thread and no more.
    access: Arc<Mutex<Access>>,
}

/// How the token is reached.
#[derive(Default)]
struct Access {
    session: Option<Session>,
    /// SHA-256 of a PIN that was refused. Tokens lock themselves after a few wrong ones.
    refused: Option<[u8; 32]>,
}

impl Token {
    /// Asks nobody.
    pub(super) fn new(settings: &HardwareToken) -> Self {
        Self { settings: settings.clone(), access: Arc::default() }
    }

    /// Whether module and PIN are there, and for nobody else to change or read. Loads nothing.
    pub(super) fn examine(&self) -> Result<(), KeysError> {
        files::require_program(&self.settings.module)?;
        read_pin(&self.settings.pin_file).map(drop)
    }

    /// Refuses a configured key that is not there, or that could leave the token.
    pub(super) async fn require_key(&self) -> Result<(), KeysError> {
        let label = self.settings.key_label.clone();
        self.with(move |session| newest(session, &label).map(drop)).await
    }

    /// Makes the configured key unless it is there. With `slots` there, its keys were wrapped by
    /// one that is gone; without, an epoch's key that is there belongs to another installation.
    pub(super) async fn create(&self, slots: bool) -> Result<(), KeysError> {
        let (label, epoch) = (self.settings.key_label.clone(), self.epoch_key(FIRST));
        let work = move |session: &Session| {
            if slots {
                return newest(session, &label).map(drop);
            }
            let second = root_label(&label, FIRST + 1);
            for taken in [epoch, second] {
                if !all(session, &taken)?.is_empty() {
                    return Err(ProviderFault::Taken { key: taken.into() });
                }
            }
            match key(session, &label) {
                Err(ProviderFault::NoKey { .. }) => generate(session, &label).map(drop),
                found => found.map(drop),
            }
        };
        self.with(work).await
    }

    fn epoch_key(&self, epoch: u32) -> String {
        format!("{}-epoch-{epoch}", self.settings.key_label)
    }

    /// Makes the root key after number `from`, unless there is one.
    async fn make_next(&self, from: &str) -> Result<(), KeysError> {
        let before = from.parse::<u32>().map_err(|_| self.fault(ProviderFault::Garbage))?;
        let label = self.settings.key_label.clone();
        let work = move |session: &Session| {
            let next = root_label(&label, before.saturating_add(1));
            match newest(session, &label)? {
                (number, _) if number > before => Ok(()),
                _ => generate(session, &next).map(drop),
            }
        };
        self.with(work).await
    }

    async fn newest_number(&self) -> Result<u32, KeysError> {
        let label = self.settings.key_label.clone();
        self.with(move |session| newest(session, &label).map(|(number, _)| number)).await
    }

    async fn wrap_at(
        &self,
        place: &Place,
        secret: &Secret,
        random: &[u8; 16],
    ) -> Result<String, KeysError> {
        let (label, context) = (self.settings.key_label.clone(), place.context.clone());
        let own = place.epoch().map(|epoch| self.epoch_key(epoch));
        let plain = bound::seal(place, secret);
        // Hedged as everywhere: random bytes that come again give a nonce that does so only for
        // the same key in the same place.
        let nonce = crypto::derive(secret, &[b"privet/slot-nonce/v1", random, &context]);
        let mut nonce = nonce.expose().first_chunk::<NONCE_LEN>().copied().unwrap_or_default();
        let sealed = self.with(move |session| {
            let (number, key) = match own {
                Some(own) => (
                    FIRST,
                    match key(session, &own) {
                        Err(ProviderFault::NoKey { .. }) => generate(session, &own)?,
                        found => found?,
                    },
                ),
                None => newest(session, &label)?,
            };
            let mut given = nonce;
            let params = GcmParams::new(&mut given, &context, TAG_BITS.into()).map_err(token)?;
            let sealed = session.encrypt(&Mechanism::AesGcm(params), key, plain.as_slice());
            // Some tokens choose the nonce themselves and write it where ours stood.
            nonce = given;
            let sealed = [nonce.as_slice(), &sealed.map_err(token)?].concat();
            Ok((number, sealed))
        });
        let (number, sealed) = sealed.await?;
        let wrapped = format!("{}{}", format_of(number), URL_SAFE_NO_PAD.encode(sealed));
        // What does not open now would not open at the next start, with the key lost by then.
        match self.unwrap_at(place, &wrapped).await? {
            Some(opened) if crypto::same(opened.expose(), secret.expose()) => Ok(wrapped),
            _ => Err(self.fault(ProviderFault::Garbage)),
        }
    }

    async fn unwrap_at(&self, place: &Place, wrapped: &str) -> Result<Option<Secret>, KeysError> {
        let Some((number, sealed)) = parse(wrapped) else { return Ok(None) };
        let own = place.epoch().map(|epoch| self.epoch_key(epoch));
        let (is_epoch, context) = (own.is_some(), place.context.clone());
        let label = own.unwrap_or_else(|| root_label(&self.settings.key_label, number));
        let plain = self.with(move |session| {
            let key = match key(session, &label) {
                Err(ProviderFault::NoKey { .. }) if is_epoch => return Ok(None),
                found => found?,
            };
            decrypt(session, key, &sealed, &context)
        });
        Ok(plain.await?.and_then(|plain| bound::open(place, &plain)))
    }

    async fn destroy_key(&self, label: String) -> Result<(), KeysError> {
        let work = move |session: &Session| {
            for key in all(session, &label)? {
                session.destroy_object(key).map_err(token)?;
            }
            match all(session, &label)?.is_empty() {
                true => Ok(()),
                false => Err(ProviderFault::Undestroyed { key: label.into() }),
            }
        };
        self.with(work).await
    }

    /// Does something on the token, on a thread of its own, within [`TIMEOUT`].
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, ProviderFault> + Send + 'static,
    ) -> Result<T, KeysError> {
        let settings = self.settings.clone();
        let done = async {
            let mut access = Arc::clone(&self.access).lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let done = access
                    .session(&settings)
                    .and_then(|session| work(session).map_err(|fault| fault_of(&settings, fault)));
                if done.is_err() {
                    // Whatever it was, the next call starts afresh.
                    access.session = None;
                }
                done
            })
            .await
        };
        match tokio::time::timeout(TIMEOUT, done).await {
            Ok(Ok(done)) => done,
            // The thread panicked, or the runtime is going down.
            Ok(Err(_)) => Err(self.fault(ProviderFault::Garbage)),
            Err(_) => Err(self.fault(ProviderFault::Slow)),
        }
    }

    fn fault(&self, fault: ProviderFault) -> KeysError {
        fault_of(&self.settings, fault)
    }
}

impl Access {
    /// A session of a user who has shown the PIN.
    fn session(&mut self, settings: &HardwareToken) -> Result<&Session, KeysError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.log_in(settings)?,
        };
        Ok(self.session.insert(session))
    }

    fn log_in(&mut self, settings: &HardwareToken) -> Result<Session, KeysError> {
        let fault = |fault| fault_of(settings, fault);
        let pin = read_pin(&settings.pin_file)?;
        let refused = || ProviderFault::PinRefused { pin_file: settings.pin_file.clone() };
        let hash = crypto::sha256(pin.as_bytes());
        if self.refused == Some(hash) {
            return Err(fault(refused()));
        }
        let module = load(&settings.module).map_err(fault)?;
        let slot = find(&module, &settings.token_label).map_err(fault)?;
        let about = module.get_token_info(slot).map_err(|error| fault(token(error)))?;
        if about.user_pin_locked() || about.user_pin_final_try() {
            return Err(fault(ProviderFault::LastTry));
        }
        let session = module.open_rw_session(slot).map_err(|error| fault(token(error)))?;
        let pin = AuthPin::new(pin.as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                self.refused = Some(hash);
                Err(fault(refused()))
            }
            Err(error) => Err(fault(token(error))),
        }
    }
}

impl Root for Token {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    fn wrap<'a>(
        &'a self,
        place: &'a Place,
        key: &'a Secret,
        random: &'a [u8; 16],
    ) -> Answer<'a, String> {
        Box::pin(self.wrap_at(place, key, random))
    }

    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>> {
        Box::pin(self.unwrap_at(place, wrapped))
    }

    fn destroy(&self, epoch: u32) -> Answer<'_, ()> {
        Box::pin(self.destroy_key(self.epoch_key(epoch)))
    }

    /// The number of the oldest key that a slot needs.
    fn name(&self, stored: &[Stored]) -> String {
        let of_root = stored.iter().filter(|slot| slot.place.epoch().is_none());
        let oldest = of_root.filter_map(|slot| Some(parse(&slot.wrapped)?.0)).min();
        oldest.unwrap_or_default().to_string()
    }

    fn is_newest<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if place.epoch().is_some() {
                return Ok(true);
            }
            let newest = self.newest_number().await?;
            Ok(parse(wrapped).is_some_and(|(number, _)| number >= newest))
        })
    }

    fn next<'a>(self: Arc<Self>, change: Change<'a>) -> Answer<'a, Arc<dyn Root>> {
        Box::pin(async move {
            self.make_next(change.from).await?;
            Ok(self as Arc<dyn Root>)
        })
    }

    fn finish(self: Arc<Self>, _: &dyn Entropy) -> Answer<'_, Arc<dyn Root>> {
        Box::pin(async { Ok(self as Arc<dyn Root>) })
    }

    fn left_to_do(&self) -> Option<&'static str> {
        Some(OLDER_KEYS)
    }
}

/// The label of the root key `number` of an installation.
fn root_label(label: &str, number: u32) -> String {
    if number == FIRST { label.to_owned() } else { format!("{label}-root-{number}") }
}

/// The root key with the highest number, with that; refused as [`key`] does.
fn newest(session: &Session, label: &str) -> Result<(u32, ObjectHandle), ProviderFault> {
    let template = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
    let mut number = FIRST;
    for found in session.find_objects(&template).map_err(token)? {
        let about = session.get_attributes(found, &[AttributeType::Label]).map_err(token)?;
        let Some(Attribute::Label(text)) = about.first() else { continue };
        let text = str::from_utf8(text).unwrap_or_default();
        let found = text.strip_prefix(label).and_then(|rest| rest.strip_prefix("-root-"));
        let found = found.and_then(|digits| digits.parse().ok());
        number = number.max(found.filter(|n| root_label(label, *n) == text).unwrap_or(FIRST));
    }
    Ok((number, key(session, &root_label(label, number))?))
}

/// What stands before a key wrapped by a token: the mechanism, this arrangement of it, and of all
/// root keys but the first the number.
fn format_of(number: u32) -> String {
    if number == FIRST { format!("{FORMAT}:") } else { format!("{FORMAT}.{number}:") }
}

/// The number of the root key that wrapped this, and what it made.
fn parse(wrapped: &str) -> Option<(u32, Vec<u8>)> {
    let (before, text) = wrapped.split_once(':')?;
    let number = match before.strip_prefix(FORMAT)? {
        "" => FIRST,
        rest => rest.strip_prefix('.')?.parse().ok()?,
    };
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let exact = sealed.len() == SEALED_LEN && wrapped.starts_with(&format_of(number));
    exact.then_some((number, sealed))
}

const OLDER_KEYS: &str = "the root key before is on the token still and opens older copies of \
     the slots: destroy it with the tools of the token's maker once no backup needs it";

fn fault_of(settings: &HardwareToken, fault: ProviderFault) -> KeysError {
    let at = format!("pkcs11 token `{}` of `{}`", settings.token_label, settings.module.display());
    KeysError::Provider { at: at.into(), fault }
}

fn token(error: Error) -> ProviderFault {
    match error {
        Error::Pkcs11(RvError::MechanismInvalid, _) => ProviderFault::NoGcm,
        error => ProviderFault::Token(Box::new(error)),
    }
}

/// Loads and initialises a module, once: one process may do so only once, and a module that is
/// unloaded while its threads run takes the process with it.
fn load(path: &Path) -> Result<Pkcs11, ProviderFault> {
    static LOADED: std::sync::Mutex<Vec<(PathBuf, Pkcs11)>> = std::sync::Mutex::new(Vec::new());
    let unusable = |source| ProviderFault::Module { source: Box::new(source) };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, module)) = loaded.iter().find(|(known, _)| known == path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(path).map_err(unusable)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(unusable(error)),
    }
    loaded.push((path.to_path_buf(), module.clone()));
    Ok(module)
}

/// The one token of that label.
fn find(module: &Pkcs11, label: &str) -> Result<TokenSlot, ProviderFault> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(token)? {
        let about = module.get_token_info(slot).map_err(token)?;
        if about.label() == label {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(ProviderFault::NoToken { label: label.into() }),
        _ => Err(ProviderFault::Ambiguous { what: "tokens", label: label.into() }),
    }
}

/// All secret keys of that label that stay on the token.
fn all(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, ProviderFault> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(label.into()),
    ];
    session.find_objects(&template).map_err(token)
}

/// The one key of that label; refused when it is of another kind, or could leave.
fn key(session: &Session, label: &str) -> Result<ObjectHandle, ProviderFault> {
    let found = all(session, label)?;
    let key = match found.as_slice() {
        [key] => *key,
        [] => return Err(ProviderFault::NoKey { key: label.into() }),
        _ => return Err(ProviderFault::Ambiguous { what: "keys", label: label.into() }),
    };
    let asked = [
        AttributeType::KeyType,
        AttributeType::ValueLen,
        AttributeType::Sensitive,
        AttributeType::Extractable,
    ];
    let about = session.get_attributes(key, &asked).map_err(token)?;
    let is = |wanted: &Attribute| about.contains(wanted);
    let fit = is(&Attribute::KeyType(KeyType::AES))
        && is(&Attribute::ValueLen(KEY_LEN.into()))
        && is(&Attribute::Sensitive(true))
        && is(&Attribute::Extractable(false));
    if fit { Ok(key) } else { Err(ProviderFault::Exposed { key: label.into() }) }
}

fn generate(session: &Session, label: &str) -> Result<ObjectHandle, ProviderFault> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(KEY_LEN.into()),
        Attribute::Label(label.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).map_err(token)?;
    // Whether the token made what it was asked for.
    key(session, label)
}

/// `None`: the token says that this was not sealed by this key with this context.
fn decrypt(
    session: &Session,
    key: ObjectHandle,
    sealed: &[u8],
    context: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, ProviderFault> {
    let Some((nonce, body)) = sealed.split_first_chunk::<NONCE_LEN>() else { return Ok(None) };
    let mut nonce = *nonce;
    let params = GcmParams::new(&mut nonce, context, TAG_BITS.into()).map_err(token)?;
    match session.decrypt(&Mechanism::AesGcm(params), key, body) {
        Ok(plain) => Ok(Some(Zeroizing::new(plain))),
        // Tokens do not agree on what a wrong tag is called; SoftHSM calls it a general error.
        Err(Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
            Function::Decrypt,
        )) => Ok(None),
        Err(error) => Err(token(error)),
    }
}

fn read_pin(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let text = files::read(path)?;
    let pin = text.trim_end_matches(['\r', '\n']);
    if pin.is_empty() || pin.contains(['\r', '\n', '\0']) {
        return Err(KeysError::Pin { path: path.to_path_buf() });
    }
    Ok(Zeroizing::new(pin.to_owned()))
}

const FORMAT: &str = "aes-gcm.1";
const KEY_LEN: u64 = 32;
const NONCE_LEN: usize = 12;
const TAG_BITS: u64 = 128;
const SEALED_LEN: usize = NONCE_LEN + bound::LEN + 16;
/// Hardware takes milliseconds; behind a network, seconds.
const TIMEOUT: Duration = Duration::from_secs(20);
const FIRST: u32 = 1;
