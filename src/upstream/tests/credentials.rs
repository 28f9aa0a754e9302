//! What the gateway shows a store of itself.

use std::os::unix::fs::OpenOptionsExt;

use super::*;

#[tokio::test]
async fn a_store_is_shown_the_gateways_token_as_it_changes() {
    let fake = Fake::new(vec![vec![json("1"), json("2")]]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bearer");
    let write = |text: &str, mode: u32| {
        let _absent = std::fs::remove_file(&path);
        let options = std::fs::OpenOptions::new().write(true).create(true).mode(mode).open(&path);
        std::io::Write::write_all(&mut options.unwrap(), text.as_bytes()).unwrap();
    };
    write("first\n", 0o600);
    let mut config = config(&[&fake.url]);
    config.bearer_file = Some(path.clone());
    let upstream = upstream(config);
    get(&upstream).await.unwrap();
    write("second", 0o600);
    upstream.store().reload_credentials().unwrap();
    for (text, mode) in [("", 0o600), ("a\nb", 0o600), ("readable by all", 0o644)] {
        write(text, mode);
        assert!(upstream.store().reload_credentials().is_err(), "{text:?}");
    }
    get(&upstream).await.unwrap();
    let heads = fake.heads();
    assert!(heads[0].contains("authorization: Bearer first\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("authorization: Bearer second\r\n"), "{}", heads[1]);
}
