//! Changes and removals: the record is read, judged, and written as the version that was read.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method as HttpMethod;
use http::StatusCode;
use http::header;
use tokio::time::Instant;

use crate::catalog::FieldIx;
use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Route;
use crate::catalog::Selector;
use crate::policy::Pass;
use crate::policy::Permit;
use crate::policy::RecordSubject;
use crate::policy::View;
use crate::protocol::http::MediaType;
use crate::protocol::http::SentType;
use crate::protocol::http::Target;
use crate::protocol::http::answer_headers;
use crate::transform::Batch;
use crate::transform::Edit;
use crate::transform::Edited;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Mode;
use crate::transform::Shape;
use crate::transform::TransformError;
use crate::transform::edit;
use crate::transform::opened;
use crate::upstream::StoreRequest;
use crate::upstream::StoreResponse;
use crate::upstream::WrittenBody;

use super::answer;
use super::answer::Outgoing;
use super::budget::Share;
use super::call;
use super::call::Inbound;
use super::error::CallError;
use super::late;
use super::people::People;
use super::people::scalar;
use super::pseudonyms::CallPseudonyms;
use super::pseudonyms::RecordPseudonyms;
use super::route::Routed;
use super::trail::Trail;
use super::write::Case;
use super::write::Change;
use super::write_answer;
use super::write_body;
use super::write_body::Written;
use super::write_error::WriteFault;
use super::write_judge;
use super::write_judge::Ruling;

/// How often a record that changes meanwhile is read and judged again.
const TRIES: usize = 3;

/// The record as the store has it.
pub(crate) struct Stored {
    pub(crate) batch: Batch,
    headers: HeaderMap,
}

/// Where the record is that is to be changed.
pub(crate) struct Source<'a> {
    pub(crate) routed: &'a Routed,
    pub(crate) target: &'a Target,
    pub(crate) shape: &'a Arc<Shape>,
}

/// What a change makes of a record.
#[derive(Default)]
struct Merged {
    /// What the store is sent, before it is put where the store looks for it.
    body: Vec<u8>,
    /// The record as it will be; nothing where it goes.
    whole: Option<Batch>,
    edited: Edited,
}

/// The stages of a change or a removal, once its body is there.
///
/// # Errors
/// When nothing was written, or nobody knows.
pub(crate) async fn serve(
    inbound: &Inbound,
    mut case: Case,
    sent: Option<(SentType, Bytes)>,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let media = sent.as_ref().map(|(media, _)| *media);
    let sent = sent.map(|sent| parse(inbound, &case, sent)).transpose()?;
    for _ in 0..TRIES {
        // Who may write some records at most, and it may not be this one, must not learn from a
        // fault of it that it is there.
        let may_be_hidden = !case.permit.covers_every_record();
        let Case { question, permit, target, shape, share, .. } = &mut case;
        let source = Source { routed: &question.routed, target, shape };
        let stored = fetch(inbound, (source, &*permit), share, trail).await;
        let stored = stored.map_err(|error| if may_be_hidden { error.hidden() } else { error })?;
        link(inbound, &case, &stored.batch, trail).await?;
        let (ruling, mut merged) = judged(inbound, &case, &stored, (media, sent.as_ref())).await?;
        if sent.is_some() && merged.edited.is_unchanged() {
            return Box::pin(write_answer::unchanged(inbound, case, trail)).await;
        }
        let if_match = version(&case.question.routed.route, &stored.headers)?;
        let after = remain(inbound, &case, &merged).await?;
        let people: Vec<Ruling> = std::iter::once(ruling.clone()).chain(after).collect();
        let change = Change {
            body: body(&case, (media, sent.as_ref()), std::mem::take(&mut merged.body))?,
            length: None,
            if_match,
            fields: merged.edited.fields(),
            records: 1,
        };
        let intent = case.record(inbound, (&change, &people), trail).await?;
        case.ask_again(inbound)?;
        if rule(inbound, &case, &stored.batch).await? != ruling {
            // Something was withdrawn or given meanwhile: what was merged rests on what was.
            continue;
        }
        remain(inbound, &case, &merged).await?;
        let answer = case.send(inbound, (change, intent), trail).await?;
        match answer {
            Ok(late) if late.status == StatusCode::PRECONDITION_FAILED => {
                answer::discard(late.body)
            }
            answer => return case.finish(inbound, answer, trail).await,
        }
    }
    Err(CallError::Write(WriteFault::Changing))
}

