//! What a consent that is taken back does: to the next answer, at once.

use http::StatusCode;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use tokio::time::Instant;

use super::call;
use super::people;
use super::script::DemoError;

/// What marketing got before and after somebody took a consent back.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Whose consent it was.
    pub id: String,
    /// The addresses in the list before.
    pub before: Vec<String>,
    /// The addresses in the same list, asked for at once after the withdrawal.
    pub after: Vec<String>,
    /// How long it took from the withdrawal's answer to the second list's, in milliseconds.
    pub ms: f64,
}

/// Whom to ask, and as whom.
pub(super) struct Desk<'d> {
    pub(super) gateway: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) operator: &'d str,
    pub(super) marketing: &'d str,
}

impl Desk<'_> {
    /// Some people agree to the newsletter, marketing lists them, one of them takes it back.
    pub(super) async fn withdraw(&self) -> Result<Withdrawal, DemoError> {
        for n in 1..=ASKED {
            self.answer(&people::customer_id(n), true).await?;
        }
        let before = self.list().await?;
        let id = people::customer_id(people::SHOWN);
        self.answer(&id, false).await?;
        let told = Instant::now();
        let after = self.list().await?;
        let ms = told.elapsed().as_secs_f64() * 1_000.0;
        Ok(Withdrawal { id, before, after, ms })
    }

    async fn answer(&self, id: &str, given: bool) -> Result<(), DemoError> {
        let wish = json!({ "id": id, "consent": "marketing", "given": given });
        let path = "/api/v1/subjects/consent";
        let (status, answer) = call::post(self.admin, path, self.operator, &wish).await?;
        refused_unless_ok("the operator", status, &answer)
    }

    async fn list(&self) -> Result<Vec<String>, DemoError> {
        let path = format!("/shop/customers?limit={ASKED}");
        let called = call::get(self.gateway, &path, self.marketing, "marketing_email").await?;
        let (status, answer) = called;
        refused_unless_ok("marketing", status, &answer)?;
        let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let addresses = rows.iter().filter_map(|row| row.get("email")?.as_str());
        Ok(addresses.map(str::to_owned).collect())
    }
}

impl Withdrawal {
    /// What happened, for people.
    pub fn page(&self) -> String {
        format!(
            "\n  Consent decides every read. Marketing lists the first {ASKED} customers, who have agreed to the \
             newsletter:\n\n    {}\n\n  Customer {} takes it back. The same list, asked for at once ({:.1} \
             ms):\n\n    {}\n",
            self.before.join("  "),
            self.id,
            self.ms,
            self.after.join("  "),
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        json!({ "id": self.id, "before": self.before, "after": self.after })
    }
}

fn refused_unless_ok(
    who: &'static str,
    status: StatusCode,
    answer: &Value,
) -> Result<(), DemoError> {
    if status == StatusCode::OK {
        return Ok(());
    }
    Err(DemoError::Refused { who, status, answer: answer.clone() })
}

/// How many people agree.
const ASKED: u32 = 5;
