//! A server that answers what a test says and remembers what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use strongroom_client::{Client, Place};
use strongroom_model::{NoRandomness, Rng, TenantId};

/// What was asked.
#[derive(Clone)]
pub struct Asked {
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub enum Answered {
    Json(u16, String),
    Problem(u16, &'static str, bool),
    Raw(String),
    HangUp,
}

pub struct Fake {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers each request with what `answer` says to its place and content.
    pub fn start(answer: impl Fn(usize, &Asked) -> Answered + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let memory = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let place = memory.lock().unwrap().len();
                memory.lock().unwrap().push(request.clone());
                let text = match answer(place, &request) {
                    Answered::HangUp => continue,
                    Answered::Raw(text) => text,
                    Answered::Json(status, body) => whole(status, "application/json", &body),
                    Answered::Problem(status, code, retryable) => whole(
                        status,
                        "application/problem+json",
                        &format!(
                            r#"{{"type":"x","title":"t","status":{status},"detail":"d","code":"{code}","request_id":"req_1","retryable":{retryable}}}"#
                        ),
                    ),
                };
                stream.write_all(text.as_bytes()).unwrap();
            }
        });
        Self { port, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn client(&self) -> Client {
        let address = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        Client::new(address, Some("srk_token"), Arc::new(Counting::default())).unwrap()
    }
}

pub fn tenant() -> Place {
    Place::of(TenantId::from_bytes([1; 16]))
}

fn whole(status: u16, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\netag: \"v3\"\r\n\
         strongroom-audit: 1.2.aa\r\nstrongroom-request: req_1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn read(stream: &std::net::TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Asked { line: line.trim_end().to_owned(), headers, body })
}

/// Randomness that never repeats within a test and is the same in the next run.
#[derive(Default)]
struct Counting(Mutex<u64>);

impl Rng for Counting {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        for (byte, number) in into.iter_mut().zip(count.to_le_bytes().into_iter().cycle()) {
            *byte = number;
        }
        Ok(())
    }
}