/// Goes through a change or a removal of a record, and changes nothing.
///
/// # Errors
/// When it would be refused.
pub(crate) async fn rehearse(
    inbound: &Inbound,
    case: &Case,
    (stored, sent): (&Stored, Option<(SentType, Bytes)>),
) -> Result<(), CallError> {
    let media = sent.as_ref().map(|(media, _)| *media);
    let sent = sent.map(|sent| parse(inbound, case, sent)).transpose()?;
    let (_, merged) = judged(inbound, case, stored, (media, sent.as_ref())).await?;
    if sent.is_some() && merged.edited.is_unchanged() {
        return Ok(());
    }
    version(&case.question.routed.route, &stored.headers)?;
    remain(inbound, case, &merged).await.map(|_| ())
}

/// Judges the record as it is, and makes of it what was sent.
async fn judged(
    inbound: &Inbound,
    case: &Case,
    stored: &Stored,
    (media, sent): (Option<SentType>, Option<&(Batch, Written)>),
) -> Result<(Ruling, Merged), CallError> {
    let ruling = rule(inbound, case, &stored.batch).await?;
    let writable = allowed(&ruling)?;
    precondition(inbound, (case, &ruling, stored))?;
    let typed = typed(inbound, (case, &ruling), (&stored.batch, sent))?;
    let asked = typed.as_ref().or(sent.map(|(batch, _)| batch));
    let merged = merge(inbound, case, (&stored.batch, asked, media), (&ruling, writable))?;
    Ok((ruling, merged))
}

/// Reads the one record that was sent.
fn parse(
    inbound: &Inbound,
    case: &Case,
    (media, text): (SentType, Bytes),
) -> Result<(Batch, Written), CallError> {
    let records = case.question.routed.route.records.as_ref().ok_or(CallError::Route)?;
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    write_body::parse(media, text, (records, &case.shape), record_bytes)
}

/// What was sent once more, where its values are text and those of the store may be none.
fn typed(
    inbound: &Inbound,
    (case, ruling): (&Case, &Ruling),
    (stored, sent): (&Batch, Option<&(Batch, Written)>),
) -> Result<Option<Batch>, CallError> {
    let Some((_, written @ Written::Flat(_))) = sent else { return Ok(None) };
    let shared = inbound.worker.shared();
    let records = case.question.routed.route.records.as_ref().ok_or(CallError::Route)?;
    let record_bytes = shared.limits().record_bytes;
    let opened = if case.shape.has_sealed() {
        let seals = ruling.keys.seals(&shared.keys, case.permit.set());
        let text = opened(&case.shape, stored.text(0).unwrap_or_default(), &seals);
        let text = text.map_err(|error| CallError::Write(WriteFault::Edit(error)))?;
        Some(alone(text.into(), &case.shape).map_err(CallError::Write)?)
    } else {
        None
    };
    let stored = opened.as_ref().unwrap_or(stored);
    write_body::typed(written, stored, (records, &case.shape), record_bytes)
}

/// One record that was put together here.
fn alone(text: Bytes, shape: &Arc<Shape>) -> Result<Batch, WriteFault> {
    let selector = Selector { steps: Vec::new(), records: Records::One, around: Vec::new() };
    let place = (&selector, shape);
    write_body::records(Format::Json, text, place, (Limits::MAX_RECORD, true))
}

