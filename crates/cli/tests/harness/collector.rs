//! A collector of traces on this machine: takes OTLP over HTTP, keeps every byte, and decodes it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

/// How it answers.
#[derive(Clone, Copy)]
pub enum Manner {
    Takes,
    /// Says 503 to everything.
    Refuses,
    /// Never answers.
    Hangs,
}

/// The head of each request and its body.
pub type Taken = Vec<(String, Vec<u8>)>;

pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    pub kind: i32,
    pub is_error: bool,
    pub attributes: Vec<(String, String)>,
    pub events: usize,
}

impl Span {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Collector {
    pub fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                thread::spawn(move || serve(stream.unwrap(), manner, &kept));
            }
        });
        Self { address, taken }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that came.
    pub fn taken(&self) -> Taken {
        self.taken.lock().unwrap().clone()
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Span> {
        self.taken().iter().flat_map(|(_, body)| decoded(body)).collect()
    }
}

fn decoded(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            name: span.name,
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            kind: span.kind,
            is_error: span.status.is_some_and(|status| status.code == 2),
            attributes: span
                .attributes
                .into_iter()
                .map(|attribute| {
                    let value = match attribute.value.unwrap().value.unwrap() {
                        Value::StringValue(text) => text,
                        Value::IntValue(number) => number.to_string(),
                        other => format!("{other:?}"),
                    };
                    (attribute.key, value)
                })
                .collect(),
            events: span.events.len() + span.links.len(),
        })
        .collect()
}

/// One connection. One that breaks is no fault of the collector's.
fn serve(stream: TcpStream, manner: Manner, taken: &Mutex<Taken>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        taken.lock().unwrap().push((head, body));
        let answer: &[u8] = match manner {
            Manner::Takes => b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
            Manner::Refuses => b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n",
            Manner::Hangs => return thread::sleep(Duration::from_mins(10)),
        };
        if writer.write_all(answer).is_err() {
            return;
        }
    }
}
