//! Jobs that work on sealed values, while the root key's provider is silent.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use privet::jobs::StepError;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::locked::ring;
use super::locked::until;
use crate::backfill::POLICY;
use crate::backfill::Site;
use crate::backfill::Steps;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::person;
use crate::transit_server::Mood;
use crate::transit_server::TransitServer;

const ROWS: [(&str, &str); 2] = [
    ("c-1", r#"{"id":"c-1","email":"one@planted.example","note":"planted","plan":"p"}"#),
    ("c-2", r#"{"id":"c-2","email":"two@planted.example","note":"planted","plan":"p"}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_waits_while_keys_are_locked_and_takes_nobody_for_erased() {
    for held_up in ["GET", "PATCH"] {
        let (home, provider) = (TempDir::new().unwrap(), TransitServer::start().await);
        let (go_on, is_armed) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (gate, armed) = (Arc::clone(&go_on), Arc::clone(&is_armed));
        let (table, store) = Table::with(Versions::Strong, &ROWS, move |_, asked| {
            let waits = asked.method() == held_up && armed.swap(false, Ordering::SeqCst);
            if waits { vec![Step::Wait(Arc::clone(&gate))] } else { Vec::new() }
        })
        .await;
        let mut setup = Setup::new(POLICY, &store);
        setup.keys = Some(ring(home.path(), &provider).await);
        let site = Site::of(setup);
        // Everybody is at hand, so that nobody has to be read while keys are locked.
        let (domain, mut cards) = (person(), Vec::new());
        let people = ROWS.map(|(id, _)| (&domain, id));
        site.gateway.cards.cards(&people, &mut cards).await.unwrap();
        let mut steps = Steps::of(site.agreed("encrypt").await);
        let keys = &site.gateway.keys;

        is_armed.store(true, Ordering::SeqCst);
        let (step, ()) = tokio::join!(steps.one(&site.work), async {
            until(|| !is_armed.load(Ordering::SeqCst)).await;
            provider.is(Mood::Sealed);
            until(|| !keys.is_usable() && keys.metrics().locked.get() == 1).await;
            go_on.notify_one();
        });
        if held_up == "GET" {
            assert!(matches!(step, Err(StepError::Again(_))), "what was read is not passed over");
            assert_eq!(ROWS.map(|(id, _)| table.row(id).unwrap()), ROWS.map(|(_, row)| row));
        }
        let asked = store.asked().len();
        assert!(matches!(steps.one(&site.work).await, Err(StepError::Again(_))));
        assert_eq!(store.asked().len(), asked, "nothing is read either");

        provider.is(Mood::Well);
        until(|| keys.is_usable() && keys.metrics().locked.get() == 0).await;
        while !steps.one(&site.work).await.unwrap() {}
        for (id, _) in ROWS {
            let row = table.row(id).unwrap();
            assert!(!row.contains("planted") && row.matches("pvt1_").count() == 2, "{row}");
        }
    }
}
