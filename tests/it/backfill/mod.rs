//! Data sets move into envelopes and back, over real sockets, while stores fail and people write.

mod keys;
mod moves;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tokio::sync::oneshot;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::backfill::Backfill;
use privet::backfill::KIND;
use privet::backfill::Order;
use privet::backfill::Request;
use privet::clock::SystemClock;
use privet::clock::SystemEntropy;
use privet::jobs::At;
use privet::jobs::Job;
use privet::jobs::JobState;
use privet::jobs::Jobs;
use privet::jobs::JobsConfig;
use privet::jobs::JobsError;
use privet::jobs::Kinds;
use privet::jobs::Ledger;
use privet::jobs::Live;
use privet::jobs::Moment;
use privet::jobs::Noted;
use privet::jobs::Step as JobStep;
use privet::jobs::StepError;
use privet::jobs::Wish;
use privet::jobs::Work;
use privet::jobs::Worker;
use privet::state::Engine;

use crate::harness::Asked;
use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;

pub(crate) const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { title: { en: Care }, basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [_start, _limit] }
      - { on: "PATCH /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email, at_rest: encrypt, encryption: migrating, index: email_index }
      note: { category: user.content.private, at_rest: encrypt, encryption: migrating, max_length: 200 }
      plan: { category: user.behavior }
grants:
  - id: all
    why: Test.
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    fields: { id: show }
"#;

#[derive(Debug)]
struct NoLedger;

impl Ledger for NoLedger {
    fn note(&self, _: Moment, _: &Job) -> Noted {
        Box::pin(async { Ok(()) })
    }
}

/// A gateway with jobs.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    jobs: Jobs,
    pub(crate) work: Arc<Backfill>,
}

/// How a job ended.
#[derive(Debug)]
struct Ended {
    job: Job,
    report: Vec<Value>,
}

impl Ended {
    fn summary(&self, name: &str) -> u64 {
        self.job.summary.as_ref().unwrap()[name].as_u64().unwrap()
    }

    /// The report's row of a field.
    fn field(&self, name: &str) -> &Value {
        self.report.iter().find(|row| row["field"] == name).unwrap()
    }
}

const MOST: u64 = 5_000;

impl Site {
    fn new(policy: &str, store: &FakeStore) -> Self {
        Self::of(Setup::new(policy, store))
    }

    pub(crate) fn of(setup: Setup) -> Self {
        let gateway = Gateway::start(setup);
        let work = Arc::new(Backfill::new(Arc::clone(&gateway.shared), MOST));
        let kinds = Kinds::default().with(KIND, Arc::clone(&work) as Arc<dyn Work>);
        let sources = (Arc::new(SystemClock) as _, Arc::new(SystemEntropy) as _);
        let config = JobsConfig { alone: true, ..JobsConfig::default() };
        let jobs = Jobs::new(Engine::memory(), sources, kinds, config);
        Self { gateway, jobs, work }
    }

    /// Asks for a job as `ana`.
    async fn ask(&self, way: &str, dry_run: bool) -> Result<Job, String> {
        let request: Request = serde_json::from_value(json!({
            "set": "shop.customers", "move": way, "dry_run": dry_run,
        }))
        .unwrap();
        let order = Order::of(request, &self.gateway.shared.policy(), &self.jobs).await;
        let (args, lane) = order.map_err(|error| error.to_string())?.into_job();
        let wish = Wish { kind: KIND, args, lane, by: "ana".into() };
        let prepared = self.jobs.prepare(wish).await.unwrap();
        Ok(self.jobs.create(prepared).await.unwrap())
    }

    async fn approve(&self, job: &Job, by: &str) -> Result<Job, JobsError> {
        let approval = self.jobs.may_approve(&job.id, &by.into()).await?;
        self.jobs.approve(approval).await
    }

    /// Lets a worker run the job to its end.
    async fn run(&self, job: Job) -> Ended {
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = Worker::new(self.jobs.clone(), Arc::new(NoLedger)).unwrap();
        let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
        let job = loop {
            let now = self.jobs.get(&job.id).await.unwrap();
            if now.state.is_finished() {
                break now;
            }
            tokio::task::yield_now().await;
        };
        stop.send(()).unwrap();
        running.await.unwrap();
        let (mut report, mut from) = (Vec::new(), 0);
        loop {
            let rows = self.jobs.report(&job.id, from).await.unwrap();
            let Some(last) = rows.last() else { return Ended { job, report } };
            from = last.row + 1;
            report.extend(rows.into_iter().map(|row| row.value));
        }
    }

