//! The demo's customer store: an ordinary HTTP/JSON service that knows nothing of Privet.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::people;

/// Customers and orders, kept in memory.
#[derive(Debug)]
pub struct Shop {
    customers: Vec<Value>,
    orders: Vec<Value>,
}

impl Shop {
    /// A shop with all its made-up people and twice as many orders.
    pub fn stocked() -> Self {
        Self {
            customers: (1..=people::PEOPLE).map(people::person).collect(),
            orders: (1..=2 * people::PEOPLE).map(people::order).collect(),
        }
    }

    /// Answers on `listener` until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<Infallible> {
        loop {
            let (stream, _) = listener.accept().await?;
            let shop = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = shop.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                // A broken connection is the other side's affair.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "read only\n");
        }
        let path = request.uri().path();
        let query = query(request.uri().query().unwrap_or_default());
        match path.strip_prefix('/').unwrap_or(path).split('/').collect::<Vec<_>>().as_slice() {
            ["health"] => plain(StatusCode::OK, "ok\n"),
            ["customers"] => list(&self.customers, &query, "email"),
            ["customers", id] => one(&self.customers, id),
            ["orders"] => list(&self.orders, &query, "customer_id"),
            ["orders", id] => one(&self.orders, id),
            _ => plain(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }
}

/// A listener on a free port of the loopback interface, or on `port`.
pub async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn one(rows: &[Value], id: &str) -> Response<Full<Bytes>> {
    match rows.iter().find(|row| row.get("id").and_then(Value::as_str) == Some(id)) {
        Some(row) => json(row),
        None => plain(StatusCode::NOT_FOUND, "no such record\n"),
    }
}

fn list(rows: &[Value], query: &HashMap<String, String>, filter: &str) -> Response<Full<Bytes>> {
    let number = |name: &str, or: usize| query.get(name).and_then(|v| v.parse().ok()).unwrap_or(or);
    let wanted = query.get(filter);
    let page: Vec<&Value> = rows
        .iter()
        .filter(|row| wanted.is_none_or(|w| row.get(filter).and_then(Value::as_str) == Some(w)))
        .skip(number("offset", 0))
        .take(number("limit", 50))
        .collect();
    json(&page)
}

fn query(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn json<T: serde::Serialize>(value: &T) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    answer(StatusCode::OK, "application/json", Bytes::from(body))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
