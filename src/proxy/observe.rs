//! Calls to a data set in which the policy is only observed: decided and recorded like others, and
//! answered with what the store says.

use std::sync::Arc;

use http::HeaderMap;
use http::StatusCode;
use http::header;

use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::FieldViews;
use crate::audit::Shown;
use crate::audit::Verdict;
use crate::catalog::DataSet;
use crate::catalog::Records as Arrangement;
use crate::policy::Decision;
use crate::policy::Observation;
use crate::policy::Permit;
use crate::protocol::http::Target;
use crate::protocol::http::answer_headers;
use crate::transform::Limits;
use crate::transform::Reader;
use crate::transform::Shape;
use crate::transform::TransformError;
use crate::types::Action;
use crate::types::CategoryId;
use crate::types::Level;

use super::answer;
use super::answer::Content;
use super::answer::DEPTH;
use super::answer::Outgoing;
use super::budget::Share;
use super::call;
use super::call::Asked;
use super::call::Inbound;
use super::error::CallError;
use super::feed::Feed;
use super::inbox::Table;
use super::links::Links;
use super::plan;
use super::plan::Question;
use super::records::Sealed;
use super::sets::Batches;
use super::sums::Sums;
use super::told::Told;
use super::trail::Trail;
use super::watched::About;
use super::watched::Watched;
use super::watched::Watching;
use super::write_answer;

/// A call that is only observed.
pub(crate) struct Watch {
    pub(crate) question: Question,
    pub(crate) target: Target,
    pub(crate) observation: Observation,
    /// What enforcing the policy would permit.
    pub(crate) would: Option<Permit>,
    pub(crate) generation: u64,
    pub(crate) shape: Arc<Shape>,
    pub(crate) share: Share,
    /// Whom a write is about.
    pub(crate) about: About,
    pub(crate) sums: Sums,
}

/// Whether a call is only observed. Files and answers of several data sets are not: what is in them
/// has more than one policy, or no record to judge.
pub(crate) fn holds(inbound: &Inbound, asked: &Asked) -> bool {
    let routed = &asked.question.routed;
    let is_plain = routed.route.beside.is_empty() && routed.route.opaque.is_none();
    let is_observed = || routed.set.observed_until(inbound.worker.shared().clock.now()).is_some();
    is_plain && routed.set.observe.is_some() && is_observed()
}

/// Asks the policy, and writes down what is known.
///
/// # Errors
/// When the policy is in force after all, nothing can be recorded, or there is no room.
pub(crate) fn begin(
    inbound: &Inbound,
    Asked { snapshot, question, target }: Asked,
    trail: &mut Trail,
) -> Result<Watch, CallError> {
    let shared = inbound.worker.shared();
    let now = shared.clock.now();
    let Some((observation, decision)) = question.observe(&snapshot, now) else {
        // Refused for who calls; else it came into force this moment.
        question.ask(&snapshot, now)?;
        return Err(CallError::PolicyChanged);
    };
    let sums = Sums::new(observation.set(), &decision);
    describe(&observation, &decision, &mut trail.facts);
    trail.facts.observed = Some(Box::new(sums.told()));
    trail.sums = Some(sums.clone());
    let would = match decision {
        Decision::Permit(permit) => Some(permit),
        Decision::Refuse(_) => None,
    };
    if let Some(permit) = &would
        && let Err(error) = call::may_show_more(inbound, &question, permit)
    {
        sums.refuse(&error);
    }
    let share = call::place(inbound, &question)?;
    let shape = snapshot.shape(&observation.set().id).cloned().ok_or(CallError::Route)?;
    let (generation, about) = (snapshot.generation, Vec::new());
    Ok(Watch { question, target, observation, would, generation, shape, share, about, sums })
}