    /// A dry run, to its end.
    async fn try_it(&self, way: &str) -> Ended {
        let job = self.ask(way, true).await.unwrap();
        let ended = self.run(job).await;
        assert_eq!(ended.job.state, JobState::Done, "{:?}", ended.job.reason);
        ended
    }

    /// A dry run, a request, its approval.
    pub(crate) async fn agreed(&self, way: &str) -> Job {
        self.try_it(way).await;
        let job = self.ask(way, false).await.unwrap();
        self.approve(&job, "ben").await.unwrap()
    }

    /// All of it, to its end.
    async fn move_all(&self, way: &str) -> Ended {
        let job = self.agreed(way).await;
        self.run(job).await
    }

    async fn entries(&self, kind: Kind) -> Vec<Entry> {
        self.gateway.log.flush().await.unwrap();
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        let found = privet::audit::search(&self.gateway.audit_dir(), &filter, 0).unwrap();
        found.map(|found| found.unwrap().1).collect()
    }
}

/// Steps of a job, one by one, by whatever process is there.
pub(crate) struct Steps {
    job: Job,
    cursor: Option<Arc<str>>,
}

impl Steps {
    pub(crate) fn of(job: Job) -> Self {
        Self { cursor: job.cursor.clone(), job }
    }

    pub(crate) async fn one(&mut self, work: &Arc<Backfill>) -> Result<bool, StepError> {
        let at = At {
            job: Arc::new(self.job.clone()),
            cursor: self.cursor.clone(),
            live: Live::default(),
        };
        match Arc::clone(work).step(at).await? {
            JobStep::More { cursor, .. } => {
                self.cursor = Some(cursor.into());
                Ok(false)
            }
            JobStep::Done { .. } => Ok(true),
        }
    }

    /// Goes on to the end, and counts the steps that had to be done again.
    async fn rest(&mut self, work: &Arc<Backfill>) -> Result<usize, StepError> {
        let mut again = 0;
        loop {
            match self.one(work).await {
                Ok(true) => return Ok(again),
                Ok(false) => {}
                Err(StepError::Again(_)) if again < 50 => again += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn id(number: usize) -> String {
    format!("c-{number:04}")
}

fn rows(count: usize) -> Vec<(String, String)> {
    let row = |number: usize| {
        let row = json!({
            "id": id(number), "email": format!("planted.{number}@mail.example"),
            "note": format!("planted note {number}"), "plan": "gold",
        });
        (id(number), row.to_string())
    };
    (0..count).map(row).collect()
}

async fn table(
    rows: &[(String, String)],
    before: impl Fn(&Table, &Asked) -> Vec<Step> + Send + Sync + 'static,
) -> (Table, FakeStore) {
    let rows: Vec<(&str, &str)> =
        rows.iter().map(|(id, row)| (id.as_str(), row.as_str())).collect();
    Table::with(Versions::Strong, &rows, before).await
}

/// How often each record was written, and that each write named a version.
fn writes(store: &FakeStore) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for asked in store.asked().iter().filter(|asked| asked.method() == "PATCH") {
        assert!(asked.header("if-match").is_some_and(|tag| tag.starts_with('"')));
        *writes.entry(asked.target().replace("/customers/", "")).or_default() += 1;
    }
    writes
}

fn all(table: &Table) -> Vec<Value> {
    let asked = Asked { head: "GET /customers HTTP/1.1".to_owned(), body: String::new() };
    serde_json::from_str(&table.list(&asked)).unwrap()
}

fn assert_sealed(table: &Table) {
    for row in all(table) {
        for name in ["email", "note"] {
            let text = row[name].as_str().unwrap();
            assert!(text.starts_with("pvt1_"), "{row}");
        }
        assert!(row["email_index"].as_str().unwrap().starts_with("bi1_"), "{row}");
        assert_eq!(row["plan"], "gold");
    }
}
