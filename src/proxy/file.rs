//! Files: each one field of a record, judged like the record and passed on as it comes.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::StatusCode;
use http::header;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::ReleaseReceipt;
use crate::catalog::FieldIx;
use crate::catalog::Opaque;
use crate::catalog::Owner;
use crate::catalog::Segment;
use crate::policy::BulkLimit;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Refusal;
use crate::policy::RefusalReason;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::verdict;
use crate::protocol::http::MediaType;
use crate::protocol::http::Target;
use crate::protocol::http::file_headers;
use crate::subjects::Card;
use crate::transform::Batch;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Progress;
use crate::transform::Reader;
use crate::transform::Shape;
use crate::types::Capacities;
use crate::types::Flags;
use crate::types::Region;
use crate::types::SubjectToken;
use crate::upstream::StoreBody;
use crate::upstream::StoreResponse;

use super::answer;
use super::answer::Content;
use super::answer::Outgoing;
use super::budget::Share;
use super::call;
use super::call::Decided;
use super::call::Inbound;
use super::error::CallError;
use super::exports::Border;
use super::exports::Passes;
use super::feed;
use super::people;
use super::plan;
use super::plan::Question;
use super::records;
use super::route::Routed;
use super::shared::Shared;
use super::trail::Trail;

/// What is known of the record that a file belongs to.
#[derive(Debug)]
pub(crate) enum Known {
    /// The record itself, as the store has it.
    Record(Box<Batch>),
    /// The variables of the path.
    Path,
}

/// A file on its way: who asked for it, under what, and whose it is.
pub(crate) struct File {
    shared: Arc<Shared>,
    question: Question,
    permit: Permit,
    generation: u64,
    field: FieldIx,
    known: Known,
    facts: Arc<Entry>,
    bulk: Arc<[BulkLimit]>,
    scratch: Scratch,
}

/// A file that may leave, and where its bytes come from.
///
/// INVARIANT: holds a [`ReleaseReceipt`], so that its entry is on disk before its first byte.
pub(crate) struct OpenFile {
    file: Box<File>,
    body: StoreBody,
    _receipt: ReleaseReceipt,
}

impl OpenFile {
    /// Who asked, and the bytes.
    pub(crate) fn into_parts(self) -> (Box<File>, StoreBody) {
        (self.file, self.body)
    }
}

/// Everybody a file is about who may be shown with it.
#[derive(Debug, Default)]
struct Shown {
    /// With the version of the card.
    subjects: Vec<(SubjectToken, u64)>,
    /// Whether it tells something personal.
    in_clear: bool,
    /// In which capacities the caller acts for them.
    acted: Capacities,
}

/// Refuses who is shown the field of a file in another form than its own, or not at all: that
/// depends on the caller alone.
///
/// # Errors
/// When no record shows the field as it is.
pub(crate) fn may_show(permit: &Permit, opaque: &Opaque) -> Result<(), CallError> {
    let widest = permit.widest().get(opaque.field.index());
    if widest.is_some_and(|view| view.is_raw()) {
        return Ok(());
    }
    let mut refusal = Refusal::new(RefusalReason::NoGrant, &["role"]);
    refusal.rule = permit.grants().first().cloned();
    refusal.purpose = Some(permit.purpose().clone());
    let path = permit.set().get(opaque.field).map_or("", |field| field.path.as_str());
    let detail = format!(
        "a file leaves as it is or not at all, and no grant for this purpose shows the field \
         `{path}` as it is"
    );
    Err(CallError::Refused(refusal.with_detail(&detail)))
}

/// Reads the record that the file belongs to, where the route names one, and judges it: whose
/// record is not there or not visible has no file either.
///
/// # Errors
/// When there is no such record for this caller, or the store does not say.
pub(crate) async fn known(
    inbound: &Inbound,
    decided: &mut Decided,
    trail: &mut Trail,
) -> Result<Known, CallError> {
    let route = Arc::clone(&decided.question.routed.route);
    let Some(opaque) = &route.opaque else { return Ok(Known::Path) };
    let Some(owner) = &opaque.of else { return Ok(Known::Path) };
    let Decided { question, permit, shape, share, .. } = &mut *decided;
    let read = read_owner(inbound, (&question.routed, permit, shape), (owner, share), trail).await;
    let known = Known::Record(Box::new(read.map_err(|error| hide(decided, error))?));
    let shared = inbound.worker.shared();
    let asked = Asked { shared, routed: &decided.question.routed, permit: &decided.permit };
    asked.judge(&known, opaque.field, (&mut Scratch::new(), &trail.facts)).await?;
    Ok(known)
}

