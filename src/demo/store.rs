//! The demo's customer store: an ordinary HTTP/JSON service that knows nothing of Privet.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Map;
use serde_json::Value;
use tokio::net::TcpListener;

use super::people;

/// Customers and orders, kept in memory.
#[derive(Debug)]
pub struct Shop {
    customers: Mutex<Table>,
    orders: Mutex<Table>,
}

/// Records of one kind.
#[derive(Debug)]
struct Table {
    rows: Vec<Value>,
    /// The number of the next record, and the id made of it.
    next: u32,
    id: fn(u32) -> String,
}

impl Shop {
    /// A shop that knows twice as many orders as people, and nobody yet.
    pub fn empty() -> Self {
        let (people, orders) = (people::PEOPLE, 2 * people::PEOPLE);
        Self {
            customers: Mutex::new(Table {
                rows: Vec::new(),
                next: people + 1,
                id: people::customer_id,
            }),
            orders: Mutex::new(Table {
                rows: (1..=orders).map(people::order).collect(),
                next: orders + 1,
                id: people::order_id,
            }),
        }
    }

    /// Puts people in, as they are to be kept.
    pub fn stock(&self, people: Vec<Value>) {
        self.customers.lock().unwrap_or_else(PoisonError::into_inner).rows = people;
    }

    /// A person as the shop keeps them.
    pub fn customer(&self, id: &str) -> Option<Value> {
        let table = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        table.rows.iter().find(|row| is(row, "id", id)).cloned()
    }

    /// Answers on `listener` until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<Infallible> {
        loop {
            let (stream, _) = listener.accept().await?;
            let shop = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let shop = Arc::clone(&shop);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = Limited::new(body, LONGEST).collect().await;
                        let answer = body.map_or_else(
                            |_| plain(StatusCode::BAD_REQUEST, "no body that can be read\n"),
                            |body| shop.answer(&Request::from_parts(head, body.to_bytes())),
                        );
                        Ok::<_, Infallible>(answer)
                    }
                });
                // A broken connection is the other side's affair.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let (table, rest) = match parts.as_slice() {
            ["health"] => return plain(StatusCode::OK, "ok\n"),
            ["customers", rest @ ..] => (&self.customers, rest),
            ["orders", rest @ ..] => (&self.orders, rest),
            _ => return plain(StatusCode::NOT_FOUND, "no such page\n"),
        };
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        match (request.method(), rest) {
            (&Method::GET, []) => {
                let query = query(request.uri().query().unwrap_or_default());
                list(&table.rows, &query)
            }
            (&Method::POST, []) => table.create(request.body()),
            (method, [id]) => table.one(method, id, request.body()),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "no such method\n"),
        }
    }
}

impl Table {
    /// Adds a record under an id of the shop's own.
    fn create(&mut self, body: &[u8]) -> Response<Full<Bytes>> {
        let Some(mut record) = record(body) else { return no_record() };
        record.insert("id".to_owned(), Value::from((self.id)(self.next)));
        self.next += 1;
        let record = Value::Object(record);
        let mut answer = json(&record);
        *answer.status_mut() = StatusCode::CREATED;
        self.rows.push(record);
        answer
    }

    /// Reads, changes, replaces or removes a record.
    fn one(&mut self, method: &Method, id: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let Some(row) = self.rows.iter_mut().find(|row| is(row, "id", id)) else {
            return plain(StatusCode::NOT_FOUND, "no such record\n");
        };
        match (method, record(body)) {
            (&Method::GET, _) => {}
            (&Method::DELETE, _) => {
                self.rows.retain(|row| !is(row, "id", id));
                return plain(StatusCode::NO_CONTENT, "");
            }
            (&Method::PATCH, Some(sent)) => {
                if let Some(row) = row.as_object_mut() {
                    row.extend(sent);
                }
            }
            (&Method::PUT, Some(sent)) => *row = Value::Object(sent),
            (&Method::PATCH | &Method::PUT, None) => return no_record(),
            _ => return plain(StatusCode::METHOD_NOT_ALLOWED, "no such method\n"),
        }
        json(row)
    }
}

fn record(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

fn no_record() -> Response<Full<Bytes>> {
    plain(StatusCode::BAD_REQUEST, "the body is not one JSON object\n")
}

/// A listener on a free port of the loopback interface, or on `port`.
pub async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn is(row: &Value, member: &str, value: &str) -> bool {
    row.get(member).and_then(Value::as_str) == Some(value)
}

/// A page of the rows whose members are what the query says.
fn list(rows: &[Value], query: &HashMap<String, String>) -> Response<Full<Bytes>> {
    let number = |name: &str, or: usize| query.get(name).and_then(|v| v.parse().ok()).unwrap_or(or);
    let wanted = || query.iter().filter(|(name, _)| !["limit", "offset"].contains(&name.as_str()));
    let page: Vec<&Value> = rows
        .iter()
        .filter(|row| wanted().all(|(member, value)| is(row, member, value)))
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

const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(shop: &Shop, method: Method, path: &str, body: &'static str) -> StatusCode {
        let request = Request::builder().method(method).uri(path);
        shop.answer(&request.body(Bytes::from(body)).unwrap()).status()
    }

    fn phone(shop: &Shop, id: &str) -> Option<Value> {
        let table = shop.customers.lock().unwrap();
        let row = table.rows.iter().find(|row| row["id"] == id)?;
        Some(row["phone"].clone())
    }

    #[test]
    fn records_are_created_changed_replaced_and_removed() {
        let shop = Shop::empty();
        shop.stock(vec![people::person(people::SHOWN)]);
        let path = "/customers/c-1002";
        assert_eq!(ask(&shop, Method::PATCH, path, r#"{"phone":"1"}"#), StatusCode::OK);
        assert_eq!(phone(&shop, "c-1002"), Some("1".into()));
        assert_eq!(ask(&shop, Method::PUT, path, r#"{"id":"c-1002"}"#), StatusCode::OK);
        assert_eq!(phone(&shop, "c-1002"), Some(Value::Null));
        assert_eq!(ask(&shop, Method::DELETE, path, ""), StatusCode::NO_CONTENT);
        assert_eq!(ask(&shop, Method::GET, path, ""), StatusCode::NOT_FOUND);
        assert_eq!(ask(&shop, Method::POST, "/customers", r#"{"phone":"2"}"#), StatusCode::CREATED);
        let new = people::customer_id(people::PEOPLE + 1);
        assert_eq!(phone(&shop, &new), Some("2".into()));
        assert_eq!(
            ask(&shop, Method::PUT, &format!("/customers/{new}"), "[]"),
            StatusCode::BAD_REQUEST
        );
        assert_eq!(ask(&shop, Method::PUT, "/customers", "{}"), StatusCode::METHOD_NOT_ALLOWED);
    }
}
