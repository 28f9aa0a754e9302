//! New records: every one is judged before the store hears of any.

use bytes::Bytes;

use crate::catalog::FieldIx;
use crate::crypto::ValueKind;
use crate::policy::View;
use crate::protocol::http::SentType;
use crate::transform::Batch;
use crate::transform::Edited;
use crate::transform::NewRecord;
use crate::transform::Raw;
use crate::transform::Seals;
use crate::transform::Unopened;
use crate::transform::Unsealed;
use crate::transform::create;
use crate::upstream::WrittenBody;

use super::answer::Outgoing;
use super::call::Inbound;
use super::error::CallError;
use super::shared::Shared;
use super::trail::Trail;
use super::write::Case;
use super::write::Change;
use super::write_body;
use super::write_error::WriteFault;
use super::write_judge;
use super::write_judge::Holders;
use super::write_judge::Ruling;
use super::write_link::Promised;

/// The stages of a creation, once its body is there.
///
/// # Errors
/// When nothing was made, or nobody knows.
pub(crate) async fn serve(
    inbound: &Inbound,
    mut case: Case,
    (media, text): (SentType, Bytes),
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let shared = inbound.worker.shared();
    let route = case.question.routed.route.clone();
    let selector = route.records.as_ref().ok_or(CallError::Route)?;
    let record_bytes = shared.limits().record_bytes;
    let (batch, written) = write_body::parse(media, text, (selector, &case.shape), record_bytes)?;
    let newcomer = route.created_id.filter(|field| case.permit.set().is_subject(*field));
    about_somebody(&case, &batch, newcomer)?;
    let rulings = write_judge::judge(shared, case.permits(), &batch, newcomer).await?;
    let mut keys: Vec<Holders> = rulings.iter().map(|ruling| ruling.keys.clone()).collect();
    if let Some(newcomer) = newcomer.filter(|_| case.shape.has_sealed()) {
        case.promised = promise(shared, &case, (&batch, &rulings), (newcomer, &mut keys)).await?;
    }
    let (records, fields) = compose(shared, &case, (&batch, &rulings, &keys))?;
    let bytes = write_body::wrap(selector, &written, &records)?;
    let content_type = written.content_type();
    let change = Change {
        body: Some(WrittenBody { bytes, content_type }),
        length: None,
        if_match: None,
        fields: &fields,
        records: records.len(),
    };
    let intent = case.record(inbound, (&change, &rulings), trail).await?;
    case.ask_again(inbound)?;
    let now = write_judge::judge(shared, case.permits(), &batch, newcomer).await?;
    // A key that was destroyed or replaced meanwhile would have sealed what nobody opens again.
    let same = |(a, b): (&Ruling, &Ruling)| a.writable == b.writable && a.keys == b.keys;
    if now.len() != rulings.len() || !now.iter().zip(&rulings).all(same) {
        return Err(CallError::Write(WriteFault::Record));
    }
    let answer = case.send(inbound, (change, intent), trail).await?;
    case.finish(inbound, answer, trail).await
}

/// Goes through a creation in which nothing is sealed, and makes nothing.
///
/// # Errors
/// When it would be refused.
pub(crate) async fn rehearse(
    inbound: &Inbound,
    case: &Case,
    (media, text): (SentType, Bytes),
) -> Result<(), CallError> {
    let shared = inbound.worker.shared();
    let route = case.question.routed.route.clone();
    let selector = route.records.as_ref().ok_or(CallError::Route)?;
    let record_bytes = shared.limits().record_bytes;
    let (batch, _) = write_body::parse(media, text, (selector, &case.shape), record_bytes)?;
    let newcomer = route.created_id.filter(|field| case.permit.set().is_subject(*field));
    about_somebody(case, &batch, newcomer)?;
    let rulings = write_judge::judge(shared, case.permits(), &batch, newcomer).await?;
    let keys: Vec<Holders> = rulings.iter().map(|ruling| ruling.keys.clone()).collect();
    compose(shared, case, (&batch, &rulings, &keys)).map(|_| ())
}