/// The same cause, where the caller may not learn that there is a record at all.
fn hide(decided: &Decided, error: CallError) -> CallError {
    if decided.permit.covers_every_record() { error } else { error.hidden() }
}

/// Reads the record that a file belongs to.
///
/// # Errors
/// When it is not there, or the store does not say.
pub(crate) async fn read_owner(
    inbound: &Inbound,
    (routed, permit, shape): (&Routed, &Permit, &Arc<Shape>),
    (owner, share): (&Owner, &mut Share),
    trail: &mut Trail,
) -> Result<Batch, CallError> {
    let target = owner_target(owner, routed)?;
    let headers = call::store_headers(inbound, trail);
    let response = call::ask(inbound, (routed.store, permit), (target, headers), trail).await?;
    match response.status {
        status if call::carries_records(status) => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            answer::absent(response.body).await;
            return Err(CallError::NotFound);
        }
        status => {
            answer::discard(response.body);
            return Err(CallError::Status(status));
        }
    }
    if response.media != MediaType::Json {
        return Err(CallError::Media);
    }
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    let limits = Limits { record_bytes, depth: answer::DEPTH };
    let mut reader = Reader::new(Format::Json, &owner.records, Arc::clone(shape), limits);
    one_record(&mut reader, response.body, share).await
}

async fn one_record(
    reader: &mut Reader,
    mut body: StoreBody,
    share: &mut Share,
) -> Result<Batch, CallError> {
    let mut batch = Batch::new(2, usize::MAX);
    let mut read = 0_usize;
    loop {
        if reader.read(&mut batch).map_err(CallError::Transform)? != Progress::NeedMore {
            return Ok(batch);
        }
        match body.chunk().await.map_err(CallError::Upstream)? {
            Some(piece) => {
                read = read.saturating_add(piece.len());
                share.cover(read).await.map_err(CallError::NoRoom)?;
                reader.push(piece);
            }
            None => reader.end_of_input(),
        }
    }
}

/// Where the record is, in the variables of the file's own path.
fn owner_target(owner: &Owner, routed: &Routed) -> Result<Target, CallError> {
    let text = |segment: &'_ Segment| match segment {
        Segment::Literal(text) => Some(text.to_string()),
        Segment::Variable(field) => routed.variable(*field).map(str::to_owned),
    };
    let segments: Option<Vec<String>> = owner.segments.iter().map(text).collect();
    let segments = segments.ok_or(CallError::Route)?;
    Target::of_segments(segments.iter().map(String::as_str)).map_err(|_| CallError::Route)
}

/// Judges a file whose bytes stand ready, records it, and opens it.
///
/// # Errors
/// When it may not leave.
pub(crate) async fn open(
    inbound: &Inbound,
    (decided, mut headers): (Decided, HeaderMap),
    response: StoreResponse,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let StoreResponse { headers: store, body, .. } = response;
    let is_delimited =
        store.contains_key(header::CONTENT_LENGTH) || store.contains_key(header::TRANSFER_ENCODING);
    let Decided { question, permit, generation, share, known, .. } = decided;
    let field = question.routed.route.opaque.as_ref().ok_or(CallError::Route)?.field;
    let mut file = Box::new(File {
        shared: Arc::clone(inbound.worker.shared()),
        bulk: permit.bulk().into(),
        facts: Arc::new(trail.facts.clone()),
        scratch: Scratch::new(),
        known: known.unwrap_or(Known::Path),
        question,
        permit,
        generation,
        field,
    });
    let shown = match file.judge().await {
        Ok(shown) => shown,
        Err(error) => {
            answer::discard(body);
            return Err(error);
        }
    };
    // Without a mark at its end, half of a file would look like all of it.
    if !is_delimited {
        return Err(CallError::Media);
    }
    headers.extend(file_headers(&store));
    let is_known = call::already_has(&inbound.head.headers, headers.get(header::ETAG));
    let is_announced = is_known || call::is_head(&inbound.head);
    let length = if is_announced { Some(0) } else { body.length() };
    let receipt = file.record(&shown, length).await?;
    trail.tally.records = 1;
    if is_announced {
        answer::discard(body);
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        return Ok(Outgoing { status, headers, content: Content::Nothing });
    }
    let share = cover(share, length).await?;
    let open = Box::new(OpenFile { file, body, _receipt: receipt });
    Ok(Outgoing { status: StatusCode::OK, headers, content: Content::File(open, share) })
}

