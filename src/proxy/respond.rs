//! The head of every answer, and how its body is sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::audit::Ending;
use crate::authn::AuthnError;
use crate::protocol::http::Language;
use crate::protocol::http::Problem;
use crate::protocol::http::ProblemKind;
use crate::protocol::http::StepUp;

use super::answer::Content;
use super::answer::Outgoing;
use super::answer::PRIVET_FIELDS;
use super::body::AnswerBody;
use super::body::Hold;
use super::body::Piece;
use super::call;
use super::connection::Activity;
use super::error::CallError;
use super::feed::Feed;
use super::file_body::FileBody;
use super::file_body::FileHold;
use super::trail::Trail;

/// What a call came to, as an answer.
pub(crate) fn finish(
    head: &Parts,
    outgoing: Result<Outgoing, CallError>,
    trail: Box<Trail>,
    activity: Arc<Activity>,
) -> Response<AnswerBody> {
    match outgoing {
        Ok(outgoing) => send(outgoing, trail, activity),
        Err(error) => refuse(head, &error, trail),
    }
}

/// The answer where a call came to no end: a fault of the gateway.
pub(crate) fn broken() -> Response<AnswerBody> {
    answer(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), AnswerBody::nothing())
}

fn send(
    outgoing: Outgoing,
    mut trail: Box<Trail>,
    activity: Arc<Activity>,
) -> Response<AnswerBody> {
    let Outgoing { status, mut headers, content } = outgoing;
    common(&mut headers, &trail, "allow");
    trail.answered(status);
    let body = match content {
        Content::Nothing => {
            trail.end(Ending::Complete);
            AnswerBody::nothing()
        }
        Content::Whole(bytes, share) => {
            AnswerBody::whole(bytes, Hold::new(trail, share, &activity))
        }
        Content::File(open, share) => {
            AnswerBody::file(FileBody::new(*open, FileHold::new(trail, share, &activity)))
        }
        Content::Stream { released, feed } => {
            let (sender, receiver) = mpsc::channel(1);
            let pump = Pump { feed, sender, trail, activity };
            drop(tokio::spawn(pump.run(released)));
            AnswerBody::stream(receiver)
        }
    };
    answer(status, headers, body)
}

/// The answer of a call that came to nothing.
fn refuse(head: &Parts, error: &CallError, mut trail: Box<Trail>) -> Response<AnswerBody> {
    let status = error.status();
    let mut headers = HeaderMap::with_capacity(12);
    let word = if error.is_refusal() { "refuse" } else { "allow" };
    common(&mut headers, &trail, word);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    if let (ProblemKind::NotFound, Some(plan)) = (error.kind(), &trail.plan) {
        headers.insert(PRIVET_FIELDS, plan.clone());
    }
    advise(&mut headers, error, &trail);
    if error.closes_connection() && head.version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let body = if call::is_head(head) {
        AnswerBody::nothing()
    } else {
        AnswerBody::words(words(head, error, &trail))
    };
    trail.answered(status);
    trail.fail(error);
    answer(status, headers, body)
}

/// What would help, in headers.
fn advise(headers: &mut HeaderMap, error: &CallError, trail: &Trail) {
    if let Some((max_age_s, is_second)) = error.step_up() {
        let acr = trail.acr.get(usize::from(is_second)).and_then(Option::as_deref);
        let description = error.detail().unwrap_or_default();
        let step_up = StepUp { realm: "privet", description: &description, max_age_s, acr };
        headers.insert(header::WWW_AUTHENTICATE, step_up.challenge());
        return;
    }
    let (name, value) = match (error.kind(), error) {
        (ProblemKind::Unauthenticated, _) => {
            headers.insert(header::WWW_AUTHENTICATE, challenge(error));
            return;
        }
        (ProblemKind::Overloaded, _) => (header::RETRY_AFTER, "1"),
        (ProblemKind::KeyUnavailable | ProblemKind::Unavailable, _) => (header::RETRY_AFTER, "5"),
        (_, CallError::Method { allow }) => {
            headers.extend(HeaderValue::try_from(&**allow).ok().map(|it| (header::ALLOW, it)));
            return;
        }
        _ => return,
    };
    let known = error.retry_after().filter(|_| name == header::RETRY_AFTER);
    let value = known.map_or_else(|| HeaderValue::from_static(value), HeaderValue::from);
    headers.insert(name, value);
}