/// Every record says whom it is about, unless the store gives that id.
fn about_somebody(case: &Case, batch: &Batch, newcomer: Option<FieldIx>) -> Result<(), CallError> {
    let given = case.permit.set().subjects.iter().map(|subject| subject.field);
    for field in given.filter(|field| Some(*field) != newcomer) {
        let lacks = |record| matches!(batch.raw(record, field), Raw::Missing | Raw::Null);
        if (0..batch.len()).any(lacks) {
            return Err(CallError::Write(WriteFault::NoSubject));
        }
    }
    Ok(())
}

/// Makes keys for the records that are sealed and whose people the store names, once it is known
/// that nothing else stands against them.
async fn promise(
    shared: &Shared,
    case: &Case,
    (batch, rulings): (&Batch, &[Ruling]),
    (newcomer, keys): (FieldIx, &mut [Holders]),
) -> Result<Option<Promised>, CallError> {
    let set = case.permit.set();
    let place = set.subjects.iter().position(|subject| subject.field == newcomer);
    let mut wants = Vec::with_capacity(batch.len());
    for (at, ruling) in rulings.iter().enumerate() {
        let made = made(case, (batch, at), (ruling, &Trial), &mut Vec::new())?;
        let is_theirs =
            |field: &FieldIx| set.sealing(*field).is_some() && set.owner(*field) == place;
        let is_new = write_judge::is_unnamed(batch, at, newcomer);
        wants.push(is_new && made.fields().iter().any(is_theirs));
    }
    if !wants.contains(&true) {
        return Ok(None);
    }
    let (promised, made) = Promised::make(shared, set, newcomer, &wants).await?;
    for (holders, key) in keys.iter_mut().zip(made) {
        key.into_iter().for_each(|key| holders.put(promised.place(), key));
    }
    Ok(Some(promised))
}

/// What the store is to make of each record, and all fields that are set.
fn compose(
    shared: &Shared,
    case: &Case,
    (batch, rulings, keys): (&Batch, &[Ruling], &[Holders]),
) -> Result<(Vec<Vec<u8>>, Vec<FieldIx>), CallError> {
    let (mut records, mut fields) = (Vec::with_capacity(batch.len()), Vec::new());
    let record_bytes = shared.limits().record_bytes;
    for (at, (ruling, keys)) in rulings.iter().zip(keys).enumerate() {
        let seals = keys.seals(&shared.keys, case.permit.set());
        let mut body = Vec::new();
        let made = made(case, (batch, at), (ruling, &seals), &mut body)?;
        if body.len() > record_bytes {
            // Longer for being sealed, so that nobody could read it again.
            return Err(CallError::Write(WriteFault::TooLong));
        }
        fields.extend_from_slice(made.fields());
        records.push(body);
    }
    fields.sort_unstable();
    fields.dedup();
    Ok((records, fields))
}

/// What the store is to make of one record.
fn made(
    case: &Case,
    (batch, at): (&Batch, usize),
    (ruling, seals): (&Ruling, &dyn Seals),
    body: &mut Vec<u8>,
) -> Result<Edited, CallError> {
    let views: &[View] = case.read.as_ref().map_or(&[], |read| read.widest());
    let writable = ruling.writable.as_deref().ok_or(CallError::Write(WriteFault::Record))?;
    let sent = batch.text(at).unwrap_or_default();
    let new = NewRecord { shape: &case.shape, sent, views, seals, writable };
    create(&new, body).map_err(|error| CallError::Write(WriteFault::Edit(error)))
}

/// Seals nothing and fails at nothing: to find out whether a record may be made, and what of it is
/// sealed, before a key is made for it. What is written with it goes nowhere.
struct Trial;

impl Seals for Trial {
    fn open(&self, _: FieldIx, _: &str, _: &mut Vec<u8>) -> Result<ValueKind, Unopened> {
        Err(Unopened::Destroyed)
    }

    fn seal(&self, _: FieldIx, _: ValueKind, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unsealed> {
        Ok(())
    }

    fn index(&self, _: FieldIx, _: &str, _: &mut Vec<u8>) -> Result<(), Unsealed> {
        Ok(())
    }
}