/// Takes the room that the pieces of a file need while they pass, however long it is.
async fn cover(mut share: Share, length: Option<u64>) -> Result<Share, CallError> {
    const IN_FLIGHT: usize = 128 * 1024;
    let length = length.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
    share.cover(length.min(IN_FLIGHT)).await.map_err(CallError::NoRoom)?;
    Ok(share)
}

impl File {
    /// Whether nothing needs to be looked up to see that the file may still leave.
    ///
    /// # Errors
    /// When the credential does not stand any more.
    pub(crate) fn is_unchanged(&self) -> Result<bool, CallError> {
        self.question.caller.still_valid(&self.shared)?;
        let is_about_nobody = self.permit.set().subjects.is_empty();
        let is_same = self.shared.snapshot().generation == self.generation;
        let now = self.shared.clock.now();
        Ok(is_about_nobody && is_same && self.question.caller.still_has(&self.permit, now))
    }

    /// Judges again, half-way: credential, policy, and the people it is about.
    pub(crate) async fn check(mut self: Box<Self>) -> (Box<Self>, Result<(), CallError>) {
        let judged = match self.judge().await {
            Ok(_) => Ok(()),
            Err(CallError::NotFound) => Err(CallError::Withdrawn),
            Err(other) => Err(other),
        };
        (self, judged)
    }

    async fn judge(&mut self) -> Result<Shown, CallError> {
        self.question.caller.still_valid(&self.shared)?;
        let now = self.shared.clock.now();
        records::recheck(
            &self.shared,
            (&mut self.question, &mut self.permit),
            (&mut self.generation, &mut self.facts, &mut self.bulk),
            now,
        )?;
        let (routed, permit) = (&self.question.routed, &self.permit);
        let asked = Asked { shared: &self.shared, routed, permit };
        asked.judge(&self.known, self.field, (&mut self.scratch, &self.facts)).await
    }

    /// Counts everybody the file is about, and makes its entry durable.
    async fn record(
        &self,
        shown: &Shown,
        length: Option<u64>,
    ) -> Result<ReleaseReceipt, CallError> {
        let tokens = || shown.subjects.iter().map(|(token, _)| *token).collect::<Vec<_>>();
        let in_clear = if shown.in_clear { tokens() } else { Vec::new() };
        let owners: Vec<Arc<str>> = self.question.caller.owners().cloned().collect();
        feed::count(&self.shared, &owners, (&self.bulk, &in_clear), &self.facts)?;
        let mut entry = Entry::clone(&self.facts);
        entry.kind = Kind::Release;
        entry.records = Some(1);
        entry.left_out = Some(0);
        entry.bytes = length;
        entry.subjects = tokens();
        plan::represented(shown.acted, &mut entry);
        entry.consent_versions = shown.subjects.iter().map(|(_, version)| *version).collect();
        feed::count_shown(&self.shared);
        self.shared.log.release(entry).await.map_err(CallError::Audit)
    }
}

/// What a judgement of a file rests on.
struct Asked<'a> {
    shared: &'a Shared,
    routed: &'a Routed,
    permit: &'a Permit,
}