/// Reads the record, as a read of the same path would.
pub(crate) async fn fetch(
    inbound: &Inbound,
    (source, permit): (Source<'_>, &impl Pass),
    share: &mut Share,
    trail: &mut Trail,
) -> Result<Stored, CallError> {
    let Source { routed, target, shape } = source;
    let request = StoreRequest {
        method: HttpMethod::GET,
        target: target.clone(),
        headers: call::store_headers(inbound, trail),
    };
    let upstream = inbound.worker.upstream(routed.store).ok_or(CallError::Route)?;
    let asked = Instant::now();
    let response = upstream.fetch(permit, &request).await.map_err(CallError::Upstream);
    let StoreResponse { status, headers, media, mut body } = response?;
    match status {
        status if call::carries_records(status) => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            answer::absent(body).await;
            return Err(CallError::NotFound);
        }
        status => {
            answer::discard(body);
            return Err(CallError::Status(status));
        }
    }
    if media != MediaType::Json {
        return Err(CallError::Media);
    }
    let route = read_route(routed).ok_or(CallError::PolicyChanged)?;
    let selector = route.records.clone().ok_or(CallError::Route)?;
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    let mut text = Vec::new();
    while let Some(piece) = body.chunk().await.map_err(CallError::Upstream)? {
        text.extend_from_slice(&piece);
        // What stands around the record is read too, and not kept.
        if text.len() > record_bytes.saturating_mul(2) {
            let limit = record_bytes;
            return Err(CallError::Transform(TransformError::TooLong { record: 0, limit }));
        }
        share.cover(text.len().saturating_mul(3)).await.map_err(CallError::NoRoom)?;
    }
    trail.waited += asked.elapsed();
    let place = (&selector, shape);
    let batch = stored_records(text.into(), place, record_bytes)?;
    Ok(Stored { batch, headers })
}

/// The store's faults are not the client's.
fn stored_records(
    text: Bytes,
    place: (&Selector, &Arc<Shape>),
    record_bytes: usize,
) -> Result<Batch, CallError> {
    let no_records = CallError::Transform(TransformError::NoRecords);
    match write_body::records(Format::Json, text, place, (record_bytes, true)) {
        Ok(batch) if batch.len() == 1 => Ok(batch),
        Ok(_) => Err(no_records),
        Err(WriteFault::Body(error)) => Err(CallError::Transform(error)),
        Err(_) => Err(no_records),
    }
}

/// The route that reads what this one writes.
fn read_route(routed: &Routed) -> Option<&Route> {
    let mut routes = routed.set.routes.iter();
    let same = |it: &&Arc<Route>| it.method == Method::Get && it.template == routed.route.template;
    routes.find(same).map(AsRef::as_ref)
}

/// Gives the record its key, when it was made and nobody has read it since.
async fn link(
    inbound: &Inbound,
    case: &Case,
    batch: &Batch,
    trail: &Trail,
) -> Result<(), CallError> {
    if !case.shape.has_sealed() {
        return Ok(());
    }
    let shared = inbound.worker.shared();
    let people = People::find(&shared.cards, &case.permit, batch).await?;
    Box::pin(late::link(shared, (&case.permit, batch, &people), &trail.facts)).await
}

/// Judges the one record of a batch.
///
/// # Errors
/// When what is known of people cannot be read.
pub(super) async fn rule(
    inbound: &Inbound,
    case: &Case,
    batch: &Batch,
) -> Result<Ruling, CallError> {
    let shared = inbound.worker.shared();
    let mut rulings = write_judge::judge(shared, case.permits(), batch, None).await?;
    rulings.pop().ok_or(CallError::NotFound)
}

/// What may be set, or why nothing: who is not shown the record learns nothing of it.
///
/// # Errors
/// When nothing may be.
pub(super) fn allowed(ruling: &Ruling) -> Result<&[bool], CallError> {
    match (&ruling.writable, &ruling.views) {
        (Some(writable), _) => Ok(writable),
        (None, None) => Err(CallError::NotFound),
        (None, Some(_)) if ruling.is_held => Err(CallError::Write(WriteFault::Held)),
        (None, Some(_)) => Err(CallError::Write(WriteFault::Record)),
    }
}

/// The version that a client named, held against the one it can have been given: none where it is
/// not shown all of the record.
fn precondition(
    inbound: &Inbound,
    (case, ruling, stored): (&Case, &Ruling, &Stored),
) -> Result<(), CallError> {
    let mut wanted = inbound.head.headers.get_all(header::IF_MATCH).iter().peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let shows_all = |views: &Vec<View>| views.iter().all(|view| *view == View::Show);
    let is_whole = case.read.as_ref().is_some_and(Permit::shows_every_field)
        && ruling.views.as_ref().is_some_and(shows_all)
        && !stored.batch.has_skipped();
    let given = answer_headers(&stored.headers, is_whole);
    let given = given.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let mut tags = wanted.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    let holds = |tag: &str| match (tag.trim(), given) {
        ("*", _) => ruling.views.is_some(),
        (tag, Some(given)) => !tag.starts_with("W/") && tag == given,
        (_, None) => false,
    };
    if tags.any(holds) {
        return Ok(());
    }
    Err(CallError::Write(WriteFault::Precondition))
}

