//! A store that answers scripted bytes and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// One request as the store saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The head, byte for byte.
    pub(crate) head: String,
    /// The body, of a stated length.
    pub(crate) body: String,
}

impl Asked {
    /// The method.
    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The target of the request line.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What the store does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends bytes.
    Bytes(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Sends the same bytes so many times.
    Many(Vec<u8>, usize),
    /// Waits until the test says go on.
    Wait(Arc<Notify>),
}

/// A running store.
#[derive(Clone, Debug)]
pub(crate) struct FakeStore {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    sent: Arc<AtomicU64>,
}

impl FakeStore {
    /// Starts a store that does what `script` says to each request.
    pub(crate) async fn start<F>(script: F) -> Self
    where
        F: Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(AtomicU64::new(0));
        let (log, count, script) = (Arc::clone(&asked), Arc::clone(&sent), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, count) = (Arc::clone(&log), Arc::clone(&count));
                let script = Arc::clone(&script);
                tokio::spawn(async move { serve(stream, (&log, &count), script.as_ref()).await });
            }
        });
        Self { address, asked, sent }
    }

    /// A store that gives the same answer to everybody.
    pub(crate) async fn always(answer: Vec<u8>) -> Self {
        Self::start(move |_| vec![Step::Bytes(answer.clone())]).await
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes of repeated ones went out.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Everything it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    (log, sent): (&Mutex<Vec<Asked>>, &AtomicU64),
    script: &(dyn Fn(&Asked) -> Vec<Step> + Send + Sync),
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let mut asked = Asked { head, body: String::new() };
        let length = asked.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        asked.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
        log.lock().unwrap().push(asked.clone());
        for step in script(&asked) {
            match step {
                Step::Bytes(bytes) if stream.write_all(&bytes).await.is_err() => return,
                Step::Bytes(_) => {}
                Step::Close => return,
                Step::Many(bytes, count) => {
                    for _ in 0..count {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                        sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    }
                }
                Step::Wait(go) => go.notified().await,
            }
        }
    }
}

/// A complete answer with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nServer: secret-store/1\r\n\
         X-Debug: internal\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
