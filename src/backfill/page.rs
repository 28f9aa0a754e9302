//! Reading a page of the list, and saying what each of its records becomes.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::header;
use tokio::time::Instant;

use crate::jobs::Job;
use crate::jobs::StepError;
use crate::keys::RecordSeals;
use crate::policy::Maintenance;
use crate::protocol::http::MediaType;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;
use crate::proxy::Shared;
use crate::proxy::people::scalar;
use crate::transform::Batch;
use crate::transform::Conversion;
use crate::transform::ConvertError;
use crate::transform::Converted;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Move;
use crate::transform::Progress;
use crate::transform::Reader;
use crate::transform::convert;
use crate::types::SubjectToken;
use crate::types::told;
use crate::upstream::StoreRequest;
use crate::upstream::StoreResponse;
use crate::upstream::Upstream;

use super::count::Count;
use super::order::Order;
use super::people::Newcomers;
use super::people::People;
use super::place::From;
use super::place::Paging;
use super::place::Place;

/// What a step works with.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) shared: Arc<Shared>,
    pub(super) upstream: Upstream,
    pub(super) place: Place,
    pub(super) agreed: Maintenance,
    pub(super) order: Order,
    pub(super) way: Move,
    pub(super) job: Arc<Job>,
}

/// What a page, or the first part of it, holds.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) count: Count,
    /// The records that change.
    pub(super) to_do: Vec<ToDo>,
    /// How many of those cannot be addressed.
    pub(super) unaddressed: u64,
    /// How many records were looked at.
    pub(super) records: u64,
    /// Whether the end of the answer was seen.
    pub(super) ended: bool,
    /// What tells this page from others: a print of its first record.
    pub(super) print: Option<u64>,
    /// The last record's value, where pages are asked for by one.
    pub(super) last: Option<String>,
}

/// A record that changes.
#[derive(Clone, Debug)]
pub(super) struct ToDo {
    pub(super) target: Target,
    /// Its people, as the log names them.
    pub(super) tokens: Vec<SubjectToken>,
}

impl Scene {
    /// Reads the page of the list that begins there.
    ///
    /// # Errors
    /// When it cannot be read, or people not be looked up.
    pub(super) async fn page(
        &self,
        from: From<'_>,
        prints: &RandomState,
    ) -> Result<Seen, StepError> {
        let target = self.place.page(from).ok_or(StepError::Fatal(NO_PATH))?;
        let StoreResponse { status, media, mut body, .. } = self.ask(target).await?;
        if !status.is_success() {
            return Err(StepError::Again("the store did not answer with its list"));
        }
        let format = match media {
            MediaType::Json => Format::Json,
            MediaType::Ndjson => Format::Ndjson,
            _ => return Err(StepError::Again("the store's list is not JSON")),
        };
        let (selector, shape) = (&self.place.listed, Arc::clone(&self.place.shape));
        let mut reader = Reader::new(format, selector, shape, self.limits());
        let mut batch = Batch::new(self.at_once(), BATCH_BYTES);
        let (mut seen, started) = (Seen::default(), Instant::now());
        // One answer that holds everything is gone over again to where it was left.
        let mut skip = if self.place.paging == Paging::Whole { from.records } else { 0 };
        let may_stop = !matches!(self.place.paging, Paging::Page { .. });
        while !seen.ended {
            let progress = reader.read(&mut batch).map_err(|error| {
                tracing::warn!(error = told(&error), "a store's list cannot be read");
                StepError::Again("the store's list cannot be read")
            })?;
            seen.ended = progress == Progress::End;
            if progress == Progress::NeedMore {
                match body.chunk().await.map_err(|error| unreached(&error))? {
                    Some(piece) => reader.push(piece),
                    None => reader.end_of_input(),
                }
                continue;
            }
            self.look(&batch, (from.records, &mut skip), prints, &mut seen).await?;
            batch.clear();
            tokio::task::yield_now().await;
            if may_stop && (seen.to_do.len() >= self.at_once() || started.elapsed() > LONG) {
                break;
            }
            if seen.records > MOST_A_PAGE && !may_stop {
                return Err(StepError::Fatal("a page of the store's list holds too many records"));
            }
        }
        Ok(seen)
    }

