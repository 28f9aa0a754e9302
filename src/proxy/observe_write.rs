//! Writes to a data set in which the policy is only observed: judged without effect, recorded, and
//! passed on as they were sent.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::catalog::Method;
use crate::protocol::http::SentType;
use crate::transform::Batch;
use crate::upstream::Fate;
use crate::upstream::StoreWrite;
use crate::upstream::WriteError;
use crate::upstream::WrittenBody;

use super::answer::Outgoing;
use super::call;
use super::call::Asked;
use super::call::Inbound;
use super::error::CallError;
use super::observe;
use super::observe::Watch;
use super::people::People;
use super::trail::Trail;
use super::watched;
use super::watched::About;
use super::write;
use super::write::Case;
use super::write_body;
use super::write_change;
use super::write_change::Source;
use super::write_change::Stored;
use super::write_create;
use super::write_error::WriteFault;

/// The stages of a write.
///
/// # Errors
/// When nobody can be named for it, it is about somebody who was erased, or nobody knows what
/// became of it.
pub(crate) async fn serve(
    inbound: &Inbound,
    asked: Asked,
    body: Incoming,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let mut watch = observe::begin(inbound, asked, trail)?;
    let shared = inbound.worker.shared();
    let route = Arc::clone(&watch.question.routed.route);
    let sent = write::take(inbound, (&route, &mut watch.share), body).await?;
    let stored = stored(inbound, &mut watch, trail).await?;
    let made = made(inbound, &watch, sent.as_ref())?;
    let stands = stored.as_ref().map(|stored| &stored.batch);
    let batch = stands.or(made.as_ref());
    watch.about = everybody(inbound, &watch, [stands, made.as_ref()]).await?;
    if watch.about.is_empty() && !watch.observation.set().subjects.is_empty() {
        watch.sums.unattributed(1);
    }
    watch = judge(inbound, watch, (sent.clone(), stored.as_ref())).await;
    let mut entry = trail.facts.clone();
    entry.records = u32::try_from(batch.map_or(1, Batch::len)).ok();
    entry.bytes = sent.as_ref().and_then(|(_, text)| u64::try_from(text.len()).ok());
    entry.subjects = watch.about.iter().map(|(token, _)| *token).collect();
    entry.consent_versions = watch.about.iter().map(|(_, version)| *version).collect();
    let write = StoreWrite {
        method: inbound.head.method.clone(),
        target: watch.target.clone(),
        headers: call::store_headers(inbound, trail),
        body: sent.map(written),
        if_match: if_match(inbound)?,
    };
    let intent = shared.log.intent(entry).await.map_err(CallError::Audit)?;
    watch.question.caller.still_valid(shared)?;
    if watch.observation.set().observed_until(shared.clock.now()).is_none() {
        return Err(CallError::PolicyChanged);
    }
    everybody(inbound, &watch, [stands, made.as_ref()]).await?;
    let upstream = inbound.worker.upstream(watch.question.routed.store).ok_or(CallError::Route)?;
    let sending = Instant::now();
    let answer = upstream.alter(&watch.observation, intent, &write).await;
    trail.waited += sending.elapsed();
    let response = match answer {
        Ok(response) => response,
        Err(WriteError { cause, fate: Fate::NotSent }) => return Err(CallError::Upstream(cause)),
        Err(error) => return Err(CallError::Write(WriteFault::Unknown(error))),
    };
    if response.status.is_success() {
        trail.facts.reason = Some("written".into());
    }
    observe::answer(inbound, watch, response.into(), trail).await
}

