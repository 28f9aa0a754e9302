//! Writing records back: each is read by itself, and written as the version that was read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::audit::ActorToken;
use crate::audit::Ending;
use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::IntentReceipt;
use crate::audit::Kind;
use crate::audit::Shown;
use crate::audit::Verdict;
use crate::catalog::Method;
use crate::catalog::Selector;
use crate::jobs::StepError;
use crate::protocol::http::MediaType;
use crate::protocol::http::answer_headers;
use crate::transform::Batch;
use crate::transform::Format;
use crate::transform::Move;
use crate::transform::Reader;
use crate::types::Action;
use crate::types::SubjectToken;
use crate::types::told;
use crate::upstream::Fate;
use crate::upstream::StoreBody;
use crate::upstream::StoreResponse;
use crate::upstream::StoreWrite;
use crate::upstream::WrittenBody;

use super::page::Scene;
use super::page::ToDo;
use super::page::unreached;
use super::people::Newcomers;
use super::people::People;

/// What came of writing records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wrote {
    pub(super) written: u64,
    /// Changed by somebody else all the time, or about other people now: for the next pass.
    pub(super) postponed: u64,
    /// Refused by the store.
    pub(super) refused: u64,
    /// Not there any more.
    pub(super) gone: u64,
    /// As they should be already.
    pub(super) unchanged: u64,
}

/// What came of one record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum One {
    Gone,
    Postponed,
    Refused,
    Unchanged,
    Written,
}

impl Wrote {
    pub(super) fn add(&mut self, other: Self) {
        self.written += other.written;
        self.postponed += other.postponed;
        self.refused += other.refused;
        self.gone += other.gone;
        self.unchanged += other.unchanged;
    }

    fn count(&mut self, one: One) {
        *match one {
            One::Gone => &mut self.gone,
            One::Postponed => &mut self.postponed,
            One::Refused => &mut self.refused,
            One::Unchanged => &mut self.unchanged,
            One::Written => &mut self.written,
        } += 1;
    }
}

/// Writes records back, a batch at a time. What was done stands in `wrote`, whatever comes of the
/// rest.
///
/// # Errors
/// When the log cannot be written, or the store cannot be reached or does not want to be now.
pub(super) async fn write(
    scene: &Arc<Scene>,
    to_do: &[ToDo],
    wrote: &mut Wrote,
) -> Result<(), StepError> {
    for part in to_do.chunks(scene.at_once()) {
        // A policy that changed meanwhile may seal other fields, or none.
        if scene.shared.policy().hash() != scene.agreed.policy_hash() {
            return Err(StepError::Fatal(POLICY_CHANGED));
        }
        let people: BTreeSet<SubjectToken> =
            part.iter().flat_map(|it| it.tokens.iter().copied()).collect();
        let people = Arc::new(people);
        let entry = scene.entry(Kind::Intent, &people, part.len());
        let intent = scene.shared.log.intent(entry).await.map_err(|error| unlogged(&error))?;
        let mut of_part = Wrote::default();
        let done = lanes(scene, part, (&Arc::new(intent), &people), &mut of_part).await;
        let mut entry = scene.entry(Kind::Outcome, &people, 0);
        entry.records = u32::try_from(of_part.written).ok();
        entry.left_out = u32::try_from(part.len()).ok().zip(entry.records).map(|(a, w)| a - w);
        entry.outcome = Some(if done.is_ok() { Ending::Complete } else { Ending::Aborted });
        let noted = scene.shared.log.record(entry).await;
        wrote.add(of_part);
        done?;
        drop(noted.map_err(|error| unlogged(&error))?);
    }
    Ok(())
}

/// Writes the records of one batch: few at a time, and no faster than was asked for.
async fn lanes(
    scene: &Arc<Scene>,
    part: &[ToDo],
    (intent, people): (&Arc<IntentReceipt>, &Arc<BTreeSet<SubjectToken>>),
    wrote: &mut Wrote,
) -> Result<(), StepError> {
    let (mut tasks, mut failed) = (JoinSet::new(), None);
    let pause = scene.order.per_second.map(|rate| Duration::from_secs(1) / rate.max(1));
    let mut next = Instant::now();
    for to_do in part {
        if tasks.len() >= LANES {
            settle(tasks.join_next().await.as_ref(), wrote, &mut failed);
        }
        if failed.is_some() {
            break;
        }
        if let Some(pause) = pause {
            sleep_until(next).await;
            next += pause;
        }
        let (scene, to_do) = (Arc::clone(scene), to_do.clone());
        let (intent, people) = (Arc::clone(intent), Arc::clone(people));
        tasks.spawn(async move { scene.rewrite(&to_do, &intent, &people).await });
    }
    while let Some(done) = tasks.join_next().await {
        settle(Some(&done), wrote, &mut failed);
    }
    failed.map_or(Ok(()), Err)
}