/// How to show who one is, and what was wrong with what was shown (RFC 6750 §3).
fn challenge(error: &CallError) -> HeaderValue {
    let realm = HeaderValue::from_static("Bearer realm=\"privet\"");
    if matches!(error, CallError::Authn(AuthnError::Missing)) {
        return realm;
    }
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    let description = error.detail().filter(|text| text.chars().all(plain));
    let description =
        description.map(|text| format!(", error_description=\"{text}\"")).unwrap_or_default();
    let value = format!("Bearer realm=\"privet\", error=\"invalid_token\"{description}");
    HeaderValue::try_from(value).unwrap_or(realm)
}

/// The problem in words. That nothing was found is said in the same words whatever the cause, so
/// it does not even name the call; that no route leads there depends on no record.
fn words(head: &Parts, error: &CallError, trail: &Trail) -> Bytes {
    let mut problem = Problem::new(error.kind(), Language::of(&head.headers))
        .with_status(error.status())
        .with_missing(error.missing().to_vec());
    if error.kind() != ProblemKind::NotFound || matches!(error, CallError::Route) {
        problem = problem.with_decision(trail.id.as_str());
    }
    if let Some(detail) = error.detail() {
        problem = problem.with_detail(detail);
    }
    if error.is_refusal() {
        let policy = trail.shared.policy().hash();
        let policy = policy.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        problem = problem.with_rule(Some(policy), error.rule().map(ToString::to_string));
    }
    problem.to_json().into()
}

/// The headers of every answer.
fn common(headers: &mut HeaderMap, trail: &Trail, word: &str) {
    let fixed = [
        (header::CACHE_CONTROL, "private, no-store"),
        (header::VARY, "Authorization, Privet-Purpose, Privet-On-Behalf-Of"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let (name, value) = if trail.is_permitted() || word == "refuse" {
        ("privet-decision", [word, ";id=\"", trail.id.as_str(), "\""].concat())
    } else {
        ("privet-request-id", trail.id.as_str().to_owned())
    };
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn answer(status: StatusCode, headers: HeaderMap, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sends the batches of a long answer as fast as the client takes them.
struct Pump {
    feed: Box<Feed>,
    sender: mpsc::Sender<Piece>,
    trail: Box<Trail>,
    activity: Arc<Activity>,
}

/// Why a stream stops before its end.
enum Stop {
    /// The client is gone.
    Gone,
    /// The client takes nothing.
    Slow,
    /// A batch cannot be had or may not leave.
    Fault(CallError),
}

impl Pump {
    /// Dropping the sender without an end makes the body end in an error, so that the client
    /// sees that it is cut.
    async fn run(mut self, released: Bytes) {
        let patience = self.trail.shared.limits().client_write;
        match self.send_all(released, patience).await {
            Ok(last) => {
                let hold = Hold::new(self.trail, self.feed.into_share(), &self.activity);
                // There is room: it was waited for. A client that is gone drops what is held.
                drop(self.sender.try_send(Piece::Last(last, hold)));
            }
            Err(Stop::Gone) => self.trail.end(Ending::Gone),
            Err(Stop::Slow) => {
                self.trail.slow();
                self.activity.cut();
            }
            Err(Stop::Fault(error)) => self.trail.abort(&error),
        }
    }

    /// Sends all but the last batch, which it returns.
    async fn send_all(&mut self, released: Bytes, patience: Duration) -> Result<Bytes, Stop> {
        room(&self.sender, patience).await?.send(Piece::Bytes(released));
        loop {
            // A batch is released when the client has room for it, and judged when it is released.
            let room = room(&self.sender, patience).await?;
            let next = self.feed.next().await;
            self.trail.tally = self.feed.tally();
            self.trail.waited += self.feed.take_waited();
            match next.map_err(Stop::Fault)? {
                None => return Ok(Bytes::new()),
                Some(bytes) if self.feed.is_done() => return Ok(bytes),
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => room.send(Piece::Bytes(bytes)),
            }
        }
    }
}

/// Waits until the client has taken what it was given.
async fn room(
    sender: &mpsc::Sender<Piece>,
    patience: Duration,
) -> Result<mpsc::Permit<'_, Piece>, Stop> {
    match timeout(patience, sender.reserve()).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_)) => Err(Stop::Gone),
        Err(_) => Err(Stop::Slow),
    }
}
