//! Which address is called, and which is left alone.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::types::ClientError;
use crate::types::ErrorKind;

use super::*;
use crate::upstream::health::Standing;

#[tokio::test]
async fn a_dead_address_gives_way_to_a_living_one() {
    let connection: Vec<Step> = (0..20).map(|_| json("1")).collect();
    let fake = Fake::new(vec![connection; 20]).await;
    let upstream = upstream(config(&[&nobody().await, &fake.url]));
    for _ in 0..20 {
        assert_eq!(get(&upstream).await.unwrap(), "1");
    }
    let health = upstream.store().health();
    let states: Vec<AddressState> = health.addresses.iter().map(|a| a.state).collect();
    assert_eq!(states, [AddressState::Ejected, AddressState::Up]);
    assert!(health.is_up());
    assert_eq!(upstream.store().metrics.ejections.get(), 1);
}

#[tokio::test]
async fn with_nobody_there_the_call_fails_and_says_so_plainly() {
    let upstream = upstream(config(&[&nobody().await]));
    for _ in 0..5 {
        let error = get(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
        assert_eq!(error.client_message(), "the data store cannot be reached");
    }
    assert!(!upstream.store().health().is_up());
    let error = get(&upstream).await.unwrap_err();
    assert_eq!(error.client_message(), "the data store cannot be reached; try again later");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// How long a call that is turned away at once is told to wait.
fn turned_away(result: Result<String, UpstreamError>) -> Duration {
    match result {
        Err(error @ UpstreamError::SetAside { .. }) => error.retry_after().unwrap(),
        other => panic!("{other:?} was let through"),
    }
}

#[tokio::test]
async fn when_every_address_is_set_aside_calls_fail_at_once_and_one_tries_in_each_interval() {
    let (first, second) = (nobody().await, nobody().await);
    let upstream = upstream(config(&[&first, &second]));
    tokio::time::pause();
    let mut sent = 0;
    let back_in = loop {
        match get(&upstream).await {
            Err(UpstreamError::Connect(_)) => sent += 1,
            other => break turned_away(other),
        }
    };
    // Each call asks both.
    assert_eq!(sent, 5);
    assert!(back_in <= Duration::from_secs(5), "{back_in:?}");
    let retries = upstream.store().metrics.retries.get();
    for interval in 0..20 {
        let told = turned_away(get(&upstream).await);
        assert!(told <= Duration::from_secs(5), "{interval}: {told:?}");
        tokio::time::advance(told).await;
        // Both may be due in the same moment; each is tried once.
        let tried = [get(&upstream).await, get(&upstream).await, get(&upstream).await];
        let let_through =
            tried.iter().filter(|it| matches!(it, Err(UpstreamError::Connect(_)))).count();
        assert!((1..=2).contains(&let_through), "{interval}: {tried:?}");
    }
    assert!(upstream.store().metrics.retries.get() <= retries + 20);
}

#[tokio::test]
async fn a_trial_that_is_answered_ends_the_pause() {
    let gone: Vec<Vec<Step>> = vec![vec![Step::Drop]; 5];
    let fake = Fake::new([gone, vec![vec![json("1"), json("2"), json("3")]]].concat()).await;
    let upstream = upstream(config(&[&fake.url]));
    // A connection that breaks is tried once more, while the address is not set aside.
    for _ in 0..3 {
        assert!(matches!(get(&upstream).await, Err(UpstreamError::Broken(_))));
    }
    let told = turned_away(get(&upstream).await);
    tokio::time::pause();
    tokio::time::advance(told).await;
    tokio::time::resume();
    for expected in ["1", "2", "3"] {
        assert_eq!(get(&upstream).await.unwrap(), expected);
    }
    assert!(upstream.store().health().is_up());
}

#[tokio::test]
async fn while_the_health_check_fails_nobody_waits_for_the_store() {
    let well = Arc::new(AtomicBool::new(false));
    let url = moody(Arc::clone(&well), Arc::default()).await;
    let mut config = config(&[&url]);
    config.health = Some(HealthCheck { path: "/health".into(), every: Duration::from_secs(7) });
    let upstream = upstream(config);
    let watch = tokio::spawn(Arc::clone(upstream.store()).watch());
    tokio::time::pause();
    while upstream.store().health().is_up() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(turned_away(get(&upstream).await), Duration::from_secs(7));
    watch.abort();
}

#[tokio::test]
async fn the_least_loaded_address_is_called() {
    let long = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1,";
    let scripts = || vec![vec![answer(long)], vec![answer(long)]];
    let (one, two) = (Fake::new(scripts()).await, Fake::new(scripts()).await);
    let upstream = upstream(config(&[&one.url, &two.url]));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(upstream.ask(&request()).await.unwrap());
    }
    let calls: Vec<usize> = upstream.store().health().addresses.iter().map(|a| a.calls).collect();
    assert_eq!(calls, [2, 2]);
    drop(open);
    let calls: Vec<usize> = upstream.store().health().addresses.iter().map(|a| a.calls).collect();
    assert_eq!(calls, [0, 0]);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_turned_away() {
    let fake = Fake::new(vec![vec![json("[1,2]"), json("2")]]).await;
    let mut config = config(&[&fake.url]);
    config.limits.calls = 1;
    let upstream = upstream(config);
    let first = upstream.ask(&request()).await.unwrap();
    assert!(matches!(upstream.ask(&request()).await, Err(UpstreamError::Busy)));
    read(first.body).await.unwrap();
    assert_eq!(get(&upstream).await.unwrap(), "2");
}

#[test]
fn an_address_is_set_aside_after_failures_in_a_row_and_comes_back() {
    let standing = Standing::default();
    let call = |now, well: bool| {
        standing.enter(now);
        standing.leave();
        if well {
            standing.succeeded();
            false
        } else {
            standing.failed(now)
        }
    };
    for _ in 0..4 {
        assert!(!call(1, false));
    }
    assert!(!call(1, true));
    for _ in 0..4 {
        assert!(!call(1, false));
    }
    assert!(call(1, false));
    assert_eq!(standing.state(5_000), AddressState::Ejected);
    assert_eq!(standing.state(5_001), AddressState::Up);

    // One call tries; while it does, others stay away.
    standing.enter(5_001);
    assert_eq!(standing.state(5_002), AddressState::Ejected);
    assert_eq!(standing.trial_at(), Some(10_001));
    standing.leave();
    assert!(standing.failed(5_002));
    assert_eq!(standing.state(15_001), AddressState::Ejected);
    assert_eq!(standing.state(15_002), AddressState::Up);

    assert!(!call(15_002, true));
    assert_eq!(standing.state(15_002), AddressState::Up);
    assert!(!call(15_002, false));

    for now in (1..40).map(|i| i * 100_000) {
        call(now, false);
        assert_eq!(standing.state(now + 60_001), AddressState::Up);
    }
}

/// A store that answers every request on every connection, well or ill as `well` says.
async fn moody(well: Arc<AtomicBool>, asked: Arc<AtomicUsize>) -> StoreUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (well, asked) = (Arc::clone(&well), Arc::clone(&asked));
            tokio::spawn(async move {
                while let Some(head) = read_head(&mut stream).await {
                    assert!(head.starts_with("GET /health HTTP/1.1\r\n"), "{head}");
                    asked.fetch_add(1, SeqCst);
                    let status = if well.load(SeqCst) { "204 Well" } else { "500 Ill" };
                    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    let text = if well.load(SeqCst) {
                        text.replace("Content-Length: 0\r\n", "")
                    } else {
                        text
                    };
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    StoreUrl::parse(&url).unwrap()
}

#[tokio::test]
async fn health_checks_take_an_address_out_and_back_in() {
    let well = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let url = moody(Arc::clone(&well), Arc::clone(&asked)).await;
    let mut config = config(&[&url]);
    config.health = Some(HealthCheck { path: "/health".into(), every: Duration::from_millis(1) });
    let upstream = upstream(config);
    let watch = tokio::spawn(Arc::clone(upstream.store()).watch());
    for state in [true, false, true] {
        well.store(state, SeqCst);
        let before = asked.load(SeqCst);
        while upstream.store().health().is_up() != state || asked.load(SeqCst) < before + 2 {
            tokio::task::yield_now().await;
        }
        let health = upstream.store().health();
        let why = health.addresses[0].unwell.as_ref().map(|why| why.as_str());
        let expected = (!state).then_some("its health check is answered with 500");
        assert_eq!(why, expected);
    }
    watch.abort();
}