fn settle(
    done: Option<&Result<Result<One, StepError>, tokio::task::JoinError>>,
    wrote: &mut Wrote,
    failed: &mut Option<StepError>,
) {
    match done {
        None => {}
        Some(Ok(Ok(one))) => wrote.count(*one),
        Some(Ok(Err(error))) => *failed = Some(*error),
        Some(Err(_)) => *failed = Some(StepError::Again("writing a record broke off")),
    }
}

impl Scene {
    /// Reads a record, moves its values, and writes it as the version that was read.
    async fn rewrite(
        &self,
        to_do: &ToDo,
        intent: &IntentReceipt,
        people: &BTreeSet<SubjectToken>,
    ) -> Result<One, StepError> {
        for _ in 0..TRIES {
            let Some((batch, headers)) = self.read(to_do).await? else { return Ok(One::Gone) };
            let set = &self.place.set;
            let found = People::find(&self.shared.cards, (set, &batch), Newcomers::Made).await?;
            // The log names other people for this batch: the next pass will name these.
            if found.tokens(0).any(|token| !people.contains(&token)) {
                return Ok(One::Postponed);
            }
            let (mut patch, mut whole) = (Vec::new(), Vec::new());
            let out = Some((&mut patch, &mut whole));
            if !self.convert((&batch, 0), &found, out)?.changes {
                return Ok(One::Unchanged);
            }
            let record = if self.place.write.method == Method::Put { whole } else { patch };
            let write = self.compose(to_do, &record, &headers)?;
            match self.upstream.rewrite(&self.agreed, intent, &write).await {
                Ok(answer) => match judge(answer.status)? {
                    Some(one) => {
                        drain(answer.body).await;
                        return Ok(one);
                    }
                    None => drain(answer.body).await,
                },
                Err(error) if matches!(error.fate, Fate::Done(_)) => return Ok(One::Written),
                Err(error) => return Err(unreached(&error)),
            }
        }
        Ok(One::Postponed)
    }