/// Writes what is observed into what becomes the call's entries: all of it is shown.
fn describe(observation: &Observation, decision: &Decision, entry: &mut Entry) {
    match decision {
        Decision::Permit(permit) => plan::describe(permit, entry),
        Decision::Refuse(refusal) => {
            entry.decision = Some(Verdict::Permit);
            entry.purpose.clone_from(&refusal.purpose);
            entry.rules = refusal.rule.iter().cloned().collect();
            entry.policy = Some(observation.policy_hash());
        }
    }
    entry.fields = in_clear(observation.set());
}

/// Every kind of data in clear, and what is not listed: nobody classified it, so it counts as the
/// most protected.
fn in_clear(set: &DataSet) -> FieldViews {
    let view = Shown::Show;
    let listed = set.fields.iter().map(|it| (Some(it.category.clone()), it.level));
    let unlisted = (CategoryId::parse("user").ok(), Level::Critical);
    let mut views: Vec<FieldView> = Vec::new();
    for (category, level) in listed.chain([unlisted]) {
        let shown = category.map(|category| FieldView { category, level, view });
        views.extend(shown.filter(|shown| !views.contains(shown)));
    }
    views.into()
}

/// A read.
///
/// # Errors
/// When nothing of the store's answer may leave.
pub(crate) async fn read(
    inbound: &Inbound,
    asked: Asked,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let watch = begin(inbound, asked, trail)?;
    let headers = call::store_headers(inbound, trail);
    let accept = call::accepted(&watch.question.routed.route, &inbound.head.headers);
    let question = (watch.target.clone(), headers.accepting(accept));
    let whom = (watch.question.routed.store, &watch.observation);
    let response = call::ask(inbound, whom, question, trail).await?;
    answer(inbound, watch, response.into(), trail).await
}

/// Turns a store's answer into the client's: the same, once it is recorded.
///
/// # Errors
/// When nobody could be named for what is in it, or it says where the store is.
pub(crate) async fn answer(
    inbound: &Inbound,
    watch: Watch,
    told: Told,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let is_read = watch.question.is_read;
    let (status, has_people) = (told.status, !watch.observation.set().subjects.is_empty());
    let links = Links::of(&watch.question.routed, &watch.target);
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        // In the words for what may not be seen: who was erased is as if never there.
        told.body.discard();
        return Err(CallError::NotFound);
    }
    if status.is_redirection() {
        let location = told.headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
        let location = location.and_then(|it| links.location(inbound.worker.shared(), it));
        told.body.discard();
        let headers =
            HeaderMap::from_iter([(header::LOCATION, location.ok_or(CallError::Status(status))?)]);
        return Ok(Outgoing { status, headers, content: Content::Nothing });
    }
    let has_records = watch.question.routed.route.records.is_some();
    let carries = call::carries_records(status) || !is_read && status == StatusCode::CREATED;
    let format = answer::format(told.media, is_single(&watch));
    match format {
        Ok((format, _)) if carries && has_records => {
            let (reader, table) = reader(inbound, &watch, format)?;
            Box::pin(records(inbound, (watch, reader, table, links), told, trail)).await
        }
        Err(error) if carries && is_read && has_people => Err(error),
        _ if status.is_success() && is_read && has_people => {
            told.body.discard();
            let (status, headers) = (StatusCode::NO_CONTENT, HeaderMap::new());
            Ok(Outgoing { status, headers, content: Content::Nothing })
        }
        _ => Box::pin(plain(inbound, watch, told, trail)).await,
    }
}

fn is_single(watch: &Watch) -> bool {
    let records = watch.question.routed.route.records.as_ref();
    records.is_some_and(|selector| selector.records == Arrangement::One)
}

fn reader(
    inbound: &Inbound,
    watch: &Watch,
    format: crate::transform::Format,
) -> Result<(Reader, Option<Arc<Table>>), CallError> {
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    let selector = watch.question.routed.route.records.as_ref().ok_or(CallError::Route)?;
    let limits = Limits { record_bytes, depth: DEPTH };
    let mut reader = Reader::new(format, selector, Arc::clone(&watch.shape), limits);
    let snapshot = inbound.worker.shared().snapshot();
    let table = snapshot.table(&watch.observation.set().id, &watch.shape);
    if let Some(table) = &table {
        reader.watch(table.watch());
    }
    Ok((reader, table))
}

