//! The smallest client that will do: HTTP/1.1 over one connection that is kept, with requests that
//! were written before.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Most bytes of an answer; a list of a thousand customers is smaller.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is asked of the system at once.
const READ_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// An answer, as it lies in the connection's buffer.
pub(crate) struct Answer<'c> {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: &'c [u8],
}

impl Answer<'_> {
    /// The body as JSON, if the status is of success.
    ///
    /// # Errors
    /// With the body's text otherwise.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        self.expect_success()?;
        Ok(serde_json::from_slice(self.body)?)
    }

    /// Refuses whatever is not of success.
    ///
    /// # Errors
    /// With the body's text.
    pub(crate) fn expect_success(&self) -> Result<(), Failure> {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        Err(format!("answered {}: {}", self.status, String::from_utf8_lossy(self.body)).into())
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; READ_BYTES], filled: 0 })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// If the connection ends, or what comes is not an answer with a length.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let mut whole = None;
        let (status, head, end) = loop {
            if whole.is_none() {
                whole = whole_answer(self.buffer.get(..self.filled).unwrap_or_default())?;
            }
            match whole {
                Some((status, head, end)) if end <= self.filled => break (status, head, end),
                Some((_, _, end)) if end > ANSWER_BYTES_MAX => {
                    return Err("an answer is too long".into());
                }
                Some((_, _, end)) if end > self.buffer.len() => self.buffer.resize(end, 0),
                _ if self.filled == self.buffer.len() => return Err("a head is too long".into()),
                _ => {}
            }
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let read = self.stream.read(room).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.filled += read;
        };
        Ok(Answer { status, body: self.buffer.get(head..end).unwrap_or_default() })
    }
}

/// Status, where the body begins, where it ends: once the whole head has come.
fn whole_answer(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>, Failure> {
    let Some(at) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(bytes.get(..at).unwrap_or_default())?;
    let status = head.get(9..12).ok_or("an answer without a status")?.parse()?;
    let length = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    let length: usize = match length {
        Some(length) => length.parse()?,
        None if status == 204 => 0,
        None => return Err("an answer without a length".into()),
    };
    let body = at + HEAD_END.len();
    Ok(Some((status, body, body + length)))
}

/// Writes a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    more: &str,
    body: &str,
) -> Vec<u8> {
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{more}{content}\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_head_and_length_say_so() {
        let text = b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\nx: y\r\n\r\nbody";
        assert_eq!(whole_answer(text).unwrap(), Some((201, 49, 53)));
        assert_eq!(whole_answer(&text[..40]).unwrap(), None);
        assert!(whole_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
        assert_eq!(whole_answer(b"HTTP/1.1 204 -\r\n\r\n").unwrap().unwrap().0, 204);
    }
}