    /// The record as the store has it now.
    async fn read(&self, to_do: &ToDo) -> Result<Option<(Batch, HeaderMap)>, StepError> {
        let StoreResponse { status, headers, media, mut body } =
            self.ask(to_do.target.clone()).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                drain(body).await;
                return Ok(None);
            }
            status if status.is_success() && media == MediaType::Json => {}
            _ => return Err(StepError::Again("the store did not answer with a record")),
        }
        let (selector, shape) = (&self.place.read, Arc::clone(&self.place.shape));
        let mut reader = Reader::new(Format::Json, selector, shape, self.limits());
        let mut read = 0;
        while let Some(piece) = body.chunk().await.map_err(|error| unreached(&error))? {
            read += piece.len();
            if read > self.limits().record_bytes.saturating_mul(2) {
                return Err(StepError::Again(UNREADABLE));
            }
            reader.push(piece);
        }
        reader.end_of_input();
        let mut batch = Batch::new(2, usize::MAX);
        match reader.read(&mut batch) {
            Ok(_) if batch.len() == 1 => Ok(Some((batch, headers))),
            _ => Err(StepError::Again(UNREADABLE)),
        }
    }

    /// The write of a record.
    fn compose(
        &self,
        to_do: &ToDo,
        record: &[u8],
        read: &HeaderMap,
    ) -> Result<StoreWrite, StepError> {
        let route = &self.place.write;
        let bytes = route.records.as_ref().map(|selector| wrap(selector, record));
        let body =
            WrittenBody { bytes: bytes.unwrap_or_default(), content_type: "application/json" };
        let method = match route.method {
            Method::Put => http::Method::PUT,
            _ => http::Method::PATCH,
        };
        let (target, headers) = (to_do.target.clone(), self.headers());
        let if_match = version(read, route.unsafe_writes)?;
        Ok(StoreWrite { method, target, headers, body: Some(body), if_match })
    }

    /// An entry about a batch.
    fn entry(&self, kind: Kind, people: &BTreeSet<SubjectToken>, records: usize) -> Entry {
        let set = &self.place.set;
        let mut entry = Entry::new(kind);
        entry.action = Some(Action::Update);
        entry.data_set = Some(set.id.clone());
        entry.store = Some(set.store.clone());
        entry.decision = Some(Verdict::Permit);
        entry.policy = Some(self.agreed.policy_hash());
        entry.reason = Some(super::KIND.into());
        entry.route = Some(self.place.route());
        entry.request_id = Some(self.job.id.as_str().into());
        entry.actor = Some(ActorToken(self.shared.keys.owner_token(self.agreed.requester())));
        entry.subjects = people.iter().copied().collect();
        if kind == Kind::Intent {
            entry.records = u32::try_from(records).ok();
            entry.fields = self.kinds().into();
        }
        entry.facts.insert("job".into(), self.job.id.as_str().into());
        entry.facts.insert("move".into(), self.way.as_str().into());
        let operators = [
            ("requested_by", Some(self.agreed.requester())),
            ("approved_by", self.agreed.approver()),
        ];
        for (fact, name) in operators {
            let Some(name) = name else { continue };
            let token = ActorToken(self.shared.keys.owner_token(name)).to_string();
            entry.facts.insert(fact.into(), token.into());
        }
        entry
    }

    /// The kinds of data that move, in the form they have afterwards.
    fn kinds(&self) -> Vec<FieldView> {
        let view = if self.way == Move::Decrypt { Shown::Show } else { Shown::Ciphertext };
        let sealed = self.place.set.fields.iter().filter(|field| field.at_rest.is_some());
        let mut kinds: Vec<FieldView> = sealed
            .map(|field| FieldView { category: field.category.clone(), level: field.level, view })
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

/// What a status says of a write; nothing when the record is to be read again.
///
/// # Errors
/// When the store does not want to be written to now, or at all.
fn judge(status: StatusCode) -> Result<Option<One>, StepError> {
    match status {
        status if status.is_success() => Ok(Some(One::Written)),
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(None),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Some(One::Gone)),
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => {
            Err(StepError::Again("the store does not take writes at the moment"))
        }
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Err(StepError::Fatal("the store does not take writes by this route"))
        }
        status if status.is_client_error() => Ok(Some(One::Refused)),
        _ => Err(StepError::Again("the store failed at a write")),
    }
}

/// The version to be written over. A weak one says that two versions are as good, not the same.
fn version(read: &HeaderMap, is_unsafe: bool) -> Result<Option<HeaderValue>, StepError> {
    let given = answer_headers(read, true).remove(header::ETAG);
    match given.filter(|tag| tag.as_bytes().starts_with(b"\"")) {
        Some(tag) => Ok(Some(tag)),
        None if is_unsafe => Ok(None),
        None => Err(StepError::Fatal(
            "the store tells no strong version of its records, and the route does not accept unsafe writes",
        )),
    }
}

/// Puts a record where the store looks for it.
fn wrap(selector: &Selector, record: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(record.len() + 64);
    for step in &selector.steps {
        out.push(b'{');
        // A name is text, which can always be written.
        out.extend(serde_json::to_vec(step).unwrap_or_default());
        out.push(b':');
    }
    out.extend_from_slice(record);
    out.extend(std::iter::repeat_n(b'}', selector.steps.len()));
    out.into()
}

/// Reads a short answer to its end, so that its connection serves the next call.
async fn drain(mut body: StoreBody) {
    let mut read = 0;
    while let Ok(Some(piece)) = body.chunk().await {
        read += piece.len();
        if read > SHORT {
            return;
        }
    }
}

fn unlogged(error: &dyn std::error::Error) -> StepError {
    tracing::error!(error = told(error), "the audit log cannot be written");
    StepError::Again("the audit log cannot be written")
}

/// Why a job ends that began under another policy.
pub(super) const POLICY_CHANGED: &str =
    "the policy changed since the job was requested; do a dry run under the new one";
const UNREADABLE: &str = "a record of the store cannot be read";
/// Records written at the same time, each on a connection of its own.
const LANES: usize = 4;
/// How often a record that somebody else changes meanwhile is read again.
const TRIES: usize = 3;
/// What is read of an answer that nobody needs.
const SHORT: usize = 64 * 1024;
