//! HTTP/1.1 as far as a proxy needs it: where a head ends, and where the body behind it.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::gate::{PORTION_BYTES, Wire};

const MOST_HEADERS: usize = 128;
const MOST_HEAD_BYTES: usize = 256 * 1024;

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, until an empty one.
    Chunked,
    /// Until the connection ends.
    UntilClose,
}

/// A head as it came, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) bytes: Bytes,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Body,
    /// The client waits for a word from the server before it sends the body.
    pub(super) expects_continue: bool,
    pub(super) closes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerHead {
    pub(super) bytes: Bytes,
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) closes: bool,
}

fn malformed(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Headers that decide how a message ends.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
    expects_continue: bool,
}

fn framing(headers: &[httparse::Header<'_>]) -> io::Result<Framing> {
    let mut framing = Framing::default();
    for header in headers {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => framing.length = Some(value.parse().map_err(malformed)?),
            "transfer-encoding" => framing.chunked = value.to_ascii_lowercase().ends_with("chunked"),
            "connection" => framing.closes = value.eq_ignore_ascii_case("close"),
            "expect" => framing.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    Ok(framing)
}

/// One side's bytes on their way to the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    stream: ReadHalf<'a>,
    buffer: BytesMut,
}

impl<'a> Reader<'a> {
    pub(super) fn new(stream: ReadHalf<'a>) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Reads more; false at the end. Cancel safe.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(PORTION_BYTES);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next request's head; `None` when the client has no more. Cancel safe.
    pub(super) async fn request(&mut self) -> io::Result<Option<RequestHead>> {
        loop {
            if let Some((length, head)) = parse_request(&self.buffer)? {
                return Ok(Some(RequestHead { bytes: self.buffer.split_to(length).freeze(), ..head }));
            }
            if self.buffer.len() > MOST_HEAD_BYTES {
                return Err(malformed("head is too long"));
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The next answer's head, to a request of this method.
    pub(super) async fn answer(&mut self, method: &str) -> io::Result<AnswerHead> {
        loop {
            if let Some((length, head)) = parse_answer(&self.buffer, method)? {
                return Ok(AnswerHead { bytes: self.buffer.split_to(length).freeze(), ..head });
            }
            if self.buffer.len() > MOST_HEAD_BYTES {
                return Err(malformed("head is too long"));
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes a body and hands it on, or drops it when there is nobody to hand it to; stops behind `most` bytes.
    pub(super) async fn body(&mut self, body: Body, to: &mut Option<Writer<'_, '_>>, most: u64) -> io::Result<()> {
        match body {
            Body::Length(length) => self.bytes(length.min(most), to).await,
            Body::Chunked => self.chunks(to, most).await,
            Body::UntilClose => {
                let mut left = most;
                while left > 0 && (!self.buffer.is_empty() || self.fill().await?) {
                    let portion = (self.buffer.len() as u64).min(left);
                    self.bytes(portion, to).await?;
                    left -= portion;
                }
                Ok(())
            }
        }
    }

    async fn bytes(&mut self, mut left: u64, to: &mut Option<Writer<'_, '_>>) -> io::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let portion = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let portion = portion.min(to.as_ref().map_or(portion, |to| to.wire.portion()));
            if let Some(to) = to {
                to.write(&self.buffer[..portion]).await?;
            }
            self.buffer.advance(portion);
            left -= portion as u64;
        }
        Ok(())
    }

    async fn chunks(&mut self, to: &mut Option<Writer<'_, '_>>, most: u64) -> io::Result<()> {
        let mut left = most;
        while left > 0 {
            let (line, size) = loop {
                match httparse::parse_chunk_size(&self.buffer).map_err(|_| malformed("chunk size"))? {
                    httparse::Status::Complete(found) => break found,
                    httparse::Status::Partial if self.fill().await? => {}
                    httparse::Status::Partial => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            };
            if size == 0 {
                self.bytes(line as u64, to).await?;
                return self.trailers(to).await;
            }
            let whole = line as u64 + size + 2;
            self.bytes(whole.min(left), to).await?;
            left -= whole.min(left);
        }
        Ok(())
    }

    /// Lines behind the last chunk, up to the empty one.
    async fn trailers(&mut self, to: &mut Option<Writer<'_, '_>>) -> io::Result<()> {
        loop {
            let end = loop {
                match self.buffer.iter().position(|byte| *byte == b'\n') {
                    Some(at) => break at + 1,
                    None if self.fill().await? => {}
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            };
            let is_last = self.buffer[..end].iter().all(|byte| b"\r\n".contains(byte));
            self.bytes(end as u64, to).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Where bytes are handed on to, at the pace of the wire.
#[derive(Debug)]
pub(super) struct Writer<'a, 'w> {
    pub(super) stream: WriteHalf<'a>,
    pub(super) wire: &'w Wire,
}

impl Writer<'_, '_> {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.pass(bytes.len()).await;
        self.stream.write_all(bytes).await
    }
}

fn parse_request(bytes: &[u8]) -> io::Result<Option<(usize, RequestHead)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(malformed)? else { return Ok(None) };
    let framing = framing(request.headers)?;
    let head = RequestHead {
        bytes: Bytes::new(),
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        body: if framing.chunked { Body::Chunked } else { Body::Length(framing.length.unwrap_or(0)) },
        expects_continue: framing.expects_continue,
        closes: framing.closes,
    };
    Ok(Some((length, head)))
}

fn parse_answer(bytes: &[u8], method: &str) -> io::Result<Option<(usize, AnswerHead)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(malformed)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let framing = framing(response.headers)?;
    let has_none = method == "HEAD" || status / 100 == 1 || status == 204 || status == 304;
    let body = match (has_none, framing.chunked, framing.length) {
        (true, ..) => Body::Length(0),
        (_, true, _) => Body::Chunked,
        (_, _, Some(length)) => Body::Length(length),
        _ => Body::UntilClose,
    };
    Ok(Some((length, AnswerHead { bytes: Bytes::new(), status, body, closes: framing.closes })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_where_its_body_ends() {
        let text = b"PUT /lake/a?x HTTP/1.1\r\nHost: h:1\r\ncontent-LENGTH: 12\r\nExpect: 100-continue\r\n\r\nrest";
        let (length, head) = parse_request(text).unwrap().unwrap();
        assert_eq!((length, head.method.as_str(), head.target.as_str()), (text.len() - 4, "PUT", "/lake/a?x"));
        assert_eq!((head.body, head.expects_continue, head.closes), (Body::Length(12), true, false));
        assert_eq!(parse_request(&text[..20]).unwrap(), None);
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let (_, head) = parse_request(chunked).unwrap().unwrap();
        assert_eq!((head.body, head.closes), (Body::Chunked, true));
        assert!(parse_request(b"PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n").is_err());
    }

    #[test]
    fn an_answer_without_a_length_lasts_until_the_close_unless_it_has_no_body() {
        let body = |text: &[u8], method| parse_answer(text, method).unwrap().unwrap().1.body;
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n\r\n", "GET"), Body::UntilClose);
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "GET"), Body::Length(9));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"), Body::Length(0));
        assert_eq!(body(b"HTTP/1.1 204 No Content\r\n\r\n", "DELETE"), Body::Length(0));
        assert_eq!(body(b"HTTP/1.1 100 Continue\r\n\r\n", "PUT"), Body::Length(0));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"), Body::Chunked);
    }
}
