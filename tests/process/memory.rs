//! The memory a long answer takes.

use crate::harness::Site;
use crate::harness::Store;
use crate::harness::get;

const MIB: usize = 1 << 20;

fn records(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 256);
    let mut next = (1000..1900).cycle();
    while text.len() < bytes {
        let id = next.next().unwrap();
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&format!(
            r#"{{"id":"c-{id}","name":"Person {id}","email":"p{id}@mail.example","country":"GB","remarks":"{}"}}"#,
            "x".repeat(700)
        ));
    }
    text.push(']');
    text
}

#[test]
fn a_long_answer_takes_no_more_memory_than_a_short_one() {
    let store = Store::start(|target| {
        let mib: usize = target.strip_prefix("/customers?limit=")?.parse().ok()?;
        Some(records(mib * MIB))
    });
    let site = Site::new(store.address());
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let mut peaks = [2, 2, 16].map(|mib: usize| {
        gateway.forget_peak();
        let path = format!("/shop/customers?limit={mib}");
        let answer = get(gateway.gateway, &path, &token, "order_support");
        assert_eq!((answer.status, answer.complete), (200, true), "{}", answer.head);
        assert!(answer.body.len() > mib * MIB / 20, "{}", answer.body.len());
        assert!(answer.body.ends_with(b"}]"));
        gateway.peak()
    });
    let long = std::mem::take(&mut peaks[2]);
    assert!(long < peaks[1] + 8 * MIB, "{long} bytes at the most, and {peaks:?} for short ones");
}