/// Records, judged and passed on.
async fn records(
    inbound: &Inbound,
    (watch, reader, table, links): (Watch, Reader, Option<Arc<Table>>, Links),
    told: Told,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let shared = inbound.worker.shared();
    let (is_single, is_read) = (is_single(&watch), watch.question.is_read);
    let route = Arc::clone(&watch.question.routed.route);
    let set = Arc::clone(watch.observation.set());
    let Watch { question, observation, would, generation, share, about, sums, .. } = watch;
    let Told { status, headers: store, body, .. } = told;
    // What comes of a write was decided with the write.
    let would = would.filter(|_| is_read);
    let watching = Watching {
        question,
        observation,
        would,
        generation,
        body,
        reader,
        table,
        share,
        about,
        sums,
    };
    let mut records = Batches::Watched(Box::new(Watched::new(shared, &trail.facts, watching)));
    let last = records.read().await;
    trail.waited += records.take_waited();
    let first = records.judge(last?).await?;
    let (shown, left_out) = first.counts();
    if is_single && is_read && shown == 0 {
        trail.tally.left_out = left_out;
        return Err(CallError::NotFound);
    }
    let mut headers = passed(&store, first.last && first.as_stored);
    let is_known = is_read && call::already_has(&inbound.head.headers, headers.get(header::ETAG));
    if is_known || call::is_head(&inbound.head) {
        trail.tally = Feed::announce(records, first).await?;
        let status = if is_known { StatusCode::NOT_MODIFIED } else { status };
        return Ok(Outgoing { status, headers, content: Content::Nothing });
    }
    let content = answer::collect(Feed::new(records, first), trail).await?;
    if let (Content::Whole(bytes, _), false) = (&content, is_read) {
        let location = store.get(header::LOCATION).and_then(|it| it.to_str().ok());
        let id = write_answer::created_id(&route, &set, bytes);
        let place = location.zip(id).and_then(|(at, id)| links.created(shared, at, &id));
        headers.extend(place.map(|place| (header::LOCATION, place)));
    }
    Ok(Outgoing { status, headers, content })
}

/// An answer without records: an error of the store, or what it says of a write. Nobody can say
/// whom it is about, but for a write.
async fn plain(
    inbound: &Inbound,
    watch: Watch,
    told: Told,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let shared = inbound.worker.shared();
    let Told { status, headers, mut body, .. } = told;
    let limit = shared.limits().record_bytes;
    let whole = body.look_ahead(limit).await.map_err(CallError::Upstream)?;
    let text = whole.ok_or(CallError::Transform(TransformError::TooLong { record: 0, limit }))?;
    let headers = passed(&headers, true);
    if text.is_empty() || call::is_head(&inbound.head) {
        return Ok(Outgoing { status, headers, content: Content::Nothing });
    }
    let mut share = watch.share;
    share.cover(text.len()).await.map_err(CallError::NoRoom)?;
    let facts = Arc::new(Entry { action: Some(Action::Read), ..trail.facts.clone() });
    let mut sealed = Sealed::new(text.to_vec(), (facts, Arc::default()));
    sealed.records = 1;
    sealed.name(&watch.about);
    let has_people = !watch.observation.set().subjects.is_empty();
    watch.sums.unattributed(u32::from(has_people && watch.about.is_empty()));
    let receipt = shared.log.release(sealed.entry()).await.map_err(CallError::Audit)?;
    let bytes = sealed.open(receipt);
    trail.tally.records = 1;
    trail.tally.bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok(Outgoing { status, headers, content: Content::Whole(bytes, Some(share)) })
}

/// The store's headers that pass, and what it says its answer is.
fn passed(store: &HeaderMap, whole: bool) -> HeaderMap {
    let mut headers = answer_headers(store, whole);
    let media = store.get(header::CONTENT_TYPE).cloned();
    headers.extend(media.map(|media| (header::CONTENT_TYPE, media)));
    headers
}