/// Merges what was sent into what is there.
fn merge(
    inbound: &Inbound,
    case: &Case,
    (stored, sent, media): (&Batch, Option<&Batch>, Option<SentType>),
    (ruling, writable): (&Ruling, &[bool]),
) -> Result<Merged, CallError> {
    let Some(sent) = sent else { return Ok(Merged::default()) };
    let shared = inbound.worker.shared();
    let routed = &case.question.routed;
    let call = CallPseudonyms::new(&shared.keys, case.permit.purpose());
    let ids: Vec<_> =
        routed.set.subjects.iter().map(|subject| scalar(stored, 0, subject.field)).collect();
    let people: Vec<_> =
        ids.iter().map(|id| RecordSubject { id: id.as_deref(), card: None }).collect();
    let pseudonyms =
        RecordPseudonyms { call: &call, set: &routed.set, people: &people, vault: None };
    let subjects = routed.set.subjects.iter().map(|subject| subject.field);
    // The path says which record it is.
    let fixed: Vec<FieldIx> = subjects.chain(routed.route.variables()).collect();
    let mode = if routed.route.method == Method::Put { Mode::Replace } else { Mode::Merge };
    let change = Edit {
        shape: &case.shape,
        stored: stored.text(0).unwrap_or_default(),
        sent: sent.text(0).unwrap_or_default(),
        views: ruling.views.as_deref().unwrap_or_default(),
        pseudonyms: &pseudonyms,
        seals: &ruling.keys.seals(&shared.keys, case.permit.set()),
        writable,
        fixed: &fixed,
        mode,
        // It is sent on under this name, and who takes that name merges.
        store_merges: media == Some(SentType::MergePatch),
    };
    let (mut body, mut whole) = (Vec::new(), Vec::new());
    let edited = edit(&change, &mut body, &mut whole);
    let edited = edited.map_err(|error| CallError::Write(WriteFault::Edit(error)))?;
    let selector = Selector { steps: Vec::new(), records: Records::One, around: Vec::new() };
    let record_bytes = shared.limits().record_bytes;
    let place = (&selector, &case.shape);
    let whole = write_body::records(Format::Json, whole.into(), place, (record_bytes, true));
    let whole = Some(whole.map_err(CallError::Write)?);
    Ok(Merged { body, whole, edited })
}

/// Judges the record as it would be: nothing is moved to where the call may not write it, by a
/// grant for other fields either.
async fn remain(
    inbound: &Inbound,
    case: &Case,
    merged: &Merged,
) -> Result<Option<Ruling>, CallError> {
    let Some(whole) = &merged.whole else { return Ok(None) };
    let ruling = rule(inbound, case, whole).await?;
    let may = |writable: &Vec<bool>| {
        let fields = merged.edited.fields().iter();
        fields.map(|field| writable.get(field.index())).all(|may| may == Some(&true))
    };
    if ruling.writable.as_ref().is_some_and(may) {
        return Ok(Some(ruling));
    }
    Err(CallError::Write(WriteFault::Moved))
}

/// The version to be written over. A weak one says that two versions are as good, not the same.
fn version(route: &Route, headers: &HeaderMap) -> Result<Option<HeaderValue>, CallError> {
    let given = answer_headers(headers, true).remove(header::ETAG);
    match given.filter(|tag| tag.as_bytes().starts_with(b"\"")) {
        Some(tag) => Ok(Some(tag)),
        None if route.unsafe_writes => Ok(None),
        None => Err(CallError::Write(WriteFault::Unsafe)),
    }
}

/// What the store is sent, under the name the client gave it.
fn body(
    case: &Case,
    (media, sent): (Option<SentType>, Option<&(Batch, Written)>),
    record: Vec<u8>,
) -> Result<Option<WrittenBody>, CallError> {
    let selector = case.question.routed.route.records.as_ref();
    let (Some(selector), Some((_, written))) = (selector, sent) else { return Ok(None) };
    let content_type = match media {
        Some(SentType::MergePatch) => "application/merge-patch+json",
        _ => written.content_type(),
    };
    let bytes = write_body::wrap(selector, written, &[record])?;
    Ok(Some(WrittenBody { bytes, content_type }))
}