impl Asked<'_> {
    /// Judges the record as far as it is known, and the field in it.
    async fn judge(
        &self,
        known: &Known,
        field: FieldIx,
        (scratch, entry): (&mut Scratch, &Entry),
    ) -> Result<Shown, CallError> {
        let set = self.permit.set();
        let value = |field: FieldIx| self.value(known, field);
        let values: Vec<Option<Cow<'_, str>>> =
            self.permit.fact_fields().iter().map(|field| value(*field)).collect();
        let ids: Vec<Option<Cow<'_, str>>> =
            set.subjects.iter().map(|subject| value(subject.field)).collect();
        let cards = self.cards(&ids, &values).await?;
        let now = self.shared.clock.now();
        let subjects: Vec<RecordSubject<'_>> = ids
            .iter()
            .zip(&cards)
            .map(|(id, card)| RecordSubject {
                id: id.as_deref(),
                card: card.as_deref().map(|card| card.facts(now)),
            })
            .collect();
        let facts = RecordFacts {
            subjects: &subjects,
            region: set.region.and_then(|field| Region::parse(&value(field)?)),
            values: &values,
            now,
        };
        let Verdict::Release { views, .. } = verdict(self.permit, &facts, scratch) else {
            return Err(CallError::NotFound);
        };
        if !views.get(field.index()).is_some_and(|view| view.is_raw()) {
            return Err(CallError::NotFound);
        }
        let mut subjects: Vec<_> =
            cards.iter().flatten().map(|card| (card.token, card.logged_version)).collect();
        subjects.sort_unstable();
        subjects.dedup_by_key(|(token, _)| *token);
        self.cross(field, (&facts, &cards), entry).await?;
        let in_clear = set.get(field).is_some_and(|field| field.flags.meets(Flags::PERSONAL));
        Ok(Shown { subjects, in_clear, acted: scratch.acted_as() })
    }

    /// Counts people whose data the file takes out of their country.
    ///
    /// # Errors
    /// When a threshold keeps it there, or nobody can be counted.
    async fn cross(
        &self,
        field: FieldIx,
        (facts, cards): (&RecordFacts<'_>, &[Option<Arc<Card>>]),
        entry: &Entry,
    ) -> Result<(), CallError> {
        let Some(border) = Border::of(self.shared, self.permit, facts.now) else { return Ok(()) };
        let (mut passes, mut wishes) = (Passes::default(), Vec::new());
        let views = self.permit.only(field);
        border.unknown(&passes, (facts, &views), cards, &mut wishes);
        if !wishes.is_empty() {
            passes.ask(self.shared, self.permit, entry, (wishes, facts.now)).await?;
        }
        let may_leave = border.lets(&passes, (facts, &views), cards);
        if may_leave { Ok(()) } else { Err(CallError::NotFound) }
    }

    /// The cards of everybody the record is about. Who asks for what no grant can open makes
    /// nobody known here.
    async fn cards(
        &self,
        ids: &[Option<Cow<'_, str>>],
        values: &[Option<Cow<'_, str>>],
    ) -> Result<Vec<Option<Arc<Card>>>, CallError> {
        let set = self.permit.set();
        let mut cards = vec![None; ids.len()];
        let id = |at: usize| ids.get(at).cloned().flatten();
        if !self.permit.covers_every_record() && !self.permit.may_cover(id, values) {
            return Ok(cards);
        }
        let named = set.subjects.iter().zip(ids).enumerate();
        let named =
            named.filter_map(|(at, (subject, id))| Some((at, &subject.domain, id.as_deref()?)));
        let (places, wanted): (Vec<usize>, Vec<_>) =
            named.map(|(at, domain, id)| (at, (domain, id))).unzip();
        if wanted.is_empty() {
            return Ok(cards);
        }
        let mut found = Vec::new();
        self.shared.cards.cards(&wanted, &mut found).await.map_err(CallError::Subjects)?;
        for (place, card) in places.into_iter().zip(found) {
            if let Some(slot) = cards.get_mut(place) {
                *slot = card;
            }
        }
        Ok(cards)
    }

    fn value<'k>(&'k self, known: &'k Known, field: FieldIx) -> Option<Cow<'k, str>> {
        match known {
            Known::Record(batch) => people::scalar(batch, 0, field),
            Known::Path => self.routed.variable(field).map(Cow::Borrowed),
        }
    }
}