/// The record that is there, when one is to be changed or removed.
///
/// # Errors
/// When nobody can tell whom it is about.
async fn stored(
    inbound: &Inbound,
    watch: &mut Watch,
    trail: &mut Trail,
) -> Result<Option<Stored>, CallError> {
    let routed = &watch.question.routed;
    if routed.route.method == Method::Post {
        return Ok(None);
    }
    let source = Source { routed, target: &watch.target, shape: &watch.shape };
    let found =
        write_change::fetch(inbound, (source, &watch.observation), &mut watch.share, trail).await;
    match found {
        Ok(stored) => Ok(Some(stored)),
        // What is not there is about nobody.
        Err(error @ CallError::NotFound) => {
            watch.sums.refuse(&error);
            Ok(None)
        }
        Err(error) if watch.observation.set().subjects.is_empty() => {
            watch.sums.refuse(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The records that are sent: a record that is replaced or changed may be made where the store has
/// none, and may be moved to somebody else.
///
/// # Errors
/// When nobody can tell whom they are about.
fn made(
    inbound: &Inbound,
    watch: &Watch,
    sent: Option<&(SentType, Bytes)>,
) -> Result<Option<Batch>, CallError> {
    let route = &watch.question.routed.route;
    let (Some((media, text)), Some(selector)) = (sent, &route.records) else { return Ok(None) };
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    let place = (selector, &watch.shape);
    match write_body::parse(*media, text.clone(), place, record_bytes) {
        Ok((batch, _)) => Ok(Some(batch)),
        Err(_) if watch.observation.set().subjects.is_empty() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whom a write is about: whoever the record is about that stands there, and whoever it is to be
/// about.
///
/// # Errors
/// When one of them was erased: nothing of theirs is made or changed again.
async fn everybody(
    inbound: &Inbound,
    watch: &Watch,
    batches: [Option<&Batch>; 2],
) -> Result<About, CallError> {
    let mut about = Vec::new();
    for batch in batches {
        about.extend(people(inbound, watch, batch).await?);
    }
    about.sort_unstable();
    about.dedup_by_key(|(token, _)| *token);
    Ok(about)
}

/// Whom records are about.
///
/// # Errors
/// When one of them was erased: nothing of theirs is made or changed again.
async fn people(
    inbound: &Inbound,
    watch: &Watch,
    batch: Option<&Batch>,
) -> Result<About, CallError> {
    let Some(batch) = batch else { return Ok(Vec::new()) };
    let (shared, set) = (inbound.worker.shared(), watch.observation.set());
    let people = People::find_all(&shared.cards, set, batch, None).await?;
    let mut about = Vec::new();
    for record in 0..batch.len() {
        let cards = people.cards(record, set.subjects.len());
        if watched::is_erased(cards) {
            let is_new = watch.question.routed.route.method == Method::Post;
            let record = CallError::Write(WriteFault::Record);
            return Err(if is_new { record } else { CallError::NotFound });
        }
        about.extend(cards.iter().flatten().map(|card| (card.token, card.logged_version)));
    }
    Ok(about)
}

/// Goes through the write as if the policy were in force, up to where it would be sent.
async fn judge(
    inbound: &Inbound,
    watch: Watch,
    (sent, stored): (Option<(SentType, Bytes)>, Option<&Stored>),
) -> Watch {
    let Watch { question, target, observation, would, generation, shape, share, about, sums } =
        watch;
    let Some(permit) = would else {
        return Watch {
            question,
            target,
            observation,
            would,
            generation,
            shape,
            share,
            about,
            sums,
        };
    };
    let shared = inbound.worker.shared();
    let read = question.ask_read(&shared.snapshot(), &permit, shared.clock.now());
    let case = Case { question, permit, read, shape, generation, target, share, promised: None };
    let judged = match (sent, stored) {
        (Some(sent), None) if case.question.routed.route.method == Method::Post => {
            Box::pin(write_create::rehearse(inbound, &case, sent)).await
        }
        (sent, Some(stored)) => {
            Box::pin(write_change::rehearse(inbound, &case, (stored, sent))).await
        }
        _ => Ok(()),
    };
    if let Err(error) = judged {
        sums.refuse(&error);
    }
    let Case { question, permit, shape, generation, target, share, .. } = case;
    let would = Some(permit);
    Watch { question, target, observation, would, generation, shape, share, about, sums }
}

/// What was sent, under the name it came with.
fn written((media, bytes): (SentType, Bytes)) -> WrittenBody {
    let content_type = match media {
        SentType::Csv => "text/csv",
        SentType::Form => "application/x-www-form-urlencoded",
        SentType::MergePatch => "application/merge-patch+json",
        SentType::Ndjson => "application/x-ndjson",
        SentType::Json | SentType::Other => "application/json",
    };
    WrittenBody { bytes, content_type }
}

/// The version that the client wants to change, as the store gave it out.
fn if_match(inbound: &Inbound) -> Result<Option<HeaderValue>, CallError> {
    let mut given = inbound.head.headers.get_all(header::IF_MATCH).iter();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(CallError::Write(WriteFault::Condition)),
        (given, None) => Ok(given.cloned()),
    }
}