    /// Says what becomes of each record of a batch.
    async fn look(
        &self,
        batch: &Batch,
        (before, skip): (u64, &mut u64),
        prints: &RandomState,
        seen: &mut Seen,
    ) -> Result<(), StepError> {
        let set = &self.place.set;
        let newcomers = if self.order.dry_run { Newcomers::Looked } else { Newcomers::Made };
        let people = People::find(&self.shared.cards, (set, batch), newcomers).await?;
        for record in 0..batch.len() {
            if *skip > 0 {
                *skip -= 1;
                continue;
            }
            let converted = self.convert((batch, record), &people, None)?;
            let position = before + seen.records;
            let owner = |field| people.owner(record, (set, field));
            seen.count.add(
                &converted,
                position,
                owner,
                people.words(record, self.shared.clock.now()),
            );
            seen.records += 1;
            let target = self.place.record(|field| scalar(batch, record, field));
            if let (None, Some(target)) = (seen.print, &target) {
                seen.print = Some(prints.hash_one(target.path_and_query()));
            }
            if let Paging::After { field, .. } = &self.place.paging {
                seen.last = scalar(batch, record, *field).map(std::borrow::Cow::into_owned);
            }
            match target {
                Some(target) if converted.changes => {
                    let tokens = people.tokens(record).collect();
                    seen.to_do.push(ToDo { target, tokens });
                }
                None if converted.changes => seen.unaddressed += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Says what becomes of one record, and writes it where `out` is given.
    ///
    /// # Errors
    /// When keys are missing for now.
    pub(super) fn convert(
        &self,
        (batch, record): (&Batch, usize),
        people: &People,
        out: Option<(&mut Vec<u8>, &mut Vec<u8>)>,
    ) -> Result<Converted, StepError> {
        let keys = people.keys(record);
        let seals = RecordSeals::new(&self.shared.keys, &self.place.set, &keys);
        let conversion = Conversion {
            set: &self.place.set,
            shape: &self.place.shape,
            stored: batch.text(record).unwrap_or_default(),
            seals: &seals,
            people: &people.holders(record),
            way: self.way,
            is_trial: out.is_none(),
        };
        let converted = match out {
            Some((patch, whole)) => convert(&conversion, patch, whole),
            None => convert(&conversion, &mut Vec::new(), &mut Vec::new()),
        };
        converted.map_err(|error| match error {
            ConvertError::NoRecord => StepError::Again("a record of the store cannot be read"),
            ConvertError::Unavailable => StepError::Again(NO_KEYS),
        })
    }

    /// Asks the store.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn ask(&self, target: Target) -> Result<StoreResponse, StepError> {
        let request = StoreRequest { method: Method::GET, target, headers: self.headers() };
        let answer = self.upstream.survey(&self.agreed, &request).await;
        answer.map_err(|error| unreached(&error))
    }

    /// The headers of a call to the store.
    pub(super) fn headers(&self) -> StoreHeaders {
        let mut accepted = HeaderMap::new();
        accepted.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let id = self.shared.request_id(self.shared.clock.now());
        StoreHeaders::new(&accepted, &id, &self.shared.trace(None))
    }

    pub(super) fn limits(&self) -> Limits {
        let record_bytes = self.shared.limits().record_bytes;
        Limits { record_bytes, ..Limits::default() }
    }

    /// How many records are written in one batch: about as many as two seconds allow.
    pub(super) fn at_once(&self) -> usize {
        let rate = self.order.per_second.map(|rate| usize::try_from(rate).unwrap_or(usize::MAX));
        rate.map_or(BATCH, |rate| rate.saturating_mul(2).min(BATCH))
    }
}

/// Why a step comes to nothing when the store gives no answer.
pub(super) fn unreached(error: &dyn std::error::Error) -> StepError {
    tracing::warn!(error = told(error), "a store gave no answer to a job");
    StepError::Again("the store gave no answer")
}

/// Why a step comes to nothing while keys are locked.
pub(super) const NO_KEYS: &str = "the keys cannot be used at the moment";
const NO_PATH: &str = "the path of the list cannot be written";
/// Records written in one batch, and so named in one intent.
const BATCH: usize = 64;
/// How much of a list is held at a time.
const BATCH_BYTES: usize = 1 << 20;
/// How long a step looks at records before it says how far it is.
const LONG: Duration = Duration::from_millis(1_500);
/// The most records of a page that cannot be taken in parts.
const MOST_A_PAGE: u64 = 100_000;
